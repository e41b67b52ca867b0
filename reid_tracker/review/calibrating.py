"""Learning from the looks of a finished run, without labels, what distances mean on its site."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from reid_tracker import __version__
from reid_tracker.association.calibration import Start
from reid_tracker.association.remembered import RememberedPassage
from reid_tracker.association.site_calibration import FORMAT, VERSION, start_to_json
from reid_tracker.errors import InputError
from reid_tracker.evaluation.calibration_plots import errors_svg, reliability_svg
from reid_tracker.evaluation.reid_plots import histogram_svg
from reid_tracker.evaluation.reliability import Reliability
from reid_tracker.results.files import make_folder, write_atomically
from reid_tracker.results.finished import read_finished
from reid_tracker.results.looks import read_looks, read_looks_header
from reid_tracker.review.evidence import (
    Evidence,
    described,
    evidence_of,
    learned,
    mean_distance,
    probability_of_one,
    tracklet_halves,
)
from reid_tracker.review.revising import passages_of
from reid_tracker.types import FloatArray

CALIBRATION_FILE = "calibration.json"
TRACKLETS, LINKS = "within tracklets", "across passages"
_ERRORS_AT = (0.5, 0.8, 0.9, 0.95, 0.99)
_FEWEST = 20  # certain pairs of either kind below which figures say little


@dataclass(frozen=True, slots=True)
class Distances:
    """Mean cosine distances of pairs, in one camera or between two.

    Attributes:
        cameras: one or two names.
        same: (N,) of one person: halves of one tracklet; between cameras, links of which the run is sure.
        different: (M,) of two: in view of one camera at once; between cameras, of people who were.
    """

    cameras: tuple[str, ...]
    same: FloatArray
    different: FloatArray

    def to_json(self) -> dict[str, Any]:
        """As it stands in the file."""
        return {
            "cameras": list(self.cameras),
            "same_pairs": len(self.same),
            "same_distance": _mean(self.same),
            "different_pairs": len(self.different),
            "different_distance": _mean(self.different),
        }


@dataclass(frozen=True, slots=True)
class SiteLessons:
    """What a run taught.

    Attributes:
        start: what a later run of the site can begin with.
        embedder: name and sha256 of what made the looks.
        tracklets: with looks.
        distances: per camera, then per pair of cameras.
        judged: probabilities of people of whom nothing was learned, by kind of pairs.
    """

    start: Start
    embedder: Mapping[str, Any]
    tracklets: int
    distances: tuple[Distances, ...]
    judged: Mapping[str, Reliability]

    @property
    def doubts(self) -> str:
        """Why the figures may say little; empty where they do not."""
        certain = self.judged[TRACKLETS]
        if min(len(certain.same), len(certain.different)) >= _FEWEST:
            return ""
        return (
            f"only {len(certain.same)} pairs of one person and {len(certain.different)} of two are certain: errors and "
            "reliability say little; calibrate on a longer run"
        )

    def to_json(self) -> dict[str, Any]:
        """The value of calibration.json."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "package_version": __version__,
            "written_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "embedder": dict(self.embedder),
            "tracklets": self.tracklets,
            "start": start_to_json(self.start),
            "distances": [one.to_json() for one in self.distances],
            "judged": {name: _judged_to_json(one) for name, one in self.judged.items() if one.usable},
        }


def calibrate(tracks: str | Path) -> SiteLessons:
    """Learn from a run.

    Args:
        tracks: its folder, or a file in it.

    Raises:
        InputError: it cannot be read, kept no looks, or nobody in it was seen beside somebody else.
    """
    run = read_finished(tracks)
    header = read_looks_header(run.folder)
    passages = passages_of(run, tuple(read_looks(run.folder)))
    evidence = evidence_of(passages, run.summary.events)
    if not any(evidence.together()):
        raise InputError(
            f"{run.folder}: nobody with looks was in a camera together with somebody else, so nothing shows what two "
            "people look like; calibrate on a busier or longer run"
        )
    calibration, short = learned(evidence)
    dimension = len(next(iter(short.values())).mean)
    return SiteLessons(
        start=calibration.summary(dimension),
        embedder=header["embedder"],
        tracklets=len(evidence.passages),
        distances=tuple(_distances(evidence)),
        judged=_judge(evidence),
    )


def write_lessons(lessons: SiteLessons, file: str | Path, plots: str | Path) -> list[Path]:
    """Write the calibration file and its pictures (which show no people); the paths, the file first.

    Raises:
        OutputError: something cannot be written.
    """
    file, plots = Path(file), Path(plots)
    make_folder(file.parent)
    make_folder(plots)
    value = json.dumps(lessons.to_json(), indent=1, ensure_ascii=False, allow_nan=False)
    write_atomically(file, [value, "\n"])
    written = [file]
    usable = {name: one for name, one in lessons.judged.items() if one.usable}
    pictures = {
        "distances": _histogram(lessons.distances),
        "errors": errors_svg(usable, "Expected error at each probability") if usable else None,
        "reliability": reliability_svg(usable, "Do probabilities mean what they say?") if usable else None,
    }
    for name, picture in pictures.items():
        if picture is not None:
            written.append(plots / f"{name}.svg")
            write_atomically(written[-1], [picture])
    return written


def _histogram(distances: Iterable[Distances]) -> str | None:
    """The two distributions of certain pairs, all cameras in one."""
    within = [one for one in distances if len(one.cameras) == 1]
    same, different = (np.concatenate([getattr(one, kind) for one in within]) for kind in ("same", "different"))
    if not len(same) or not len(different):
        return None
    bins = int(np.clip((len(same) + len(different)) ** 0.5 * 2, 10, 60))
    return histogram_svg(same, different, "Distances inside tracklets and between people seen at once", bins)


def _distances(evidence: Evidence) -> Iterator[Distances]:
    cameras = sorted({passage.camera_id for passage in evidence.passages})
    halves = [(one.camera_id, mean_distance(*parts)) for one, *parts in tracklet_halves(evidence)]
    together = [(one.camera_id, _apart(one, other)) for one, other in evidence.together()]
    for camera in cameras:
        yield Distances((camera,), _of(halves, camera), _of(together, camera))
    links = [(_way(one, other), _apart(one, other)) for one, other in evidence.confident_links()]
    strangers = [(_way(one, other), _apart(one, other)) for one, other in evidence.strangers()]
    for place, camera in enumerate(cameras):
        for other in cameras[place + 1 :]:
            yield Distances((camera, other), _of(links, (camera, other)), _of(strangers, (camera, other)))


def _judge(evidence: Evidence) -> dict[str, Reliability]:
    """Both halves of the people, each judged by what the other half taught.

    Halves of a tracklet are asked about like two passages, by the very model that links people. They are more alike
    than passages, so honest probabilities look too cautious there; links are what the run itself believes, so these
    can look too good. What is true of passages lies between the two.
    """
    people = sorted({passage.identity for passage in evidence.passages})
    certain: tuple[list[float], list[float]] = [], []
    linked: tuple[list[float], list[float]] = [], []
    for fold in (0, 1):
        mine, others = set(people[fold::2]), set(people[1 - fold :: 2])
        if mine and others:
            _judge_fold(evidence.of(mine), evidence.of(others), certain, linked)
    return {
        name: Reliability(np.array(pairs[0]), np.array(pairs[1]))
        for name, pairs in ((TRACKLETS, certain), (LINKS, linked))
    }


def _judge_fold(
    judged: Evidence,
    teaching: Evidence,
    certain: tuple[list[float], list[float]],
    linked: tuple[list[float], list[float]],
) -> None:
    calibration, short = learned(teaching)
    dimension = len(next(iter(short.values())).mean)
    spread = calibration.spread_of(dimension)
    halves = {
        one.tracklet: (described(one, calibration, first), described(one, calibration, second))
        for one, first, second in tracklet_halves(judged)
    }
    certain[0].extend(probability_of_one(*parts, spread) for parts in halves.values())
    for one, other in judged.together():
        if one.tracklet in halves and other.tracklet in halves:
            certain[1].append(probability_of_one(halves[one.tracklet][0], halves[other.tracklet][1], spread))
    whole = {one.tracklet: described(one, calibration) for one in judged.passages}
    linked[0].extend(
        probability_of_one(whole[one.tracklet], whole[other.tracklet], spread)
        for one, other in judged.confident_links()
    )
    for pairs in (judged.together(), judged.strangers()):
        linked[1].extend(probability_of_one(whole[one.tracklet], whole[other.tracklet], spread) for one, other in pairs)


def _judged_to_json(judged: Reliability) -> dict[str, Any]:
    levels = np.array(_ERRORS_AT)
    predicted, observed, pairs = judged.bins()
    return {
        "same_pairs": len(judged.same),
        "different_pairs": len(judged.different),
        "equal_error": round(judged.equal_error, 4),
        "calibration_error": round(judged.calibration_error, 4),
        "errors": [
            {"probability": level, "missed": round(float(missed), 4), "false": round(float(false), 4)}
            for level, missed, false in zip(_ERRORS_AT, judged.missed(levels), judged.false(levels), strict=True)
        ],
        "reliability": [
            {"predicted": round(float(x), 4), "observed": round(float(y), 4), "pairs": int(count)}
            for x, y, count in zip(predicted, observed, pairs, strict=True)
        ],
    }


def _apart(one: RememberedPassage, other: RememberedPassage) -> float:
    assert one.looks is not None
    assert other.looks is not None
    return mean_distance(one.looks, other.looks)


def _way(one: RememberedPassage, other: RememberedPassage) -> tuple[str, ...]:
    return tuple(sorted((one.camera_id, other.camera_id)))


def _of(found: Iterable[tuple[object, float]], key: object) -> FloatArray:
    return np.array([distance for name, distance in found if name == key], np.float32)


def _mean(distances: FloatArray) -> float | None:
    return round(float(distances.mean()), 4) if len(distances) else None

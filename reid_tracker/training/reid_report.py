"""What ``reid-tracker evaluate-reid`` writes besides its table: plots of one protocol (pictures of people)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from reid_tracker.distance import aligned_distance_pairs, aligned_path, unaligned_distance
from reid_tracker.errors import OutputError
from reid_tracker.evaluation.ranking import Looks, distances_by_rows
from reid_tracker.evaluation.reid import ReidScores
from reid_tracker.evaluation.reid_plots import alignment_svg, cmc_svg, histogram_svg, pair_distances
from reid_tracker.training.partial import PartialBody
from reid_tracker.training.protocols import Protocol

_ASKING = 200  # queries whose distances go into the histograms: some hundred thousand pairs
_DRAWN = 4


def write_plots(
    folder: Path,
    protocol: Protocol,
    looks: Looks,
    scores: Mapping[str, ReidScores],
    partial: PartialBody | None = None,
) -> list[Path]:
    """CMC curves, a histogram for each way of ranking, and the alignments that say most.

    Args:
        folder: made where it is missing; files are named after the protocol.
        protocol: its first trial is shown.
        looks: of all its pictures.
        scores: what ``score_protocol`` gave.
        partial: how the pictures were cut.

    Raises:
        OutputError: the folder cannot be written.
    """
    stem = f"{protocol.name}-partial" if partial else protocol.name
    drawings = {f"{stem}-cmc": cmc_svg(scores, f"{stem}: CMC")}
    drawings |= {f"{stem}-distances-{way}": drawn for way, drawn in _histograms(protocol, looks, scores, stem).items()}
    if looks.has_stripes:
        drawings |= _alignments(protocol, looks, stem, partial)
    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, drawing in drawings.items():
            (folder / f"{name}.svg").write_text(drawing, encoding="utf-8")
            written.append(folder / f"{name}.svg")
    except OSError as error:
        raise OutputError(f"plots {folder}: cannot be written ({error.strerror})") from error
    return written


def _histograms(protocol: Protocol, looks: Looks, scores: Mapping[str, ReidScores], stem: str) -> dict[str, str]:
    asking, answering = protocol.trials[0]
    few = asking[np.linspace(0, len(asking) - 1, min(_ASKING, len(asking))).astype(np.int64)]
    queries, gallery = protocol.labels(few), protocol.labels(answering)
    same = queries.persons[:, None] == gallery.persons
    elsewhere = queries.cameras[:, None] != gallery.cameras
    counts = ~queries.junk[:, None] & ~gallery.junk
    distances = distances_by_rows(looks.rows(few), looks.rows(answering), tuple(scores))(slice(0, len(few)))
    drawn = {}
    for way, values in distances.items():
        pairs = pair_distances(values, same & elsewhere & counts, ~same & counts)
        if all(len(one) for one in pairs):
            drawn[way] = histogram_svg(*pairs, f"{stem}: {way} distance")
    return drawn


def _alignments(protocol: Protocol, looks: Looks, stem: str, partial: PartialBody | None) -> dict[str, str]:
    """Pairs of one person in two cameras for whom alignment changes most, the first of each person."""
    asking, answering = protocol.trials[0]
    first, second = _same_people(protocol, asking, answering)
    if len(first) == 0:
        return {}
    aligned = aligned_distance_pairs(looks.stripes[first], looks.stripes[second])
    straight = np.array(
        [unaligned_distance(looks.stripes[[a]], looks.stripes[[b]])[0, 0] for a, b in zip(first, second, strict=True)]
    )
    # The aligned distance pays for leaving the diagonal even where nothing is shifted; where it still is lower than
    # stripe by stripe, the path found something.
    most = np.argsort(aligned - straight, kind="stable")[:_DRAWN]
    drawings = {}
    for place, row in enumerate(most, start=1):
        a, b = int(first[row]), int(second[row])
        path = aligned_path(looks.stripes[a], looks.stripes[b])
        first_camera, second_camera = protocol.pictures.cameras[[a, b]]
        title = f"person {protocol.pictures.persons[a]}, cameras {first_camera} and {second_camera}"
        drawings[f"{stem}-alignment-{place}"] = alignment_svg(
            _jpeg(protocol.pictures.paths[a], partial), _jpeg(protocol.pictures.paths[b], partial), path, title
        )
    return drawings


def _same_people(
    protocol: Protocol, asking: NDArray[np.int64], answering: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """For each person the first picture that asks and the first of another camera that answers."""
    persons, cameras = protocol.pictures.persons, protocol.pictures.cameras
    pairs = []
    for person in np.unique(persons[asking]):
        query = asking[persons[asking] == person][0]
        right = answering[(persons[answering] == person) & (cameras[answering] != cameras[query])]
        if person > 0 and len(right):
            pairs.append((query, right[0]))
    first, second = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    return first, second


def _jpeg(path: Path, partial: PartialBody | None) -> bytes:
    picture = np.asarray(cv2.imread(str(path), cv2.IMREAD_COLOR), dtype=np.uint8)
    shown = partial.cut(picture, path.name) if partial else picture
    return bytes(cv2.imencode(".jpg", shown)[1])

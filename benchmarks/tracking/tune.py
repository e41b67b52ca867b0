"""The tracker's settings chosen without frames 401-795 of PETS09-S2L1, beside the shipped ones on what was not seen.

    python -m benchmarks.tracking.tune [--cache FOLDER] [--searches 4] [--draws 80] [--passes 3] [--workers 2]

Detections and looks are computed once and kept; then only the tracker runs again. A search begins with settings drawn
at random from wide ranges, takes the best of them and moves one setting at a time for as long as that helps. Settings
that fall behind on part of the material are not tracked on the rest.

What is maximised is IDF1 + MOTA by the published truth on frames 1-400: at full rate and at half the rate, with the
default detections, and by motion alone with the published text detections, for which two other sequences (TUD) count
as well. These two are short, and one person who takes another's number there is seven points: they are tracked whole
and with a tenth of the boxes left out, and it costs to fall behind the best motion-only peer (from the committed
result of benchmarks.tracking.public_detections). Frames 401-795 are looked at only when all has ended; what is best by
its own objective is reported as chosen. Needs the video (see common.shared_data). Writes
benchmarks/results/tracking_tune.json.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.tracking.common import RESULTS, Scene, score, shared_data, table, track, write_json
from benchmarks.tracking.pets import PARTS, scene, with_returns
from benchmarks.tracking.public_detections import FIRST as SEEN
from benchmarks.tracking.public_detections import scenes as text_scenes
from reid_tracker.config import Config, TrackingConfig
from reid_tracker.detection.mot_file import levels_of
from reid_tracker.evaluation import LabelledBoxes, Scores
from reid_tracker.types import Detections

# Each setting with the range that it is drawn from (what is conceivable, not what is known to be good) and the steps in
# which it is written: a finer value would be an accident of these frames.
RANGES: dict[str, tuple[float, float, float]] = {
    "confirm_hits": (1, 5, 1),
    "tentative_seconds": (0.1, 1.0, 0.05),
    "max_lost_seconds": (1.0, 15.0, 1.0),
    "exit_seconds": (0.1, 3.0, 0.1),
    "exit_inside": (0.2, 0.9, 0.1),
    "overlap_growth": (0.0, 0.4, 0.05),
    "growth_per_second": (0.0, 0.4, 0.05),
    "least_overlap": (0.0, 0.3, 0.05),
    "least_weak_overlap": (0.1, 0.6, 0.1),
    "weak_seconds": (0.0, 2.0, 0.1),
    "least_height_ratio": (0.3, 0.8, 0.1),
    "lost_cost": (0.0, 0.4, 0.05),
    "cost_limit": (0.6, 1.3, 0.1),
    "appearance_weight": (0.0, 1.5, 0.1),
    "recover_gate": (4.0, 25.0, 1.0),
    "recover_reach": (0.5, 6.0, 0.5),
    "blind_reach": (0.0, 2.0, 0.1),
    "blind_seconds": (0.0, 5.0, 0.5),
    "recover_height_ratio": (0.5, 0.9, 0.1),
    "recover_evidence": (-0.5, 0.8, 0.1),
    "recover_weight": (0.0, 1.5, 0.1),
    "start_coverage": (0.4, 1.0, 0.1),
    "position_noise": (0.02, 0.15, 0.01),
    "size_noise": (0.02, 0.2, 0.02),
    "score_weight": (0.0, 3.0, 0.5),
    "rival_weight": (0.0, 3.0, 0.5),
    "position_change": (0.1, 1.5, 0.1),
    "start_speed": (0.2, 2.0, 0.2),
    "velocity_memory_seconds": (0.5, 10.0, 0.5),
    "box_smoothing": (0.0, 1.0, 0.1),
}
WHOLE = ("confirm_hits",)
TEXT = 0.25 / 3  # of the objective for each published sequence
SHARES = (0.25, 0.1, 0.0)  # of a range, by which a setting moves in the first pass and the next ones; a step at least
LEAST_GAIN = 5e-4  # of the objective; less does not move a setting
THINNED = (1, 2)  # seeds with which a tenth of the boxes of a short sequence is left out
LEFT_OUT = 0.1
LEAD = 0.005  # of IDF1 before the best motion-only peer on each published sequence
BEHIND = 5.0  # what is taken from the objective for each IDF1 that lacks of it
HOPE = 0.02  # of the objective: settings that are further behind the best are given up

Settings = dict[str, float]


@dataclass(frozen=True)
class Material:
    """What a search is scored on.

    Attributes:
        whole: the frames seen, with looks.
        levels: of the detector.
        half: every second of them.
        texts: per published sequence how it is tracked: as it is first, then with boxes left out.
        peers: IDF1 of the best motion-only peer on what is seen of these sequences.
    """

    whole: Scene
    levels: tuple[float, float]
    half: Scene
    texts: tuple[tuple[Scene, ...], ...]
    peers: dict[str, float]


def material(pets: Scene, levels: tuple[float, float], shared: Path) -> Material:
    """Frames 1-400 of PETS alone, and the TUD sequences."""
    texts = tuple(
        (every(one, 0, 1, SEEN),) if one.name == pets.name else (one, *(thinned(one, seed) for seed in THINNED))
        for one in text_scenes(shared)
    )
    return Material(every(pets, 0, 1, SEEN), levels, every(pets, 0, 2, SEEN), texts, best_peers())


def best_peers() -> dict[str, float]:
    """IDF1 of the best motion-only peer on frames 1-400 of each published sequence, configured in hindsight."""
    sequences = json.loads((RESULTS / "tracking_public_detections.json").read_text(encoding="utf-8"))["sequences"]
    return {name: found["best peer's IDF1, frames 1-400"] for name, found in sequences.items()}


def thinned(whole: Scene, seed: int) -> Scene:
    """The scene without a share of its boxes."""
    random = np.random.default_rng(seed)
    kept = [random.random(len(found)) >= LEFT_OUT for found in whole.detections]
    pairs = zip(whole.detections, kept, strict=True)
    return replace(whole, detections=[Detections(found.boxes[keep], found.scores[keep]) for found, keep in pairs])


def every(whole: Scene, first: int, step: int, end: int) -> Scene:
    """The scene as a camera of a ``step``-th of the rate takes it, frames ``first`` to ``end``."""
    frames = range(first, end, step)
    inside = whole.truth.within(first, end)
    inside = inside.select((inside.frames - first) % step == 0)
    return replace(
        whole,
        rate=whole.rate / step,
        detections=[whole.detections[frame] for frame in frames],
        looks=None if whole.looks is None else [whole.looks[frame] for frame in frames],
        truth=replace(inside, frames=(inside.frames - first) // step),
    )


def configured(settings: Settings) -> TrackingConfig:
    """The tracker's table."""
    return TrackingConfig.model_validate(settings | {name: round(settings[name]) for name in WHOLE})


def scored(one: Scene, config: TrackingConfig, levels: tuple[float, float]) -> Scores:
    """Of the whole scene."""
    return score(one.truth, track(one, config, levels)[0], range(len(one.detections)))


def worth(one: Scene, config: TrackingConfig, levels: tuple[float, float]) -> float:
    """IDF1 + MOTA of the whole scene."""
    got = scored(one, config, levels)
    return got.idf1 + got.mota


def on_text(ways: Sequence[Scene], config: TrackingConfig, peer: float) -> float:
    """IDF1 + MOTA over the ways in which a sequence is tracked, less what lacks for leading the best peer."""
    got = [scored(one, config, levels_of_file(one)) for one in ways]
    lack = max(0.0, peer + LEAD - got[0].idf1)
    return float(np.mean([one.idf1 + one.mota for one in got])) - BEHIND / TEXT * lack


def levels_of_file(one: Scene) -> tuple[float, float]:
    """The score levels that the program takes from published detections."""
    return levels_of([np.concatenate([found.scores for found in one.detections])])


def parts(seen: Material, config: TrackingConfig) -> Iterator[float]:
    """What each part of the material brings to the objective: half the default detections, a quarter these at half the
    rate, a quarter text."""
    yield 0.5 * worth(seen.whole, config, seen.levels)
    for ways in seen.texts:
        yield TEXT * on_text(ways, config, seen.peers[ways[0].name])
    yield 0.25 * worth(seen.half, config, seen.levels)


@dataclass(frozen=True)
class Found:
    """Settings and what each part of the material says of them."""

    settings: Settings
    parts: list[float]

    @property
    def value(self) -> float:
        """The objective."""
        return sum(self.parts)


def tried(seen: Material, settings: Settings, best: Found | None = None) -> Found | None:
    """What is to be said of settings; None where they cannot, in all likelihood, be better than the best."""
    values: list[float] = []
    for value in parts(seen, configured(settings)):
        values.append(value)
        if best is not None and sum(values) + HOPE < sum(best.parts[: len(values)]):
            return None
    found = Found(settings, values)
    return found if best is None or found.value > best.value + LEAST_GAIN else None


def drawn(random: np.random.Generator) -> Settings:
    """Settings anywhere in their ranges."""
    return {name: in_steps(name, float(random.uniform(low, high))) for name, (low, high, _) in RANGES.items()}


def in_steps(name: str, value: float) -> float:
    """The value as it would be written, inside its range."""
    low, high, step = RANGES[name]
    return round(min(max(round(value / step) * step, low), high), 2)


def neighbours(settings: Settings, name: str, share: float) -> Iterator[Settings]:
    """One setting lower and higher by a share of its range, a step at least."""
    low, high, step = RANGES[name]
    width = max(share * (high - low), step)
    for value in (settings[name] - width, settings[name] + width):
        if (near := in_steps(name, value)) != settings[name]:
            yield settings | {name: near}


def search(seen: Material, name: str, draws: int, passes: int) -> Found:
    """One setting at a time from the best of settings drawn at random."""
    random = np.random.default_rng(list(name.encode()))
    best: Found | None = None
    for _ in range(draws):
        best = tried(seen, drawn(random), best) or best
    assert best is not None  # the first has nothing to be behind
    print(f"{name}: begins with {best.value:.4f}", flush=True)
    for number in range(passes):
        share = SHARES[min(number, len(SHARES) - 1)]
        for setting in random.permutation(list(RANGES)).tolist():
            for near in neighbours(best.settings, setting, share):
                best = tried(seen, near, best) or best
        print(f"{name}: after pass {number + 1} {best.value:.4f} {best.settings}", flush=True)
    return best


def judged(
    pets: Scene, truths: dict[str, LabelledBoxes], config: TrackingConfig, levels: tuple[float, float]
) -> dict[str, dict[str, Scores]]:
    """Scores per part of the sequence and truth."""
    tracks, _ = track(pets, config, levels)
    return {
        part: {name: score(truth, tracks, frames) for name, truth in truths.items()} for part, frames in PARTS.items()
    }


def printed(rows: dict[str, dict[str, dict[str, Scores]]]) -> None:
    """A table per part of the sequence and truth."""
    first = next(iter(rows.values()))
    for part, truths in first.items():
        for truth in truths:
            print(f"frames {part}, {truth}\n{table([(name, got[part][truth]) for name, got in rows.items()])}\n")


def on_texts(shared: Path, config: TrackingConfig) -> dict[str, Scores]:
    """All frames of the published detections by motion alone, with the levels that the program takes."""
    return {one.name: scored(one, config, levels_of_file(one)) for one in text_scenes(shared)}


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--cache", type=Path, default=Path(tempfile.gettempdir()) / "reid_tracker_benchmarks", help="keeps looks"
    )
    parser.add_argument("--searches", type=int, default=4, help="each from a place of its own")
    parser.add_argument("--draws", type=int, default=80, help="settings drawn at random to begin with")
    parser.add_argument("--passes", type=int, default=3, help="times that each setting is moved")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="searches at a time")
    return parser.parse_args()


def main() -> None:
    """Search several times, print what each reaches beside the shipped settings, write the JSON."""
    arguments = options()
    shared = shared_data()
    if shared is None:
        print("skipped: no measuring material (REID_TRACKER_SHARED)")
        return
    pets, levels = scene(shared / "PETS09-S2L1", arguments.cache, Config())
    seen = material(pets, levels, shared)
    with ProcessPoolExecutor(arguments.workers) as workers:
        names = [f"search {number}" for number in range(1, arguments.searches + 1)]
        jobs = {name: workers.submit(search, seen, name, arguments.draws, arguments.passes) for name in names}
        found = {name: job.result() for name, job in jobs.items()}
    chosen = max(found, key=lambda name: found[name].value)
    runs = {"shipped": TrackingConfig()} | {name: configured(one.settings) for name, one in found.items()}

    truths = {"published truth": pets.truth, "returning people are one": with_returns(pets.truth)}
    rows = {name: judged(pets, truths, config, levels) for name, config in runs.items()}
    texts = {name: on_texts(shared, config) for name, config in runs.items()}
    printed(rows)
    for sequence in next(iter(texts.values())):
        print(f"{sequence}, text detections\n{table([(name, got[sequence]) for name, got in texts.items()])}\n")
    print(f"best by its own objective: {chosen}")
    objective = {name: one.value for name, one in found.items()}
    objective["shipped"] = sum(parts(seen, TrackingConfig()))
    write_json(
        "tracking_tune",
        {
            "draws": arguments.draws,
            "passes": arguments.passes,
            "objective": objective,
            "best by its own objective": chosen,
            "settings": {name: one.settings for name, one in found.items()},
            "frames": rows,
            "text detections": texts,
        },
    )


if __name__ == "__main__":
    main()

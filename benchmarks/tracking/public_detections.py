"""Tracking by motion alone on published detections (text, no pixels), beside motion-only peers on the same boxes.

    python -m benchmarks.tracking.public_detections

TUD-Stadtmitte, TUD-Campus and PETS09-S2L1 with the Faster R-CNN detections that SORT published; one default
configuration for all three. Score levels are those that ``track --detections`` takes from a file's own scores; beside
them stands what other levels would give. Peers run in the environment whose Python $REID_TRACKER_PEERS names, with
their defaults and with the best of several configurations chosen in hindsight per sequence.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.tracking.common import (
    Scene,
    best_and_default,
    read_detections,
    read_truth,
    run_peers,
    score,
    shared_data,
    table,
    track,
    write_json,
)
from benchmarks.tracking.peers import PUBLIC
from reid_tracker.config import TrackingConfig
from reid_tracker.detection.mot_file import TOP_SHARE, levels_of
from reid_tracker.evaluation import Scores

SHARES = (0.05, 0.1, 0.2, 0.3, 0.4)  # of the scale of the scores: confident from there on
FIRST = 400  # frames of PETS that a search for settings may look at (tune.py)
QUANTILES = (0.02, 0.05, 0.1, 0.15, 0.25)  # of the boxes, the other way to choose the level
# name, folder under the measuring material, frames, frames a second, (width, height)
SEQUENCES = (
    ("TUD-Stadtmitte", "mot15_gt_det/TUD-Stadtmitte", 179, 25.0, (640, 480)),
    ("TUD-Campus", "mot15_gt_det/TUD-Campus", 71, 25.0, (640, 480)),
    ("PETS09-S2L1", "PETS09-S2L1", 795, 10.0, (768, 576)),
)


def scenes(shared: Path) -> list[Scene]:
    """The three sequences."""
    return [
        Scene(
            name,
            rate,
            size,
            read_detections(shared / folder / "det" / "det.txt", frames),
            read_truth(shared / folder / "gt" / "gt.txt"),
        )
        for name, folder, frames, rate, size in SEQUENCES
    ]


def main() -> None:
    """Run all of it, print a table per sequence, write benchmarks/results/tracking_public_detections.json."""
    shared = shared_data()
    if shared is None:
        print("skipped: no measuring material (REID_TRACKER_SHARED)")
        return
    results: dict[str, dict[str, object]] = {}
    for scene in scenes(shared):
        frames = range(len(scene.detections))
        scores = np.concatenate([found.scores for found in scene.detections])
        levels = levels_of([scores])
        tracks, _ = track(scene, TrackingConfig(), levels)
        rows = [("ours", score(scene.truth, tracks, frames))]
        runs = run_peers(scene, PUBLIC)
        rows += best_and_default(scene.truth, runs, frames)
        print(f"{scene.name}\n{table(rows)}\n")
        others = by_level(scene, scores)
        print(f"ours by level\n{table(list(others.items()))}\n")
        first = [score(scene.truth, run.tracks, frames[:FIRST]).idf1 for run in runs]
        results[scene.name] = {"score_levels": levels, "rows": dict(rows), "ours by level": others}
        results[scene.name] |= {"best peer's IDF1, frames 1-400": max(first)} if first else {}
    write_json("tracking_public_detections", {"sequences": results})


def by_level(scene: Scene, scores: np.ndarray) -> dict[str, Scores]:
    """Ours with other ways to choose the confident level: does the result hang on the one chosen?"""
    lowest, top = float(scores.min()), float(np.quantile(scores, 1 - TOP_SHARE))
    chosen = {f"{share:.0%} of the scale": lowest + share * (top - lowest) for share in SHARES}
    chosen |= {f"quantile {share:.0%}": float(np.quantile(scores, share)) for share in QUANTILES}
    frames = range(len(scene.detections))
    return {
        f"{name}: {level:.2f}": score(scene.truth, track(scene, TrackingConfig(), (lowest, level))[0], frames)
        for name, level in chosen.items()
    }


if __name__ == "__main__":
    main()

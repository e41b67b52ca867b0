"""Tracking by motion alone on published detections (text, no pixels), beside motion-only peers on the same boxes.

    python -m benchmarks.tracking.public_detections

TUD-Stadtmitte, TUD-Campus and PETS09-S2L1 with the Faster R-CNN detections that SORT published; one default
configuration for all three. The file holds scores from 0.5 on; 0.6 splits confident from weak boxes, which is also
the peers' default. Peers run in the environment whose Python $REID_TRACKER_PEERS names, with their defaults and with
the best of several configurations chosen in hindsight per sequence.
"""

from __future__ import annotations

from pathlib import Path

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

LEVELS = (0.5, 0.6)
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
    results = {}
    for scene in scenes(shared):
        frames = range(len(scene.detections))
        tracks, _ = track(scene, TrackingConfig(), LEVELS)
        rows = [("ours", score(scene.truth, tracks, frames))]
        rows += best_and_default(scene.truth, run_peers(scene, PUBLIC), frames)
        print(f"{scene.name}\n{table(rows)}\n")
        results[scene.name] = dict(rows)
    write_json("tracking_public_detections", {"score_levels": LEVELS, "sequences": results})


if __name__ == "__main__":
    main()

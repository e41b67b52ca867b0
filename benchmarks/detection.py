"""How well and how fast a detector finds people: AP50, precision and recall by score, milliseconds a frame.

    python -m benchmarks.detection [--detector nanodet_g] [--input auto 416 640 960] [--every 1]

On PETS09-S2L1 (REID_TRACKER_SHARED, by default ../shared): frames 1-400 calibrate score levels, 401-795 are reported.
The truth leaves out people far off and holds people who are wholly hidden, so no detector reaches 1. Precision and
recall are given from the detector's own levels on (``weak``, ``confident``). Beside them stand the levels that the
calibration half suggests, in steps of 0.05: from the first on a quarter of the boxes of that score are people, from the
second on four fifths. Writes benchmarks/results/detection.json, or the file that --json names.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from reid_tracker.boxes import overlap, xywh_to_xyxy
from reid_tracker.config import Config
from reid_tracker.detection import open_detector
from reid_tracker.detection.choose import equivalent_side, input_size, levels_at
from reid_tracker.detection.network import NetworkDetector
from reid_tracker.runtime import find_model
from reid_tracker.types import Frame

RESULTS = Path(__file__).parent / "results" / "detection.json"
CALIBRATION, REPORT = range(400), range(400, 795)
FRAME_HW = (576, 768)
LEAST = 0.05
STEP = 0.05
WEAK_SHARE, CONFIDENT_SHARE = 0.25, 0.8


@dataclass(frozen=True)
class Judged:
    """All boxes of some frames, best score first, with whether each is a person who was not found before.

    Attributes:
        scores: (K,).
        right: (K,) bool.
        people: in the truth of these frames.
        frames: how many.
        seconds: wall clock that the detector took.
    """

    scores: NDArray[np.float64]
    right: NDArray[np.bool_]
    people: int
    frames: int
    seconds: float

    def average_precision(self) -> float:
        """Area under precision over recall, every point (COCO's AP at IoU 0.5, without sampling)."""
        found = np.cumsum(self.right)
        precision = np.maximum.accumulate((found / np.arange(1, len(found) + 1))[::-1])[::-1]
        recall = np.concatenate([[0], found / self.people])
        return float((np.diff(recall) * precision).sum())

    def above(self, score: float) -> tuple[float, float]:
        """(precision, recall) of the boxes that score that much or more."""
        kept = self.right[self.scores >= score]
        return float(kept.mean()) if len(kept) else 1.0, float(kept.sum() / self.people)

    def level(self, share: float) -> float:
        """The least score from which on boxes are people that often, in bins of STEP; from the top down."""
        level = 1.0
        for lower in np.arange(1 - STEP, LEAST, -STEP):
            inside = (self.scores >= lower) & (self.scores < lower + STEP)
            if inside.sum() >= 5 and self.right[inside].mean() < share:
                break
            level = float(lower)
        return round(level, 2)


def read_video(path: Path, which: range, every: int) -> Iterator[Frame]:
    """Some frames of a video."""
    video = cv2.VideoCapture(str(path))
    for index in range(which.stop):
        decoded, image = video.read()
        if not decoded:
            break
        if index in which and (index - which.start) % every == 0:
            yield Frame("pets", index, index / 7, np.asarray(image, np.uint8))
    video.release()


def judge(detector: NetworkDetector, video: Path, truth: NDArray[np.float64], which: range, every: int) -> Judged:
    """Run a detector and match its boxes to the truth, best score first, at IoU 0.5."""
    scores, right, people, frames, seconds = [], [], 0, 0, 0.0
    for frame in read_video(video, which, every):
        started = time.perf_counter()
        (found,) = detector([frame])
        seconds += time.perf_counter() - started
        present = xywh_to_xyxy(truth[(truth[:, 0] == frame.index + 1) & (truth[:, 6] != 0), 2:6])
        shared = overlap(found.boxes, present)
        for row in range(len(found)):  # they come best first
            best = int(shared[row].argmax()) if len(present) else 0
            hit = bool(len(present)) and shared[row, best] >= 0.5
            if hit:
                shared[:, best] = 0
            scores.append(float(found.scores[row]))
            right.append(hit)
        people += len(present)
        frames += 1
    order = np.argsort(-np.array(scores), kind="stable")
    return Judged(np.array(scores)[order], np.array(right)[order], people, frames, seconds)


def main() -> None:
    """Measure, print a table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--detector", default="nanodet_g")
    parser.add_argument("--input", nargs="+", default=["auto", "416", "640", "960"], help="longer sides in pixels")
    parser.add_argument("--every", type=int, default=1, help="take one frame in so many")
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--json", type=Path, default=RESULTS)
    options = parser.parse_args()
    shared = Path(os.environ.get("REID_TRACKER_SHARED", Path(__file__).parents[2] / "shared"))
    folder = shared / "data" / "tracking" / "PETS09-S2L1"
    if not folder.is_dir():
        raise SystemExit(f"{folder}: not there; set REID_TRACKER_SHARED")
    truth = np.loadtxt(folder / "gt" / "gt.txt", delimiter=",")
    model = find_model(options.detector, "detector")
    calibrated = model.manifest.score_levels if model.manifest else {}
    rows = []
    heading = ("input", "AP50", "weak", "prec.", "recall", "conf.", "prec.", "recall", "suggested", "", "boxes", "ms")
    print(" ".join(f"{name:>9}" for name in heading))
    for side in options.input:
        longer = None if side == "auto" else int(side)
        settings = Config().with_values(
            {
                "detection.model": options.detector,
                "detection.input_size": longer or "auto",
                "detection.score_threshold": LEAST,
                "runtime.backend": options.backend,
            }
        )
        detector = open_detector(settings.detection, settings.runtime)
        known = judge(detector, folder / "vtest.avi", truth, CALIBRATION, options.every)
        told = judge(detector, folder / "vtest.avi", truth, REPORT, options.every)
        weak, confident = levels_at(calibrated, equivalent_side(input_size(FRAME_HW, longer, 32)))
        row = {
            "input": side,
            "ap50": told.average_precision(),
            "weak": weak,
            "weak_precision_recall": told.above(weak),
            "confident": confident,
            "confident_precision_recall": told.above(confident),
            "suggested_levels": (known.level(WEAK_SHARE), known.level(CONFIDENT_SHARE)),
            "boxes_a_frame": len(told.scores) / told.frames,
            "milliseconds_a_frame": 1e3 * (known.seconds + told.seconds) / (known.frames + told.frames),
            "runs": detector.describe(),
        }
        rows.append(row)
        numbers = [
            row["ap50"], weak, *told.above(weak), confident, *told.above(confident), *row["suggested_levels"],
            row["boxes_a_frame"], row["milliseconds_a_frame"],
        ]  # fmt: skip
        print(f"{side:>9} " + " ".join(f"{number:9.3f}" for number in numbers), flush=True)
    options.json.parent.mkdir(exist_ok=True)
    facts = {"data": "PETS09-S2L1, IoU 0.5, calibrated on 1-400, reported on 401-795", "every": options.every}
    options.json.write_text(json.dumps({**facts, "detector": options.detector, "rows": rows}, indent=2) + "\n")
    print(f"written: {options.json}")


if __name__ == "__main__":
    main()

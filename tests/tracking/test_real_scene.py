"""Real people: published detections and truth of TUD-Stadtmitte and PETS09-S2L1, where the material is present."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from reid_tracker.boxes import overlap, xywh_to_xyxy
from reid_tracker.config import TrackingConfig
from reid_tracker.ids import IdAllocator
from reid_tracker.tracking import PersonTracker
from reid_tracker.types import Appearance, Detections, Frame

SHARED = Path(os.environ.get("REID_TRACKER_SHARED", Path(__file__).parents[2].parent / "shared"))
PETS = SHARED / "data" / "tracking" / "PETS09-S2L1"

pytestmark = pytest.mark.skipif(not PETS.is_dir(), reason="measuring material is absent (REID_TRACKER_SHARED)")


def rows_of(path: Path, frames: int) -> np.ndarray:
    rows = np.loadtxt(path, delimiter=",", ndmin=2)
    return rows[rows[:, 0] <= frames]


@pytest.mark.parametrize("step", [1, 2])
def test_true_boxes_of_pets_give_the_true_people(step: int) -> None:
    """With perfect boxes and by motion alone, nobody is confused in 20 seconds of people who cross."""
    rows = rows_of(PETS / "gt" / "gt.txt", 200)
    tracker = PersonTracker("pets", TrackingConfig(), (0.3, 0.5), IdAllocator())
    image = np.zeros((576, 768, 3), np.uint8)
    carried: dict[int, set[int]] = {}
    seen = reported = 0
    for index in range(0, 200, step):
        present = rows[rows[:, 0] == index + 1]
        boxes = xywh_to_xyxy(present[:, 2:6]).astype(np.float32)
        found = Detections(boxes, np.full(len(boxes), 0.9, np.float32))
        tracklets = tracker(Frame("pets", index, index / 10, image), found, Appearance.empty(len(boxes))).tracklets
        seen, reported = seen + len(boxes), reported + len(tracklets)
        for tracklet in tracklets:
            person = int(present[overlap(tracklet.box[None], boxes)[0].argmax(), 1])
            carried.setdefault(person, set()).add(tracklet.id)
    numbers = [number for ids in carried.values() for number in ids]
    assert len(numbers) == len(set(numbers))  # no id was carried by two people
    assert sum(len(ids) > 1 for ids in carried.values()) <= 1
    assert reported > 0.95 * seen

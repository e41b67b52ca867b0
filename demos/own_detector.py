"""Hand in the boxes of any detector: here OpenCV's background subtraction, which needs no network at all.

python demos/own_detector.py [DOOR_VIDEO HALL_VIDEO]        # the demo clip by default
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from reid_tracker import Detections, Frame, Pipeline, open_source

CLIP = Path(__file__).parent / "clip"


class MovingThings:
    """A detector is anything that can be called with frames and gives one Detections for each, in order."""

    def __init__(self) -> None:
        self._backgrounds: dict[str, cv2.BackgroundSubtractorMOG2] = {}

    def __call__(self, frames: Sequence[Frame]) -> list[Detections]:
        return [self._find(frame) for frame in frames]

    def _find(self, frame: Frame) -> Detections:
        background = self._backgrounds.setdefault(frame.camera_id, cv2.createBackgroundSubtractorMOG2())
        moving = (background.apply(frame.image) == 255).astype(np.uint8)
        moving = cv2.morphologyEx(moving, cv2.MORPH_CLOSE, np.ones((15, 5), np.uint8))
        _, _, blobs, _ = cv2.connectedComponentsWithStats(moving)
        left, top, width, height, area = blobs[1:].T  # the first is the background itself
        upright = (height > 1.3 * width) & (height > 30) & (area > 0.3 * width * height)
        boxes = np.stack([left, top, left + width, top + height], axis=1)[upright]
        return Detections(boxes.astype(np.float32), np.full(len(boxes), 0.9, np.float32))


def main(door: str = f"{CLIP}/door.mp4", hall: str = f"{CLIP}/hall.mp4") -> None:
    """Follow whatever moves and is upright, with everything else as it comes."""
    pipeline = Pipeline.from_config()
    pipeline.detector = MovingThings()
    people: dict[int, set[str]] = {}
    for tracked in pipeline.run([open_source(door, camera_id="door"), open_source(hall, camera_id="hall")]):
        for person in tracked.people:
            people.setdefault(person.identity, set()).add(tracked.camera_id)
    for identity, cameras in sorted(people.items()):
        print(f"person {identity}: {', '.join(sorted(cameras))}")


if __name__ == "__main__":
    main(*sys.argv[1:])

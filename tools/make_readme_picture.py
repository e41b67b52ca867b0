"""Make docs/images/demo.jpg: the moment pair of the demo run at which both cameras share most people.

    reid-tracker demo --out out/demo && python tools/make_readme_picture.py out/demo

Ids are the final ones. The left picture is camera ``door``, the right one ``hall`` at most 12 s later or earlier.
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np

from reid_tracker.results import read_tracks
from reid_tracker.results.drawing import Annotator
from reid_tracker.types import Image, TrackedFrame

REPOSITORY = Path(__file__).resolve().parent.parent
APART = 12.0  # seconds
GAP = 8  # pixels
ROWS = slice(60, 500)  # sky and grass above and below say nothing


def best_pair(door: list[TrackedFrame], hall: list[TrackedFrame]) -> tuple[int, int]:
    """Positions of the two frames that share most people; fewer people besides, then the earlier, break ties."""

    def people(tracked: TrackedFrame) -> set[int]:
        return {person.identity for person in tracked.people}

    pairs = [
        (len(people(left) & people(right)), -len(people(left) ^ people(right)), -i, -j)
        for i, left in enumerate(door)
        for j, right in enumerate(hall)
        if abs(left.time - right.time) <= APART
    ]
    _, _, i, j = max(pairs)
    return -i, -j


def drawn(camera: str, tracked: list[TrackedFrame], last: int) -> Image:
    """The clip's frame with its people and their last steps."""
    video = cv2.VideoCapture(str(REPOSITORY / "demos" / "clip" / f"{camera}.mp4"))
    annotator = Annotator()
    for position in range(last + 1):
        _, image = video.read()
        picture = annotator.draw(image, tracked[position])
    return picture


def main(run: str) -> None:
    """Find the pair, draw it, write it."""
    frames = list(read_tracks(run, ids="final"))
    door = [tracked for tracked in frames if tracked.camera_id == "door"]
    hall = [tracked for tracked in frames if tracked.camera_id == "hall"]
    i, j = best_pair(door, hall)
    left, right = drawn("door", door, i), drawn("hall", hall, j)
    height = left.shape[0]
    right = cv2.resize(right, (right.shape[1] * height // right.shape[0], height), interpolation=cv2.INTER_CUBIC)
    picture = np.hstack([left, np.full((height, GAP, 3), 255, np.uint8), right])[ROWS]
    cv2.imwrite(str(REPOSITORY / "docs" / "images" / "demo.jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, 84])


if __name__ == "__main__":
    main(*sys.argv[1:])

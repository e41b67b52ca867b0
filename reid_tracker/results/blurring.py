"""Faces made unrecognisable in pictures that are stored or shown: the top of each person's box loses its detail.

No face is looked for: a face detector misses some, and the head is where the box of a standing person begins. What
follows from that: people whom the tracker does not follow (not found, not believed yet) are not blurred.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

import cv2
import numpy as np

from reid_tracker.types import Image, TrackedFrame

# A standing person's head is the top seventh to eighth of them; boxes begin a little above or below it.
_SHARE_OF_HEIGHT = 0.25
# Where the picture's border cuts a person off at the waist the head is more of the box, and the shoulders' width tells.
_SHARE_OF_WIDTH = 0.75
_ABOVE = 0.05  # share of the height by which a box may begin too low
_CELLS_ACROSS = 3  # what is left of the head: a few averages, less than any face can be told by


def blur_heads(image: Image, boxes: Iterable[tuple[float, float, float, float]]) -> Image:
    """A copy of ``image`` (H, W, 3, uint8) in which the top of each box (x1, y1, x2, y2, pixels) is a few averages."""
    blurred = image.copy()
    for box in boxes:
        left, top, right, bottom = head_of(box, image.shape[1], image.shape[0])
        if right > left and bottom > top:
            blurred[top:bottom, left:right] = _averaged(image[top:bottom, left:right])
    return blurred


def without_faces(tracked: TrackedFrame) -> TrackedFrame:
    """The frame with everybody's head blurred in its picture, where it carries one."""
    if tracked.image is None or not tracked.people:
        return tracked
    return replace(tracked, image=blur_heads(tracked.image, (person.box for person in tracked.people)))


def head_of(box: tuple[float, float, float, float], width: int, height: int) -> tuple[int, int, int, int]:
    """The part of a picture of ``width`` x ``height`` pixels that is blurred for a box: left, top, right, bottom."""
    x1, y1, x2, y2 = box
    tall = max(_SHARE_OF_HEIGHT * (y2 - y1), min(_SHARE_OF_WIDTH * (x2 - x1), y2 - y1))
    return (
        max(0, math.floor(x1)),
        max(0, math.floor(y1 - _ABOVE * (y2 - y1))),
        min(width, math.ceil(x2)),
        min(height, math.ceil(y1 + tall)),
    )


def _averaged(part: Image) -> Image:
    """The same size, drawn from the averages of a few cells: nothing finer can be brought back from it."""
    height, width = part.shape[:2]
    cells = (min(_CELLS_ACROSS, width), max(1, min(height, round(_CELLS_ACROSS * height / width))))
    means = cv2.resize(part, cells, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(means, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)

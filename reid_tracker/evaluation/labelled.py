"""Boxes with a frame number and an id: what ground truth and results have in common when they are scored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reid_tracker.errors import InputError

IntArray = NDArray[np.int64]
DoubleArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LabelledBoxes:
    """K boxes of one sequence, each with its frame and the id of its person.

    Attributes:
        frames: (K,) int64, frame numbers from 0, in any order.
        ids: (K,) int64, the person (truth) or the identity (result).
        boxes: (K, 4) float64, x1 y1 x2 y2 in pixels.
        tracklets: (K,) int64, the tracklet each box belongs to, unique over all cameras of a run; equal to ``ids``
            where the source knows no tracklets.
    """

    frames: IntArray
    ids: IntArray
    boxes: DoubleArray
    tracklets: IntArray

    def __post_init__(self) -> None:
        count = len(self.frames)
        for name, array, shape in (
            ("frames", self.frames, (count,)),
            ("ids", self.ids, (count,)),
            ("tracklets", self.tracklets, (count,)),
            ("boxes", self.boxes, (count, 4)),
        ):
            if array.shape != shape:
                raise InputError(f"labelled boxes: {name} expected of shape {shape}, got {array.shape}")
        if not np.isfinite(self.boxes).all():
            row = int(np.argmin(np.isfinite(self.boxes).all(axis=1)))
            raise InputError(f"labelled boxes: box of frame {self.frames[row]} is not finite: {self.boxes[row]}")

    @staticmethod
    def of(frames: ArrayLike, ids: ArrayLike, boxes: ArrayLike, tracklets: ArrayLike | None = None) -> LabelledBoxes:
        """From anything numpy can turn into arrays; ``tracklets`` defaults to ``ids``."""
        labels = np.array(ids, np.int64).reshape(-1)
        return LabelledBoxes(
            np.array(frames, np.int64).reshape(-1),
            labels,
            np.array(boxes, np.float64).reshape(-1, 4),
            labels.copy() if tracklets is None else np.array(tracklets, np.int64).reshape(-1),
        )

    def __len__(self) -> int:
        return len(self.frames)

    def select(self, which: NDArray[np.bool_] | IntArray) -> LabelledBoxes:
        """The rows that a mask or index array picks, in its order."""
        return LabelledBoxes(self.frames[which], self.ids[which], self.boxes[which], self.tracklets[which])

    def within(self, first: int, end: int) -> LabelledBoxes:
        """The boxes of frames first, ..., end - 1; frame numbers stay as they are."""
        return self.select((self.frames >= first) & (self.frames < end))


def one_after_the_other(cameras: Sequence[LabelledBoxes], offsets: Sequence[int]) -> LabelledBoxes:
    """All cameras as one sequence: the frames of camera i are shifted by ``offsets[i]``, ids stay."""
    if not cameras:
        return LabelledBoxes.of([], [], [])
    return LabelledBoxes(
        np.concatenate([camera.frames + offset for camera, offset in zip(cameras, offsets, strict=True)]),
        np.concatenate([camera.ids for camera in cameras]),
        np.concatenate([camera.boxes for camera in cameras]),
        np.concatenate([camera.tracklets for camera in cameras]),
    )


def iou(boxes_a: DoubleArray, boxes_b: DoubleArray) -> DoubleArray:
    """Intersection over union of all pairs: (M, 4) and (N, 4) to (M, N), in double precision.

    ``reid_tracker.boxes.overlap`` works in single precision; a score that hangs on IoU >= 0.5 must not depend on the
    last bit, so that it agrees with other evaluators.
    """
    top_left = np.maximum(boxes_a[:, None, :2], boxes_b[None, :, :2])
    bottom_right = np.minimum(boxes_a[:, None, 2:], boxes_b[None, :, 2:])
    shared = np.clip(bottom_right - top_left, 0, None).prod(axis=-1)
    area_a = (boxes_a[:, 2:] - boxes_a[:, :2]).prod(axis=-1)
    area_b = (boxes_b[:, 2:] - boxes_b[:, :2]).prod(axis=-1)
    union = area_a[:, None] + area_b[None] - shared
    ratio: DoubleArray = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return ratio


def rows_by_frame(labelled: LabelledBoxes) -> dict[int, IntArray]:
    """Frame number -> indices of its rows, in the order of the rows."""
    order = np.argsort(labelled.frames, kind="stable")
    numbers, starts = np.unique(labelled.frames[order], return_index=True)
    return dict(zip(numbers.tolist(), np.split(order, starts[1:]), strict=True)) if len(order) else {}

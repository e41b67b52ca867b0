"""Who is who: overlap, gates and the assignment.

``cost`` is what the assignment minimises; a pair whose cost is above the limit, or that is forbidden, is never
made and never stands in the way of another pair, because the limit takes part in the assignment itself instead
of being applied to its result. Letters: T tracks, N detections.
"""

from __future__ import annotations

import lap
import numpy as np
from numpy.typing import NDArray

from reid_tracker.boxes import area, intersection
from reid_tracker.types import BoolArray, FloatArray

Indices = NDArray[np.intp]

_FORBIDDEN = 1e6  # finite: the solver must not see infinities


def assign(cost: NDArray[np.floating], allowed: BoolArray, limit: float) -> Indices:
    """The pairs of least total cost, leaving rows and columns alone where no pair is worth it.

    Args:
        cost: (T, N), finite.
        allowed: (T, N); pairs that may be made.
        limit: a pair that costs more is not made. Leaving a row and a column alone costs ``limit`` together.

    Returns:
        (K, 2) row and column of each pair, rows ascending.
    """
    possible = allowed & (cost <= limit)
    rows, columns = np.flatnonzero(possible.any(axis=1)), np.flatnonzero(possible.any(axis=0))
    if len(rows) == 0:
        return np.zeros((0, 2), np.intp)
    # shifted to start at 0, since lapjv's limit works on costs that are not negative
    lowest = float(cost[possible].min())
    reduced = np.where(possible, cost - lowest, _FORBIDDEN)[np.ix_(rows, columns)].astype(np.float64)
    _, column_of_row, _ = lap.lapjv(reduced, extend_cost=True, cost_limit=limit - lowest + 1e-9)
    pairs = [
        (row, columns[column])
        for row, column in zip(rows, column_of_row, strict=True)
        if column >= 0 and possible[row, columns[column]]
    ]
    return np.array(pairs, np.intp).reshape(-1, 2)


def grown(boxes: FloatArray, share: float | NDArray[np.floating]) -> FloatArray:
    """Boxes enlarged on each side by ``share`` of their own width and height; (N, 4) corners, share one or (N,)."""
    share = np.broadcast_to(np.asarray(share, np.float32), (len(boxes),))[:, None]
    margin = (boxes[:, 2:] - boxes[:, :2]) * share
    return np.concatenate([boxes[:, :2] - margin, boxes[:, 2:] + margin], axis=1)


def grown_overlap(tracks: FloatArray, detections: FloatArray, share: float | NDArray[np.floating]) -> FloatArray:
    """Intersection over union after both sides are enlarged, all pairs: (T, 4) and (N, 4) corners to (T, N).

    Enlarging keeps small and fast boxes comparable that no longer touch (Yang et al. 2023, "C-BIoU").

    Args:
        tracks, detections: corners.
        share: of a box's side, one for all or one per track, shape (T,); used for both boxes of a pair.
    """
    share = np.broadcast_to(np.asarray(share, np.float32), (len(tracks),))
    track_boxes = grown(tracks, share)
    sides = detections[:, 2:] - detections[:, :2]
    margin = sides[None] * share[:, None, None]  # shape (T, N, 2)
    top_left = np.maximum(track_boxes[:, None, :2], detections[None, :, :2] - margin)
    bottom_right = np.minimum(track_boxes[:, None, 2:], detections[None, :, 2:] + margin)
    extent = np.clip(bottom_right - top_left, 0, None)
    shared = extent[..., 0] * extent[..., 1]
    growth = (1 + 2 * share[:, None]) ** 2
    union = area(track_boxes)[:, None] + area(detections)[None] * growth - shared
    ratio: FloatArray = (shared / np.maximum(union, 1e-9)).astype(np.float32)
    return ratio


def share_inside(boxes: FloatArray, others: FloatArray) -> FloatArray:
    """(N, M): how much of each of N boxes lies inside each of M others, 0..1."""
    inside: FloatArray = (intersection(boxes, others) / np.maximum(area(boxes), 1e-9)[:, None]).astype(np.float32)
    return inside


def centre_distance(tracks: FloatArray, detections: FloatArray) -> FloatArray:
    """(T, N) pixels between the centres of all pairs of (T, 4) and (N, 4) corners."""
    track_centres = (tracks[:, :2] + tracks[:, 2:]) / 2
    centres = (detections[:, :2] + detections[:, 2:]) / 2
    difference = track_centres[:, None] - centres[None]
    between: FloatArray = np.sqrt((difference**2).sum(axis=2)).astype(np.float32)
    return between


def height_ratio(tracks: FloatArray, detections: FloatArray) -> FloatArray:
    """(T, N): the smaller height over the larger, 0..1."""
    track_heights = tracks[:, 3] - tracks[:, 1]
    heights = detections[:, 3] - detections[:, 1]
    ratio: FloatArray = np.minimum(track_heights[:, None], heights[None]) / np.maximum(
        np.maximum(track_heights[:, None], heights[None]), 1e-9
    )
    return ratio

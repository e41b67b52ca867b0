"""Boxes: conversions by name and overlap. Inside the package a box is x1 y1 x2 y2 in pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reid_tracker.types import FloatArray


def xyxy_to_xywh(boxes_xyxy: NDArray[np.floating]) -> NDArray[np.floating]:
    """(..., 4) corners to left, top, width, height."""
    boxes = np.array(boxes_xyxy, copy=True)
    boxes[..., 2:] -= boxes[..., :2]
    return boxes


def xywh_to_xyxy(boxes_xywh: NDArray[np.floating]) -> NDArray[np.floating]:
    """(..., 4) left, top, width, height to corners."""
    boxes = np.array(boxes_xywh, copy=True)
    boxes[..., 2:] += boxes[..., :2]
    return boxes


def xyxy_to_cxcywh(boxes_xyxy: NDArray[np.floating]) -> NDArray[np.floating]:
    """(..., 4) corners to centre x, centre y, width, height."""
    boxes = xyxy_to_xywh(boxes_xyxy)
    boxes[..., :2] += boxes[..., 2:] / 2
    return boxes


def cxcywh_to_xyxy(boxes_cxcywh: NDArray[np.floating]) -> NDArray[np.floating]:
    """(..., 4) centre x, centre y, width, height to corners."""
    boxes = np.array(boxes_cxcywh, copy=True)
    boxes[..., :2] -= boxes[..., 2:] / 2
    boxes[..., 2:] += boxes[..., :2]
    return boxes


def intersection(boxes_a: NDArray[np.floating], boxes_b: NDArray[np.floating]) -> FloatArray:
    """Shared area of all pairs: (M, 4) and (N, 4) corners to (M, N) pixels²."""
    top_left = np.maximum(boxes_a[:, None, :2], boxes_b[None, :, :2])
    bottom_right = np.minimum(boxes_a[:, None, 2:], boxes_b[None, :, 2:])
    sides = np.clip(bottom_right - top_left, 0, None)
    shared: FloatArray = (sides[..., 0] * sides[..., 1]).astype(np.float32)
    return shared


def area(boxes_xyxy: NDArray[np.floating]) -> FloatArray:
    """(N, 4) corners to (N,) pixels²; 0 where a box has no extent."""
    sides = np.clip(boxes_xyxy[:, 2:] - boxes_xyxy[:, :2], 0, None)
    pixels: FloatArray = (sides[:, 0] * sides[:, 1]).astype(np.float32)
    return pixels


def overlap(boxes_a: NDArray[np.floating], boxes_b: NDArray[np.floating]) -> FloatArray:
    """Intersection over union of all pairs: (M, 4) and (N, 4) corners to (M, N) in 0..1."""
    shared = intersection(boxes_a, boxes_b)
    union = area(boxes_a)[:, None] + area(boxes_b)[None] - shared
    ratio: FloatArray = np.where(union > 0, shared / np.maximum(union, 1e-9), 0).astype(np.float32)
    return ratio


def coverage(boxes: NDArray[np.floating], scores: NDArray[np.floating] | None = None) -> FloatArray:
    """How far each box is covered by people nearer to the camera: (N, 4) corners to (N,) in 0..1.

    The lower a box ends, the nearer its person stands (cameras look down), so only boxes whose bottom edge is
    lower count, and the largest such share of the box's own area is returned.

    Args:
        boxes: (N, 4).
        scores: (N,) above 0; where given, a box that is less certain than the one it covers counts in proportion.
    """
    if len(boxes) == 0:
        return np.zeros(0, np.float32)
    shared = intersection(boxes, boxes) / np.maximum(area(boxes), 1e-9)[:, None]
    nearer = boxes[None, :, 3] > boxes[:, None, 3]
    if scores is not None:
        shared = shared * np.minimum(1, scores[None, :] / np.maximum(scores[:, None], 1e-9))
    covered: FloatArray = np.where(nearer, shared, 0).max(axis=1).astype(np.float32)
    return covered

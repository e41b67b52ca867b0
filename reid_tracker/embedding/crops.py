"""The one way from a picture to network input: training, evaluation and tracking all cut people here.

A second implementation of this step (another resize, another rounding, another colour order) is the classic way
to lose accuracy between training and use, so there is none: normalisation happens inside the exported model, and
whatever feeds it comes from this file. Colours stay as OpenCV reads them (BGR).
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from reid_tracker.errors import InputError
from reid_tracker.types import BoolArray, Image

CROP_RULE = 1
"""Version of the rule below; caches of decoded crops and model manifests name it."""


def crop_people(
    frame_bgr: Image, boxes_xyxy: NDArray[np.floating], size_hw: tuple[int, int]
) -> tuple[Image, BoolArray]:
    """Cut boxes out of a frame and bring them to one size.

    A box covers every pixel that it touches (floor of the near edge, ceiling of the far edge), clipped to the
    frame. A box of which nothing is left (not finite, no area, outside) is not valid; its crop is zero and must
    not be embedded: all black crops look alike, and would be taken for one person.

    Args:
        frame_bgr: (H, W, 3) uint8.
        boxes_xyxy: (N, 4) x1, y1, x2, y2 in pixels of the frame, not necessarily inside it; left unchanged.
        size_hw: height and width of the crops.

    Returns:
        Crops (N, h, w, 3) uint8 BGR, and (N,) bool: a crop existed.
    """
    if frame_bgr.ndim != 3 or frame_bgr.shape[2] != 3 or frame_bgr.dtype != np.uint8:
        raise InputError(f"crop_people: expected a (H, W, 3) uint8 frame, got {frame_bgr.shape} {frame_bgr.dtype}")
    if boxes_xyxy.ndim != 2 or boxes_xyxy.shape[1] != 4:
        raise InputError(f"crop_people: expected (N, 4) boxes, got {boxes_xyxy.shape}")
    pixels, valid = _touched_pixels(boxes_xyxy, frame_bgr.shape[0], frame_bgr.shape[1])
    crops = np.zeros((len(boxes_xyxy), *size_hw, 3), dtype=np.uint8)
    for row in np.flatnonzero(valid):
        left, top, right, bottom = pixels[row]
        crops[row] = resize_crop(frame_bgr[top:bottom, left:right], size_hw)
    return crops, valid


def resize_crop(crop_bgr: Image, size_hw: tuple[int, int]) -> Image:
    """Bring one crop (h, w, 3) to ``size_hw``: area average where it shrinks both ways, else linear.

    Linear interpolation alone skips pixels when a near person is shrunk several times over, and the flicker that
    this causes looks like a change of clothes to the network.
    """
    height, width = size_hw
    if crop_bgr.shape[:2] == size_hw:
        return crop_bgr
    shrinks = crop_bgr.shape[0] > height and crop_bgr.shape[1] > width
    resized = cv2.resize(crop_bgr, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return np.asarray(resized, dtype=np.uint8)


def _touched_pixels(boxes_xyxy: NDArray[np.floating], height: int, width: int) -> tuple[NDArray[np.int64], BoolArray]:
    """Integer half-open boxes (N, 4) inside the frame, and which of them hold at least one pixel."""
    boxes = np.asarray(boxes_xyxy, dtype=np.float64)
    finite = np.isfinite(boxes).all(axis=1)
    has_area = finite & (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    # Clipped before the cast: a huge float has no integer, and a NaN would become one.
    limits = np.array([width, height, width, height], dtype=np.float64)
    inside = np.clip(np.where(has_area[:, None], boxes, 0.0), 0.0, limits)
    pixels = np.concatenate([np.floor(inside[:, :2]), np.ceil(inside[:, 2:])], axis=1).astype(np.int64)
    valid = has_area & (pixels[:, 2] > pixels[:, 0]) & (pixels[:, 3] > pixels[:, 1])
    return pixels, valid

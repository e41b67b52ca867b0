"""How far the look of a crop can be trusted, from what can be seen without knowing the person.

The quality of a crop is the product of five shares in 0..1, each 1 where nothing is wrong:

- **size**: height in pixels over 128, half the network's input; a smaller crop is mostly interpolation;
- **shape**: people stand between 1.5 and 4 times as high as wide; the share falls off as a Gaussian in the logarithm
  outside of that (a box of two people, of a head, of a pole);
- **inside**: the part of the box inside the frame, less 20 % where it ends right at a border, because detectors pull
  boxes of people who are cut off back into the frame;
- **uncovered**: the part that no nearer person hides (``boxes.coverage``);
- **sharpness**: energy of the Laplacian over energy of the picture at 64 x 32, so that neither size nor contrast
  count; motion blur does.

A product, because one fault spoils a look whatever else is right. Each share is monotone in what it measures.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reid_tracker.boxes import area, coverage
from reid_tracker.types import FloatArray, Image

FULL_HEIGHT = 128.0  # pixels
SLIMMEST, STOUTEST = 4.0, 1.5  # height over width of people who stand, walk or sit upright
SHAPE_WIDTH = 0.35  # natural logarithm: 1.4 times too slim or stout costs 40 %, twice costs 86 %
BORDER_COST = 0.2
BORDER_MARGIN = 0.02  # of the box's height, and at least one pixel: nearer counts as at the border
# Laplacian energy over picture energy. Of PETS' crops (steady camera, 75 to 100 pixels high) nine in ten reach it, of
# Market-1501's nearly all; smeared over an eighth of their width they fall to 0.01 to 0.05.
FULL_SHARPNESS = 0.12


def quality(
    boxes_xyxy: NDArray[np.floating],
    scores: NDArray[np.floating],
    frame_hw: tuple[int, int],
    crops_bgr: Image,
    which: NDArray[np.int64],
) -> FloatArray:
    """Quality of some of a frame's crops.

    Args:
        boxes_xyxy: (N, 4) corners of all detections of the frame; they cover one another.
        scores: (N,) of the detections; an uncertain box covers less.
        frame_hw: height and width of the frame.
        crops_bgr: (K, H, W, 3) uint8, the crops of the rows ``which``.
        which: (K,) rows.

    Returns:
        (K,) float32 in 0..1.
    """
    boxes = boxes_xyxy[which]
    shares: FloatArray = (
        size_share(boxes)
        * shape_share(boxes)
        * inside_share(boxes, frame_hw)
        * (1 - coverage(boxes_xyxy, scores)[which])
        * sharpness_share(crops_bgr)
    ).astype(np.float32)
    return shares


def size_share(boxes_xyxy: NDArray[np.floating]) -> FloatArray:
    """(N, 4) to (N,): height over ``FULL_HEIGHT``, at most 1."""
    heights = boxes_xyxy[:, 3] - boxes_xyxy[:, 1]
    share: FloatArray = np.clip(heights / FULL_HEIGHT, 0, 1).astype(np.float32)
    return share


def shape_share(boxes_xyxy: NDArray[np.floating]) -> FloatArray:
    """(N, 4) to (N,): 1 where height over width is that of a person, less outside."""
    sides = np.maximum(boxes_xyxy[:, 2:] - boxes_xyxy[:, :2], 1e-6)
    ratio = np.log(sides[:, 1] / sides[:, 0])
    beyond = np.maximum(0, np.maximum(np.log(STOUTEST) - ratio, ratio - np.log(SLIMMEST)))
    share: FloatArray = np.exp(-0.5 * (beyond / SHAPE_WIDTH) ** 2).astype(np.float32)
    return share


def inside_share(boxes_xyxy: NDArray[np.floating], frame_hw: tuple[int, int]) -> FloatArray:
    """(N, 4) to (N,): part of the box inside the frame, less ``BORDER_COST`` where it ends at a border.

    The upper border costs nothing extra: a person whose head alone is cut looks the same from the shoulders down.
    """
    limits = np.array([frame_hw[1], frame_hw[0]] * 2, np.float32)
    clipped = np.clip(boxes_xyxy, 0, limits)
    share = area(clipped) / np.maximum(area(boxes_xyxy), 1e-6)
    margin = np.minimum(boxes_xyxy[:, 0], (limits[2:] - boxes_xyxy[:, 2:]).min(axis=1))
    near = np.maximum(1, BORDER_MARGIN * (boxes_xyxy[:, 3] - boxes_xyxy[:, 1]))
    free = np.clip(margin / near, 0, 1)
    weighed: FloatArray = (share * (1 - BORDER_COST * (1 - free))).astype(np.float32)
    return weighed


def sharpness_share(crops_bgr: Image) -> FloatArray:
    """(K, H, W, 3) uint8 to (K,): energy of the Laplacian over that of the picture, over ``FULL_SHARPNESS``, at most 1.

    H and W of 64 and 32 or more; measured on the green channel (most of brightness) at 64 x 32.
    """
    grey = _shrunk(crops_bgr[..., 1], 64, 32)
    laplacian = (
        grey[:, 1:-1, :-2] + grey[:, 1:-1, 2:] + grey[:, :-2, 1:-1] + grey[:, 2:, 1:-1] - 4 * grey[:, 1:-1, 1:-1]
    )
    detail = laplacian.var(axis=(1, 2))
    contrast = np.maximum(grey.var(axis=(1, 2)), 1.0)  # one grey level: a plain crop has no detail to lose
    share: FloatArray = np.clip(detail / contrast / FULL_SHARPNESS, 0, 1).astype(np.float32)
    return share


def _shrunk(pictures: NDArray[np.uint8], height: int, width: int) -> FloatArray:
    """(K, H, W) to (K, height, width) by mean over blocks; rows and columns that fill no block are left out."""
    down, across = max(1, pictures.shape[1] // height), max(1, pictures.shape[2] // width)
    whole = pictures[:, : down * height, : across * width]
    blocks = whole.reshape(len(pictures), whole.shape[1] // down, down, whole.shape[2] // across, across)
    means: FloatArray = blocks.mean(axis=(2, 4), dtype=np.float32)
    return means

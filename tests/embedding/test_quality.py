"""Quality falls with every fault of a crop, and with nothing else."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reid_tracker.embedding.quality import inside_share, quality, shape_share, sharpness_share, size_share

FRAME_HW = (480, 640)


def box(left: float, top: float, width: float, height: float) -> np.ndarray:
    return np.array([[left, top, left + width, top + height]], np.float32)


def textured(seed: int = 0, contrast: float = 60.0) -> np.ndarray:
    """(1, 256, 128, 3): clothes-like blobs, not noise."""
    random = np.random.default_rng(seed).normal(size=(32, 16, 3)).astype(np.float32)
    picture = cv2.resize(random, (128, 256), interpolation=cv2.INTER_CUBIC) * contrast + 128
    return np.clip(picture, 0, 255).astype(np.uint8)[None]


@given(st.floats(1, 400), st.floats(1, 400))
def test_taller_is_no_worse(height: float, other: float) -> None:
    low, high = sorted((height, other))
    assert size_share(box(0, 0, 20, low))[0] <= size_share(box(0, 0, 20, high))[0] <= 1


@given(st.floats(1.0, 8.0), st.floats(1.0, 8.0))
def test_further_from_a_persons_shape_is_no_better(ratio: float, factor: float) -> None:
    standing = shape_share(box(0, 0, 100, 250))[0]
    slim = shape_share(box(0, 0, 100, 400 * ratio))[0], shape_share(box(0, 0, 100, 400 * ratio * factor))[0]
    stout = shape_share(box(0, 0, 150 * ratio, 150))[0], shape_share(box(0, 0, 150 * ratio * factor, 150))[0]
    assert standing == 1 >= slim[0] >= slim[1]
    assert 1 >= stout[0] >= stout[1]


@given(st.floats(0, 200), st.floats(0, 200), st.sampled_from(["left", "right", "bottom"]))
def test_further_outside_is_no_better(distance: float, other: float, side: str) -> None:
    def outside(by: float) -> float:
        left, top = {"left": (-by, 100), "right": (540 + by, 100), "bottom": (100, 280 + by)}[side]
        return float(inside_share(box(left, top, 100, 200), FRAME_HW)[0])

    near, far = sorted((distance, other))
    assert outside(far) <= outside(near) + 1e-6
    assert outside(near) <= inside_share(box(100, 100, 100, 200), FRAME_HW)[0]


@pytest.mark.parametrize("left_top", [(0, 100), (540, 100), (100, 280)])
def test_box_that_ends_at_a_border_is_suspect(left_top: tuple[int, int]) -> None:
    """Detectors pull boxes of people who are cut off back into the frame."""
    at_border = inside_share(box(*left_top, 100, 200), FRAME_HW)[0]
    assert 0.7 < at_border < inside_share(box(100, 100, 100, 200), FRAME_HW)[0] == 1


@given(st.integers(0, 20), st.integers(1, 12))
def test_blur_is_no_better(seed: int, sigma: int) -> None:
    crop = textured(seed)[0]
    mild = cv2.GaussianBlur(crop, (0, 0), sigma)
    strong = cv2.GaussianBlur(crop, (0, 0), sigma + 4)
    shares = [sharpness_share(picture[None])[0] for picture in (crop, mild, strong)]
    assert 1 >= shares[0] >= shares[1] >= shares[2] >= 0


def test_smeared_crop_is_clearly_worse() -> None:
    crop = textured()[0]
    assert sharpness_share(cv2.GaussianBlur(crop, (0, 0), 12)[None])[0] < 0.3 * sharpness_share(crop[None])[0]


def test_contrast_is_not_sharpness() -> None:
    """A camera at dusk gives flat pictures; they are no less sharp for it."""
    dark, bright = (sharpness_share(cv2.GaussianBlur(textured(0, c)[0], (0, 0), 5)[None])[0] for c in (15.0, 40.0))
    assert dark == pytest.approx(bright, rel=0.05)


def test_plain_crop_is_not_sharp_and_not_an_error() -> None:
    assert sharpness_share(np.full((2, 256, 128, 3), 90, np.uint8)).tolist() == [0, 0]
    assert sharpness_share(np.zeros((0, 256, 128, 3), np.uint8)).shape == (0,)


@given(st.floats(0, 60), st.floats(0, 60))
def test_more_covered_is_no_better(shift: float, other: float) -> None:
    def behind(by: float) -> float:
        boxes = np.concatenate([box(100, 100, 60, 150), box(100 + by, 110, 60, 150)])
        return float(quality(boxes, np.array([0.9, 0.9]), FRAME_HW, textured(), np.array([0]))[0])

    near, far = sorted((shift, other))
    assert behind(near) <= behind(far) + 1e-6


def test_nearer_person_is_not_covered_by_the_one_behind() -> None:
    boxes = np.concatenate([box(100, 100, 60, 150), box(110, 110, 60, 150)])
    crops = np.concatenate([textured(), textured()])
    behind, before = quality(boxes, np.array([0.9, 0.9]), FRAME_HW, crops, np.array([0, 1]))
    assert behind < 0.4 * before


def test_uncertain_box_covers_less() -> None:
    boxes = np.concatenate([box(100, 100, 60, 150), box(110, 110, 60, 150)])
    sure, unsure = (
        quality(boxes, np.array([0.9, score]), FRAME_HW, textured(), np.array([0]))[0] for score in (0.9, 0.3)
    )
    assert sure < unsure


def test_good_crop_is_good_and_rows_are_kept_apart() -> None:
    boxes = np.concatenate([box(100, 100, 60, 150), box(300, 100, 20, 40), box(450, 100, 60, 150)])
    crops = np.concatenate([textured(1), textured(2)])
    good, small = quality(boxes, np.full(3, 0.9), FRAME_HW, crops, np.array([2, 1]))
    assert good > 0.9
    assert small < 0.4
    assert quality(boxes, np.full(3, 0.9), FRAME_HW, crops[:0], np.zeros(0, np.int64)).shape == (0,)

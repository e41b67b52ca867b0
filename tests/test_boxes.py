"""Box arithmetic against hand-made answers and invariants."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from reid_tracker.boxes import (
    coverage,
    cxcywh_to_xyxy,
    overlap,
    xywh_to_xyxy,
    xyxy_to_cxcywh,
    xyxy_to_xywh,
)

corners = arrays(np.float64, (5, 4), elements=st.floats(-500, 500)).map(
    lambda raw: np.concatenate([raw[:, :2], raw[:, :2] + 1 + np.abs(raw[:, 2:])], axis=1)
)


@given(corners)
def test_conversions_are_inverse(boxes: np.ndarray) -> None:
    before = boxes.copy()
    np.testing.assert_allclose(xywh_to_xyxy(xyxy_to_xywh(boxes)), boxes, atol=1e-9)
    np.testing.assert_allclose(cxcywh_to_xyxy(xyxy_to_cxcywh(boxes)), boxes, atol=1e-9)
    np.testing.assert_array_equal(boxes, before)


@given(corners, corners)
def test_overlap_is_symmetric_and_one_with_itself(boxes_a: np.ndarray, boxes_b: np.ndarray) -> None:
    ratio = overlap(boxes_a, boxes_b)
    assert ((ratio >= 0) & (ratio <= 1 + 1e-6)).all()
    np.testing.assert_allclose(ratio, overlap(boxes_b, boxes_a).T, atol=1e-6)
    np.testing.assert_allclose(np.diag(overlap(boxes_a, boxes_a)), 1, atol=1e-5)


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ([0, 0, 10, 10], 1.0),  # itself
        ([5, 0, 15, 10], 1 / 3),  # half beside it
        ([10, 0, 20, 10], 0.0),  # shares an edge only
        ([2, 2, 4, 4], 0.04),  # inside
    ],
)
def test_overlap_by_hand(box: list[float], expected: float) -> None:
    assert overlap(np.array([[0, 0, 10, 10.0]]), np.array([box], float))[0, 0] == pytest.approx(expected)


def test_only_nearer_people_cover() -> None:
    far, near = [0, 0, 10, 20], [5, 5, 15, 30]
    np.testing.assert_allclose(coverage(np.array([far, near], float)), [75 / 200, 0])
    assert coverage(np.zeros((0, 4))).shape == (0,)

"""Frames lie in the input where the boxes say they do."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reid_tracker.detection.letterbox import Letterbox

sides = st.integers(16, 2000)


@given(sides, sides, st.integers(1, 30), st.integers(1, 30), st.sampled_from(["top-left", "centre"]))
def test_frame_fills_the_input_one_way_and_keeps_its_aspect(
    height: int, width: int, rows: int, columns: int, placement: Literal["top-left", "centre"]
) -> None:
    input_hw = (32 * rows, 32 * columns)
    box = Letterbox.fit((height, width), input_hw, placement)
    assert box.inner_hw[0] == input_hw[0] or box.inner_hw[1] == input_hw[1]
    assert box.top + box.inner_hw[0] <= input_hw[0]
    assert box.left + box.inner_hw[1] <= input_hw[1]
    scale = min(input_hw[0] / height, input_hw[1] / width)
    assert abs(box.inner_hw[0] - height * scale) <= 1
    assert abs(box.inner_hw[1] - width * scale) <= 1
    # the corners of the scaled frame are the corners of the frame
    inner = np.array([[box.left, box.top, box.left + box.inner_hw[1], box.top + box.inner_hw[0]]], np.float32)
    np.testing.assert_allclose(box.to_frame(inner), [[0, 0, width, height]], rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize("placement", ["top-left", "centre"])
@pytest.mark.parametrize("size_hw", [(60, 100), (100, 60), (64, 64), (32, 32), (33, 47)])
def test_drawing_agrees_with_the_way_back(size_hw: tuple[int, int], placement: Literal["top-left", "centre"]) -> None:
    """A bright quarter of the frame, found in the input by its brightness, comes back as that quarter."""
    image = np.zeros((*size_hw, 3), np.uint8)
    image[: size_hw[0] // 2, : size_hw[1] // 2] = 255
    canvas = np.full((64, 64, 3), 114, np.uint8)
    box = Letterbox.fit(size_hw, (64, 64), placement)
    box.draw(image, canvas)
    rows, columns = np.nonzero(canvas[..., 0] > 180)
    seen = np.array([[columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]], np.float32)
    pixel = max(size_hw) / 64
    np.testing.assert_allclose(box.to_frame(seen), [[0, 0, size_hw[1] // 2, size_hw[0] // 2]], atol=1.5 * pixel)
    padding = np.ones((64, 64), np.bool_)
    padding[box.top : box.top + box.inner_hw[0], box.left : box.left + box.inner_hw[1]] = False
    assert (canvas[padding] == 114).all()

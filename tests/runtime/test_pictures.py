"""Colours, layouts and scales on the way into a network."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from reid_tracker.runtime import InputSpec
from reid_tracker.runtime.pictures import to_network_input

RED_BGR = (0, 0, 255)

# input -> what a red picture must become: channels of one pixel
CASES: dict[str, tuple[dict[str, Any], list[float]]] = {
    "as OpenCV holds it": ({}, [0, 0, 255]),
    "red first": ({"colour": "rgb"}, [255, 0, 0]),
    "planes": ({"layout": "NCHW"}, [0, 0, 255]),
    "planes, red first": ({"layout": "NCHW", "colour": "rgb", "dtype": "float32"}, [255, 0, 0]),
    "zero to one": (
        {"layout": "NCHW", "colour": "rgb", "dtype": "float32", "mean": (0, 0, 0), "std": (255, 255, 255)},
        [1, 0, 0],
    ),
    # mean and std are given in the order of the input's channels
    "normalised": ({"dtype": "float32", "mean": (10, 20, 55), "std": (10, 20, 100)}, [-1, -1, 2]),
}


@pytest.mark.parametrize(("spec", "pixel"), CASES.values(), ids=CASES)
def test_red_stays_red(spec: dict[str, Any], pixel: list[float]) -> None:
    pictures = np.full((2, 4, 6, 3), RED_BGR, np.uint8)
    before = pictures.copy()
    given = to_network_input(pictures, InputSpec(name="x", **spec))
    planes = spec.get("layout") == "NCHW"
    assert given.shape == ((2, 3, 4, 6) if planes else (2, 4, 6, 3))
    assert given.dtype == np.dtype(spec.get("dtype", "uint8"))
    assert given.flags.c_contiguous
    np.testing.assert_allclose(given[1, :, 2, 3] if planes else given[1, 2, 3], pixel, rtol=1e-6)
    np.testing.assert_array_equal(pictures, before)


def test_shipped_networks_get_the_array_itself() -> None:
    """The path that every frame takes copies nothing."""
    pictures = np.zeros((1, 4, 4, 3), np.uint8)
    assert to_network_input(pictures, InputSpec(name="x")) is pictures

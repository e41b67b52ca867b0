"""What becomes of a decoded picture, in the formats that decoders and devices hand out."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("av", reason="needs the extra 'live'")

import av
from av.video.reformatter import ColorRange

from reid_tracker.live.stream import _fingerprint, _pixels

WIDTH, HEIGHT = 96, 64


def frame(pixel_format: str, mark: int = 0) -> Any:
    """A picture of colours that run into each other, with a mark at its right edge."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    image = np.dstack([columns * 2, rows * 3, 255 - columns]).astype(np.uint8)
    image[:, -16:] = mark
    return av.VideoFrame.from_ndarray(image, format="bgr24").reformat(format=pixel_format)


@pytest.mark.parametrize("from_device", ["nv12", "p010le"])
def test_pixels_from_a_device_are_those_of_the_cpu(from_device: str) -> None:
    planar = frame("yuv420p")
    difference = np.abs(_pixels(planar.reformat(format=from_device)).astype(int) - _pixels(planar))
    assert difference.max() == 0 if from_device == "nv12" else difference.mean() < 2


def test_pixels_keep_the_full_range_that_many_cameras_send() -> None:
    """A device's NV12 says so beside the picture; the CPU has a format of its own for it."""
    planar = frame("yuvj420p")
    chroma = [np.frombuffer(plane, np.uint8).reshape(HEIGHT // 2, -1)[:, : WIDTH // 2] for plane in planar.planes[1:]]
    light = np.frombuffer(planar.planes[0], np.uint8).reshape(HEIGHT, -1)[:, :WIDTH]
    interleaved = np.dstack(chroma).reshape(HEIGHT // 2, WIDTH)
    device = av.VideoFrame.from_ndarray(np.vstack([light, interleaved]), format="nv12")
    device.color_range = ColorRange.JPEG
    assert np.abs(_pixels(device).astype(int) - _pixels(planar)).max() <= 2
    assert cv2.PSNR(_pixels(device), frame("bgr24").to_ndarray()) > 25


@pytest.mark.parametrize("pixel_format", ["yuv420p", "nv12", "yuv420p10le", "p010le", "gray"])
def test_a_change_at_the_right_edge_changes_the_fingerprint(pixel_format: str) -> None:
    """Of ten bits, which take two bytes, only the left half was looked at: a camera that is not frozen was."""
    assert _fingerprint(frame(pixel_format, 0)) != _fingerprint(frame(pixel_format, 200))
    assert _fingerprint(frame(pixel_format, 0)) == _fingerprint(frame(pixel_format, 0))

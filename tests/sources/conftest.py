"""Videos that tests write themselves: each picture carries its number, so that a test can tell which one it got."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from reid_tracker.types import Frame

_BITS, _BLOCK = 8, 16

WriteVideo = Callable[..., Path]


def numbered_picture(number: int) -> NDArray[np.uint8]:
    """(48, 128, 3): eight grey blocks, the bits of ``number``, high enough in contrast to survive any codec."""
    bits = [number >> place & 1 for place in reversed(range(_BITS))]
    row = np.repeat(np.array([40 + 180 * bit for bit in bits], np.uint8), _BLOCK)
    return np.repeat(np.tile(row, (3 * _BLOCK, 1))[:, :, None], 3, axis=2)


def number_in(frame: Frame) -> int:
    """What ``numbered_picture`` drew."""
    blocks = frame.image.reshape(3 * _BLOCK, _BITS, _BLOCK, 3).mean(axis=(0, 2, 3))
    return int(sum(1 << place for place, level in zip(reversed(range(_BITS)), blocks, strict=True) if level > 128))


@pytest.fixture
def write_video() -> WriteVideo:
    """Writes numbered pictures as a video."""

    def write(path: Path, numbers: Iterable[int] = range(20), fps: float = 10.0, codec: str = "MJPG") -> Path:
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), fps, (_BITS * _BLOCK, 3 * _BLOCK))
        assert writer.isOpened(), f"this OpenCV cannot write {codec}"
        for number in numbers:
            writer.write(numbered_picture(number))
        writer.release()
        return path

    return write

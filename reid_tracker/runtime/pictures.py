"""From pictures as OpenCV holds them to what a network's input asks for."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from reid_tracker.runtime.manifest import InputSpec
from reid_tracker.types import Image


def to_network_input(pictures_bgr: Image, spec: InputSpec) -> NDArray[Any]:
    """Colour order, layout, type and scale of a batch as the network takes it.

    A shipped network takes (N, H, W, 3) uint8 BGR and gets the same array back, without a copy.

    Args:
        pictures_bgr: (N, H, W, 3) uint8, BGR.
        spec: of the input.

    Returns:
        (N, H, W, 3) or (N, 3, H, W), uint8 or float32, contiguous.
    """
    pictures: NDArray[Any] = pictures_bgr[..., ::-1] if spec.colour == "rgb" else pictures_bgr
    if spec.layout == "NCHW":
        pictures = pictures.transpose(0, 3, 1, 2)
    pictures = np.ascontiguousarray(pictures, dtype=np.dtype(spec.dtype))
    if spec.mean is not None and spec.std is not None:
        per_channel = (1, 3, 1, 1) if spec.layout == "NCHW" else (1, 1, 1, 3)
        pictures -= np.array(spec.mean, np.float32).reshape(per_channel)
        pictures /= np.array(spec.std, np.float32).reshape(per_channel)
    return pictures

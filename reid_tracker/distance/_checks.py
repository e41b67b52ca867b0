"""What every distance asks of its arrays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reid_tracker.errors import InputError
from reid_tracker.types import FloatArray


def as_vectors(vectors: NDArray[np.floating], name: str) -> FloatArray:
    """(N, D) finite vectors as contiguous float32.

    Raises:
        InputError: another shape, NaN or infinity.
    """
    return _checked(vectors, name, "(N, D)", 2)


def as_stripes(stripes: NDArray[np.floating], name: str) -> FloatArray:
    """(N, S, d) finite stripes, S at least 1, as contiguous float32.

    Raises:
        InputError: another shape, NaN or infinity.
    """
    checked = _checked(stripes, name, "(N, S, d) with S >= 1", 3)
    if checked.shape[1] == 0:
        raise InputError(f"{name}: expected (N, S, d) with S >= 1, got {checked.shape}; this embedder has no stripes")
    return checked


def same_space(first: FloatArray, second: FloatArray, names: str) -> None:
    """Both describe the same number of stripes and dimensions.

    Raises:
        InputError: they differ, as looks of two embedders do.
    """
    if first.shape[1:] != second.shape[1:]:
        raise InputError(f"{names}: expected equal dimensions, got {first.shape[1:]} and {second.shape[1:]}")


def _checked(array: NDArray[np.floating], name: str, shape: str, dimensions: int) -> FloatArray:
    if array.ndim != dimensions:
        raise InputError(f"{name}: expected shape {shape}, got {array.shape}")
    checked: FloatArray = np.ascontiguousarray(array, np.float32)
    # One sum finds NaN and infinity without a mask as large as the array.
    if checked.size and not np.isfinite(np.sum(checked, dtype=np.float64)):
        raise InputError(f"{name}: expected finite numbers, got NaN or infinity")
    return checked

"""Cells of the stripe-to-stripe matrix and the cheapest path through them, for many pairs of people at once.

Everything works on planes: one contiguous array per cell (i, j) that holds that cell for all pairs. The recursion
over the cells is then a few dozen element-wise minimum and add calls however many pairs there are.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from reid_tracker.types import FloatArray

# With t = ||f - g||^2 / 2 the cell cost tanh(||f - g|| / 2) is sqrt(t) times a function that is smooth on 0..2, where
# unit vectors live: a pole, a constant and a slope (least maximum fit) stay within 6.3e-8 of it and cost a third of
# numpy's tanh.
_POLE_WEIGHT = np.float32(2.853233762400327)
_POLE = np.float32(4.947338864553615)
_CONSTANT = np.float32(0.13038544386245346)
_SLOPE = np.float32(-0.0012757891699586897)

# A product of float32 unit vectors is off by up to some 4e-7; the root turns that into 1e-3 where stripes are equal.
# Below this half squared distance it would cost more than 5e-5, so the differences themselves are taken.
NEARLY_EQUAL = 1e-4
_REFINED_AT_ONCE = 8192


def half_squares(stripes: FloatArray) -> FloatArray:
    """(N, S, d) to (N, S): half the squared length of each stripe."""
    half: FloatArray = np.einsum("nsd,nsd->ns", stripes, stripes) * np.float32(0.5)
    return half


def left_factor(stripes: FloatArray) -> FloatArray:
    """(N, S, d) to (S, N, d + 2), such that its product with a right factor is ||f - g||^2 / 2."""
    return _factor(-stripes, half_squares(stripes)[..., None], np.ones((*stripes.shape[:2], 1), np.float32)).transpose(
        1, 0, 2
    )


def right_factor(stripes: FloatArray) -> FloatArray:
    """(N, S, d) to (S, N, d + 2); see ``left_factor``."""
    return _factor(stripes, np.ones((*stripes.shape[:2], 1), np.float32), half_squares(stripes)[..., None]).transpose(
        1, 0, 2
    )


def cell_costs(half_squared: FloatArray, costs: FloatArray, scratch: FloatArray) -> None:
    """tanh(sqrt(2 t) / 2) of every t = ``half_squared`` in 0..2 into ``costs``; overwrites all three arrays."""
    np.add(half_squared, _POLE, out=costs)
    np.divide(_POLE_WEIGHT, costs, out=costs)
    np.multiply(half_squared, _SLOPE, out=scratch)
    costs += scratch
    costs += _CONSTANT
    np.sqrt(half_squared, out=half_squared)
    costs *= half_squared


def refine_nearly_equal(
    half_squared: FloatArray, pairs: Callable[[NDArray[np.intp]], tuple[FloatArray, FloatArray]]
) -> None:
    """Replace what cancellation spoilt: entries near zero are taken again from the differences.

    Args:
        half_squared: any shape; changed in place.
        pairs: gives for flat indices the two (K, d) stripes that meet there.
    """
    if half_squared.size == 0 or half_squared.min() >= NEARLY_EQUAL:
        return
    flat = half_squared.reshape(-1)
    near = np.flatnonzero(flat < NEARLY_EQUAL)
    for start in range(0, len(near), _REFINED_AT_ONCE):
        chosen = near[start : start + _REFINED_AT_ONCE]
        first, second = pairs(chosen)
        difference = first - second
        flat[chosen] = 0.5 * np.einsum("kd,kd->k", difference, difference)


def advance(row: list[FloatArray], i: int, j: int, costs: FloatArray) -> None:
    """One cell of the recursion: ``row[j]`` becomes the cheapest sum that ends in (i, j).

    Args:
        row: S planes of running sums; on entry row[:j] belongs to row i and row[j:] to row i - 1.
        costs: plane of cell (i, j).
    """
    if i == 0 and j == 0:
        np.copyto(row[0], costs)
    elif i == 0:
        np.add(row[j - 1], costs, out=row[j])
    else:
        if j:
            np.minimum(row[j], row[j - 1], out=row[j])
        np.add(row[j], costs, out=row[j])


def stripes_at(first: FloatArray, second: FloatArray, flat: NDArray[np.intp]) -> tuple[FloatArray, FloatArray]:
    """Rows of (M, d) and (N, d) that meet at flat indices of their (M, N) matrix."""
    m, n = np.divmod(flat, len(second))
    return first[m], second[n]


def _factor(*columns: FloatArray) -> FloatArray:
    factor: FloatArray = np.concatenate(columns, axis=2)
    return factor

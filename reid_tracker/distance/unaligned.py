"""Local distance without alignment: stripe against the stripe at the same height, to show what alignment is for."""

from __future__ import annotations

from functools import partial

import numpy as np

from reid_tracker.distance._cells import cell_costs, left_factor, refine_nearly_equal, right_factor, stripes_at
from reid_tracker.distance._checks import as_stripes, same_space
from reid_tracker.types import FloatArray


def unaligned_distance(queries: FloatArray, gallery: FloatArray) -> FloatArray:
    """Mean of tanh(||f_i - g_i|| / 2) over the stripes, for all pairs.

    The cells of the diagonal alone, with the cost that ``aligned_distance`` gives a cell; unlike that one it is 0 from
    a person to itself, and a true metric.

    Args:
        queries: (M, S, d), stripes of unit length, head to foot.
        gallery: (N, S, d), likewise.

    Returns:
        (M, N) float32 in 0..0.762.

    Raises:
        InputError: shapes that do not fit, NaN or infinity.
    """
    queries, gallery = as_stripes(queries, "query stripes"), as_stripes(gallery, "gallery stripes")
    same_space(queries, gallery, "query and gallery stripes")
    left, right = left_factor(queries), right_factor(gallery)
    total: FloatArray = np.zeros((len(queries), len(gallery)), np.float32)
    half_squared, costs, scratch = np.empty((3, *total.shape), np.float32)
    for stripe in range(queries.shape[1]):
        np.matmul(left[stripe], right[stripe].T, out=half_squared)
        refine_nearly_equal(half_squared, partial(stripes_at, queries[:, stripe], gallery[:, stripe]))
        np.clip(half_squared, 0, 2, out=half_squared)
        cell_costs(half_squared, costs, scratch)
        total += costs
    total /= queries.shape[1]
    return total

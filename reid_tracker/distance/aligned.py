"""The DP-aligned local distance of AlignedReID (Zhang et al. 2017, arXiv:1711.08184, section 3.1).

Two people are eight horizontal stripes each, head to foot. Stripe i of one against stripe j of the other costs

    e_ij = ||f_i - g_j||        d_ij = (exp(e_ij) - 1) / (exp(e_ij) + 1) = tanh(e_ij / 2)

and the distance is the cheapest way from (1, 1) to (S, S) through the matrix of d, moving right or down, as **mean**
over the 2S - 1 cells it visits (the paper sums). A box cut too high, too low or half hidden shifts the stripes; the
path follows. Range 0..1 (0..0.762 for unit stripes). It is not a metric: d(x, x) > 0, because a path from corner to
corner has to leave the diagonal.

One function per shape of the question, all the same number: all pairs (``aligned_distance``), a shortlist per query
(``aligned_distance_shortlist``), row against row (``aligned_distance_pairs``) and one pair with the stripes that met
(``aligned_path``).
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from reid_tracker.distance._cells import (
    advance,
    cell_costs,
    half_squares,
    left_factor,
    refine_nearly_equal,
    right_factor,
    stripes_at,
)
from reid_tracker.distance._checks import as_stripes, same_space
from reid_tracker.errors import InputError
from reid_tracker.types import FloatArray

# Pairs per block: planes of 256 x 512 stay in the second and third cache level; about 5 MiB a thread.
_QUERY_BLOCK = 256
_GALLERY_BLOCK = 512
# Up to so many cells (20 people against 800) one block's worth of planes stays in the cache as a whole.
_SMALL_CELLS = 1 << 20


@dataclass(frozen=True, slots=True)
class AlignedPath:
    """How the stripes of two people met.

    Attributes:
        distance: mean cell cost of the path, as ``aligned_distance`` gives it.
        stripes: the cells of the path from (0, 0) to (S - 1, S - 1): pairs (stripe of the first, of the second).
        costs: (2S - 1,) cost of each cell.
    """

    distance: float
    stripes: tuple[tuple[int, int], ...]
    costs: FloatArray


def aligned_distance(queries: FloatArray, gallery: FloatArray, threads: int | None = None) -> FloatArray:
    """Aligned distance of all pairs, in bounded memory besides the result.

    Args:
        queries: (M, S, d), stripes of unit length, head to foot.
        gallery: (N, S, d), likewise.
        threads: workers for large problems; all cores where None.

    Returns:
        (M, N) float32: mean cost of the 2S - 1 cells of the cheapest path.

    Raises:
        InputError: shapes that do not fit, NaN or infinity.
    """
    queries, gallery = as_stripes(queries, "query stripes"), as_stripes(gallery, "gallery stripes")
    same_space(queries, gallery, "query and gallery stripes")
    if len(queries) * len(gallery) * queries.shape[1] ** 2 <= _SMALL_CELLS:
        return _all_pairs_small(queries, gallery)
    return _all_pairs_large(queries, gallery, max(1, threads if threads is not None else os.cpu_count() or 1))


def aligned_distance_shortlist(queries: FloatArray, gallery: FloatArray, candidates: NDArray[np.integer]) -> FloatArray:
    """Aligned distance of each query against its own candidates.

    Args:
        queries: (M, S, d), stripes of unit length.
        gallery: (N, S, d), likewise.
        candidates: (M, K) rows of the gallery.

    Returns:
        (M, K) float32, as ``aligned_distance(queries, gallery)`` has at those places.

    Raises:
        InputError: shapes that do not fit, NaN or infinity, a candidate outside the gallery.
    """
    queries, gallery = as_stripes(queries, "query stripes"), as_stripes(gallery, "gallery stripes")
    same_space(queries, gallery, "query and gallery stripes")
    if candidates.ndim != 2 or len(candidates) != len(queries):
        raise InputError(f"candidates: expected shape ({len(queries)}, K), got {candidates.shape}")
    if candidates.size == 0:
        return np.zeros(candidates.shape, np.float32)
    if not (candidates.min() >= 0 and candidates.max() < len(gallery)):
        raise InputError(f"candidates: expected rows 0..{len(gallery) - 1} of the gallery, got others")
    present = np.zeros(len(gallery), np.bool_)
    present[candidates] = True
    wanted = np.flatnonzero(present)
    # Queries of one moment share most of their candidates: then all pairs cost less than gathering each list.
    if len(wanted) <= 2 * candidates.shape[1]:
        gallery = gallery if len(wanted) == len(gallery) else gallery[wanted]
        everything = aligned_distance(queries, gallery, threads=1)
        column = np.cumsum(present) - 1
        shared: FloatArray = np.take_along_axis(everything, column[candidates], axis=1)
        return shared
    return _shortlists(queries, gallery, candidates)


def aligned_distance_pairs(first: FloatArray, second: FloatArray) -> FloatArray:
    """Aligned distance of row n of one array against row n of the other.

    Args:
        first, second: (N, S, d), stripes of unit length.

    Returns:
        (N,) float32.

    Raises:
        InputError: shapes that differ, NaN or infinity.
    """
    first, second = as_stripes(first, "first stripes"), as_stripes(second, "second stripes")
    if first.shape != second.shape:
        raise InputError(f"first and second stripes: expected equal shapes, got {first.shape} and {second.shape}")
    return _shortlists(first, second, np.arange(len(first))[:, None])[:, 0]


def aligned_path(first: FloatArray, second: FloatArray) -> AlignedPath:
    """The cheapest path between two people, to show which stripes met.

    Where right and down cost the same, the step that keeps nearer to the diagonal is shown.

    Args:
        first, second: (S, d), stripes of unit length.

    Raises:
        InputError: shapes that differ, NaN or infinity.
    """
    first, second = as_stripes(first[None], "first stripes"), as_stripes(second[None], "second stripes")
    same_space(first, second, "first and second stripes")
    costs = _shortlist_costs(first, second[None])[..., 0, 0]
    sums = costs.astype(np.float64)
    sums[0], sums[:, 0] = np.cumsum(sums[0]), np.cumsum(sums[:, 0])
    size = len(sums)
    for i in range(1, size):
        for j in range(1, size):
            sums[i, j] += min(sums[i - 1, j], sums[i, j - 1])
    cells = [(size - 1, size - 1)]
    while cells[-1] != (0, 0):
        i, j = cells[-1]
        from_above = sums[i - 1, j] if i else np.inf
        from_left = sums[i, j - 1] if j else np.inf
        from_above_is_cheaper = from_above < from_left or (from_above == from_left and i > j)
        cells.append((i - 1, j) if from_above_is_cheaper else (i, j - 1))
    cells.reverse()
    along: FloatArray = np.array([costs[cell] for cell in cells], np.float32)
    return AlignedPath(float(sums[-1, -1] / len(cells)), tuple(cells), along)


def _all_pairs_large(queries: FloatArray, gallery: FloatArray, workers: int) -> FloatArray:
    """Blocks of queries over several threads."""
    distances: FloatArray = np.empty((len(queries), len(gallery)), np.float32)

    def work_on(start: int) -> None:
        rows = slice(start, start + _QUERY_BLOCK)
        _all_pairs_blocked(queries[rows], gallery, distances[rows])

    # Each worker multiplies its own blocks: BLAS threads below the workers would fight over the cores.
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(workers) as pool:
        list(pool.map(work_on, range(0, len(queries), _QUERY_BLOCK)))
    return distances


def _all_pairs_blocked(queries: FloatArray, gallery: FloatArray, distances: FloatArray) -> None:
    """Cell by cell: each plane is one matrix product over a block of pairs."""
    stripes = queries.shape[1]
    left = np.ascontiguousarray(left_factor(queries))
    most = min(_GALLERY_BLOCK, len(gallery)) * len(queries)
    planes = np.empty((stripes + 3, most), np.float32)  # once: fresh pages cost as much as the arithmetic
    for start in range(0, len(gallery), _GALLERY_BLOCK):
        block = gallery[start : start + _GALLERY_BLOCK]
        right = np.ascontiguousarray(right_factor(block).transpose(0, 2, 1))
        shape = (len(queries), len(block))
        *row, half_squared, costs, scratch = (plane[: shape[0] * shape[1]].reshape(shape) for plane in planes)
        for i in range(stripes):
            for j in range(stripes):
                np.matmul(left[i], right[j], out=half_squared)
                refine_nearly_equal(half_squared, partial(stripes_at, queries[:, i], block[:, j]))
                cell_costs(half_squared, costs, scratch)
                advance(row, i, j, costs)
        np.multiply(row[-1], np.float32(1 / (2 * stripes - 1)), out=distances[:, start : start + _GALLERY_BLOCK])


def _all_pairs_small(queries: FloatArray, gallery: FloatArray) -> FloatArray:
    """All cells at once and no copy of the gallery: fewer and longer calls, for what fits the cache as a whole."""
    (count, stripes, depth), others = queries.shape, len(gallery)
    left = np.negative(queries.transpose(1, 0, 2), order="C").reshape(-1, depth)
    half_squared, costs, scratch = np.empty((3, stripes, len(left), others), np.float32)
    np.matmul(left, gallery.transpose(1, 2, 0), out=half_squared)
    half_squared += half_squares(gallery).T[:, None]
    half_squared += half_squares(queries).T.reshape(-1, 1)
    planes = (stripes, stripes, count, others)

    def meeting(flat: NDArray[np.intp]) -> tuple[FloatArray, FloatArray]:
        j, i, m, n = np.unravel_index(flat, planes)
        return queries[m, i], gallery[n, j]

    refine_nearly_equal(half_squared, meeting)
    cell_costs(half_squared, costs, scratch)
    return _cheapest(costs.reshape(planes))  # right and down change places: the cheapest path costs the same


def _shortlists(queries: FloatArray, gallery: FloatArray, candidates: NDArray[np.integer]) -> FloatArray:
    """(M, K) distances of each query and its own candidates, a bounded number of gathered stripes at a time."""
    count, stripes = candidates.shape[1], queries.shape[1]
    distances: FloatArray = np.empty(candidates.shape, np.float32)
    step = max(1, _SMALL_CELLS // max(1, count * stripes * stripes))
    for start in range(0, len(queries), step):
        rows = slice(start, start + step)
        distances[rows] = _cheapest(_shortlist_costs(queries[rows], gallery[candidates[rows]]))
    return distances


def _shortlist_costs(queries: FloatArray, gathered: FloatArray) -> FloatArray:
    """(M, S, d) and each one's candidates (M, K, S, d) to cell costs (S, S, M, K)."""
    count, stripes, dimension = gathered.shape[1:]
    products = gathered.reshape(len(queries), -1, dimension) @ queries.transpose(0, 2, 1)
    half_squared = -products.reshape(len(queries), count, stripes, stripes).transpose(3, 2, 0, 1)
    half_squared = np.ascontiguousarray(half_squared)
    half_squared += half_squares(queries).T[:, None, :, None]
    half_squared += half_squares(gathered.reshape(-1, stripes, dimension)).T.reshape(stripes, len(queries), count)

    def meeting(flat: NDArray[np.intp]) -> tuple[FloatArray, FloatArray]:
        i, j, m, k = np.unravel_index(flat, half_squared.shape)
        return queries[m, i], gathered[m, k, j]

    refine_nearly_equal(half_squared, meeting)
    costs = np.empty_like(half_squared)
    cell_costs(half_squared, costs, np.empty_like(costs))
    return costs


def _cheapest(planes: FloatArray) -> FloatArray:
    """(S, S, M, K) cell costs to the mean cost of the cheapest path, (M, K)."""
    stripes = len(planes)
    sums = list(np.empty(planes.shape[1:], np.float32))
    for i in range(stripes):
        for j in range(stripes):
            advance(sums, i, j, planes[i, j])
    mean: FloatArray = sums[-1] * np.float32(1 / (2 * stripes - 1))
    return mean

"""k-reciprocal re-ranking (Zhong et al. 2017, arXiv:1701.08398), for evaluation and finished recordings.

Two pictures are close when their neighbourhoods agree: each picture becomes a sparse vector over its k-reciprocal
neighbours, and the Jaccard distance of these vectors is mixed with the original distance. As in the authors' code
the original distance is the squared Euclidean one, each row divided by its maximum over all pictures, and a picture
counts as its own first neighbour (k1 further ones follow).

Neighbours are found block by block and the vectors are sparse, so memory grows with (M + N) k1 and not with (M + N)
squared; ``rerank_blocks`` hands out the result by rows, so that not even that is ever there as a whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from reid_tracker.distance._checks import as_vectors, same_space
from reid_tracker.distance.global_ import global_distance
from reid_tracker.errors import InputError
from reid_tracker.types import FloatArray

_BLOCK = 512


def rerank_distance(
    queries: FloatArray, gallery: FloatArray, k1: int = 20, k2: int = 6, original_share: float = 0.3
) -> FloatArray:
    """Re-ranked distance of all pairs of unit vectors.

    Args:
        queries: (M, D), unit length.
        gallery: (N, D), unit length.
        k1: neighbours that define a neighbourhood.
        k2: neighbours over which neighbourhoods are averaged; 1 leaves them as they are.
        original_share: weight of the original distance (the paper's lambda), 0..1.

    Returns:
        (M, N) float32 in 0..1.

    Raises:
        InputError: shapes that do not fit, NaN or infinity, k or share out of range.
    """
    return rerank_blocks(queries, gallery, k1, k2, original_share)(slice(0, len(queries)))


def rerank_blocks(
    queries: FloatArray, gallery: FloatArray, k1: int = 20, k2: int = 6, original_share: float = 0.3
) -> Callable[[slice], FloatArray]:
    """``rerank_distance``, handed out some queries at a time.

    Args, Raises: as for ``rerank_distance``.

    Returns:
        A function from a slice of the queries to their rows of the matrix.
    """
    queries, gallery = as_vectors(queries, "queries"), as_vectors(gallery, "gallery")
    same_space(queries, gallery, "queries and gallery")
    if not (k1 >= 1 and 1 <= k2 <= k1 + 1 and 0 <= original_share <= 1):
        raise InputError(
            f"re-ranking: expected k1 >= 1, k2 in 1..k1 + 1, share in 0..1; got {k1}, {k2}, {original_share}"
        )
    everybody = np.concatenate([queries, gallery])
    nearest, farthest = _neighbours(everybody, k1 + 1)
    weights = _neighbourhoods(everybody, nearest, farthest, k1)
    if k2 > 1:
        weights = _averaged(weights, nearest[:, :k2])
    by_picture = weights[len(queries) :].tocsc()

    def distances(rows: slice) -> FloatArray:
        return _mixed(queries[rows], gallery, weights[: len(queries)][rows], by_picture, farthest[rows], original_share)

    return distances


def _neighbours(vectors: FloatArray, count: int) -> tuple[NDArray[np.int32], FloatArray]:
    """(N, count) nearest rows, itself first, and (N,) the largest distance of each row."""
    count = min(count, len(vectors))
    nearest = np.empty((len(vectors), count), np.int32)
    farthest = np.empty(len(vectors), np.float32)
    for start in range(0, len(vectors), _BLOCK):
        block = global_distance(vectors[start : start + _BLOCK], vectors)
        rows = np.arange(len(block))
        block[rows, rows + start] = -1  # duplicates and rounding must not push a picture off its own first place
        found = np.argpartition(block, count - 1, axis=1)[:, :count]
        order = np.lexsort((found, np.take_along_axis(block, found, axis=1)), axis=1)
        nearest[start : start + _BLOCK] = np.take_along_axis(found, order, axis=1)
        farthest[start : start + _BLOCK] = block.max(axis=1)
    return nearest, np.maximum(farthest, np.finfo(np.float32).tiny)


def _neighbourhoods(
    vectors: FloatArray, nearest: NDArray[np.int32], farthest: FloatArray, k1: int
) -> sparse.csr_matrix:
    """(N, N) sparse: row i holds the weights exp(-distance) over i's expanded k-reciprocal neighbours, summing to 1."""
    reciprocal = _reciprocal(nearest)
    half = _reciprocal(nearest[:, : round(k1 / 2) + 1])
    columns: list[NDArray[np.int32]] = []
    weights: list[FloatArray] = []
    for row, own in enumerate(reciprocal):
        members = _expanded(own, half)
        distances = (1 - vectors[members] @ vectors[row]) / farthest[row]
        weight = np.exp(-np.clip(distances, 0, 1)).astype(np.float32)
        columns.append(members)
        weights.append(weight / weight.sum())
    starts = np.concatenate([[0], np.cumsum([len(members) for members in columns])])
    return sparse.csr_matrix(
        (np.concatenate(weights), np.concatenate(columns), starts), shape=(len(vectors), len(vectors))
    )


def _reciprocal(nearest: NDArray[np.int32]) -> list[NDArray[np.int32]]:
    """For each row those of its neighbours that count it among theirs, nearest first."""
    mutual = (nearest[nearest] == np.arange(len(nearest))[:, None, None]).any(axis=2)
    return [row[keep] for row, keep in zip(nearest, mutual, strict=True)]


def _expanded(own: NDArray[np.int32], half: list[NDArray[np.int32]]) -> NDArray[np.int32]:
    """Own neighbours, with the half-size neighbourhoods of those whose members are mostly ours too."""
    ours = set(own.tolist())
    members = set(ours)
    for candidate in own.tolist():
        theirs = half[candidate].tolist()
        if len(ours.intersection(theirs)) > 2 / 3 * len(theirs):
            members.update(theirs)
    return np.fromiter(sorted(members), np.int32, len(members))


def _averaged(weights: sparse.csr_matrix, nearest: NDArray[np.int32]) -> sparse.csr_matrix:
    """Each row replaced by the mean of its nearest rows (the paper's local query expansion)."""
    count, size = nearest.shape
    ones = np.full(nearest.size, 1 / size, np.float32)
    mean = sparse.csr_matrix((ones, nearest.reshape(-1), np.arange(0, nearest.size + 1, size)), shape=(count, count))
    return (mean @ weights).tocsr()


def _mixed(
    queries: FloatArray,
    gallery: FloatArray,
    weights: sparse.csr_matrix,
    by_picture: sparse.csc_matrix,
    farthest: FloatArray,
    original_share: float,
) -> FloatArray:
    result: FloatArray = np.empty((len(queries), len(gallery)), np.float32)
    for row, (members, weight) in enumerate(_rows(weights)):
        shared = np.zeros(len(gallery), np.float32)
        for member, own in zip(members, weight, strict=True):
            span = slice(by_picture.indptr[member], by_picture.indptr[member + 1])
            shared[by_picture.indices[span]] += np.minimum(own, by_picture.data[span])
        result[row] = (1 - shared / (2 - shared)) * (1 - original_share)
    for start in range(0, len(queries), _BLOCK):
        rows = slice(start, start + _BLOCK)
        original = global_distance(queries[rows], gallery) / farthest[rows, None]
        result[rows] += original_share * original
    return result


def _rows(matrix: sparse.csr_matrix) -> Iterator[tuple[NDArray[np.int32], FloatArray]]:
    for row in range(matrix.shape[0]):
        span = slice(matrix.indptr[row], matrix.indptr[row + 1])
        yield matrix.indices[span], matrix.data[span]

"""A site cut into districts of about one size, along the weakest links of its topology.

Recursive bisection: the cameras are ordered by the slowest ways in which the graph of links can swing (the eigenvectors
of its Laplacian; Fiedler 1973), halved, and pairs of cameras change sides while that makes the cut weaker (Kernighan
and Lin 1970). The same input gives the same districts.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array, diags_array
from scipy.sparse.linalg import eigsh

from reid_tracker.association.remembered import RememberedPassage

Pair = tuple[str, str]

_DENSE = 300  # cameras up to which the eigenvectors are taken of the full matrix
_LOOSE = 1e-4  # of the weakest link: what joins the cameras in the order of their names, so that the graph is one piece
_MOST_SWAPS = 2  # times the cameras of a half
_CANDIDATES = 32  # of either side that are looked at for a swap
_WALK_SECONDS = 600.0  # from one camera to the next; who is seen later may have been anywhere


def districts(cameras: Sequence[str], strength: Mapping[Pair, float], most: int) -> list[list[str]]:
    """Cameras in as few districts of at most ``most`` as can be, all of about one size, joined by weak links.

    Args:
        cameras: names, each once.
        strength: of pairs of names, above 0; pairs that are not named are not linked.
        most: cameras of one district.

    Returns:
        Districts in the order of their first cameras, each in the order of ``cameras``.

    Raises:
        ValueError: ``most`` is below 1.
    """
    if most < 1:
        raise ValueError(f"a district holds at least one camera, got {most}")
    weights = _matrix(cameras, strength)
    parts = _parts(np.arange(len(cameras)), weights, max(1, -(-len(cameras) // most)))
    ordered = sorted((sorted(part.tolist()) for part in parts), key=lambda rows: rows[:1])
    return [[cameras[row] for row in rows] for rows in ordered]


def traffic(passages: Iterable[RememberedPassage]) -> dict[Pair, float]:
    """How many people walked from one camera to the next, by pair in alphabetical order, over the busiest pair's."""
    lives: dict[int, list[RememberedPassage]] = {}
    for passage in passages:
        lives.setdefault(passage.identity, []).append(passage)
    walks: Counter[Pair] = Counter()
    for life in lives.values():
        life.sort(key=lambda passage: (passage.start, passage.tracklet))
        for one, other in itertools.pairwise(life):
            if one.camera_id != other.camera_id and other.start - one.end < _WALK_SECONDS:
                first, second = sorted((one.camera_id, other.camera_id))
                walks[first, second] += 1
    busiest = max(walks.values(), default=1)
    return {pair: count / busiest for pair, count in walks.items()}


def joined(some: Mapping[Pair, float], others: Mapping[Pair, float]) -> dict[Pair, float]:
    """Two kinds of links as one: their strengths added up."""
    return {pair: some.get(pair, 0.0) + others.get(pair, 0.0) for pair in (*some, *others)}


def borders(parts: Mapping[str, Sequence[str]], strength: Mapping[Pair, float]) -> dict[str, dict[str, frozenset[str]]]:
    """District -> other district -> cameras of the first from which people come to the other.

    Of a camera without any link nobody knows where its people go: it is at the border to all.
    """
    of = {camera: name for name, cameras in parts.items() for camera in cameras}
    linked = {camera for pair in strength for camera in pair}
    found: dict[str, dict[str, set[str]]] = {
        name: {other: {camera for camera in cameras if camera not in linked} for other in parts if other != name}
        for name, cameras in parts.items()
    }
    for pair in strength:
        for camera, other in (pair, pair[::-1]):
            if camera in of and other in of and of[camera] != of[other]:
                found[of[camera]][of[other]].add(camera)
    return {
        name: {other: frozenset(cameras) for other, cameras in others.items() if cameras}
        for name, others in found.items()
    }


def _matrix(cameras: Sequence[str], strength: Mapping[Pair, float]) -> csr_array:
    """(N, N) symmetric strengths."""
    row = {name: number for number, name in enumerate(cameras)}
    pairs = [(row[one], row[other], value) for (one, other), value in strength.items() if one in row and other in row]
    rows, columns, values = (np.array(each) for each in zip(*pairs, strict=True)) if pairs else ([], [], [])
    half = coo_array((np.asarray(values, float), (rows, columns)), shape=(len(cameras), len(cameras)))
    return csr_array(half + half.T)


def _parts(rows: NDArray[np.intp], weights: csr_array, count: int) -> list[NDArray[np.intp]]:
    if count == 1 or len(rows) < 2:
        return [rows]
    left = count // 2
    first, second = _halves(rows, weights[rows][:, rows], len(rows) * left // count)
    return _parts(first, weights, left) + _parts(second, weights, count - left)


def _halves(rows: NDArray[np.intp], weights: csr_array, size: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The best of a few cuts into ``size`` cameras and the rest."""
    best, least = np.zeros(len(rows), bool), np.inf
    for order in _orders(weights):
        inside = np.zeros(len(rows), bool)
        inside[np.argsort(order, kind="stable")[:size]] = True
        _swap(inside, weights)
        cut = float(weights[inside][:, ~inside].sum())
        if cut < least - 1e-12:
            best, least = inside, cut
    return rows[best], rows[~best]


def _orders(weights: csr_array) -> list[NDArray[np.float64]]:
    """Ways to line the cameras up so that linked ones stand together; the names' order is one."""
    count = weights.shape[0]
    by_name = np.arange(count, dtype=np.float64)
    if count < 4 or weights.nnz == 0:
        return [by_name]
    loose = np.full(count - 1, _LOOSE * float(weights.data.min()))
    graph = weights + diags_array([loose, loose], offsets=[1, -1], shape=(count, count))
    laplacian = diags_array(graph.sum(axis=1)) - graph
    if count <= _DENSE:
        _, vectors = np.linalg.eigh(laplacian.toarray())
        first, second = vectors[:, 1], vectors[:, 2]
    else:
        shift = -1e-6 * float(weights.data.max())
        values, vectors = eigsh(laplacian.tocsc(), k=3, sigma=shift, v0=by_name - by_name.mean())
        first, second = vectors[:, np.argsort(values)[1:]].T
    return [by_name, first, second, first + second, first - second]


def _swap(inside: NDArray[np.bool_], weights: csr_array) -> None:
    """Let pairs change sides, the best first, while that makes the cut weaker."""
    for _ in range(_MOST_SWAPS * int(min(inside.sum(), (~inside).sum()))):
        signs = np.where(inside, 1.0, -1.0)
        gains = -signs * (weights @ signs)  # what is cut of each camera's links, less what is not
        ours, theirs = (
            side[np.argsort(-gains[side], kind="stable")[:_CANDIDATES]]
            for side in (np.flatnonzero(inside), np.flatnonzero(~inside))
        )
        both = gains[ours][:, None] + gains[theirs][None] - 2 * weights[ours][:, theirs].toarray()
        row, column = np.unravel_index(int(np.argmax(both)), both.shape)
        if both[row, column] <= 1e-12:
            return
        inside[ours[row]], inside[theirs[column]] = False, True

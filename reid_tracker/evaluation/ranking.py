"""The ways in which a gallery of looks can be ranked, each given by rows so that no whole matrix is ever needed.

``global``      cosine distance of the global vectors
``unaligned``   mean cost of stripes at the same height
``aligned``     DP-aligned local distance over all pairs
``fused``       global and aligned in one (``reid_tracker.distance.fused_distance``)
``reranked``    k-reciprocal re-ranking of the global distance (k1 20, k2 6, lambda 0.3)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reid_tracker.distance import (
    aligned_distance,
    aligned_distance_shortlist,
    fused_distance,
    global_distance,
    rerank_blocks,
    unaligned_distance,
)
from reid_tracker.errors import InputError
from reid_tracker.types import FloatArray

WAYS = ("global", "unaligned", "aligned", "fused", "reranked")
STRIPED_WAYS = frozenset({"unaligned", "aligned", "fused"})
_BEHIND = 10.0  # more than any distance: what is not on a shortlist stays behind it, in its own order


@dataclass(frozen=True, slots=True)
class Looks:
    """What an embedder says about N pictures.

    Attributes:
        global_: (N, D) float32 unit vectors.
        stripes: (N, S, d) float32 unit vectors, head to foot; S is 0 where the embedder has none.
    """

    global_: FloatArray
    stripes: FloatArray

    def __post_init__(self) -> None:
        if self.global_.ndim != 2 or self.stripes.ndim != 3 or len(self.stripes) != len(self.global_):
            raise InputError(
                f"looks: expected (N, D) vectors and (N, S, d) stripes, got {self.global_.shape}, {self.stripes.shape}"
            )

    def __len__(self) -> int:
        return len(self.global_)

    def rows(self, rows: NDArray[np.int64] | slice) -> Looks:
        """Some of them."""
        return Looks(self.global_[rows], self.stripes[rows])

    @property
    def has_stripes(self) -> bool:
        """Whether local distances can be asked for."""
        return bool(self.stripes.shape[1])


def ways_of(looks: Looks, asked: Sequence[str] = WAYS) -> tuple[str, ...]:
    """Those of the asked ways that these looks allow.

    Raises:
        InputError: a way that does not exist.
    """
    unknown = [way for way in asked if way not in WAYS]
    if unknown:
        raise InputError(f"ways of ranking: {', '.join(unknown)} unknown; there are {', '.join(WAYS)}")
    return tuple(way for way in asked if looks.has_stripes or way not in STRIPED_WAYS)


def distances_by_rows(
    queries: Looks, gallery: Looks, ways: Sequence[str], shortlist: int = 0, threads: int | None = None
) -> Callable[[slice], dict[str, FloatArray]]:
    """A function from a slice of the queries to their distances to the whole gallery, by each way.

    Args:
        queries, gallery: looks of the same embedder.
        ways: as ``ways_of`` gives them.
        shortlist: the aligned distance orders only so many of the globally nearest, as in tracking; 0 takes all.
        threads: for the aligned distance; all cores where None.
    """
    reranked = rerank_blocks(queries.global_, gallery.global_) if "reranked" in ways else None

    def distances(rows: slice) -> dict[str, FloatArray]:
        asking = queries.rows(rows)
        wide = global_distance(asking.global_, gallery.global_)
        found: dict[str, FloatArray] = {"global": wide}
        if "unaligned" in ways:
            found["unaligned"] = unaligned_distance(asking.stripes, gallery.stripes)
        if {"aligned", "fused"} & set(ways):
            found |= _aligned_ways(asking, gallery, wide, shortlist, threads)
        if reranked is not None:
            found["reranked"] = reranked(rows)
        return {way: found[way] for way in ways}

    return distances


def _aligned_ways(
    asking: Looks, gallery: Looks, wide: FloatArray, shortlist: int, threads: int | None
) -> dict[str, FloatArray]:
    if not shortlist or shortlist >= len(gallery):
        aligned = aligned_distance(asking.stripes, gallery.stripes, threads)
        return {"aligned": aligned, "fused": fused_distance(wide, aligned)}
    near = np.argpartition(wide, shortlist, axis=1)[:, :shortlist]
    aligned = aligned_distance_shortlist(asking.stripes, gallery.stripes, near)
    fused = fused_distance(np.take_along_axis(wide, near, axis=1), aligned)
    return {"aligned": _in_front(wide, near, aligned), "fused": _in_front(wide, near, fused)}


def _in_front(wide: FloatArray, near: NDArray[np.intp], judged: FloatArray) -> FloatArray:
    ordered: FloatArray = wide + np.float32(_BEHIND)
    np.put_along_axis(ordered, near, judged, axis=1)
    return ordered

"""CMC, mAP and mINP by the protocol of Market-1501, on distances.

For each query the gallery is ranked by distance; pictures of the same person from the query's own camera do not
count (they are neighbours in time), nor does junk, which is an explicit mask here and not a property of how files
were listed. Distractors (person 0) stay and count as wrong, and ask nothing: two of them are not one person. A query
without any right picture left is not scored.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reid_tracker.errors import InputError
from reid_tracker.types import BoolArray, FloatArray

_DISTRACTOR = 0
_BLOCK = 256  # queries ranked at a time: 256 x 16,000 distances and their order are 50 MB


@dataclass(frozen=True, slots=True)
class ReidScores:
    """How well a gallery was ranked.

    Attributes:
        cmc: (R,) part of the queries whose first right picture is among the first 1, 2, ... R.
        mean_ap: mean average precision.
        mean_inp: mean inverse negative penalty: right pictures / rank of the last of them.
        queries: how many were scored.
        skipped: how many had no right picture.
    """

    cmc: NDArray[np.float64]
    mean_ap: float
    mean_inp: float
    queries: int
    skipped: int

    def rank(self, k: int) -> float:
        """Part of the queries with a right picture among the first k."""
        return float(self.cmc[k - 1])

    def to_row(self) -> dict[str, float]:
        """Rank-1, rank-5, mAP and mINP in per cent."""
        found = {"rank1": self.rank(1), "rank5": self.rank(5), "mAP": self.mean_ap, "mINP": self.mean_inp}
        return {name: round(100 * value, 2) for name, value in found.items()}


@dataclass(frozen=True, slots=True)
class Labels:
    """Who and where: the truth about N pictures.

    Attributes:
        persons: (N,) ids; 0 is a distractor by convention, and is right for nobody.
        cameras: (N,) ids.
        junk: (N,) bool: left out of every ranking.
    """

    persons: NDArray[np.int64]
    cameras: NDArray[np.int64]
    junk: BoolArray

    def __post_init__(self) -> None:
        if not len(self.persons) == len(self.cameras) == len(self.junk):
            raise InputError(
                f"labels: expected as many persons as cameras and junk marks, got {len(self.persons)}, "
                f"{len(self.cameras)} and {len(self.junk)}"
            )


def score_distances(distances: FloatArray, queries: Labels, gallery: Labels, ranks: int = 50) -> ReidScores:
    """Score a whole distance matrix (Q, G); see ``score_blocks``."""
    return score_blocks(lambda rows: distances[rows], queries, gallery, ranks)


def score_blocks(
    distances_of: Callable[[slice], FloatArray], queries: Labels, gallery: Labels, ranks: int = 50
) -> ReidScores:
    """Score distances that are computed a block of queries at a time, so that memory is bounded.

    Args:
        distances_of: gives the distances (B, G) of a slice of queries.
        queries: Q of them; junk ones are not scored.
        gallery: G pictures.
        ranks: length of the CMC curve.

    Raises:
        InputError: no query can be scored, a block has another shape, or a distance is not a number.
    """
    return score_ways(lambda rows: {"distance": distances_of(rows)}, queries, gallery, ranks)["distance"]


def score_ways(
    distances_of: Callable[[slice], Mapping[str, FloatArray]], queries: Labels, gallery: Labels, ranks: int = 50
) -> dict[str, ReidScores]:
    """Score several distances at once, for those that share most of their work.

    Args:
        distances_of: gives for a slice of queries each distance's block (B, G) by its name.
        queries, gallery, ranks: as for ``score_blocks``.

    Raises:
        InputError: as for ``score_blocks``.
    """
    rows_of: defaultdict[str, list[tuple[int, float, float]]] = defaultdict(list)
    for start in range(0, len(queries.persons), _BLOCK):
        rows = slice(start, min(start + _BLOCK, len(queries.persons)))
        for name, distances in distances_of(rows).items():
            _check(distances, rows, len(gallery.persons))
            rankings = np.argsort(distances, axis=1, kind="stable")
            for row, ranking in zip(range(rows.start, rows.stop), rankings, strict=True):
                matches = _matches(row, ranking, queries, gallery)
                if matches is not None:
                    rows_of[name].append(_score_ranking(matches))
    if not rows_of:
        raise InputError("no query has a right picture in the gallery from another camera: nothing to score")
    return {name: _mean_scores(found, len(queries.persons), ranks) for name, found in rows_of.items()}


def mean_of(scores: list[ReidScores]) -> ReidScores:
    """Mean of several trials of one protocol, e.g. over the choices of a single-shot gallery; at least one."""
    return ReidScores(
        cmc=np.mean([one.cmc for one in scores], axis=0),
        mean_ap=float(np.mean([one.mean_ap for one in scores])),
        mean_inp=float(np.mean([one.mean_inp for one in scores])),
        queries=sum(one.queries for one in scores),
        skipped=sum(one.skipped for one in scores),
    )


def _mean_scores(rows: list[tuple[int, float, float]], queries: int, ranks: int) -> ReidScores:
    firsts, precisions, penalties = (np.array(column) for column in zip(*rows, strict=True))
    cmc = (firsts[:, None] < np.arange(1, ranks + 1)).mean(axis=0)
    return ReidScores(cmc, float(precisions.mean()), float(penalties.mean()), len(rows), queries - len(rows))


def _check(distances: FloatArray, rows: slice, gallery: int) -> None:
    if distances.shape != (rows.stop - rows.start, gallery):
        raise InputError(f"distances: expected {(rows.stop - rows.start, gallery)}, got {distances.shape}")
    if np.isnan(distances).any():
        raise InputError(f"distances of queries {rows.start}..{rows.stop - 1}: some are not a number")


def _matches(row: int, ranking: NDArray[np.intp], queries: Labels, gallery: Labels) -> BoolArray | None:
    """Which pictures of the cleaned ranking are right; None where none is or the query is junk or a distractor."""
    person = queries.persons[row]
    if queries.junk[row] or person == _DISTRACTOR:
        return None
    same = gallery.persons[ranking] == person
    counts = ~gallery.junk[ranking] & ~(same & (gallery.cameras[ranking] == queries.cameras[row]))
    matches: BoolArray = same[counts]
    return matches if matches.any() else None


def _score_ranking(matches: BoolArray) -> tuple[int, float, float]:
    """Place of the first right picture (from 0), average precision and inverse negative penalty."""
    places = np.flatnonzero(matches)
    found = np.arange(1, len(places) + 1)
    return int(places[0]), float((found / (places + 1)).mean()), len(places) / float(places[-1] + 1)

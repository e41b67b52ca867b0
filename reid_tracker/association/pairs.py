"""Passages beside people they could be, as columns: what is computed for all pairs of a moment at once."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Pairs:
    """Passages beside people they could be.

    Attributes:
        places: (P,) which of the passages, ascending.
        rows: (P,) the person's row in the gallery.
        looks: (P,) what the global distances say.
        gaps: (P,) seconds since the person was last seen.
        origins: (P,) number of the camera where.
    """

    places: NDArray[np.intp]
    rows: NDArray[np.intp]
    looks: NDArray[np.float64]
    gaps: NDArray[np.float64]
    origins: NDArray[np.intp]

    @staticmethod
    def none() -> Pairs:
        """No pair."""
        numbers, seconds = np.zeros(0, np.intp), np.zeros(0)
        return Pairs(numbers, numbers, seconds, seconds, numbers)

    @staticmethod
    def joined(parts: Sequence[Pairs]) -> Pairs:
        """All of them, in the order of places and rows."""
        columns = [
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("places", "rows", "looks", "gaps", "origins")
        ]
        order = np.lexsort((columns[1], columns[0]))
        return Pairs(*(column[order] for column in columns))

    def only(self, chosen: NDArray[np.bool_] | NDArray[np.intp]) -> Pairs:
        """Some of them."""
        return Pairs(
            self.places[chosen], self.rows[chosen], self.looks[chosen], self.gaps[chosen], self.origins[chosen]
        )

    def slices(self, passages: int) -> list[tuple[int, int]]:
        """Where the pairs of each passage begin and end."""
        bounds = np.searchsorted(self.places, np.arange(passages + 1)).tolist()
        return list(itertools.pairwise(bounds))

    def best(self, odds: NDArray[np.float64], most: int) -> Pairs:
        """At most so many people for each passage, those with the highest odds (P,)."""
        order = np.lexsort((self.rows, -odds, self.places))
        places = self.places[order]
        rank = np.arange(len(order)) - np.searchsorted(places, places)
        return self.only(np.sort(order[rank < most]))

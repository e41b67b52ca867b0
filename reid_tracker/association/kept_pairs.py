"""The last few hundred pairs of mean looks, kept so that they can be measured anew when the model has moved."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from reid_tracker.types import FloatArray

_PAIRS = 512  # remembered
Variances = tuple[tuple[float, float, float], tuple[float, float, float]]


class KeptPairs:
    """Pairs with weights. Grows only to its limit; not thread-safe.

    The product of a centred pair is that of the pair less the centre's with their sum: what is kept does not depend on
    the centre, and measuring anew costs one matrix-vector product.
    """

    def __init__(self) -> None:
        self._sums: FloatArray = np.zeros((0, 0), np.float32)
        self._products = np.zeros(_PAIRS)
        self._variances = np.zeros((_PAIRS, 2, 3))
        self._weights = np.zeros(_PAIRS)
        self._places: dict[Hashable, int] = {}
        self._names: dict[int, Hashable] = {}
        self._added = 0

    def __len__(self) -> int:
        return min(self._added, _PAIRS)

    def add(self, first: FloatArray, second: FloatArray, variances: Variances, weight: float) -> None:
        """Keep a pair of (D,) means; the oldest makes room.

        ``variances`` says for each what to add to the person's own: constant, passages' and looks' shares.
        """
        if self._added == 0:
            self._sums = np.zeros((_PAIRS, len(first)), np.float32)
        place = self._next_place()
        self._sums[place] = first + second
        self._products[place] = float(first @ second)
        self._variances[place] = variances
        self._weights[place] = weight

    def add_beside(
        self,
        mean: FloatArray,
        others: FloatArray,
        own: tuple[float, float, float],
        theirs: NDArray[np.float64],
        pairs: Sequence[Hashable],
    ) -> None:
        """Keep a mean (D,) paired with each of (N, D) others, certainly strangers; ``own`` and ``theirs`` as above.

        ``pairs`` names each of them: a pair that is kept already is kept once, as it is known now.
        """
        if self._added == 0:
            self._sums = np.zeros((_PAIRS, len(mean)), np.float32)
        places = np.array([self._place_of(pair) for pair in pairs], np.intp)
        self._sums[places] = mean + others
        self._products[places] = others @ mean
        self._variances[places, 0], self._variances[places, 1] = own, theirs
        self._weights[places] = 1.0

    def _place_of(self, pair: Hashable) -> int:
        known = self._places.get(pair)
        if known is None:
            known = self._next_place()
            self._places[pair] = known
            self._names[known] = pair
        return known

    def _next_place(self) -> int:
        """The oldest pair makes room."""
        place = self._added % _PAIRS
        self._places.pop(self._names.pop(place, None), None)
        self._added += 1
        return place

    def cosines(self, centre: FloatArray, scale: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(N,) products of the centred pairs, and their weights."""
        count = len(self)
        if count == 0:
            return np.zeros(0), np.zeros(0)
        shared = (self._sums[:count] @ centre).astype(np.float64)
        products = self._products[:count] - shared + float(centre @ centre)
        return products * scale**2, self._weights[:count]

    def lengths(self, person: float, passage: float, look: float) -> NDArray[np.float64]:
        """(N,) products of the squared lengths that the pairs are expected to have."""
        lengths: NDArray[np.float64] = (person + self._variances[: len(self)] @ [1.0, passage, look]).prod(axis=1)
        return lengths


def weighted_quantile(values: NDArray[np.float64], weights: NDArray[np.float64], share: float) -> float:
    """The value below which ``share`` of the weights lie."""
    order = np.argsort(values, kind="stable")
    below = np.cumsum(weights[order])
    return float(np.interp(share * below[-1], below - weights[order] / 2, values[order]))

"""Whether probabilities mean what they say: predicted against observed, and the errors at each of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

THRESHOLDS = np.round(np.arange(0.0, 1.001, 0.01), 2)


@dataclass(frozen=True, slots=True)
class Reliability:
    """Pairs of which it is known whether they are one person, with the probability that was given to each.

    Both kinds count alike, however many pairs there are of either, so the probabilities must be those of even odds.

    Attributes:
        same: (N,) probability of "one person" for pairs that are.
        different: (M,) the same for pairs that are not.
    """

    same: NDArray[np.float64]
    different: NDArray[np.float64]

    @property
    def usable(self) -> bool:
        """There are pairs of either kind."""
        return bool(len(self.same) and len(self.different))

    def missed(self, thresholds: NDArray[np.float64] = THRESHOLDS) -> NDArray[np.float64]:
        """(T,) share of the pairs of one person below each threshold."""
        share: NDArray[np.float64] = (self.same[None] < thresholds[:, None]).mean(axis=1)
        return share

    def false(self, thresholds: NDArray[np.float64] = THRESHOLDS) -> NDArray[np.float64]:
        """(T,) share of the pairs of two people at or above each threshold."""
        share: NDArray[np.float64] = (self.different[None] >= thresholds[:, None]).mean(axis=1)
        return share

    @property
    def equal_error(self) -> float:
        """The share of errors where both kinds are as frequent, over all thresholds that the pairs themselves give."""
        levels = np.unique(np.concatenate([self.same, self.different, [0.0, 1.0 + 1e-9]]))
        missed, false = self.missed(levels), self.false(levels)
        place = int(np.abs(missed - false).argmin())
        return float((missed[place] + false[place]) / 2)

    def bins(self, count: int = 10) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
        """Predicted and observed probability in bins of equal width, and pairs in each; (B,), empty bins left out."""
        edges = np.linspace(0, 1, count + 1)[1:-1]
        places = [np.digitize(values, edges) for values in (self.same, self.different)]
        weights = [
            np.bincount(place, minlength=count) / max(1, len(place)) for place in places
        ]  # each kind sums to one: even odds
        sums = [
            np.bincount(place, values, minlength=count) / max(1, len(place))
            for place, values in zip(places, (self.same, self.different), strict=True)
        ]
        pairs = sum(np.bincount(place, minlength=count) for place in places)
        whole = weights[0] + weights[1]
        filled = whole > 0
        predicted = (sums[0] + sums[1])[filled] / whole[filled]
        return predicted, weights[0][filled] / whole[filled], np.asarray(pairs)[filled]

    @property
    def calibration_error(self) -> float:
        """Mean distance between predicted and observed probability, over pairs at even odds."""
        edges = np.linspace(0, 1, 11)[1:-1]
        share = sum(
            np.bincount(np.digitize(values, edges), minlength=10) / max(1, len(values))
            for values in (self.same, self.different)
        )
        share = np.asarray(share) / 2
        predicted, observed, _ = self.bins()
        return float((np.abs(predicted - observed) * share[share > 0]).sum())

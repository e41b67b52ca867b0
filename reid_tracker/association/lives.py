"""What looks and time say of whole lives, passage by passage, in plain floats.

A life is judged again and again with a passage more or less, hundreds of times for one decision, and has a few
passages only: products of two looks are computed once, and the rest is arithmetic that arrays would make ten times
slower. The evidence is that of evidence.py.

What sets a person's passages apart (the side that is seen, a bag, an open coat) lasts for many of them in whatever
camera, so that together they are off by more than their number says. Counted as errors that average out, as ``combine``
counts them, each passage of a long life would be held against a mean that is surer of itself than it is, once for every
passage, and long lives would fall apart.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from reid_tracker.association.calibration import PassageLooks, Spread
from reid_tracker.association.evidence import tempered

_SHARED_BY_LIFE = 0.5  # of what differs between passages, what all those before have in common, whatever the camera


class Lives:
    """Judges lives made of some passages. What it computed of pairs it keeps.

    Args:
        looks: tracklet -> its looks in short.
        spread: what distances mean here.
    """

    def __init__(self, looks: Mapping[int, PassageLooks], spread: Spread) -> None:
        self._spread = spread
        self._around_centre = {
            tracklet: np.float32(spread.scale) * (one.mean - spread.centre) for tracklet, one in looks.items()
        }
        own = (1 - _SHARED_BY_LIFE) * spread.passage
        self._shares = {tracklet: 1 / (own + spread.look / one.weight) for tracklet, one in looks.items()}
        self._variances = {tracklet: spread.of_passage(one.weight) for tracklet, one in looks.items()}
        self._products: dict[tuple[int, int], float] = {}

    def agreement(self, life: Sequence[int]) -> list[float]:
        """Evidence that each passage of a life but the first is of the person whom those before it show.

        Args:
            life: tracklets with looks, in order of time.

        Returns:
            Nats, one less than there are tracklets.
        """
        said = []
        total = spread_out = 0.0  # sum of the shares, squared length of the sum of looks by their shares
        for place, tracklet in enumerate(life):
            length, share = self._product(tracklet, tracklet), self._shares[tracklet]
            beside = sum(self._shares[one] * self._product(one, tracklet) for one in life[:place])
            if place:
                said.append(self._evidence(tracklet, length, beside / total, spread_out / total**2, total))
            total += share
            spread_out += 2 * share * beside + share**2 * length
        return said

    def _evidence(self, tracklet: int, length: float, beside: float, mean_length: float, total: float) -> float:
        """``evidence_of_products`` of one passage beside the mean of those before it."""
        spread = self._spread
        precision = 1 / (1 / total + _SHARED_BY_LIFE * spread.passage)
        certainty = precision + 1 / spread.person
        shrink, variance = precision / certainty, self._variances[tracklet]
        same, different = 1 / certainty + variance, spread.person + variance
        own = length - spread.stranger
        apart = own - 2 * shrink * (beside - spread.stranger) + shrink**2 * (mean_length - spread.stranger)
        information = 0.5 * spread.dimensions * math.log(different / same)
        ratio = information + 0.5 * spread.dimensions * (own / different - apart / same)
        return tempered(ratio, information, spread)

    def _product(self, one: int, other: int) -> float:
        known = self._products.get((one, other))
        if known is None:
            known = float(self._around_centre[one] @ self._around_centre[other])
            self._products[one, other] = self._products[other, one] = known
        return known

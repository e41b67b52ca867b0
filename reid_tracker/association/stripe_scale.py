"""What the aligned distance adds to the global one here, learned without labels from the candidates weighed closely."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_KEPT = 512  # candidates remembered


class AlignedScale:
    """What the aligned distance adds for candidates that the global one could not rule out.

    Both distances say much the same, and counting it twice would be worse than not at all. So the aligned distance is
    judged by what is left of it when what the global one predicts has been taken away (a common slope inside the right
    and inside the wrong candidates: Fisher's discriminant, what the second variable adds to the first). Right and
    wrong are counted by probability, and begin as one distribution: it has no say before it has shown on this site
    that it tells candidates apart.
    """

    _WORTH = 10.0  # observations that the common start is worth for the right ones
    _MOST_SAID = 4.0  # nats

    def __init__(self) -> None:
        self._kept = np.zeros((_KEPT, 3))  # aligned distance, evidence of the global ones, probability
        self._added = 0
        self._fitted: _AlignedFit | None = None

    @property
    def useful(self) -> bool:
        """Enough was seen that it may say something."""
        return self._added >= self._WORTH

    def observe(
        self, distances: NDArray[np.floating], looks: NDArray[np.floating], probabilities: NDArray[np.floating]
    ) -> None:
        """Candidates of a passage that has ended.

        Args:
            distances: (K,) aligned distances, NaN where none was taken.
            looks: (K,) evidence by global distance.
            probabilities: (K,) of being right.
        """
        taken = np.isfinite(distances)
        for row in np.stack([distances, looks, probabilities], axis=1)[taken]:
            self._kept[self._added % _KEPT] = row
            self._added += 1
            self._fitted = None

    def evidence(self, distances: NDArray[np.floating], looks: NDArray[np.floating]) -> NDArray[np.float64]:
        """(K,) log-likelihood ratio of right against wrong candidates beyond ``looks``; 0 where the distance is NaN."""
        if not self.useful:
            return np.zeros(len(distances))
        fit = self._fitted = self._fitted or self._fit()
        ratio = (fit.far - fit.near) / fit.variance * ((fit.far + fit.near) / 2 - (distances - fit.slope * looks))
        said: NDArray[np.float64] = np.clip(np.nan_to_num(ratio), -self._MOST_SAID, self._MOST_SAID)
        return said

    def evidence_of(self, distance: float, looks: float) -> float:
        """``evidence`` of one candidate."""
        if not self.useful or math.isnan(distance):
            return 0.0
        fit = self._fitted = self._fitted or self._fit()
        ratio = (fit.far - fit.near) / fit.variance * ((fit.far + fit.near) / 2 - (distance - fit.slope * looks))
        return min(max(ratio, -self._MOST_SAID), self._MOST_SAID)

    def _fit(self) -> _AlignedFit:
        distance, global_, right = self._kept[: min(self._added, _KEPT)].T
        wrong = 1 - right
        shares = np.stack([right / max(right.sum(), 1e-9), wrong / max(wrong.sum(), 1e-9)])
        inside = global_ - (shares @ global_) @ np.stack([right, wrong])
        slope = float(inside @ distance / (inside @ global_ + 1e-9))
        left = distance - slope * global_
        near, far = shares @ left
        near = min((right.sum() * near + self._WORTH * far) / (right.sum() + self._WORTH), far)
        variance = float((right @ (left - near) ** 2 + wrong @ (left - far) ** 2) / len(left)) + 1e-6
        return _AlignedFit(slope, float(near), float(far), variance)


@dataclass(frozen=True, slots=True)
class _AlignedFit:
    """What is left of the aligned distance without ``slope`` times the global evidence: one person's, strangers'."""

    slope: float
    near: float
    far: float
    variance: float

"""What distances mean for this embedder on this site, learned without labels.

The model behind the evidence (two-covariance PLDA with isotropic parts, Brümmer & de Villiers 2010): a look is a
person, plus what one camera's passage does to everybody it shows, plus what differs from look to look,

    x = mean(camera) + y + u + e,    y ~ N(0, b I / D),  u ~ N(0, p I / D),  e ~ N(0, l I / (q D))

with q the quality of the look and D the number of directions that the embedder really uses. Looks have unit length,
so b + p + l = 1 - m where m is the cosine that remains between different people. All of it can be counted:

    l   from looks inside one tracklet (certainly one person),
    m and D   from people who are in one camera at once (certainly two),
    b   from links, each with the probability that it is right (the expectation step of EM),
    mean(camera)   from all tracklets of a camera.

Each begins with a value that suits the common embedders, worth a fixed number of observations, and each forgets with
a floor, so that a wrong start heals and a change of season is followed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reid_tracker.types import FloatArray


@dataclass(frozen=True, slots=True)
class PassageLooks:
    """A passage in short.

    Attributes:
        camera_id: where.
        mean: (D,) quality-weighted mean of the centred looks; shorter than 1 when they differ.
        weight: sum of the looks' qualities.
    """

    camera_id: str
    mean: FloatArray
    weight: float


@dataclass(frozen=True, slots=True)
class Spread:
    """The model's numbers at one moment; variances are sums over all dimensions.

    Attributes:
        person: b, between people.
        passage: p, between passages of one person.
        look: l, between looks of one passage, at quality 1.
        stranger: m, mean cosine of different people.
        dimensions: D, effective number of dimensions.
    """

    person: float
    passage: float
    look: float
    stranger: float
    dimensions: float

    def of_passage(self, weight: float) -> float:
        """Variance of a passage's mean around the person, ``weight`` being the sum of its looks' qualities."""
        return self.passage + self.look / weight


_CROWD = 10.0  # most pairs that one passage beside a crowd counts for


class _RunningMean:
    """Mean with a prior worth ``weight`` observations, remembering at most ``memory`` of them."""

    def __init__(self, value: float, weight: float, memory: float = 5000.0) -> None:
        self.value, self._weight, self._memory = value, weight, memory

    def add(self, value: float, weight: float = 1.0) -> None:
        self._weight = min(self._weight + weight, self._memory)
        self.value += (value - self.value) * weight / self._weight


class Calibration:
    """Learns ``Spread`` and the cameras' mean looks. One per site, not thread-safe."""

    # Start values as shares of 1 - m, and what they are worth in observations.
    _PERSON, _LOOK, _DIMENSIONS = 0.56, 0.2, 80.0

    def __init__(self) -> None:
        self._look = _RunningMean(self._LOOK, 20)
        self._stranger = _RunningMean(0.1, 10)
        self._scatter = _RunningMean(1 / self._DIMENSIONS, 30)
        self._person = _RunningMean(self._PERSON, 30)
        self._site_mean: NDArray[np.float64] | None = None
        self._site_count = 0.0
        self._camera_means: dict[str, tuple[NDArray[np.float64], float]] = {}

    @property
    def spread(self) -> Spread:
        """The model as known now."""
        whole = 1 - self._stranger.value
        look = min(max(self._look.value, 0.02), 0.6 * whole)
        person = min(max(self._person.value * whole, 0.1 * whole), 0.95 * whole - look)
        return Spread(
            person=person,
            passage=whole - person - look,
            look=look,
            stranger=self._stranger.value,
            dimensions=1 / max(self._scatter.value, 1e-4),
        )

    def centred(self, vectors: FloatArray, camera_id: str) -> FloatArray:
        """(L, D) looks of one camera with its mean taken away, of unit length again."""
        if self._site_mean is None:
            return vectors
        # Few people are no sample of mankind: their mean is themselves. 40 tracklets outweigh the prior mean of zero.
        centre = self._site_mean / (self._site_count + 40)
        own = self._camera_means.get(camera_id)
        if own is not None:
            total, count = own
            centre = (total + 40 * centre) / (count + 40)
        moved = vectors - centre.astype(np.float32)
        unit: FloatArray = moved / np.maximum(np.linalg.norm(moved, axis=1, keepdims=True), 1e-9)
        return unit

    def observe_passage(self, vectors: FloatArray, camera_id: str) -> None:
        """A tracklet has ended: (L, D) looks as the embedder gave them."""
        mean = vectors.mean(axis=0, dtype=np.float64)
        if self._site_mean is None:
            self._site_mean = np.zeros_like(mean)
        self._site_mean += mean
        self._site_count += 1
        total, count = self._camera_means.get(camera_id, (np.zeros_like(mean), 0.0))
        self._camera_means[camera_id] = (total + mean, count + 1)
        if len(vectors) > 1:
            centred = self.centred(vectors, camera_id)
            self._look.add(float(centred.var(axis=0, ddof=1).sum()))

    def observe_strangers(self, first: PassageLooks, second: PassageLooks, weight: float) -> None:
        """Two people who were in one camera at once."""
        spread = self.spread
        cosine = float(first.mean @ second.mean)
        whole = (spread.person + spread.of_passage(first.weight)) * (spread.person + spread.of_passage(second.weight))
        self._stranger.add(cosine, weight)
        self._scatter.add(float((cosine - spread.stranger) ** 2 / whole), weight)

    def observe_crowd(
        self,
        looks: PassageLooks,
        identities: FloatArray,
        precisions: NDArray[np.floating],
        different: NDArray[np.floating],
    ) -> None:
        """A passage beside everybody remembered: worth a few pairs of strangers, however many they are.

        Args:
            looks: the passage.
            identities: (K, D) mean looks.
            precisions: (K,) of these.
            different: (K,) probability that each is somebody else.
        """
        total = float(different.sum())
        if total < 1:
            return
        spread = self.spread
        cosines = (identities @ looks.mean).astype(np.float64)
        certain = different > 0
        wholes = (spread.person + spread.of_passage(looks.weight)) * (spread.person + 1 / precisions[certain])
        mean = float(cosines @ different / total)
        scatter = float(((cosines[certain] - spread.stranger) ** 2 / wholes) @ different[certain] / total)
        self._stranger.add(mean, min(total / 10, _CROWD))
        self._scatter.add(scatter, min(total / 10, _CROWD))

    def observe_link(self, cosine: float, probability: float) -> None:
        """A tracklet and an identity that are one person with that probability: product of their mean looks."""
        whole = max(1 - self._stranger.value, 1e-3)
        self._person.add(float(np.clip((cosine - self._stranger.value) / whole, 0, 1)), probability)

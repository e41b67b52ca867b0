"""What distances mean for this embedder on this site, learned without labels.

The model behind the evidence (two-covariance PLDA with isotropic parts, Brümmer & de Villiers 2010): a look is what
all looks here have in common, plus the person, plus what one passage through a camera does to everybody it shows, plus
what differs from look to look,

    x = centre + camera + (y + u + e) / scale,    y ~ N(0, b I / D),  u ~ N(0, p I / D),  e ~ N(0, l I / (q D))

with q the quality of the look against the usual quality here, and D the number of directions that the embedder really
uses here. The scale makes looks of unit length on average, so b + p + l = 1 - m where m is the cosine that remains
between strangers. All of it can be counted:

    centre, camera   from all passages,
    l   from looks inside one tracklet (certainly one person),
    m and D   from people who are in one camera at once (certainly two) and from a few of the remembered people beside
              each passage that ends (with the probability that they are somebody else),
    b   from links, each with the probability that it is right (the expectation step of EM),
    what the aligned distance adds   from the candidates that were weighed closely, likewise.

The last few hundred pairs are kept as they are and measured anew when the centre has moved, so nothing has to be
unlearned; older ones fall out, so a wrong start heals and a change of season is followed. What is not known yet is
filled up with start values, worth a fixed number of observations, that suit the common embedders.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from reid_tracker.association.kept_pairs import KeptPairs, weighted_quantile
from reid_tracker.association.stripe_scale import AlignedScale
from reid_tracker.errors import InputError
from reid_tracker.types import Appearance, FloatArray

# Start values and what they are worth in observations; b and l as shares of what is not common to strangers.
_PERSON, _PERSON_WORTH = 0.56, 15.0
_LOOK, _LOOK_WORTH = 0.2, 20.0
_DIMENSIONS, _DIMENSIONS_WORTH = 80.0, 20.0
_STRANGER_WORTH = 3.0  # around 0: taking the centre away should leave strangers nothing in common
_CENTRE_WORTH = 4.0  # passages; fewer people are no sample of mankind, their mean is themselves
_CAMERA_WORTH = 40.0  # passages; a camera's mean is its people's for long
_TAIL_FROM, _NORMAL_98 = 100, 2.054  # pairs from which their tail is measured; a normal distribution's 98 % point
_TAIL_PEOPLE = 24  # people likewise: the same few, seen again and again, make many pairs, and two alike are a tail
_BESIDE = 4  # remembered people beside each passage that ends

_ANY = (0.0, 0.0, 0.0), (0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class PassageLooks:
    """A passage in short.

    Attributes:
        camera_id: where.
        mean: (D,) quality-weighted mean of the looks, what the camera does to everybody taken away.
        weight: sum of the looks' qualities against the usual one.
    """

    camera_id: str
    mean: FloatArray
    weight: float


@dataclass(frozen=True, slots=True)
class Spread:
    """The model's numbers at one moment; variances are sums over all dimensions.

    Attributes:
        centre: (D,) common to all looks.
        scale: factor that makes centred looks of unit length on average.
        person: b, between people.
        passage: p, between passages of one person.
        look: l, between looks of one passage, at the usual quality.
        stranger: m, mean cosine of strangers.
        dimensions: D, effective number of dimensions.
    """

    centre: FloatArray
    scale: float
    person: float
    passage: float
    look: float
    stranger: float
    dimensions: float

    def of_passage(self, weight: float) -> float:
        """Variance of a passage's mean around the person, ``weight`` being the sum of its looks' qualities."""
        return self.passage + self.look / weight


@dataclass(frozen=True, slots=True)
class Start:
    """What to take for true before anything has been counted here.

    Attributes:
        person, look: b and l as shares of what is not common to strangers.
        stranger: m, mean cosine of strangers.
        dimensions: D, effective number of dimensions.
        worth: how much more the start values count than those for a site of which nothing is known.
        centre: (dimension,) mean of all looks; empty where unknown.
        cameras: camera -> (dimension,) mean of its looks.
        passages: camera -> how many passages that mean is worth.
        quality: usual quality of a look; 0 where unknown.
    """

    person: float = _PERSON
    look: float = _LOOK
    stranger: float = 0.0
    dimensions: float = _DIMENSIONS
    worth: float = 1.0
    centre: FloatArray = field(default_factory=lambda: np.zeros(0, np.float32))
    cameras: Mapping[str, FloatArray] = field(default_factory=dict)
    passages: Mapping[str, float] = field(default_factory=dict)
    quality: float = 0.0


class Calibration:
    """Learns ``Spread`` and the cameras' mean looks. One per site, not thread-safe.

    Args:
        start: what to begin with, from an earlier run of the site; what suits the common embedders where None.
    """

    def __init__(self, start: Start | None = None) -> None:
        self._start = start or Start()
        self._count = float(sum(self._start.passages.values()))
        self._sum: NDArray[np.float64] = self._count * self._start.centre.astype(np.float64)
        self._by_camera: dict[str, tuple[NDArray[np.float64], float]] = {
            camera: (mean.astype(np.float64) * self._start.passages[camera], self._start.passages[camera])
            for camera, mean in self._start.cameras.items()
        }
        self._look_sum, self._look_count = 0.0, 0.0
        self._quality_count = self._count if self._start.quality else 0.0
        self._quality_sum = self._start.quality * self._quality_count
        self._strangers = KeptPairs()
        self._people = 0
        self._crowds = 0  # so many crowds were observed
        self._links = KeptPairs()
        self._spread: Spread | None = None
        self.aligned = AlignedScale()

    def spread_of(self, dimension: int) -> Spread:
        """The model as known now, for looks of ``dimension`` numbers."""
        if self._spread is None:
            self._spread = self._measured(dimension)
        return self._spread

    def summary(self, dimension: int) -> Start:
        """What was learned so far, for a later run of the site to begin with."""
        spread = self.spread_of(dimension)
        whole = spread.person + spread.passage + spread.look
        return Start(
            person=spread.person / whole,
            look=spread.look / whole,
            stranger=spread.stranger,
            dimensions=spread.dimensions,
            centre=(self._sum / max(self._count, 1e-9)).astype(np.float32),
            cameras={name: (total / count).astype(np.float32) for name, (total, count) in self._by_camera.items()},
            passages={name: count for name, (_, count) in self._by_camera.items()},
            quality=self._quality_sum / max(self._quality_count, 1e-9),
        )

    def forget_camera(self, camera_id: str) -> None:
        """What a camera adds to looks is unknown again; what is common to all cameras stays."""
        self._by_camera.pop(camera_id, None)

    def camera_offset(self, camera_id: str, dimension: int) -> FloatArray:
        """(dimension,) what a camera adds to everybody's looks, beside the centre of all."""
        own = self._by_camera.get(camera_id)
        if own is None or self._count == 0:
            return np.zeros(dimension, np.float32)
        total, count = own
        offset: FloatArray = ((total - count * self._sum / self._count) / (count + _CAMERA_WORTH)).astype(np.float32)
        return offset

    def weights(self, quality: FloatArray) -> FloatArray:
        """(L,) qualities against the usual one: embedders and sites differ in what they call good."""
        usual = (self._quality_sum + float(quality.mean())) / (self._quality_count + 1)
        relative: FloatArray = (quality / max(usual, 1e-3)).astype(np.float32)
        return relative

    def count_people(self, people: int) -> None:
        """So many people were told apart so far: whether a few of them stand for strangers in general hangs on it."""
        if people != self._people:
            self._people = people
            self._spread = None

    def observe_passage(self, looks: Appearance, camera_id: str, ended: bool) -> None:
        """Looks of a tracklet, as the embedder gave them: when it shows its first and when it ended."""
        vectors = looks.global_
        self._quality_sum += float(looks.quality.mean())
        self._quality_count += 1
        mean = vectors.mean(axis=0, dtype=np.float64)
        if self._count == 0:
            self._sum = np.zeros_like(mean)
        elif mean.shape != self._sum.shape:
            raise InputError(
                f"camera {camera_id!r}: looks of {len(mean)} numbers, but those before had {len(self._sum)}; looks of "
                "two embedders do not compare (is association.calibration of another embedder?)"
            )
        self._sum += mean
        self._count += 1
        total, count = self._by_camera.get(camera_id, (np.zeros_like(mean), 0.0))
        self._by_camera[camera_id] = (total + mean, count + 1)
        if ended and len(vectors) > 1:
            self._look_sum += float(vectors.var(axis=0, ddof=1).sum())
            self._look_count += 1
        self._spread = None

    def observe_strangers(self, looks: PassageLooks, others: Sequence[PassageLooks], pairs: Sequence[Hashable]) -> None:
        """Somebody, and other people who were in the same camera at once.

        Args:
            looks: of somebody.
            others: of each of the others.
            pairs: a name for each pair, so that people who stay are not counted again with every look.
        """
        if others:
            self._strangers.add_beside(
                looks.mean,
                np.stack([other.mean for other in others]),
                (0.0, 1.0, 1 / looks.weight),
                np.array([(0.0, 1.0, 1 / other.weight) for other in others]),
                pairs,
            )
            self._spread = None

    def observe_crowd(
        self,
        looks: PassageLooks,
        identities: FloatArray,
        precisions: NDArray[np.floating],
        different: NDArray[np.floating],
    ) -> None:
        """A passage beside everybody remembered: a few of them, evenly over the gallery, show strangers.

        Args:
            looks: the passage.
            identities: (K, D) mean looks.
            precisions: (K,) of these.
            different: (K,) probability that each is somebody else; 0 leaves it out.
        """
        usable = np.flatnonzero(different > 0)
        # Not the same few for every passage: one of them with many looks like its own would stand for all strangers.
        step = max(1, len(usable) // _BESIDE)
        self._crowds += 1
        for row in usable[self._crowds % step :: step]:
            variances = (0.0, 1.0, 1 / looks.weight), (1 / float(precisions[row]), 0.0, 0.0)
            self._strangers.add(looks.mean, identities[row], variances, float(different[row]))
        self._spread = None

    def observe_link(self, passage: FloatArray, identity: FloatArray, probability: float) -> None:
        """Mean looks of a passage and of an identity that are one person with that probability."""
        self._links.add(passage, identity, _ANY, probability)
        self._spread = None

    def _measured(self, dimension: int) -> Spread:
        mean = self._sum / self._count if self._count else np.zeros(dimension)
        centre = (mean * self._count / (self._count + _CENTRE_WORTH)).astype(np.float32)
        left = 1 - 2 * float(centre @ mean) + float(centre @ centre)
        scale = 1 / np.sqrt(max(left, 1e-3))

        start = self._start
        cosines, weights = self._strangers.cosines(centre, scale)
        stranger = (float(cosines @ weights) + start.stranger * _STRANGER_WORTH * start.worth) / (
            float(weights.sum()) + _STRANGER_WORTH * start.worth
        )
        whole = max(1 - stranger, 0.05)

        look = (self._look_sum * scale**2 + start.look * whole * _LOOK_WORTH * start.worth) / (
            self._look_count + _LOOK_WORTH * start.worth
        )
        look = min(max(look, 0.02 * whole), 0.6 * whole)

        agreements, beliefs = self._links.cosines(centre, scale)
        person = (float((agreements - stranger) @ beliefs) + start.person * whole * _PERSON_WORTH * start.worth) / (
            float(beliefs.sum()) + _PERSON_WORTH * start.worth
        )
        person = min(max(person, 0.1 * whole), 0.95 * whole - look)
        passage = whole - person - look

        lengths = self._strangers.lengths(person, passage, look)
        squares = (cosines - stranger) ** 2 / lengths
        scatter = (float(squares @ weights) + _DIMENSIONS_WORTH * start.worth / start.dimensions) / (
            float(weights.sum()) + _DIMENSIONS_WORTH * start.worth
        )
        dimensions = 1 / scatter
        if len(cosines) >= _TAIL_FROM and self._people >= _TAIL_PEOPLE:
            # Strangers dressed alike are commoner than a normal distribution has them, and they are who gets confused:
            # where the tail is heavier than the variance says, the tail counts.
            tail = weighted_quantile((cosines - stranger) / np.sqrt(lengths), weights, 0.98)
            dimensions = min(dimensions, (_NORMAL_98 / max(tail, 0.05)) ** 2)
        return Spread(centre, float(scale), person, passage, look, stranger, dimensions)

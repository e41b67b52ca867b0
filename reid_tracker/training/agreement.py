"""What a whole site says of its tracklets: better answers than single pictures give, and a test without labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from reid_tracker.training.site import SitePeople
from reid_tracker.types import BoolArray, FloatArray

# Lead of a pair over the next best of either side, as cosine, from which it is one person as likely as not, and how
# fast it grows surer. Known pairs of two cameras of CUHK01 and Market-1501: 92 % right from a lead of 0.05 on.
_EVEN_LEAD = 0.03
_LEAD_SCALE = 0.02
SURE = 0.8


@dataclass(frozen=True, slots=True)
class Link:
    """Two tracklets of different cameras that are most like one another, and how sure that is (0..1)."""

    first: int
    second: int
    probability: float


def unit(vectors: FloatArray) -> FloatArray:
    """To unit length along the last axis; zeros stay zeros."""
    lengths = np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)
    return np.asarray(vectors / lengths, dtype=np.float32)


def without_camera(vectors: FloatArray, cameras: NDArray[np.int64]) -> FloatArray:
    """Unit vectors (N, D) less what each camera's pictures have in common, which is its light and angle."""
    freed = np.array(vectors)
    for camera in np.unique(cameras):
        here = cameras == camera
        freed[here] -= vectors[here].mean(axis=0)
    return unit(freed)


def tracklet_means(vectors: FloatArray, site: SitePeople) -> FloatArray:
    """(T, D) unit mean of each tracklet's pictures (N, D)."""
    sums = np.zeros((len(site), vectors.shape[1]), dtype=np.float32)
    np.add.at(sums, site.tracklet_of, vectors)
    return unit(sums)


def mutual_links(means: FloatArray, site: SitePeople) -> list[Link]:
    """Tracklets of two cameras that are each other's nearest, of every two cameras.

    Args:
        means: (T, D) unit vectors.
        site: says who is in which camera.
    """
    numbers = np.unique(site.cameras)
    return [
        link
        for place, first in enumerate(numbers)
        for second in numbers[place + 1 :]
        for link in _links_between(means, np.flatnonzero(site.cameras == first), np.flatnonzero(site.cameras == second))
    ]


def _links_between(means: FloatArray, first: NDArray[np.int64], second: NDArray[np.int64]) -> list[Link]:
    if min(len(first), len(second)) < 2:
        return []  # without a next best there is no lead
    cosines = means[first] @ means[second].T
    nearest, back = cosines.argmax(axis=1), cosines.argmax(axis=0)
    rows = np.flatnonzero(back[nearest] == np.arange(len(first)))
    of_rows = np.partition(cosines, -2, axis=1)
    of_columns = np.partition(cosines, -2, axis=0)
    leads = np.minimum((of_rows[:, -1] - of_rows[:, -2])[rows], (of_columns[-1] - of_columns[-2])[nearest[rows]])
    sure = 1 / (1 + np.exp(-(leads - _EVEN_LEAD) / _LEAD_SCALE))
    return [
        Link(int(first[row]), int(second[nearest[row]]), float(probability))
        for row, probability in zip(rows, sure, strict=True)
    ]


def site_links(vectors: FloatArray, site: SitePeople) -> list[Link]:
    """The links of a site by its pictures' unit vectors (N, D), what each camera adds taken out."""
    return mutual_links(tracklet_means(without_camera(vectors, site.pictures.cameras), site), site)


def probable_people(links: list[Link], tracklets: int) -> NDArray[np.int64]:
    """(T,) numbers: tracklets that links join, each more likely than not, have one."""
    ends = np.array([(link.first, link.second) for link in links if link.probability > 0.5], dtype=np.int64)
    first, second = ends.reshape(-1, 2).T
    joined = coo_array((np.ones(len(first)), (first, second)), shape=(tracklets, tracklets))
    return np.asarray(connected_components(joined, directed=False)[1], dtype=np.int64)


def agreed_answers(vectors: FloatArray, site: SitePeople) -> FloatArray:
    """What each picture should be answered with: its tracklet's mean and, as far as they are sure, its partners'.

    The camera's share is taken out, one picture's chance is averaged away, and the other camera's view of the same
    person is in it.

    Args:
        vectors: (N, D) unit vectors of the pictures.
        site: whose they are.

    Returns:
        (N, D) unit vectors.
    """
    means = tracklet_means(without_camera(vectors, site.pictures.cameras), site)
    answers = means.copy()
    for link in mutual_links(means, site):
        answers[link.first] += link.probability * means[link.second]
        answers[link.second] += link.probability * means[link.first]
    return unit(answers)[site.tracklet_of]


@dataclass(frozen=True, slots=True)
class Question:
    """Something to be asked of an embedder.

    Attributes:
        asking, right, wrong: rows of pictures that ask, that are right answers and that are wrong ones.
        weight: what it counts.
        person: questions about one probable person are no independent evidence.
    """

    asking: NDArray[np.int64]
    right: NDArray[np.int64]
    wrong: NDArray[np.int64]
    weight: float
    person: int


@dataclass(frozen=True, slots=True)
class Gain:
    """How much better one embedder's answers are than another's.

    Attributes:
        before, after: mean average precision, 0..1.
        error: standard error of the difference, by people.
    """

    before: float
    after: float
    error: float

    @property
    def certain(self) -> bool:
        """Whether the difference is more than chance would often give (two standard errors)."""
        return self.after - self.before > 2 * self.error


class Examination:
    """What is certain on a site, or nearly so, as questions that any embedder can be asked.

    Each tracklet asks twice. With one of its pictures for its others, among the pictures of people who were in view
    with it; and with each single picture for its partner in another camera, among all others of that camera (less those
    who may be the partner come back: as like the partner as the tracklet that asks, and never in view with it).

    Args:
        vectors: (N, D) unit vectors of the pictures by the present embedder, which finds the partners by what whole
            tracklets have in common; asked with single pictures, it is not simply right about them.
        site: whose they are.
        held: (T,) bool, tracklets that ask and answer; None: all. Partners are sought among everybody, so that nobody
            is linked to the next best because the right one is not held.
    """

    def __init__(self, vectors: FloatArray, site: SitePeople, held: BoolArray | None = None) -> None:
        there = np.ones(len(site), dtype=np.bool_) if held is None else held
        means = tracklet_means(without_camera(vectors, site.pictures.cameras), site)
        links = mutual_links(means, site)
        people = probable_people(links, len(site)).tolist()
        different, owner = site.different & there, site.tracklet_of
        rows = [np.flatnonzero(owner == tracklet) for tracklet in range(len(site))]
        self.questions = [
            Question(own[:1], own[1:], np.flatnonzero(different[tracklet][owner]), 1.0, people[tracklet])
            for tracklet, own in enumerate(rows)
            if there[tracklet] and len(own) > 1 and different[tracklet].any()
        ]
        for link in links:
            for asking, partner in ((link.first, link.second), (link.second, link.first)):
                if not (there[asking] and there[partner]):
                    continue
                alike = means @ means[partner]
                others = (
                    (site.cameras == site.cameras[partner]) & (different[partner] | (alike < alike[asking])) & there
                )
                others[partner] = False
                if others.any():
                    wrong = np.flatnonzero(others[owner])
                    self.questions.append(
                        Question(rows[asking], rows[partner], wrong, link.probability, people[asking])
                    )

    def scores(self, vectors: FloatArray) -> FloatArray:
        """Average precision (Q,) of some embedder's answers (N, D) to each question, 0..1."""
        return np.array(
            [
                np.mean(
                    [_average_precision(vectors[row], vectors[one.right], vectors[one.wrong]) for row in one.asking]
                )
                for one in self.questions
            ]
        )

    def grade(self, vectors: FloatArray) -> float:
        """Weighted mean of the scores: 0..1; not a number without questions."""
        return float(np.average(self.scores(vectors), weights=self._weights)) if self.questions else float("nan")

    def gain(self, before: FloatArray, after: FloatArray) -> Gain:
        """From one embedder's scores (Q,) to another's, question by question."""
        weights, total = self._weights, self._weights.sum()
        first, second = (float(scores @ weights / total) for scores in (before, after))
        apart = weights * (after - before - (second - first))
        _, person = np.unique([one.person for one in self.questions], return_inverse=True)
        by_person = np.bincount(person, apart)
        people = len(by_person)
        # The sandwich estimate for clusters; one person alone says nothing of how others differ.
        error = float(np.sqrt(people / (people - 1) * np.square(by_person).sum()) / total) if people > 1 else np.inf
        return Gain(first, second, error)

    @property
    def _weights(self) -> NDArray[np.float64]:
        return np.array([one.weight for one in self.questions])


def _average_precision(query: FloatArray, right: FloatArray, wrong: FloatArray) -> float:
    near, far = np.sort(right @ query)[::-1], wrong @ query
    ranks = np.arange(1, len(near) + 1)
    return float(np.mean(ranks / (ranks + (far[None] >= near[:, None]).sum(axis=1))))

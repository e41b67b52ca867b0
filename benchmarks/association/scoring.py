"""Scores of identities over all cameras: every box counts, and pairs of tracklets across cameras."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from benchmarks.association.cases import Case, owners
from reid_tracker.evaluation.linking import NOBODY, JudgedTracklet, score_linking

Ids = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Score:
    """How well identities were found.

    Attributes:
        idf1: share of boxes on the best one-to-one match of identities and people; boxes that were missed and false
            ones count against it, the same for all methods.
        precision, recall: of pairs of tracklets in different cameras.
        split, merged: surplus identities of people, surplus people of identities.
        identities, people: how many of each.
    """

    idf1: float
    precision: float
    recall: float
    split: int
    merged: int
    identities: int
    people: int

    def to_row(self) -> dict[str, float]:
        """For JSON, rounded to what can be told apart."""
        return {name: round(value, 4) for name, value in asdict(self).items()}


def score(case: Case, ids: Ids) -> Score:
    """Judge identities, one for each of the case's sightings."""
    sightings = case.sightings
    owner = owners(sightings)
    camera = {one.id: one.camera_id for one in case.tracklets()}
    judged = [
        JudgedTracklet(camera[number], number, owner[number], identity)
        for number, identity in most_common(sightings.tracklets, ids).items()
    ]
    linking = score_linking(judged)
    return Score(
        identified(case, ids),
        linking.precision if linking.predicted_pairs else 1.0,
        linking.recall if linking.true_pairs else 1.0,
        linking.surplus_identities,
        linking.people_too_many,
        linking.identities,
        linking.people,
    )


def identified(case: Case, ids: Ids) -> float:
    """Global IDF1 of identities, one for each of the case's sightings."""
    people = case.sightings.people
    real = people != NOBODY
    _, rows = np.unique(ids[real], return_inverse=True)
    _, columns = np.unique(people[real], return_inverse=True)
    shared = np.zeros((rows.max() + 1, columns.max() + 1), np.int32)
    np.add.at(shared, (rows, columns), 1)
    right = shared[linear_sum_assignment(shared, maximize=True)].sum()
    return float(2 * right / (len(people) + real.sum() + case.missed))


def most_common(tracklets: Ids, ids: Ids) -> dict[int, int]:
    """Tracklet to the identity that most of its boxes have; of equally frequent ones the smallest."""
    pairs, counts = np.unique(np.stack([tracklets, ids], axis=1), axis=0, return_counts=True)
    found: dict[int, int] = {}
    for (tracklet, identity), _ in sorted(
        zip(pairs.tolist(), counts.tolist(), strict=True), key=lambda row: (-row[1], row[0])
    ):
        found.setdefault(tracklet, identity)
    return found

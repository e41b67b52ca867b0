"""What association decided, judged on tracklets: pairs across cameras, people split, people merged."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from math import comb

import numpy as np

from reid_tracker.evaluation.labelled import IntArray, LabelledBoxes
from reid_tracker.evaluation.matching import matched_rows

NOBODY = -1


@dataclass(frozen=True, slots=True)
class JudgedTracklet:
    """One tracklet, who it shows and who it was said to be.

    Attributes:
        camera_id, tracklet: which one.
        person: id in the truth of whoever most of its boxes lie on; NOBODY where no person has at least half.
        identity: what most of its boxes were given.
    """

    camera_id: str
    tracklet: int
    person: int
    identity: int


@dataclass(frozen=True, slots=True)
class LinkingScores:
    """How well tracklets were linked, detection and tracking aside.

    A pair is two tracklets of different cameras. It is predicted where both have one identity and true where both
    show one person; a tracklet that shows nobody is in no true pair, and its predicted pairs are wrong.

    Attributes:
        true_pairs, predicted_pairs, right_pairs: counts; right ones are both true and predicted.
        people: people that at least one tracklet shows.
        people_split: people whose tracklets have more than one identity.
        surplus_identities: identities too many for them, summed over people.
        identities: identities that at least one tracklet has.
        identities_merged: identities whose tracklets show more than one person.
        people_too_many: people too many in them, summed over identities.
        tracklets, tracklets_of_nobody: tracklets, and those that show nobody.
    """

    true_pairs: int
    predicted_pairs: int
    right_pairs: int
    people: int
    people_split: int
    surplus_identities: int
    identities: int
    identities_merged: int
    people_too_many: int
    tracklets: int
    tracklets_of_nobody: int

    @property
    def precision(self) -> float:
        """Share of the predicted pairs that are right; NaN where none was predicted."""
        return self.right_pairs / self.predicted_pairs if self.predicted_pairs else float("nan")

    @property
    def recall(self) -> float:
        """Share of the true pairs that were found; NaN where there is none."""
        return self.right_pairs / self.true_pairs if self.true_pairs else float("nan")


def judge_tracklets(
    truth: Mapping[str, LabelledBoxes], predicted: Mapping[str, LabelledBoxes], iou_threshold: float = 0.5
) -> list[JudgedTracklet]:
    """Who each tracklet of each camera shows and who it was said to be, in order of camera and tracklet."""
    judged = []
    for camera_id, results in predicted.items():
        people = truth.get(camera_id, LabelledBoxes.of([], [], []))
        truth_rows, predicted_rows = matched_rows(people, results, iou_threshold)
        person_of_row = np.full(len(results), NOBODY, np.int64)
        person_of_row[predicted_rows] = people.ids[truth_rows]
        for tracklet in np.unique(results.tracklets):
            of_tracklet = results.tracklets == tracklet
            person = _shown(person_of_row[of_tracklet])
            judged.append(JudgedTracklet(camera_id, int(tracklet), person, _most_common(results.ids[of_tracklet])))
    return judged


def score_linking(judged: list[JudgedTracklet]) -> LinkingScores:
    """Count pairs across cameras, people split and identities merged."""
    identities_of: dict[int, set[int]] = {}
    people_of: dict[int, set[int]] = {}
    for tracklet in judged:
        people = people_of.setdefault(tracklet.identity, set())
        if tracklet.person != NOBODY:
            identities_of.setdefault(tracklet.person, set()).add(tracklet.identity)
            people.add(tracklet.person)
    shown = [tracklet for tracklet in judged if tracklet.person != NOBODY]
    return LinkingScores(
        true_pairs=_pairs_across_cameras((one.camera_id, one.person) for one in shown),
        predicted_pairs=_pairs_across_cameras((one.camera_id, one.identity) for one in judged),
        right_pairs=_pairs_across_cameras((one.camera_id, (one.person, one.identity)) for one in shown),
        people=len(identities_of),
        people_split=sum(len(identities) > 1 for identities in identities_of.values()),
        surplus_identities=sum(len(identities) - 1 for identities in identities_of.values()),
        identities=len(people_of),
        identities_merged=sum(len(people) > 1 for people in people_of.values()),
        people_too_many=sum(max(len(people) - 1, 0) for people in people_of.values()),
        tracklets=len(judged),
        tracklets_of_nobody=sum(tracklet.person == NOBODY for tracklet in judged),
    )


def _pairs_across_cameras(labelled: Iterable[tuple[str, Hashable]]) -> int:
    """Pairs of (camera, label) with one label and two cameras, counted without listing them."""
    cameras_of: defaultdict[Hashable, Counter[str]] = defaultdict(Counter)
    for camera, label in labelled:
        cameras_of[label][camera] += 1
    return sum(comb(cameras.total(), 2) - sum(comb(n, 2) for n in cameras.values()) for cameras in cameras_of.values())


def _most_common(labels: IntArray) -> int:
    """The most frequent label; of equally frequent ones the smallest, so that it does not depend on order."""
    values, counts = np.unique(labels, return_counts=True)
    return int(values[np.argmax(counts)])


def _shown(people: IntArray) -> int:
    matched = people[people != NOBODY]
    if not len(matched):
        return NOBODY
    person = _most_common(matched)
    return person if 2 * np.count_nonzero(people == person) >= len(people) else NOBODY

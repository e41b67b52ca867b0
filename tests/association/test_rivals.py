"""Who was in view together is two people, whatever looks say: as rivals for a third, and when a lost one is back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from reid_tracker.association import CrossCameraAssociator, revision
from reid_tracker.association import associator as associator_module
from reid_tracker.association.evidence import appearance_evidence
from reid_tracker.association.explain import Explainer
from reid_tracker.association.judge import Parts
from reid_tracker.association.remembered import RememberedPassage
from reid_tracker.association.remembering import restore
from reid_tracker.association.revision import Reviser
from reid_tracker.types import CameraTracks, EventType, Tracklet
from tests.association.scenes import SIZE, Wardrobe, tracklet


@pytest.mark.parametrize(
    ("second_starts", "second_like", "people"),
    [
        (100.0, 1, 3),  # in view together, one as like the third as the other: it could be either
        (120.0, 1, 1),  # one after the other: they may all be one person
        (100.0, 9, 2),  # in view together, but only one of them is like the third
    ],
)
def test_a_third_whom_two_people_seen_together_resemble_waits(
    second_starts: float, second_like: int, people: int
) -> None:
    wardrobe, associator = Wardrobe(noise=0.3), CrossCameraAssociator()
    looks = {person: wardrobe.looks(person, 4) for person in range(1, 10)}
    crowd = [
        RememberedPassage(10 + person, 10 + person, "door", 10.0 * person, 10.0 * person + 5, looks[person])
        for person in range(2, 9)
    ]
    alike = [
        RememberedPassage(1, 1, "door", 100, 108, looks[1]),
        RememberedPassage(2, 2, "door", second_starts, second_starts + 8, looks[second_like]),
        RememberedPassage(3, 3, "hall", 140, 146, wardrobe.looks(1, 4)),
    ]
    restore(associator, [*crowd, *alike], last_identity=50, last_event=0)
    known = associator.book, associator.gallery, associator.calibration, associator.topology, associator.ground
    reviser = Reviser(Parts(associator.config, *known), Explainer(associator.book))
    reviser.reconsider(associator.book.identities[3], 150.0)
    assert len(associator.book.identities) == len(crowd) + people
    associator.finish([])  # at the end the best guess is better than none
    assert len(associator.book.identities) == len(crowd) + min(people, 2)


@pytest.mark.parametrize("known_before", [False, True])
@pytest.mark.parametrize("looks_then", [4, 5])
def test_somebody_who_took_a_lost_ones_place_gives_it_back_when_the_lost_one_returns(
    known_before: bool, looks_then: int
) -> None:
    """Also where the lost one has a new look, and both are asked who they are."""
    wardrobe, associator = Wardrobe(noise=0.1), CrossCameraAssociator()
    if known_before:
        restore(associator, [RememberedPassage(90, 1, "hall", -60, -50, wardrobe.looks(1, 4))], 1, 0)

    def lost_one(now: float, count: int = 4) -> Tracklet:
        return tracklet(1, "door", 0, now, wardrobe.looks(1, count))

    first = lost_one(4)
    associator([CameraTracks("door", 0, 4.0, SIZE, (first,))])
    twin = tracklet(2, "door", 6, 8, wardrobe.looks(1, 4))
    taken = associator([CameraTracks("door", 1, 8.0, SIZE, (twin,), (first,))])[0]
    assert [person.identity for person in taken.people] == [1]
    twin = tracklet(2, "door", 6, 9, wardrobe.looks(1, 4))
    back = associator([CameraTracks("door", 2, 9.0, SIZE, (lost_one(9, looks_then), twin))])[0]
    assert {person.tracklet: person.identity for person in back.people} == {1: 1, 2: 2}
    assert [event.tracklets for event in back.events if event.type is EventType.SPLIT] == [(2,)]


def test_whoever_is_taken_for_somebody_merged_away_a_moment_ago_has_an_identity(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def answers(log_odds: np.ndarray) -> np.ndarray:  # all are new; then 2 is taken for 1, and 3 for whom 2 was
        return np.array([0, 1]) if log_odds.shape == (2, 2) else np.full(len(log_odds), -1)

    monkeypatch.setattr(associator_module, "assign", answers)
    wardrobe, associator = Wardrobe(noise=0.1), CrossCameraAssociator()
    first = tracklet(1, "door", 0, 4, wardrobe.looks(1, 4))
    associator([CameraTracks("door", 0, 4.0, SIZE, (first,))])
    associator([CameraTracks("door", 1, 5.0, SIZE, (), (), (first,))])
    associator([CameraTracks("hall", 0, 8.0, SIZE, (tracklet(2, "hall", 6, 8, wardrobe.looks(1, 2)),))])
    lost = tracklet(2, "hall", 6, 8, wardrobe.looks(1, 3))
    third = tracklet(3, "hall", 9, 10, wardrobe.looks(1, 2))
    told = associator([CameraTracks("hall", 1, 10.0, SIZE, (third,), (lost,))])[0]
    assert [(event.type, event.tracklets) for event in told.events[:1]] == [(EventType.MERGED, (2,))]
    assert {person.tracklet: person.identity for person in told.people} == {3: 1}


def test_somebody_known_is_not_who_was_taken_for_him_until_a_moment_ago() -> None:
    """New looks throw the one out and name the other in the same moment; the other went out with the one."""
    wardrobe, associator = Wardrobe(noise=0.1), CrossCameraAssociator()
    cameras = ("hall", "door", "yard")
    known = [
        RememberedPassage(90 + j, 1, cameras[j % 3], 50.0 * j, 50.0 * j + 10, wardrobe.looks(1, 4)) for j in range(9)
    ]
    others = [
        RememberedPassage(200 + j, 2 + j % 10, cameras[j % 3], 20.0 * j, 20.0 * j + 10, wardrobe.looks(20 + j % 10, 4))
        for j in range(30)
    ]
    restore(associator, [*known, *others], last_identity=20, last_event=0)
    mistaken = tracklet(1, "door", 600, 604, wardrobe.looks(1, 1))
    associator([CameraTracks("door", 0, 604.0, SIZE, (mistaken,))])
    lost = tracklet(1, "door", 600, 604, wardrobe.looks(50, 4))
    told = associator(
        [CameraTracks("door", 1, 608.0, SIZE, (tracklet(2, "door", 606, 608, wardrobe.looks(1, 4)),), (lost,))]
    )
    assert [person.identity for person in told[0].people] == [1]
    assert {passage.tracklet: passage.identity for passage in associator.passages} == {1: 21, 2: 1}


def test_who_was_never_looked_at_is_merged_with_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """What looks say of nobody's looks is nought but for rounding, which may go up; time alone then joined them."""

    def rounded_up(*arguments: Any) -> np.ndarray:
        return appearance_evidence(*arguments) + np.float32(1e-6)

    monkeypatch.setattr(revision, "appearance_evidence", rounded_up)
    wardrobe, associator = Wardrobe(noise=0.3), CrossCameraAssociator()
    memory = [RememberedPassage(k, k, "door", 40.0 * k, 40.0 * k + 4, wardrobe.looks(k, 4)) for k in range(1, 7)]
    restore(associator, [*memory, RememberedPassage(9, 9, "door", 45, 49, None)], last_identity=50, last_event=0)
    for time in (40.0, 300.0):
        associator([CameraTracks("door", 0, time, SIZE, ())])
    associator.finish([])
    assert 9 in associator.book.identities

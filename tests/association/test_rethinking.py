"""When somebody leaves, who they are and who rivalled for it is solved once more, with what is known by then."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reid_tracker.association import CrossCameraAssociator
from reid_tracker.association.corrections import pin
from reid_tracker.association.remembered import RememberedPassage
from reid_tracker.association.remembering import restore
from reid_tracker.config import AssociationConfig
from reid_tracker.results.replay import IdentityReplay
from reid_tracker.types import CameraTracks, EventType, IdentityEvent, TrackedFrame, TrackletState
from tests.association.scenes import SIZE, Visit, Wardrobe, play, tracklet

CAMERAS = ("door", "hall", "yard")
AMY, BEN, SEEN = 1, 2, 500


def _memory(wardrobe: Wardrobe, stays: int) -> list[RememberedPassage]:
    """Amy and Ben, seen in turn and taken for one person; eight others; stays of Amy are odd, of Ben even."""
    mixed = [
        RememberedPassage(
            stay, 1, CAMERAS[stay % 3], 40.0 * stay, 40.0 * stay + 8, wardrobe.looks(BEN if stay % 2 == 0 else AMY, 4)
        )
        for stay in range(1, 1 + stays)
    ]
    others = [
        RememberedPassage(100 + stay, number, CAMERAS[stay % 3], 40.0 * stay + 10, 40.0 * stay + 18, looks)
        for number in range(3, 11)
        for stay, looks in ((stay, wardrobe.looks(number, 4)) for stay in (number, number + 8))
    ]
    return [*mixed, *others]


def _passes(associator: CrossCameraAssociator, wardrobe: Wardrobe, person: int) -> list[TrackedFrame]:
    """Somebody comes to the door and leaves it."""
    seen = tracklet(SEEN, "door", 900, 905, wardrobe.looks(person, 5))
    gone = replace(seen, state=TrackletState.ENDED)
    frames = associator([CameraTracks("door", 0, 905.0, SIZE, (seen,))])
    return frames + associator([CameraTracks("door", 1, 909.0, SIZE, (), (), (gone,))])


def _take_for(associator: CrossCameraAssociator, tracklet: int, number: int) -> None:
    """Have a tracklet be somebody, and be sure of it."""
    book = associator.book
    (passage,) = (one for who in book.identities.values() for one in who.passages if one.tracklet == tracklet)
    book.move(passage, book.identities[number], passage.end, {})
    passage.settled = True


def _people(associator: CrossCameraAssociator) -> dict[int, int]:
    return {one.tracklet: number for number, who in associator.book.identities.items() for one in who.passages}


def test_two_who_were_taken_for_one_are_parted_when_one_of_them_has_come_again() -> None:
    wardrobe, associator = Wardrobe(noise=0.2), CrossCameraAssociator()
    restore(associator, _memory(wardrobe, 6), last_identity=20, last_event=0)
    frames = _passes(associator, wardrobe, AMY)
    who = _people(associator)
    assert who[1] == who[3] == who[5] == who[SEEN]
    assert who[2] == who[4] == who[6] != who[1]
    parted = [event for frame in frames for event in frame.events if event.type is EventType.SPLIT]
    assert parted
    assert {event.evidence["rule"] for event in parted} == {"people solved again"}


def test_the_events_tell_what_was_put_right() -> None:
    wardrobe, associator = Wardrobe(noise=0.2), CrossCameraAssociator()
    memory = _memory(wardrobe, 6)
    restore(associator, memory, last_identity=20, last_event=0)
    replay = IdentityReplay()
    replay.add(
        [
            IdentityEvent(-1 - place, EventType.STARTED, one.start, one.camera_id, one.identity, (one.tracklet,))
            for place, one in enumerate(memory)
        ]
    )
    for frame in _passes(associator, wardrobe, BEN):
        replay.add(frame.events)
    assert replay.identity_of == _people(associator)


@pytest.mark.parametrize("stays", [5, 6])
def test_what_somebody_who_knows_said_is_not_thought_over(stays: int) -> None:
    wardrobe, associator = Wardrobe(noise=0.2), CrossCameraAssociator()
    restore(associator, _memory(wardrobe, stays), last_identity=20, last_event=0)
    for passage in associator.book.identities[1].passages:
        passage.pinned = True
    _passes(associator, wardrobe, AMY)
    who = _people(associator)
    assert len({who[stay] for stay in range(1, 1 + stays)}) == 1


def test_nobody_is_joined_with_whom_somebody_who_knows_has_numbered() -> None:
    """Ben's stays have Amy's number and one of hers is his by hand; the number was his, and she stayed under it."""
    wardrobe, associator = Wardrobe(noise=0.2), CrossCameraAssociator()
    others = [one for one in _memory(wardrobe, 0) if one.identity > 2]
    mixed = [
        RememberedPassage(1, 1, "door", 800, 810, wardrobe.looks(BEN, 4), frozenset({5})),
        *(
            RememberedPassage(2 + k, 2, ("hall", "yard", "hall")[k], at, at + 8, wardrobe.looks(BEN, 4))
            for k, at in enumerate((400.0, 500.0, 600.0))
        ),
        RememberedPassage(5, 2, "door", 805, 815, wardrobe.looks(AMY, 4), frozenset({1})),
    ]
    restore(associator, [*mixed, *others], last_identity=20, last_event=0)
    pin(passage for passage in associator.book.identities[2].passages if passage.tracklet == 5)
    _passes(associator, wardrobe, BEN)
    who = _people(associator)
    assert who[5] == 2
    assert {who[stay] for stay in (1, 2, 3, 4, SEEN)} == {1}


def test_one_person_of_many_stays_keeps_one_number() -> None:
    """Worth has a term for each stay, and each is off by something: that must not be enough to part a long life."""
    wardrobe, associator = Wardrobe(noise=0.5), CrossCameraAssociator()
    visits = [Visit(1 + stay, 1 + stay % 4, CAMERAS[stay // 4 % 3], 20.0 * stay, 20.0 * stay + 6) for stay in range(40)]
    story = play(associator, visits, wardrobe, step=1.0)
    assert len(set(story.final.values())) == 4
    assert not [event for event in story.events if event.evidence.get("rule") == "people solved again"]


def test_whoever_stays_in_view_keeps_the_number_that_is_shown() -> None:
    """Amy was here more often, but Ben is in the yard all the time while she comes and goes."""
    wardrobe, associator = Wardrobe(noise=0.2), CrossCameraAssociator()
    restore(associator, _memory(wardrobe, 7), last_identity=20, last_event=0)
    associator([CameraTracks("yard", 0, 891.0, SIZE, (tracklet(600, "yard", 890, 891, wardrobe.looks(BEN, 5)),))])
    _take_for(associator, 600, 1)
    _passes(associator, wardrobe, AMY)
    who = _people(associator)
    assert {who[stay] for stay in (2, 4, 6, 600)} == {1}
    assert len({who[stay] for stay in (1, 3, 5, 7, SEEN)} - {1}) == 1


def test_a_passage_that_is_let_go_of_meanwhile_belongs_to_nobody_any_more() -> None:
    """With one passage a camera and person, Ben's stay at the door is let go of when Amy's comes under his number."""
    wardrobe, associator = Wardrobe(noise=0.2), CrossCameraAssociator(AssociationConfig(passages_per_camera=1))
    mixed = [
        RememberedPassage(10 * number + place, number, camera, at, at + 8, wardrobe.looks(person, 4))
        for number, person, begin in ((1, AMY, 400.0), (2, BEN, 100.0))
        for place, camera in enumerate(("door", "hall", "yard"))
        for at in (begin + 20 * place,)
    ]
    others = [one for one in _memory(wardrobe, 0) if one.identity > 2]
    restore(associator, [*mixed, *others], last_identity=20, last_event=0)
    stays = tracklet(600, "lobby", 890, 891, wardrobe.looks(AMY, 5))
    associator([CameraTracks("lobby", 0, 891.0, SIZE, (stays,))])
    book = associator.book
    _take_for(associator, 600, 2)
    passages = {one.tracklet: one for number in (1, 2) for one in book.identities[number].passages}
    solved = [frozenset({600, 10, 11, 12}), frozenset({20, 21, 22})]
    associator._rethinker._apply(solved, passages, 4.0, 891.0)
    who = _people(associator)
    assert {who[stay] for stay in (600, 11, 12)} == {1}
    assert 2 not in book.identities
    assert 1 not in {who.get(stay) for stay in (20, 21, 22)}

"""Corrections hold, and an associator that remembers an earlier run goes on with its numbers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reid_tracker.association import CrossCameraAssociator
from reid_tracker.association.corrections import (
    Correction,
    erase_identity,
    keep_apart,
    merge_identities,
    split_identity,
)
from reid_tracker.association.remembered import RememberedPassage, as_remembered
from reid_tracker.association.remembering import open_passages, restore
from reid_tracker.errors import InputError
from reid_tracker.results import final_identities
from reid_tracker.store.told import with_constraints
from reid_tracker.types import CameraTracks, EventType, TrackletState
from tests.association.scenes import SIZE, Wardrobe, tracklet


class Site:
    """An associator fed by hand, and all events it told."""

    def __init__(self) -> None:
        self.associator = CrossCameraAssociator()
        self.wardrobe = Wardrobe(noise=0.1)
        self.events = []

    def see(self, camera: str, time: float, present: dict[int, int], ended: dict[int, int] | None = None) -> list[int]:
        """Tracklet -> person in view, and those that ended; the identities shown, by tracklet."""
        moment = CameraTracks(
            camera,
            0,
            time,
            SIZE,
            tuple(tracklet(t, camera, time - 2, time, self.wardrobe.looks(p, 4)) for t, p in sorted(present.items())),
            ended=tuple(
                tracklet(t, camera, time - 2, time, self.wardrobe.looks(p, 4), TrackletState.ENDED)
                for t, p in (ended or {}).items()
            ),
        )
        (told,) = self.associator([moment])
        self.events += told.events
        return [person.identity for person in told.people]

    @property
    def final(self) -> dict[int, int]:
        self.events += self.associator.book.take_events()
        return final_identities(self.events)


def two_people() -> Site:
    site = Site()
    site.see("door", 2, {1: 1}, {})
    site.see("door", 3, {}, {1: 1})
    site.see("hall", 20, {2: 2}, {})
    site.see("hall", 21, {}, {2: 2})
    assert site.final == {1: 1, 2: 2}
    return site


def test_two_that_are_one_become_the_older_number() -> None:
    site = two_people()
    assert merge_identities(site.associator, 2, 1, 30) == 1
    assert site.final == {1: 1, 2: 1}
    assert site.events[-1].type is EventType.MERGED
    assert site.events[-1].evidence["rule"] == "told by an operator"


def test_one_that_is_two_is_split_and_stays_so() -> None:
    site = Site()
    site.see("door", 2, {1: 1})
    site.see("door", 3, {}, {1: 1})
    site.see("hall", 20, {2: 1})  # dressed alike
    site.see("hall", 21, {}, {2: 1})
    assert site.final == {1: 1, 2: 1}
    number, pairs = split_identity(site.associator, 1, [2], 30)
    assert (number, pairs) == (2, ((2, 1),))
    site.events += site.associator.finish(())  # the end of a run merges whatever it can
    assert site.final == {1: 1, 2: 2}


def test_never_these_holds_until_taken_back() -> None:
    site = two_people()
    assert keep_apart(site.associator, 1, 2) == ((1, 2),)
    identities = site.associator.book.identities
    assert identities[1].meets(identities[2].passages)
    assert merge_identities(site.associator, 1, 2, 30) == 1  # the operator has changed their mind


@pytest.mark.parametrize("wrong", [(1, 9), (9, 1), (1, 1)])
def test_what_cannot_be_corrected_is_refused(wrong: tuple[int, int]) -> None:
    site = two_people()
    with pytest.raises(InputError):
        merge_identities(site.associator, *wrong, 30)
    with pytest.raises(InputError):
        keep_apart(site.associator, *wrong)
    with pytest.raises(InputError):
        split_identity(site.associator, 1, [1], 30)  # nothing would stay


def test_two_who_were_merged_by_hand_and_turn_up_side_by_side_are_two(caplog: pytest.LogCaptureFixture) -> None:
    """One of them was lost when it was said; both would carry one number in every frame from here on."""
    associator, wardrobe = CrossCameraAssociator(), Wardrobe(noise=0.2)
    lost = tracklet(1, "door", 0, 4, wardrobe.looks(1, 4))
    associator([CameraTracks("door", 0, 4.0, SIZE, (lost,))])
    associator([CameraTracks("door", 1, 6.0, SIZE, (tracklet(2, "door", 5, 6, wardrobe.looks(2, 4)),), (lost,))])
    merge_identities(associator, 1, 2, 6.0)
    both = tuple(tracklet(number, "door", 5 * number - 5, 7, wardrobe.looks(number, 5)) for number in (1, 2))
    told = associator([CameraTracks("door", 2, 7.0, SIZE, both)])[0]
    assert [person.identity for person in told.people] == [1, 3]
    assert "tracklet 2 was said to be person 1" in caplog.text


def test_two_seen_at_once_in_one_camera_cannot_be_merged() -> None:
    site = Site()
    assert site.see("door", 2, {1: 1, 2: 2}) == [1, 2]
    with pytest.raises(InputError, match="same time"):
        merge_identities(site.associator, 1, 2, 3)


def test_a_merger_that_is_refused_takes_nothing_back() -> None:
    site = Site()
    assert site.see("door", 2, {1: 1, 2: 2}) == [1, 2]
    keep_apart(site.associator, 1, 2)
    with pytest.raises(InputError, match="same time"):
        merge_identities(site.associator, 1, 2, 3)
    assert [passage.apart for passage in site.associator.passages] == [{2}, {1}]


def test_who_is_erased_is_nobody_known_any_more() -> None:
    site = two_people()
    assert erase_identity(site.associator, 1, 30)
    assert not erase_identity(site.associator, 1, 30)
    assert site.see("hall", 40, {3: 1}) == [3]  # the erased person comes back as somebody new
    assert 1 not in site.associator.gallery.numbers


def test_who_is_erased_while_in_view_goes_on_as_somebody_new() -> None:
    """The tracklet is heard of no more: its looks are from before. Trackers elsewhere may go on with it."""
    site = Site()
    assert site.see("door", 2, {1: 1, 2: 2}) == [1, 2]
    assert erase_identity(site.associator, 1, 3) == (1,)
    assert site.see("door", 4, {1: 1, 2: 2}) == [2]
    assert {passage.tracklet for passage in site.associator.passages} == {2}
    site.see("door", 5, {2: 2}, {1: 1})
    assert site.see("door", 6, {2: 2, 3: 1}) == [2, 3]
    assert site.final == {1: 1, 2: 2, 3: 3}
    assert len(site.associator._erased) == 0


def test_people_keep_their_numbers_over_a_restart() -> None:
    before = Site()
    for camera, start in (("door", 0), ("hall", 30)):
        before.see(camera, start + 2, {start + number: number for number in range(1, 6)})
    memory = open_passages(before.associator)
    assert len(memory) == 10
    numbers = {passage.tracklet - 30: passage.identity for passage in memory if passage.camera_id == "hall"}

    after = Site()
    restore(after.associator, memory, last_identity=50, last_event=200)
    shown = after.see("door", 60, {100 + number: number for number in [*range(1, 6), 9]})
    assert shown == [*(numbers[number] for number in range(1, 6)), 51]
    assert min(event.event_id for event in after.events) == 201


def test_what_was_told_apart_stays_apart_over_a_restart() -> None:
    looks = Wardrobe(noise=0.1).looks(1, 4)
    associator = CrossCameraAssociator()
    memory = [
        RememberedPassage(1, 1, "door", 0, 2, looks, frozenset({2})),
        RememberedPassage(2, 2, "hall", 10, 12, looks, frozenset({1})),
    ]
    restore(associator, memory, 2, 2)
    associator.finish(())
    assert set(associator.book.identities) == {1, 2}


def test_what_was_merged_by_hand_stays_so_over_a_restart_whatever_it_looks_like() -> None:
    """The two look different; by itself the program would part them as soon as one of them is seen again."""
    looks = Wardrobe(noise=0.2)
    cameras = ("door", "hall", "yard")
    merged = [
        RememberedPassage(stay, 1, cameras[stay % 3], 40.0 * stay, 40.0 * stay + 8, looks.looks(1 + stay % 2, 4))
        for stay in range(1, 7)
    ]
    others = [
        RememberedPassage(100 + s, person, cameras[s % 3], 40.0 * s + 10, 40.0 * s + 18, looks.looks(person, 4))
        for person in range(3, 11)
        for s in (person, person + 8)
    ]
    told = Correction("merge", (1, 3, 5), (2, 4, 6), (1, 2), "2026-05-01T08:00:00+00:00")
    associator = CrossCameraAssociator()
    restore(associator, with_constraints([*merged, *others], [told]), 20, 0)
    seen = tracklet(500, "door", 900, 905, looks.looks(2, 5))
    associator([CameraTracks("door", 0, 905.0, SIZE, (seen,))])
    associator([CameraTracks("door", 1, 909.0, SIZE, (), (), (replace(seen, state=TrackletState.ENDED),))])
    assert {1, 2, 3, 4, 5, 6} <= {passage.tracklet for passage in associator.book.identities[1].passages}


def test_what_is_known_of_a_passage_goes_with_it_from_one_associator_to_another() -> None:
    associator, looks = CrossCameraAssociator(), Wardrobe().looks(1, 4)
    memory = RememberedPassage(1, 1, "door", 0, 2, looks, frozenset({7}), pinned=True, grey=True, still=True)
    restore(associator, [memory], 1, 1)
    (passage,) = associator.book.identities[1].passages
    assert passage.seen_by == "door by infrared"
    assert as_remembered(passage) == memory


def test_what_was_merged_by_hand_stays_so_while_in_view_whatever_it_looks_like() -> None:
    site = Site()
    site.see("door", 2, {1: 1})
    assert site.see("hall", 3, {2: 2}) == [2]
    merge_identities(site.associator, 1, 2, 4)
    for time in range(5, 12):
        assert site.see("door", time, {1: 1}) == [1]
        assert site.see("hall", time + 0.5, {2: 2}) == [1]

"""Who is certainly two people stays two, whatever looks say and however much has been forgotten since."""

from __future__ import annotations

import pytest

from reid_tracker.association import CrossCameraAssociator
from reid_tracker.association.corrections import keep_apart
from reid_tracker.association.identities import Identity, Passage
from reid_tracker.association.remembered import RememberedPassage
from reid_tracker.association.remembering import restore
from reid_tracker.association.sharing import Neighbourhood
from reid_tracker.config import AssociationConfig, CameraConfig
from reid_tracker.review.refining import solve_again
from reid_tracker.types import CameraTracks
from tests.association.scenes import SIZE, Visit, Wardrobe, play, tracklet

HERE, THERE = (0, 100, 50, 220), (300, 100, 350, 220)
FAR = (
    CameraConfig(id="door", source="0", neighbours={"hall": [60, 900]}),
    CameraConfig(id="hall", source="1", neighbours={"door": [60, 900]}),
    CameraConfig(id="lobby", source="2"),
)


def test_two_who_were_seen_side_by_side_stay_two_when_their_first_stays_are_forgotten() -> None:
    """Twins come through the door at once; one of them comes again more often than his stays are remembered."""
    twins = [Visit(1, 1, "door", 0, 5, HERE), Visit(2, 1, "door", 0, 5, THERE)]
    others = [Visit(100 + k, 10 + k % 10, "door", 8 + 20 * k, 12 + 20 * k) for k in range(16)]
    again = [Visit(3 + k, 1, "door", 20 + 40 * k, 25 + 40 * k, HERE) for k in range(8)]
    story = play(CrossCameraAssociator(), [*twins, *others, *again], Wardrobe(noise=0.2), step=1.0)
    assert story.final[1] != story.final[2]


def test_who_was_told_apart_stays_so_when_the_stays_that_it_was_said_of_are_forgotten() -> None:
    associator, wardrobe = CrossCameraAssociator(), Wardrobe(noise=0.2)
    strangers = [Visit(1, 1, "door", 0, 5), Visit(2, 2, "door", 10, 15)]
    numbers = play(associator, strangers, wardrobe, finish=False).emitted
    play(associator, [Visit(3, 3, "hall", 30, 31)], wardrobe, finish=False)  # time goes on: both have ended
    keep_apart(associator, numbers[1], numbers[2])
    play(associator, [Visit(10 + k, 1, "door", 40.0 + 20 * k, 45.0 + 20 * k) for k in range(8)], wardrobe)
    one, other = (associator.book.identities[numbers[tracklet]] for tracklet in (1, 2))
    assert [passage.tracklet for passage in one.former][-1] == 1  # kept longest of what is forgotten
    assert one.meets(other.known)
    assert other.meets(one.passages + one.former)


def test_where_somebody_was_is_bounded_too() -> None:
    identity = Identity(1)
    for number in range(1000):
        passage = Passage(number, "door", 0, 10.0 * number, 10.0 * number + 5, open=False)
        passage.apart = frozenset({5000} if number == 3 else ())
        identity.passages.append(passage)
        identity.let_go(passage)
    assert len(identity.former) == 256
    assert {3, 999} <= {passage.tracklet for passage in identity.former}


def test_nobody_is_faster_than_the_configured_travel_time_with_another_camera_on_the_way() -> None:
    """From the door to the hall takes a minute; being seen in the lobby in between does not make it shorter."""
    way = [Visit(1, 1, "door", 0, 10), Visit(2, 1, "lobby", 11, 12), Visit(3, 1, "hall", 13, 20)]
    others = [Visit(10 + k, 10 + k, ("door", "hall", "lobby")[k % 3], 2 + k, 5 + k, THERE) for k in range(8)]
    story = play(CrossCameraAssociator(AssociationConfig(), FAR), [*way, *others], Wardrobe(noise=0.2))
    assert story.final[1] != story.final[3]
    wardrobe = Wardrobe(noise=0.2)
    known = [
        RememberedPassage(one.number, story.final[one.number], one.camera, one.start, one.end, wardrobe.looks(1, 4))
        for one in way
    ]
    assignment, _ = solve_again(known, (), (), FAR)
    assert not assignment.possible({1, 3})
    assert assignment.possible({1, 2})
    assert assignment.possible({2, 3})


def site_that_knows_somebody(cameras: tuple[CameraConfig, ...]) -> tuple[CrossCameraAssociator, Wardrobe]:
    """Person 1 has been here often, ten others twice each."""
    wardrobe, associator = Wardrobe(noise=0.2), CrossCameraAssociator(AssociationConfig(), cameras)
    often = [
        RememberedPassage(90 + k, 1, ("hall", "door")[k % 2], 120.0 * k - 900, 120.0 * k - 890, wardrobe.looks(1, 4))
        for k in range(6)
    ]
    others = [
        RememberedPassage(200 + k, 2 + k % 10, ("hall", "door")[k % 2], 20.0 * k - 595, 20.0 * k - 585, looks)
        for k in range(20)
        for looks in (wardrobe.looks(20 + k % 10, 4),)
    ]
    restore(associator, [*often, *others], 20, 0)
    return associator, wardrobe


def metres(aside: float) -> tuple[tuple[float, ...], ...]:
    return ((0.01, 0.0, aside), (0.0, 0.01, aside), (0.0, 0.0, 1.0))


STANDING = (
    CameraConfig(id="door", source="0", homography=metres(0)),
    CameraConfig(id="hall", source="1", homography=metres(100)),
)


@pytest.mark.parametrize("cameras", [FAR[:1], STANDING])
def test_who_is_known_to_be_elsewhere_meanwhile_is_nobody_here(cameras: tuple[CameraConfig, ...]) -> None:
    """Somebody stands at the door and is recognised late; person 1 was recognised in the hall while he stood there."""
    associator, wardrobe = site_that_knows_somebody(cameras)
    unlike, good = wardrobe.looks(50, 1), wardrobe.looks(1, 6)
    for step in range(2, 24):
        time = step / 2
        here = tracklet(1, "door", 0, time, unlike if time < 8 else good)
        there = (tracklet(2, "hall", 5, time, good.select(slice(0, 5))),) if time >= 5 else ()
        told = associator([CameraTracks("door", 0, time, SIZE, (here,)), CameraTracks("hall", 0, time, SIZE, there)])
        assert [person.identity for frame in told for person in frame.people] == [21, 1][: 1 + len(there)]


def test_a_merger_of_another_district_that_cannot_be_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    """It had never seen the two together. The numbers are one everywhere by then, so here too, but not silently."""
    associator, looks = CrossCameraAssociator(), Wardrobe().looks(1, 4)
    starts = {1: 0.0, 2: 5.0, 3: 20.0}  # the first two are in view together
    here = [RememberedPassage(number, number, "door", at, at + 10, looks) for number, at in starts.items()]
    restore(associator, here, 20, 0)
    neighbourhood = Neighbourhood(associator)
    neighbourhood.merged(3, 1)
    assert not caplog.records
    neighbourhood.merged(2, 1)
    assert "persons 2 and 1" in caplog.text
    assert associator.book.identities.keys() == {1}

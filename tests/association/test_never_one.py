"""Who is certainly two people stays two, whatever looks say and however much has been forgotten since."""

from __future__ import annotations

from reid_tracker.association import CrossCameraAssociator
from reid_tracker.association.corrections import keep_apart
from reid_tracker.association.identities import Identity, Passage
from tests.association.scenes import Visit, Wardrobe, play

HERE, THERE = (0, 100, 50, 220), (300, 100, 350, 220)


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

"""The benchmark of several associators: what it says of a small site, and how it judges."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="the made-up site's looks are of the training room")
pytest.importorskip("fastapi", reason="needs the extra 'service'")

from benchmarks.cluster_scale import measured
from benchmarks.site_quality import Judge, matching
from reid_tracker.types import EventType, IdentityEvent, TrackedFrame, TrackedPerson


def frame(camera: str, *people: tuple[int, int], events: tuple[IdentityEvent, ...] = ()) -> TrackedFrame:
    shown = tuple(TrackedPerson(identity, tracklet, (0, 0, 1, 2), 0.9, "settled") for identity, tracklet in people)
    return TrackedFrame(camera, 0, 0.0, shown, events)


def event(kind: EventType, identity: int, tracklet: int, gone: tuple[int, ...] = ()) -> IdentityEvent:
    return IdentityEvent(1, kind, 0.0, "a", identity, (tracklet,), gone)


def test_the_judge_scores_what_is_shown_and_what_is_decided() -> None:
    """Person 7 is called 1 in one camera and first 2, then 1 in the other; a ghost is called 3."""
    judge = Judge()
    judge.saw(0.0, [frame("a", (1, 11), events=(event(EventType.STARTED, 1, 11),))], {"a": [7]})
    new = (event(EventType.STARTED, 2, 12), event(EventType.STARTED, 3, 13))
    judge.saw(1.0, [frame("b", (2, 12), (3, 13), events=new)], {"b": [7, -1]})
    judge.saw(2.0, [frame("b", (1, 12), events=(event(EventType.MERGED, 1, 12, (2,)),))], {"b": [7]})
    said = judge.verdict()
    assert judge.boxes == 4
    assert said["IDF1 as shown"] == round(2 * 2 / (4 + 3), 4)
    assert said["IDF1 in the end"] == round(2 * 3 / (4 + 3), 4)
    assert (said["pair precision in the end"], said["pair recall in the end"]) == (1.0, 1.0)
    assert (said["identities"], said["people"]) == (2, 1)
    assert said["share of passages right at once"] == 0.5
    assert said["share of passages right when they end"] == 1.0
    assert said["delay until right s, mean of those"] == 0.5


def test_the_best_match_is_one_to_one() -> None:
    assert matching({(1, 7): 5, (1, 8): 4, (2, 7): 4}) == ({1: 8, 2: 7}, 8)
    assert matching({(1, 7): 3, (2, 7): 2}) == ({1: 7}, 3)
    assert matching({(1, -1): 3}) == ({}, 0)


@pytest.mark.slow
def test_two_associators_do_half_the_work_and_say_much_the_same() -> None:
    busiest = "processor seconds, busiest associator"
    for _ in range(3):  # processor time wavers under load
        one, two = (measured(16, most, 10.0, 2.0, 60.0) for most in (16, 8))
        if two[busiest] < one[busiest]:
            break
    assert (one["associators"], two["associators"]) == (1, 2)
    assert two[busiest] < one[busiest]
    assert two["kB a second between associators"] > 0 == one["kB a second between associators"]
    assert two["kB a second to the associators"] == one["kB a second to the associators"]
    assert two["IDF1 as shown"] > one["IDF1 as shown"] - 0.05

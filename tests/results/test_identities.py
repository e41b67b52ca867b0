"""identities.json: who was where, hand-overs, and which events concern whom."""

from __future__ import annotations

import pytest

from reid_tracker.results.identities import IdentitySummary, TrackletRecord, find_handovers
from reid_tracker.types import TrackedFrame


def summary_of(run: list[TrackedFrame]) -> IdentitySummary:
    summary = IdentitySummary()
    for tracked in run:
        summary.add(tracked)
    return summary


def test_people_are_counted_under_final_ids(run: list[TrackedFrame]) -> None:
    counts = summary_of(run).to_json()["unique_people"]
    assert counts == {"overall": 2, "per_camera": {"door": 2, "hall": 1}, "emitted": 3}


def test_cameras_that_saw_nobody_are_counted_too(run: list[TrackedFrame]) -> None:
    summary = IdentitySummary(["yard"])  # of the run, without a frame so far
    for tracked in (TrackedFrame("attic", 0, 0.0, ()), run[0]):
        summary.add(tracked)
    counts = summary.to_json()["unique_people"]
    assert counts["per_camera"] == {"attic": 0, "door": 2, "yard": 0}


def test_a_person_holds_tracklets_of_both_cameras_and_the_hand_over(run: list[TrackedFrame]) -> None:
    person = summary_of(run).to_json()["people"][0]
    assert person["identity"] == 1
    assert person["cameras"] == ["door", "hall"]
    assert (person["first_seen"], person["last_seen"]) == (0.0, 2.9)
    assert person["handovers"] == [
        {"from": "door", "to": "hall", "left": 1.4, "arrived": 1.8, "gap": 0.4, "tracklets": [1, 3]}
    ]
    assert [record["emitted"] for record in person["tracklets"]] == [[1], [3, 1]]
    hall = person["tracklets"][1]
    assert (hall["frames"], hall["first_frame"], hall["last_frame"]) == (12, 18, 29)


def test_events_stand_under_everybody_they_concern(run: list[TrackedFrame]) -> None:
    people = summary_of(run).to_json()["people"]
    assert [[event["event_id"] for event in person["events"]] for person in people] == [[1, 3, 4, 5], [2]]


def test_the_summary_does_not_grow_with_frames(run: list[TrackedFrame]) -> None:
    summary = summary_of(run)
    before = len(repr(summary.records)) + len(summary.events)
    for _ in range(100):
        summary.add(run[-2])
    assert len(repr(summary.records)) + len(summary.events) <= before + 4  # a count has more digits


# camera and seconds of each tracklet -> hand-overs as (from, to, gap)
@pytest.mark.parametrize(
    ("stays", "expected"),
    [
        ([("a", 0, 10)], []),
        ([("a", 0, 10), ("a", 15, 20)], []),  # away and back in one camera
        ([("a", 0, 10), ("b", 12, 20)], [("a", "b", 2)]),
        ([("a", 0, 10), ("b", 8, 20)], [("a", "b", -2)]),  # views that overlap
        ([("a", 0, 2), ("b", 3, 5), ("a", 7, 9)], [("a", "b", 1), ("b", "a", 2)]),  # there and back
        ([("a", 0, 30), ("b", 3, 5), ("c", 31, 40)], [("a", "b", -27), ("a", "c", 1)]),  # b saw a part of the stay in a
        ([("a", 0, 10), ("b", 3, 5), ("b", 6, 8)], [("a", "b", -7)]),  # one visit, tracked in two pieces
        ([("a", 0, 10), ("b", 3, 5), ("a", 12, 13)], [("a", "b", -7)]),  # never left a: no way back to it
    ],
)
def test_handovers(stays: list[tuple[str, float, float]], expected: list[tuple[str, str, float]]) -> None:
    records = [TrackletRecord(n, camera, first, last, 0, 0) for n, (camera, first, last) in enumerate(stays)]
    found = [(handover.source, handover.target, handover.gap) for handover in find_handovers(records[::-1])]
    assert found == expected

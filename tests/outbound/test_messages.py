"""What becomes of identity events: one message per person and hand-over."""

from __future__ import annotations

import json

from reid_tracker.outbound import EventTeller, Kind
from reid_tracker.outbound.messages import Told
from reid_tracker.types import EventType
from tests.outbound.conftest import event


def kinds(*tolds: Told) -> list[Kind | None]:
    return [told.message.kind for told in tolds]


def test_a_person_who_changes_camera_is_handed_over() -> None:
    teller = EventTeller("run", 1.0)
    told = [
        teller.tell(event(1, EventType.STARTED, 7, "door")),
        teller.tell(event(2, EventType.LINKED, 7, "hall")),
        teller.tell(event(3, EventType.LINKED, 7, "hall")),
        teller.tell(event(4, EventType.ENDED, 7, "hall")),
    ]
    assert kinds(*told) == [Kind.ARRIVED, Kind.HANDOVER, Kind.RETURNED, Kind.ENDED]
    body = json.loads(told[1].message.body)
    assert (body["identity"], body["from_camera"], body["camera"]) == (7, "door", "hall")
    assert body["timestamp"] == "2027-01-15T08:00:02.000Z"
    assert body["event"]["event_id"] == 2
    assert len({each.message.key for each in told}) == 4
    assert [each.message.hold for each in told] == [1.0, 0, 0, 0]


def test_somebody_remembered_from_before_this_run_returns() -> None:
    """Where the person was seen last is not known then, and no hand-over is made up."""
    told = EventTeller("run", 0).tell(event(1, EventType.LINKED, 7, "hall"))
    assert told.message.kind is Kind.RETURNED
    assert json.loads(told.message.body)["from_camera"] is None


def test_somebody_new_who_turns_out_known_can_be_told_as_a_hand_over() -> None:
    teller = EventTeller("run", 1.0)
    teller.tell(event(1, EventType.STARTED, 1, "door"))
    arrived = teller.tell(event(2, EventType.STARTED, 2, "hall"))
    merged = teller.tell(event(3, EventType.MERGED, 1, "door", gone=(2,)))
    assert merged.message.kind is Kind.MERGED
    assert merged.instead_of == arrived.message.key
    assert merged.shorter is not None
    assert merged.shorter.kind is Kind.HANDOVER
    body = json.loads(merged.shorter.body)
    assert (body["identity"], body["from_camera"], body["camera"]) == (1, "door", "hall")
    assert merged.shorter.people == {1, 2}


def test_two_runs_never_share_a_key() -> None:
    keys = {EventTeller(run, 0).tell(event(1)).message.key for run in ("a", "b")}
    assert len(keys) == 2

"""What other programs are told: one message per person and hand-over, made from identity events."""

from __future__ import annotations

import json
from collections import OrderedDict
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from reid_tracker.results.jsonl import event_to_json, utc_text
from reid_tracker.types import EventType, IdentityEvent

VERSION = 1
_MOST_REMEMBERED = 20_000  # people whose last camera is known; far more than are in view within a day's memory


class Kind(StrEnum):
    """What happened to a person."""

    ARRIVED = "arrived"
    HANDOVER = "handover"
    RETURNED = "returned"
    MERGED = "merged"
    SPLIT = "split"
    ENDED = "ended"


_KIND_OF = {
    EventType.STARTED: Kind.ARRIVED,
    EventType.MERGED: Kind.MERGED,
    EventType.SPLIT: Kind.SPLIT,
    EventType.ENDED: Kind.ENDED,
}


@dataclass(frozen=True, slots=True)
class Message:
    """Something to deliver.

    Attributes:
        key: the same however often it is sent, and no other message's: receivers drop what they have.
        channel: what it is about, e.g. ``events``; destinations that have topics make theirs from it.
        body: JSON.
        kind, camera_id: what destinations choose by; None where that does not apply.
        people: identities it names, so that it can be withdrawn when somebody is erased.
        state: the newest of its channel replaces older ones, which need not be sent.
        hold: seconds it waits in case it is withdrawn.
    """

    key: str
    channel: str
    body: bytes = field(repr=False)
    kind: Kind | None = None
    camera_id: str | None = None
    people: frozenset[int] = frozenset()
    state: bool = False
    hold: float = 0.0


@dataclass(frozen=True, slots=True)
class Told:
    """What an event becomes.

    Attributes:
        message: to send.
        instead_of: key of an earlier message that need not be sent any more where it still waits, and ``shorter`` is
            sent then instead of ``message``.
    """

    message: Message
    instead_of: str | None = None
    shorter: Message | None = None


class EventTeller:
    """Makes messages of identity events. Knows where each person was seen last. Not thread-safe.

    Args:
        run: tells this run's messages from another's.
        hold_seconds: how long ``arrived`` waits for the person to be recognised after all.
    """

    def __init__(self, run: str, hold_seconds: float) -> None:
        self._run = run
        self._hold = hold_seconds
        self._last: OrderedDict[int, str] = OrderedDict()
        self._arrived: OrderedDict[int, tuple[str, str]] = OrderedDict()

    def tell(self, event: IdentityEvent) -> Told:
        """The message of an event."""
        before = self._last.get(event.identity)
        if event.type is EventType.LINKED:
            return Told(self._message(event, self._link_kind(event, before), before))
        if event.type is EventType.MERGED:
            return self._merged(event, before)
        if event.type is EventType.STARTED:
            self._arrived[event.identity] = (self._key(event), event.camera_id)
            _bound(self._arrived)
        told = Told(self._message(event, _KIND_OF[event.type], None))
        if event.type is EventType.ENDED:
            self.forget(event.identity)
        return told

    def forget(self, identity: int) -> None:
        """Know nothing of a person any more."""
        self._last.pop(identity, None)
        self._arrived.pop(identity, None)

    def _merged(self, event: IdentityEvent, before: str | None) -> Told:
        """A person who was just told as new is somebody known: one message, that of a hand-over, says so."""
        [*gone] = event.supersedes
        arrived = self._arrived.get(gone[0]) if len(gone) == 1 else None
        message = self._message(event, Kind.MERGED, None)
        for identity in gone:
            self.forget(identity)
        if arrived is None:
            return Told(message)
        key, camera = arrived
        kind = Kind.HANDOVER if before not in (None, camera) else Kind.RETURNED
        shorter = self._message(event, kind, before, camera)
        return Told(message, key, shorter)

    @staticmethod
    def _link_kind(event: IdentityEvent, before: str | None) -> Kind:
        return Kind.HANDOVER if before not in (None, event.camera_id) else Kind.RETURNED

    def _key(self, event: IdentityEvent) -> str:
        return event.key or f"{self._run}-{event.event_id}"

    def _message(self, event: IdentityEvent, kind: Kind, before: str | None, camera_id: str | None = None) -> Message:
        camera = camera_id or event.camera_id
        if kind is not Kind.ENDED:
            self._last[event.identity] = camera
            self._last.move_to_end(event.identity)
            _bound(self._last)
        body = {
            "version": VERSION,
            "id": self._key(event),
            "kind": kind.value,
            "identity": event.identity,
            "camera": camera,
            "from_camera": before if kind is Kind.HANDOVER else None,
            "timestamp": utc_text(event.time),
            "event": event_to_json(event),
        }
        return Message(
            self._key(event),
            "events",
            json_bytes(body),
            kind,
            camera,
            frozenset({event.identity, *event.supersedes}),
            hold=self._hold if kind is Kind.ARRIVED else 0.0,
        )


def json_bytes(value: Any) -> bytes:
    """JSON without blanks, UTF-8."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def _bound(known: OrderedDict[int, Any]) -> None:
    while len(known) > _MOST_REMEMBERED:
        known.popitem(last=False)

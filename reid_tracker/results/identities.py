"""identities.json: who was seen where and when, and what was decided about whom (docs/output-format.md)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from reid_tracker.results.jsonl import event_to_json
from reid_tracker.results.replay import IdentityReplay
from reid_tracker.types import EventType, IdentityEvent, TrackedFrame

VERSION = 1
IDENTITIES_FILE = "identities.json"


@dataclass(slots=True)
class TrackletRecord:
    """One tracklet as its frames showed it. Times are UTC seconds, frame numbers its camera's.

    Attributes:
        emitted: identities it was shown under, in order of first showing.
    """

    tracklet: int
    camera_id: str
    first: float
    last: float
    first_frame: int
    last_frame: int
    frames: int = 0
    emitted: list[int] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """The tracklet as it stands in identities.json."""
        return {
            "tracklet": self.tracklet,
            "camera": self.camera_id,
            "first_seen": round(self.first, 6),
            "last_seen": round(self.last, 6),
            "first_frame": self.first_frame,
            "last_frame": self.last_frame,
            "frames": self.frames,
            "emitted": self.emitted,
        }


@dataclass(frozen=True, slots=True)
class Handover:
    """A person passing from one camera to another.

    Attributes:
        left, arrived: UTC seconds; last seen in ``source``, first seen in ``target``.
        tracklets: the one left with and the one arrived with.
    """

    source: str
    target: str
    left: float
    arrived: float
    tracklets: tuple[int, int]

    @property
    def gap(self) -> float:
        """Seconds unseen on the way; below 0 where both cameras saw the person at once."""
        return self.arrived - self.left

    def to_json(self) -> dict[str, Any]:
        """The hand-over as it stands in identities.json."""
        return {
            "from": self.source,
            "to": self.target,
            "left": round(self.left, 6),
            "arrived": round(self.arrived, 6),
            "gap": round(self.gap, 6),
            "tracklets": list(self.tracklets),
        }


@dataclass(frozen=True, slots=True)
class PersonRecord:
    """One person, as known at the end of the run. Tracklets are by first sight, events by decision."""

    identity: int
    tracklets: tuple[TrackletRecord, ...]
    events: tuple[IdentityEvent, ...]

    @property
    def cameras(self) -> tuple[str, ...]:
        """Cameras that saw the person, in order of first sight."""
        return tuple(dict.fromkeys(record.camera_id for record in self.tracklets))

    @property
    def first(self) -> float:
        """UTC seconds of the first sight."""
        return min(record.first for record in self.tracklets)

    @property
    def last(self) -> float:
        """UTC seconds of the last sight."""
        return max(record.last for record in self.tracklets)

    @property
    def handovers(self) -> tuple[Handover, ...]:
        """Hand-overs between cameras, in order of arrival."""
        return find_handovers(self.tracklets)

    def to_json(self) -> dict[str, Any]:
        """The person as it stands in identities.json."""
        return {
            "identity": self.identity,
            "cameras": list(self.cameras),
            "first_seen": round(self.first, 6),
            "last_seen": round(self.last, 6),
            "tracklets": [record.to_json() for record in self.tracklets],
            "handovers": [handover.to_json() for handover in self.handovers],
            "events": [event_to_json(event) for event in self.events],
        }


class IdentitySummary:
    """Gathers what identities.json says. Grows with tracklets and events, not with frames.

    Args:
        cameras: of the run; others are added as their frames come.
    """

    def __init__(self, cameras: Iterable[str] = ()) -> None:
        self._cameras = set(cameras)
        self.records: dict[int, TrackletRecord] = {}
        self.events: list[IdentityEvent] = []
        self._replay = IdentityReplay()

    def add(self, tracked: TrackedFrame) -> None:
        """Take in one frame of one camera."""
        if tracked.camera_id:  # events may be decided outside any
            self._cameras.add(tracked.camera_id)
        for person in tracked.people:
            record = self.records.get(person.tracklet)
            if record is None:
                record = self.records[person.tracklet] = TrackletRecord(
                    person.tracklet, tracked.camera_id, tracked.time, tracked.time, tracked.index, tracked.index
                )
            record.last = tracked.time
            record.last_frame = tracked.index
            record.frames += 1
            if person.identity not in record.emitted:
                record.emitted.append(person.identity)
        self.events.extend(tracked.events)
        self._replay.add(tracked.events)

    def identity_of(self, record: TrackletRecord) -> int:
        """The identity that holds a tracklet now; the one it was last shown under where no event names it."""
        return self._replay.identity_of.get(record.tracklet, record.emitted[-1])

    def people(self) -> list[PersonRecord]:
        """Everybody seen so far, by identity, under the ids as known now."""
        tracklets_of: defaultdict[int, list[TrackletRecord]] = defaultdict(list)
        for record in self.records.values():
            tracklets_of[self.identity_of(record)].append(record)
        events_of = self._events_by_person()
        return [
            PersonRecord(
                identity,
                tuple(sorted(records, key=lambda record: (record.first, record.tracklet))),
                tuple(events_of[identity]),
            )
            for identity, records in sorted(tracklets_of.items())
        ]

    def to_json(self) -> dict[str, Any]:
        """The value of identities.json."""
        people = self.people()
        seen_by = dict.fromkeys(sorted(self._cameras), 0)
        for person in people:
            for camera in person.cameras:
                seen_by[camera] += 1
        emitted = {identity for record in self.records.values() for identity in record.emitted}
        return {
            "version": VERSION,
            "unique_people": {
                "overall": len(people),
                "per_camera": seen_by,
                "emitted": len(emitted),
            },
            "people": [person.to_json() for person in people],
        }

    def _events_by_person(self) -> defaultdict[int, list[IdentityEvent]]:
        """Events under everybody they concern: who holds their tracklets now, and the heir of the identity named."""
        final_of = self._replay.identity_of
        heir: dict[int, int] = {}
        for event in self.events:
            if event.type is EventType.MERGED:
                heir.update(dict.fromkeys(event.supersedes, event.identity))
            else:
                heir.pop(event.identity, None)
        events_of: defaultdict[int, list[IdentityEvent]] = defaultdict(list)
        for event in self.events:
            concerned = {final_of[tracklet] for tracklet in event.tracklets if tracklet in final_of}
            concerned.add(_last_heir(event.identity, heir))
            for identity in concerned:
                events_of[identity].append(event)
        return events_of


def _last_heir(identity: int, heir: dict[int, int]) -> int:
    passed = {identity}
    while identity in heir and heir[identity] not in passed:
        identity = heir[identity]
        passed.add(identity)
    return identity


def find_handovers(tracklets: Sequence[TrackletRecord]) -> tuple[Handover, ...]:
    """Hand-overs of one person between cameras, in order of arrival.

    Each tracklet but the first was arrived with from wherever the person was seen last (or still is) among the
    tracklets that began before it; where that is another camera, it is a hand-over. Tracklets that follow one another
    in one camera, with no other camera's between their beginnings, are one visit.
    """
    visits: list[list[TrackletRecord]] = []
    for record in sorted(tracklets, key=lambda record: (record.first, record.tracklet)):
        if visits and visits[-1][0].camera_id == record.camera_id:
            visits[-1].append(record)
        else:
            visits.append([record])
    handovers = []
    for position, visit in enumerate(visits[1:], 1):
        previous = max(_flat(visits[:position]), key=lambda record: (record.last, record.first))
        arrival = visit[0]
        if previous.camera_id != arrival.camera_id:
            handovers.append(
                Handover(
                    previous.camera_id,
                    arrival.camera_id,
                    previous.last,
                    arrival.first,
                    (previous.tracklet, arrival.tracklet),
                )
            )
    return tuple(handovers)


def _flat(visits: Iterable[list[TrackletRecord]]) -> Iterable[TrackletRecord]:
    return (record for visit in visits for record in visit)

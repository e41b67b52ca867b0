"""The front of a site of several districts: what they decide is kept, told and shown as if one associator had.

It has no pictures and decides nothing: districts push what they have, and are answered with what the others found
(registry.py), with what an operator said, and with cameras to add or remove.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from reid_tracker.association.remembered import RememberedPassage
from reid_tracker.association.topology import CameraLink
from reid_tracker.cluster.condition import SiteState
from reid_tracker.cluster.orders import (
    Apart,
    Beginning,
    Erase,
    Order,
    Part,
    Renumber,
)
from reid_tracker.cluster.peers import Districts
from reid_tracker.cluster.registry import Registry, first_identity
from reid_tracker.config import CameraConfig, Config
from reid_tracker.errors import InputError
from reid_tracker.ids import IdAllocator
from reid_tracker.pipeline import Pipeline
from reid_tracker.service.runtime import PipelineOf, Service
from reid_tracker.service.site import Cameras, LiveSite
from reid_tracker.store import Sighting, Store
from reid_tracker.types import EventType, Frame, IdentityEvent, TrackedFrame

_EVENTS_READ = 1000  # at a time, when mergers are read from the store
_EVENTS_BACK = 50_000  # newest ones that are read
_SPARE = 1000  # numbers that a lost district may have given without telling
_TOLD = {"rule": "told by an operator", "probability": 1.0}


class FrontLoop(LiveSite):
    """The loop of a front: what districts decided goes to the store and to whoever listens."""

    def __init__(self, districts: Districts, pipeline: Pipeline, lost_seconds: float) -> None:
        super().__init__(districts, pipeline, lost_seconds)
        self.districts = districts

    def _step(self, frames: Sequence[Any]) -> None:
        began, now = time.perf_counter(), time.monotonic()
        for frame in frames:
            if frame.camera_id:  # else it carries what was decided between two frames
                self._newest[frame.camera_id] = (frame, now)
        self._tell((), frames, ())
        self._count(len(frames), time.perf_counter() - began)

    def _let_go_of_silent_cameras(self, heard: set[str]) -> None:
        """Their district ends its people; here they are only not shown any more."""
        now = time.monotonic()
        for camera_id, (_, when) in list(self._newest.items()):
            if camera_id not in heard and now - when > self._lost_seconds:
                del self._newest[camera_id]

    def _tell(self, frames: Sequence[Frame], tracked: Sequence[TrackedFrame], events: Sequence[IdentityEvent]) -> None:
        loose = [event for frame in tracked if not frame.camera_id for event in frame.events]
        shown = [frame for frame in tracked if frame.camera_id]
        super()._tell(frames, shown, (*loose, *events))

    def _open_passages(self) -> list[RememberedPassage]:
        return self.districts.take_passages()

    def publish(self, *events: IdentityEvent) -> None:
        """Tell events that were not decided in a district. On the loop's thread."""
        told = [said for event in events if (said := self.districts.say(event)) is not None]
        if told:
            self._tell((), (), told)


class FrontService(Service):
    """The service of a site of several districts.

    Args:
        config: the effective configuration.
        placed: district -> its groups -> their cameras, to begin with.
        pipeline_of: makes the pipeline whose detector and embedder describe pictures that people are searched by.

    Raises:
        ConfigError, StoreError, ModelError: as Service does.
    """

    role = "front"

    def __init__(
        self,
        config: Config,
        placed: Mapping[str, Mapping[str, Sequence[CameraConfig]]],
        pipeline_of: PipelineOf | None = None,
    ) -> None:
        self._placed = placed
        self.districts: Districts
        super().__init__(config, pipeline_of)

    def _wired(self, pipeline: Pipeline) -> tuple[Cameras, LiveSite]:
        numbers = self.store.numbers()
        self._new_identity = IdAllocator(*first_identity(0, len(self._placed), numbers.identity))
        told = newest_events(self.store, numbers.event)
        registry = Registry(list(self._placed), numbers.event, mergers(told), keys(told))
        self.districts = Districts(self._placed, registry)
        self.districts.stage = pipeline.stage
        return self.districts, FrontLoop(self.districts, pipeline, self.config.tracking.max_lost_seconds)

    def _cameras_to_add(self) -> Sequence[CameraConfig]:
        return ()  # the districts have them from the beginning

    def _remember(self, last_identity: int, last_event: int) -> None:
        """Not here: each district remembers its own people (``begin``)."""

    def begin(self, district: str) -> Beginning:
        """What a district begins with, for the first time or again."""
        self.recorder.flush()
        numbers, (identity, tracklet) = self.store.numbers(), self.districts.highest()
        spare = _SPARE * (len(self._placed) + 1)
        charges, lie = self.districts.begin(district)
        own = {camera.id for charge in charges if charge.associator == district for camera in charge.cameras}
        cameras = own.union(*(each.exits.get(district, ()) for each in lie.values()))
        remembered = self.remembered_passages()
        people = {passage.identity for passage in remembered if passage.camera_id in cameras}
        passages = tuple(passage for passage in remembered if passage.identity in people)
        identity, tracklet = max(numbers.identity, identity + spare), max(numbers.tracklet, tracklet + spare)
        return Beginning(identity, tracklet, passages, charges, lie[district])

    def site_state(self) -> SiteState:
        """How the groups and the districts are."""
        return self.districts.site_state()

    def ways(self) -> list[CameraLink]:
        """See Service.ways."""
        return self.districts.ways()

    def _merged(self, first: int, second: int) -> int:
        one, other = self._sightings(first), self._sightings(second)
        if _meet(one, other):
            raise InputError(
                f"identities {first} and {second} were in one camera at the same time: they are two people"
            )
        kept, gone = sorted((self.districts.number(first), self.districts.number(second)))
        if kept == gone:
            raise InputError(f"identities {first} and {second} are one already")
        moved = other if gone == self.districts.number(second) else one
        event = self._event(EventType.MERGED, kept, [each.tracklet for each in moved], (gone,), moved[-1].camera_id)
        self._publish(Renumber(gone, kept, told=True), event)
        return kept

    def _parted(self, identity: int, tracklets: Sequence[int]) -> int:
        known = self._sightings(identity)
        moving = [each for each in known if each.tracklet in set(tracklets)]
        staying = [each for each in known if each.tracklet not in set(tracklets)]
        if not moving or not staying:
            numbers = ", ".join(str(each.tracklet) for each in known)
            raise InputError(
                f"identity {identity} cannot be split there: expected some but not all of its passages ({numbers})"
            )
        number = self._new_identity()
        ours, theirs = (tuple(each.tracklet for each in side) for side in (moving, staying))
        event = self._event(EventType.SPLIT, number, ours, (identity,), moving[-1].camera_id)
        self.districts.order(Part(identity, ours, number))
        self._publish(Apart(ours, theirs), event)
        return number

    def _apart(self, first: int, second: int) -> None:
        one, other = self._sightings(first), self._sightings(second)
        if self.districts.number(first) == self.districts.number(second):
            raise InputError(f"identities {first} and {second} are one number; split it first")
        ours, theirs = (tuple(each.tracklet for each in side) for side in (one, other))
        self.districts.order(Apart(ours, theirs))

    def _erased(self, identity: int) -> tuple[int, ...]:
        self.districts.order(Erase(self.districts.number(identity)))
        return ()  # whether somebody was there shows in the store

    def _sightings(self, identity: int) -> list[Sighting]:
        self.recorder.flush()
        found = self.store.history(self.districts.number(identity))
        if not found:
            raise InputError(f"identity {identity} is not remembered (any more)")
        return found

    def _event(
        self, kind: EventType, identity: int, tracklets: Sequence[int], gone: tuple[int, ...], camera_id: str
    ) -> IdentityEvent:
        return IdentityEvent(0, kind, time.time(), camera_id, identity, tuple(tracklets), gone, _TOLD)

    def _publish(self, order: Order, event: IdentityEvent) -> None:
        """Tell an event, and have the districts follow it."""
        loop = self.site
        assert isinstance(loop, FrontLoop)
        self.districts.order(order)
        loop.call(lambda: loop.publish(event))


def newest_events(store: Store, last_event: int) -> list[dict[str, Any]]:
    """The newest events that a store holds, oldest first (results.jsonl.event_to_json)."""
    found: list[dict[str, Any]] = []
    after = max(0, last_event - _EVENTS_BACK)
    while events := store.events_after(after, _EVENTS_READ):
        after = int(events[-1]["event_id"])
        found += events
    return found


def mergers(events: Iterable[Mapping[str, Any]]) -> list[tuple[int, int]]:
    """(gone, kept) of the mergers among events."""
    merged = (event for event in events if event["type"] == EventType.MERGED.value)
    return [(int(gone), int(event["identity"])) for event in merged for gone in event["supersedes"]]


def keys(events: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """key -> ``event_id`` of the events that districts decided."""
    return {event["key"]: int(event["event_id"]) for event in events if event.get("key")}


def _meet(some: Sequence[Sighting], others: Sequence[Sighting]) -> bool:
    """Two of them were in one camera at one time."""
    return any(
        one.camera_id == other.camera_id and min(one.ended, other.ended) >= max(one.started, other.started)
        for one in some
        for other in others
    )

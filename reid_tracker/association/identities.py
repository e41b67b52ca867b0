"""Identities, the passages that make them up, and the only four ways in which that can change.

    start     a passage becomes somebody new            event started
    link      a passage becomes somebody known          event linked
    merge     two identities were one person            event merged; the older number stays
    move      a passage belonged to somebody else       event split (or merged, where it was all there was)

Every change goes through ``IdentityBook`` and leaves an event, so replaying the events gives the book's contents.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reid_tracker.association.calibration import PassageLooks
from reid_tracker.ids import IdAllocator
from reid_tracker.types import Appearance, EventType, IdentityEvent

_log = logging.getLogger(__name__)
_FORMER = 256  # passages without looks that are remembered of a person, some 60 kB


def seen_as(camera_id: str, grey: bool) -> str:
    """A camera is two, by day and by infrared, in what it does to everybody's looks."""
    return f"{camera_id} by infrared" if grey else camera_id


@dataclass(slots=True, eq=False)
class Passage:
    """A tracklet as the associator remembers it.

    Attributes:
        tracklet: its id.
        camera_id, camera: where, by name and by the topology's number.
        start, end: UTC seconds; ``end`` grows while it is open.
        looks: its looks in short, None before the first.
        kept: a few of its looks in full, for the aligned distance.
        version: the tracklet's ``looks_version`` when they were read.
        open: not ended yet.
        settled: the decision was clear.
        identity: number of the identity it belongs to, 0 before the first decision.
        apart: tracklets that somebody who knows said are other people.
        pinned: somebody who knows said whose it is; no evidence moves it.
        grey: it was seen by infrared when it was looked at first.
        still: it has never moved, for so long that it is a thing that looks like a person.
    """

    tracklet: int
    camera_id: str
    camera: int
    start: float
    end: float
    looks: PassageLooks | None = None
    kept: Appearance | None = None
    version: int = -1
    open: bool = True
    settled: bool = False
    identity: int = 0
    apart: frozenset[int] = frozenset()
    pinned: bool = False
    grey: bool = False
    still: bool = False

    @property
    def seen_by(self) -> str:
        """The camera, by the light that it saw by."""
        return seen_as(self.camera_id, self.grey)

    def overlaps(self, other: Passage) -> bool:
        """Both were in view at one time."""
        return min(self.end, other.end) >= max(self.start, other.start)


@dataclass(slots=True, eq=False)
class Identity:
    """One person as far as known.

    Attributes:
        number: the identity.
        passages: in order of their start, bounded.
        tracklets: how many passages it ever had, forgotten ones included.
        former: earlier passages whose looks were let go of: where it was still says who it cannot be. Bounded.
    """

    number: int
    passages: list[Passage] = field(default_factory=list)
    tracklets: int = 0
    former: list[Passage] = field(default_factory=list)

    @property
    def known(self) -> list[Passage]:
        """All passages of which it is known where they were, those without looks first."""
        return [*self.former, *self.passages]

    def let_go(self, passage: Passage) -> None:
        """Forget what a passage looked like."""
        self.passages.remove(passage)
        passage.looks = passage.kept = None
        self._keep_former([passage])

    def take_over(self, other: Identity) -> None:
        """All that is somebody else's is this one's."""
        for own in other.known:
            own.identity = self.number
        self.passages = sorted(self.passages + other.passages, key=lambda own: (own.start, own.tracklet))
        self.tracklets += other.tracklets
        self._keep_former(other.former)
        other.passages, other.former = [], []

    def _keep_former(self, more: list[Passage]) -> None:
        """What somebody said is kept longest, then what is newest."""
        self.former = sorted([*self.former, *more], key=lambda own: (bool(own.apart), own.end))[-_FORMER:]

    def described(self, without: Passage | None = None) -> list[PassageLooks]:
        """The passages that have looks, leaving one out."""
        return [passage.looks for passage in self.passages if passage.looks is not None and passage is not without]

    def meets(self, passages: list[Passage]) -> bool:
        """It was in one of their cameras at the same time, or is known to be another: certainly somebody else.

        So is a thing that never moves for everybody who was in other cameras.
        """
        if any(other.still for other in passages) or any(own.still for own in self.passages):
            everything = [*passages, *(own for own in self.passages if own not in passages)]
            standing = [one.camera for one in everything if one.still]
            if never_moves_but_is_elsewhere(standing, [one.camera for one in everything if not one.still]):
                return True
        return self.was_beside(passages) or self._told_apart(passages)

    def was_beside(self, passages: list[Passage]) -> bool:
        """It was in one of their cameras at the same time."""
        cameras, asked = {other.camera for other in passages}, {other.tracklet for other in passages}
        mine = [own for own in self.known if own.camera in cameras and own.tracklet not in asked]
        latest: dict[tuple[int, bool], float] = {}  # until when either side was seen in a camera
        both = [*((own, True) for own in mine), *((other, False) for other in passages)] if mine else []
        for passage, ours in sorted(both, key=lambda one: one[0].start):
            if latest.get((passage.camera, not ours), -np.inf) >= passage.start:
                return True
            latest[passage.camera, ours] = max(passage.end, latest.get((passage.camera, ours), -np.inf))
        return False

    def _told_apart(self, passages: list[Passage]) -> bool:
        """Somebody who knows said that it is another."""
        theirs = {other.tracklet for other in passages}
        apart = frozenset().union(*(other.apart for other in passages))
        return any(own.tracklet in apart or not own.apart.isdisjoint(theirs) for own in self.known)

    def before(self, passage: Passage) -> Passage | None:
        """Where it was last seen before ``passage`` began: of those that began earlier, the one that ended last."""
        earlier = [own for own in self.passages if own is not passage and own.start <= passage.start]
        return max(earlier, key=lambda own: own.end, default=None)

    def beside(self, passage: Passage) -> Passage | None:
        """Where it was seen too while ``passage``, the first of its own, was in view: of those the first to begin.

        Without it the first of two cameras that see a person at once would have nobody to compare with, and the person
        would fall apart and be mended with every look.
        """
        if passage.identity != self.number:
            return None
        later = [own for own in self.passages if own is not passage and own.overlaps(passage)]
        return min(later, key=lambda own: own.start, default=None)

    @property
    def last(self) -> Passage:
        """The passage that ended last."""
        return max(self.passages, key=lambda own: own.end)

    def timetable(self) -> tuple[NDArray[np.intp], NDArray[np.float64], NDArray[np.float64]]:
        """Camera numbers, starts and ends of the passages, in order of start."""
        return timetable(self.passages)


def taken_twice(seen: list[Passage]) -> list[Passage]:
    """Of the passages in view of a camera those who have the number of another one, which was there before.

    Where somebody who knows said whose one of them is, that one has it.
    """
    holders: set[int] = set()
    twice = []
    for passage in sorted(seen, key=lambda one: (not one.pinned, one.start, one.tracklet)):
        if passage.identity in holders:
            twice.append(passage)
        elif passage.identity:
            holders.add(passage.identity)
    return twice


def never_moves_but_is_elsewhere(standing: list[int], walking: list[int]) -> bool:
    """All passages in one camera are of a thing that never moves, and there are others in other cameras.

    Args:
        standing, walking: numbers of the cameras of the passages that never moved, and of those that did.
    """
    return not set(standing) <= set(walking) and len({*standing, *walking}) > 1


def timetable(passages: list[Passage]) -> tuple[NDArray[np.intp], NDArray[np.float64], NDArray[np.float64]]:
    """(K,) camera numbers, starts and ends, in order of start."""
    ordered = sorted(passages, key=lambda passage: (passage.start, passage.tracklet))
    return (
        np.array([passage.camera for passage in ordered], np.intp),
        np.array([passage.start for passage in ordered]),
        np.array([passage.end for passage in ordered]),
    )


class IdentityBook:
    """Who is who, and the events that made it so. One per site, not thread-safe.

    Args:
        changed: called with each identity whose passages changed, and with True when it is gone.
    """

    def __init__(self, changed: Callable[[Identity, bool], None]) -> None:
        self.identities: dict[int, Identity] = {}
        self.people = 0  # started and not merged away so far
        self._changed = changed
        self._new_identity = IdAllocator()
        self._new_event = IdAllocator()
        self._events: list[IdentityEvent] = []

    def continue_after(self, identity: int, event: int, step: int = 1) -> None:
        """Number what is new from here on, as a run does that remembers an earlier one.

        Args:
            step: between two identities; above 1 where several books number the people of one site.
        """
        self._new_identity = IdAllocator(identity + 1, step)
        self._new_event = IdAllocator(event + 1)

    def restore(self, identity: Identity) -> None:
        """Take in somebody known from an earlier run; no event tells of it."""
        self.identities[identity.number] = identity
        self.people += 1
        self._changed(identity, False)

    def adopt(self, passage: Passage, number: int) -> None:
        """A passage is somebody's because another book says so; no event tells of it here, and nobody new has come."""
        source = self.identities.get(passage.identity)
        if source is not None and passage in source.passages:
            if source.number == number:
                self._changed(source, False)
                return
            source.passages.remove(passage)
            source.tracklets -= 1
            if not source.passages:
                del self.identities[source.number]
            self._changed(source, not source.passages)
        elif source is not None and passage in source.former:
            source.former.remove(passage)
        self._give(passage, self.identities.setdefault(number, Identity(number)))

    def renumber(self, gone: int, kept: int) -> bool:
        """Two numbers are one person because another book says so; whether that was news. No event tells of it here."""
        source = self.identities.pop(gone, None)
        if source is None or gone == kept:
            self.identities |= {} if source is None else {gone: source}
            return False
        self._changed(source, True)
        target = self.identities.setdefault(kept, Identity(kept))
        target.take_over(source)
        self._changed(target, False)
        return True

    def release(self, identity: Identity) -> None:
        """Drop somebody who is another book's to remember; no event tells of it."""
        del self.identities[identity.number]
        self._changed(identity, True)

    def erase(self, identity: Identity, time: float, rule: str) -> None:
        """Drop an identity although somebody of it is in view: those passages belong to nobody then."""
        last = identity.last
        del self.identities[identity.number]
        self.people -= 1
        self._changed(identity, True)
        for passage in identity.passages:
            passage.identity, passage.settled, passage.pinned = 0, False, False
        self._tell(EventType.ENDED, time, last, identity, (), {"rule": rule}, ())

    def take_events(self) -> tuple[IdentityEvent, ...]:
        """The events since the last call."""
        events = tuple(self._events)
        self._events.clear()
        return events

    def start(self, passage: Passage, time: float, evidence: Mapping[str, Any]) -> Identity:
        """Make the passage somebody new."""
        identity = self._new(passage)
        self._tell(EventType.STARTED, time, passage, identity, (), evidence)
        return identity

    def link(self, passage: Passage, identity: Identity, time: float, evidence: Mapping[str, Any]) -> None:
        """Make the passage, which belongs to nobody yet, somebody known."""
        self._give(passage, identity)
        self._tell(EventType.LINKED, time, passage, identity, (), evidence)

    def merge(
        self, first: Identity, second: Identity, time: float, passage: Passage, evidence: Mapping[str, Any]
    ) -> Identity:
        """Two identities were one person; the older number stays. ``passage`` is the one that gave it away."""
        kept, gone = (first, second) if first.number < second.number else (second, first)
        moved = tuple(own.tracklet for own in gone.passages)
        kept.take_over(gone)
        del self.identities[gone.number]
        self.people -= 1
        self._changed(gone, True)
        self._changed(kept, False)
        event = IdentityEvent(
            self._new_event(), EventType.MERGED, time, passage.camera_id, kept.number, moved, (gone.number,), evidence
        )
        self._events.append(event)
        return kept

    def going_with(self, passage: Passage) -> list[Passage]:
        """What goes where a passage goes: all that is known of its person where it is the last one with looks."""
        source = self.identities.get(passage.identity)
        return source.known if source is not None and len(source.passages) == 1 else [passage]

    def move(self, passage: Passage, target: Identity | None, time: float, evidence: Mapping[str, Any]) -> Identity:
        """The passage belongs to ``target`` or, where None, to somebody new; not to whom it was given."""
        source = self.identities[passage.identity]
        if len(source.passages) == 1:
            return source if target is None else self.merge(target, source, time, passage, evidence)
        source.passages.remove(passage)
        source.tracklets -= 1
        if target is None:
            target = self._new(passage)
        else:
            self._give(passage, target)
        self._changed(source, False)
        self._tell(EventType.SPLIT, time, passage, target, (source.number,), evidence)
        return target

    def part(self, passage: Passage, time: float) -> None:
        """The passage is in view beside its person, so it is somebody new, even where somebody said whose it is."""
        if passage.pinned:
            passage.pinned = False
            _log.warning(
                "camera %s: tracklet %d was said to be person %d, but is in view beside that person: they are two",
                passage.camera_id,
                passage.tracklet,
                passage.identity,
            )
        self.move(passage, None, time, {"rule": "in view beside that person", "probability": 1.0})

    def forget(self, identity: Identity, time: float) -> None:
        """Drop an identity that nobody waits for any longer."""
        last = identity.last
        del self.identities[identity.number]
        self._changed(identity, True)
        self._tell(EventType.ENDED, time, last, identity, (), {"rule": "not seen for long"}, ())

    def end(self, identity: Identity, time: float) -> None:
        """Say that an identity's story is complete."""
        self._tell(EventType.ENDED, time, identity.last, identity, (), {"rule": "end of the run"}, ())

    def _new(self, passage: Passage) -> Identity:
        identity = Identity(self._new_identity())
        self.identities[identity.number] = identity
        self.people += 1
        self._give(passage, identity)
        return identity

    def _give(self, passage: Passage, identity: Identity) -> None:
        passage.identity = identity.number
        identity.passages.append(passage)
        identity.passages.sort(key=lambda own: (own.start, own.tracklet))
        identity.tracklets += 1
        self._changed(identity, False)

    def _tell(
        self,
        kind: EventType,
        time: float,
        passage: Passage,
        identity: Identity,
        supersedes: tuple[int, ...],
        evidence: Mapping[str, Any],
        tracklets: tuple[int, ...] | None = None,
    ) -> None:
        about = (passage.tracklet,) if tracklets is None else tracklets
        self._events.append(
            IdentityEvent(
                self._new_event(), kind, time, passage.camera_id, identity.number, about, supersedes, dict(evidence)
            )
        )

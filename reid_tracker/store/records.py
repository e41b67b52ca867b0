"""What a store keeps, and the calls that every store answers."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from reid_tracker.association.corrections import Correction
from reid_tracker.association.remembered import RememberedPassage
from reid_tracker.store.index import IndexedLook
from reid_tracker.types import IdentityEvent


class Numbers(NamedTuple):
    """The highest numbers given so far; a new run goes on after them."""

    identity: int = 0
    tracklet: int = 0
    event: int = 0


@dataclass(frozen=True, slots=True)
class StoredCrop:
    """A picture of one person, kept only where pictures were asked for."""

    tracklet: int
    time: float
    quality: float
    jpeg: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Sighting:
    """One passage of somebody through one camera, without its looks. Times are UTC seconds."""

    tracklet: int
    identity: int
    camera_id: str
    started: float
    ended: float


@dataclass(frozen=True, slots=True)
class PersonSummary:
    """One identity in short."""

    identity: int
    first_seen: float
    last_seen: float
    sightings: int
    cameras: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Who did what about whom, and when."""

    number: int
    time: float
    who: str
    action: str
    about: str


class Erased(NamedTuple):
    """What went with a person: their passages, and the numbers that they ever had."""

    tracklets: tuple[int, ...]
    numbers: frozenset[int]


@dataclass(slots=True)
class Batch:
    """What is written in one transaction.

    Attributes:
        passages: new, grown or ended; ``identity`` 0 leaves the stored one.
        events: applied in order, after the passages.
        numbers: the highest so far.
    """

    passages: dict[int, RememberedPassage] = field(default_factory=dict)
    events: list[IdentityEvent] = field(default_factory=list)
    crops: list[StoredCrop] = field(default_factory=list)
    numbers: Numbers = field(default_factory=Numbers)

    def __len__(self) -> int:
        return len(self.passages) + len(self.events) + len(self.crops)

    def drop(self, tracklets: Container[int], identity: int) -> None:
        """Take out somebody's passages and pictures, by tracklets or number."""
        self.passages = {
            tracklet: passage
            for tracklet, passage in self.passages.items()
            if tracklet not in tracklets and passage.identity != identity
        }
        self.crops = [crop for crop in self.crops if crop.tracklet not in tracklets]


class Store(Protocol):
    """Identities, appearances and sightings that outlast the program. Thread-safe.

    Every call raises StoreError where the database cannot be reached or used.
    """

    def save(self, batch: Batch) -> None:
        """Write a batch, all of it or nothing."""
        ...

    def numbers(self) -> Numbers:
        """Where a new run begins to count: beyond what a killed one may have given and not written."""
        ...

    def keep_numbers(self, numbers: Numbers) -> None:
        """Keep numbers that were given and that could not be saved, for ``numbers`` of the next run. Does not raise."""
        ...

    def remembered(self, since: float, per_camera: int, most_people: int) -> list[RememberedPassage]:
        """Passages that ended after ``since`` (UTC seconds): the newest few per person and camera, of the people seen
        last; each with those that were said to be of others."""
        ...

    def vectors(self) -> Iterable[IndexedLook]:
        """Every passage that has looks, as the index takes it."""
        ...

    def sightings(self, tracklets: Sequence[int]) -> dict[int, tuple[Sighting, RememberedPassage]]:
        """Passages by tracklet, with their looks; missing ones are left out."""
        ...

    def people(self, since: float, until: float, limit: int) -> list[PersonSummary]:
        """Who was seen between two times, the one seen last first."""
        ...

    def history(self, identity: int) -> list[Sighting]:
        """The passages of one person, in order of their start."""
        ...

    def events_of(self, identity: int) -> list[dict[str, Any]]:
        """The events about one person, in order."""
        ...

    def events_after(self, event_id: int, limit: int) -> list[dict[str, Any]]:
        """Events with higher numbers, in order."""
        ...

    def crops_of(self, tracklet: int) -> list[tuple[int, float]]:
        """Number and quality of each picture of a passage, best first."""
        ...

    def crop(self, number: int) -> bytes | None:
        """A picture as JPEG."""
        ...

    def counts(self, since: float, until: float, bucket: float) -> list[tuple[float, str, int]]:
        """People in view by time and camera: (start of the bucket, camera, different people)."""
        ...

    def correct(self, correction: Correction) -> None:
        """Keep what somebody said about stored passages."""
        ...

    def corrections(self) -> list[Correction]:
        """What was said so far, oldest first; passages that are gone are no longer named in it."""
        ...

    def erase(self, identity: int) -> Erased:
        """Remove every trace of a person. What that leaves on disk is ``tidy``'s, where it cannot be taken at once."""
        ...

    def expire(self, before: float) -> list[int]:
        """Remove what ended before a time (UTC seconds); the tracklets that went."""
        ...

    def tidy(self) -> None:
        """Take from disk what erased rows left there, where that is still to be done; to be called again and again."""
        ...

    def note(self, time: float, who: str, action: str, about: str) -> None:
        """Write a line of the audit log."""
        ...

    def audit(self, limit: int) -> list[AuditEntry]:
        """The newest lines of the audit log, newest first."""
        ...

    def embedder(self, name: str) -> str:
        """The embedder whose vectors are kept; ``name`` where there are none yet."""
        ...

    def close(self) -> None:
        """Complete what was written; may be called twice."""
        ...

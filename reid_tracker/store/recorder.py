"""Between tracking and the store: takes what was seen at once, writes it twice a second from a thread of its own.

Tracking never waits for the database. While it is away, what waits is bounded; what had to be let go is counted.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from reid_tracker.association.memory import varied
from reid_tracker.association.remembered import RememberedPassage
from reid_tracker.errors import StoreError
from reid_tracker.store.index import IndexedLook, LookIndex
from reid_tracker.store.records import Batch, Erased, Numbers, Store, StoredCrop
from reid_tracker.store.vectors import mean_look
from reid_tracker.types import TrackedFrame, Tracklet

_WRITE_SECONDS = 0.5
_EXPIRE_SECONDS = 60.0
_MOST_WAITING = 20_000  # passages, events and pictures together
_MOST_PICTURES = 1000  # of these, at some 20 kB each

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RecorderReport:
    """How writing goes: what waits, what was let go, and the last failure (empty while all is well)."""

    waiting: int
    lost: int
    failure: str


class Recorder:
    """Writes to a store and keeps the index in step with it. Thread-safe.

    Args:
        store: where to.
        index: of mean looks.
        looks: kept per passage.
        retention_seconds: what ended longer ago is removed; None keeps everything.
        utc: where time comes from.
    """

    def __init__(
        self,
        store: Store,
        index: LookIndex,
        looks: int,
        retention_seconds: float | None = None,
        utc: Callable[[], float] = time.time,
    ) -> None:
        self.store = store
        self.index = index
        self._looks = looks
        self._retention = retention_seconds
        self._utc = utc
        self._lock = threading.Lock()
        self._writing = threading.Lock()  # one batch at a time, and no erasure in the middle of one
        self._batch = Batch()
        self._numbers = store.numbers()
        self._erased, self._erased_people = set[int](), set[int]()
        self._written: dict[int, tuple[float, int, int]] = {}
        self._lost = 0
        self._failure = ""
        self._next_expiry = 0.0
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="store", daemon=True)
        self._thread.start()

    def take(self, tracked: Sequence[TrackedFrame], passages: Sequence[RememberedPassage]) -> None:
        """Take one moment: its frames, and the passages that are open after it. Returns at once."""
        with self._lock:
            batch = self._batch
            for passage in passages:
                if passage.identity in self._erased_people:  # a district that has not heard of it yet goes on with them
                    self._erased.add(passage.tracklet)
                if passage.tracklet in self._erased:
                    continue
                looks = 0 if passage.looks is None else id(passage.looks)
                state = (passage.end, passage.identity, looks)
                if self._written.get(passage.tracklet) != state:
                    self._written[passage.tracklet] = state
                    batch.passages[passage.tracklet] = passage
            told = [event for frame in tracked for event in frame.events]
            batch.events.extend(event for event in told if event.identity not in self._erased_people)
            for frame in tracked:
                for tracklet in frame.finished:
                    if tracklet.id in self._erased:
                        continue
                    self._written.pop(tracklet.id, None)
                    batch.passages[tracklet.id] = self._ended(tracklet, batch.passages.get(tracklet.id))
            self._numbers = Numbers(
                max([self._numbers.identity, *(event.identity for event in told)]),
                max([self._numbers.tracklet, *batch.passages]),
                max([self._numbers.event, *(event.event_id for event in told)]),
            )
            self._bound(batch)

    def take_crops(self, crops: Sequence[StoredCrop]) -> None:
        """Take pictures of people, where pictures are kept."""
        with self._lock:
            self._batch.crops.extend(crop for crop in crops if crop.tracklet not in self._erased)
            self._bound(self._batch)

    def flush(self) -> None:
        """Write what waits, now.

        Raises:
            StoreError: it cannot be written; it waits on.
        """
        with self._writing:
            with self._lock:
                batch, self._batch = self._batch, Batch()
                batch.numbers = self._numbers
            if not len(batch):
                return
            try:
                self.store.save(batch)
            except StoreError:
                self.store.keep_numbers(batch.numbers)
                with self._lock:
                    self._put_back(batch)
                raise
            except Exception:  # it holds what cannot be written: waiting would hold up all that follows
                with self._lock:
                    self._lost += len(batch)
                raise
            self.index.add(map(_indexed, batch.passages.values()))

    def ignore(self, tracklets: Iterable[int]) -> None:
        """Take nothing more of passages of somebody who is being erased, whoever may still tell of them."""
        with self._lock:
            self._erased.update(tracklets)

    def erase(self, identity: int) -> Erased:
        """Remove a person from what waits, the index and the store.

        Raises:
            StoreError: the store cannot be reached; try again.
        """
        self.flush()
        with self._writing:
            # first, since a database that goes away may have erased and not said so
            self.index.remove(sighting.tracklet for sighting in self.store.history(identity))
            erased = self.store.erase(identity)
            self.ignore(erased.tracklets)
            with self._lock:
                if erased.tracklets:  # else it may be a number that is given one day
                    self._erased_people |= erased.numbers
                self._batch.drop(self._erased, identity)
                self._written.clear()
        return erased

    def report(self) -> RecorderReport:
        """How writing goes."""
        with self._lock:
            return RecorderReport(len(self._batch), self._lost, self._failure)

    def close(self) -> None:
        """Write what waits and end the thread; the store stays open."""
        self._closing.set()
        self._thread.join()
        self._attempt()

    def _run(self) -> None:
        while not self._closing.wait(_WRITE_SECONDS):
            self._attempt()

    def _attempt(self) -> None:
        try:
            self.flush()
            self._expire()
            self.store.tidy()
        except StoreError as error:
            if str(error) != self._failure:
                _log.error("%s; it is tried again, and what cannot be written is kept in memory", error)
            self._note(str(error))
        except Exception as error:  # whatever it is, what comes later is still to be kept
            _log.exception("records could not be written and were lost")
            self._note(f"store: records were lost ({type(error).__name__}: {error})")
        else:
            self._note("")

    def _note(self, failure: str) -> None:
        with self._lock:
            self._failure = failure

    def _expire(self) -> None:
        now = self._utc()
        if self._retention is None or now < self._next_expiry:
            return
        self._next_expiry = now + min(_EXPIRE_SECONDS, self._retention)
        self.index.remove(self.store.expire(now - self._retention))

    def _ended(self, tracklet: Tracklet, waiting: RememberedPassage | None) -> RememberedPassage:
        looks = tracklet.looks.select(tracklet.looks.valid)
        known = waiting or RememberedPassage(
            tracklet.id, 0, tracklet.camera_id, tracklet.started, tracklet.updated
        )  # identity 0: as the store or the events of this batch have it
        return replace(known, end=tracklet.updated, looks=varied(looks, self._looks) if len(looks) else known.looks)

    def _put_back(self, batch: Batch) -> None:
        newer = self._batch
        self._batch = Batch(
            batch.passages | newer.passages, batch.events + newer.events, batch.crops + newer.crops, newer.numbers
        )
        self._bound(self._batch)

    def _bound(self, batch: Batch) -> None:
        """Let the oldest go where too much waits: pictures first, then passages, events last."""
        excess, pictures = len(batch) - _MOST_WAITING, len(batch.crops)
        dropped = max(min(excess, pictures), pictures - _MOST_PICTURES, 0)
        del batch.crops[:dropped]
        self._lost += max(excess, dropped)
        excess = max(excess - dropped, 0)
        for tracklet in list(batch.passages)[:excess]:
            del batch.passages[tracklet]
            excess -= 1
        del batch.events[:excess]


def _indexed(passage: RememberedPassage) -> IndexedLook:
    look = mean_look(passage.looks) if passage.looks is not None and len(passage.looks) else None
    return IndexedLook(passage.tracklet, look, passage.camera_id, passage.start, passage.end)

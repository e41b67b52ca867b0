"""The store in one SQLite file: write-ahead log, one writer, erased pages overwritten.

Killing the program loses what was not yet committed and damages nothing; a power cut may in addition lose the last
commits (``synchronous=NORMAL``), and damages nothing either.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from reid_tracker.association.remembering import RememberedPassage
from reid_tracker.errors import StoreError
from reid_tracker.results.jsonl import event_to_json
from reid_tracker.store.records import AuditEntry, Batch, Numbers, PersonSummary, Sighting
from reid_tracker.store.vectors import looks_from_blobs, mean_look
from reid_tracker.types import EventType, FloatArray, IdentityEvent

MEMORY = ":memory:"
"""A path that keeps everything in memory, until the store is closed."""

SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS sightings (
    tracklet INTEGER PRIMARY KEY, identity INTEGER NOT NULL, camera TEXT NOT NULL,
    started REAL NOT NULL, ended REAL NOT NULL, mean BLOB);
CREATE INDEX IF NOT EXISTS sightings_identity ON sightings (identity, started);
CREATE INDEX IF NOT EXISTS sightings_ended ON sightings (ended);
CREATE TABLE IF NOT EXISTS looks (
    tracklet INTEGER PRIMARY KEY REFERENCES sightings ON DELETE CASCADE,
    layout TEXT NOT NULL, quality BLOB NOT NULL, vectors BLOB NOT NULL, stripes BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS crops (
    number INTEGER PRIMARY KEY, tracklet INTEGER NOT NULL REFERENCES sightings ON DELETE CASCADE,
    time REAL NOT NULL, quality REAL NOT NULL, jpeg BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS crops_tracklet ON crops (tracklet);
CREATE TABLE IF NOT EXISTS apart (
    one INTEGER NOT NULL REFERENCES sightings ON DELETE CASCADE,
    other INTEGER NOT NULL REFERENCES sightings ON DELETE CASCADE, PRIMARY KEY (one, other)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS events (
    event_id INTEGER PRIMARY KEY, time REAL NOT NULL, identity INTEGER NOT NULL, body TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS events_identity ON events (identity);
CREATE INDEX IF NOT EXISTS events_time ON events (time);
CREATE TABLE IF NOT EXISTS concerned (
    identity INTEGER NOT NULL, event_id INTEGER NOT NULL REFERENCES events ON DELETE CASCADE,
    PRIMARY KEY (identity, event_id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS audit (
    number INTEGER PRIMARY KEY, time REAL NOT NULL, who TEXT NOT NULL, action TEXT NOT NULL, about TEXT NOT NULL);
"""
# What a killed program may have numbered in the second that it had not written.
_MARGIN = Numbers(identity=100, tracklet=500, event=1000)
_AT_ONCE = 500  # parameters of one statement
_BUSY_SECONDS = 5.0


class SqliteStore:
    """A store in a file (reid_tracker.store.records.Store).

    Args:
        path: the file; created where missing. Readable by its owner alone, since it holds what people look like.

    Raises:
        StoreError: it cannot be opened, is no database, or was written by a newer release.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._lock = threading.RLock()
        self._closed = False
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            if str(path) != MEMORY:
                self._path.touch(mode=0o600)
            self._base = sqlite3.connect(
                self._path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "secure_delete=ON"):
                self._base.execute(f"PRAGMA {pragma}")
            self._base.executescript(_SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"store {self._path}: cannot be opened ({error}); choose another file") from error
        version = int(self._meta("version") or SCHEMA_VERSION)
        if version > SCHEMA_VERSION:
            raise StoreError(f"store {self._path}: written by a newer release (version {version})")
        with self._writing() as base:
            self._unclean = self._meta("clean") == "0"
            self._set(base, version=SCHEMA_VERSION, clean=0)

    def save(self, batch: Batch) -> None:
        """Write a batch, all of it or nothing."""
        with self._writing() as base:
            for passage in batch.passages.values():
                self._save_passage(base, passage)
            for event in batch.events:
                self._apply(base, event)
            base.executemany(
                "INSERT INTO crops (tracklet, time, quality, jpeg) SELECT ?1, ?2, ?3, ?4 "
                "WHERE EXISTS (SELECT 1 FROM sightings WHERE tracklet = ?1)",
                [(crop.tracklet, crop.time, crop.quality, crop.jpeg) for crop in batch.crops],
            )
            self._set(
                base,
                identity=max(batch.numbers.identity, int(self._meta("identity") or 0)),
                tracklet=max(batch.numbers.tracklet, int(self._meta("tracklet") or 0)),
                event=max(batch.numbers.event, int(self._meta("event") or 0)),
            )

    def numbers(self) -> Numbers:
        """Where a new run begins to count: beyond what a killed one may have given and not written."""
        with self._reading():
            given = {key: int(self._meta(key) or 0) for key in ("identity", "tracklet", "event")}
        if self._unclean:
            given = {key: value + getattr(_MARGIN, key) for key, value in given.items()}
        return Numbers(**given)

    def remembered(self, since: float, per_camera: int, most_people: int) -> list[RememberedPassage]:
        """The newest passages per person and camera that ended after ``since``, of the people seen last."""
        rows = self._rows(
            "WITH recent AS (SELECT identity FROM sightings WHERE identity > 0 GROUP BY identity "
            "HAVING max(ended) >= ? ORDER BY max(ended) DESC LIMIT ?), ranked AS (SELECT tracklet, row_number() OVER "
            "(PARTITION BY identity, camera ORDER BY ended DESC) AS place FROM sightings JOIN recent USING (identity)) "
            "SELECT tracklet FROM ranked WHERE place <= ?",
            (since, most_people, per_camera),
        )
        return [passage for _, passage in self.sightings([row[0] for row in rows]).values()]

    def vectors(self) -> Iterable[tuple[int, FloatArray]]:
        """Tracklet and (D,) mean look of every passage that has looks."""
        for tracklet, blob in self._rows("SELECT tracklet, mean FROM sightings WHERE mean IS NOT NULL"):
            yield tracklet, np.frombuffer(blob, np.float16).astype(np.float32)

    def sightings(self, tracklets: Sequence[int]) -> dict[int, tuple[Sighting, RememberedPassage]]:
        """Passages by tracklet, with their looks; missing ones are left out."""
        found: dict[int, tuple[Sighting, RememberedPassage]] = {}
        for start in range(0, len(tracklets), _AT_ONCE):
            chunk = tracklets[start : start + _AT_ONCE]
            marks = ",".join("?" * len(chunk))
            apart: dict[int, set[int]] = {}
            for one, other in self._rows(f"SELECT one, other FROM apart WHERE one IN ({marks})", chunk):
                apart.setdefault(one, set()).add(other)
            rows = self._rows(
                "SELECT tracklet, identity, camera, started, ended, layout, quality, vectors, stripes FROM sightings "
                f"LEFT JOIN looks USING (tracklet) WHERE tracklet IN ({marks})",
                chunk,
            )
            for tracklet, identity, camera, started, ended, *blobs in rows:
                sighting = Sighting(tracklet, identity, camera, started, ended)
                passage = RememberedPassage(
                    tracklet,
                    identity,
                    camera,
                    started,
                    ended,
                    looks_from_blobs(*blobs),
                    frozenset(apart.get(tracklet, ())),
                )
                found[tracklet] = (sighting, passage)
        return found

    def people(self, since: float, until: float, limit: int) -> list[PersonSummary]:
        """Who was seen between two times, the one seen last first."""
        rows = self._rows(
            "SELECT identity, min(started), max(ended), count(*), group_concat(DISTINCT camera) FROM sightings "
            "WHERE identity > 0 AND ended >= ? AND started <= ? GROUP BY identity ORDER BY max(ended) DESC LIMIT ?",
            (since, until, limit),
        )
        return [PersonSummary(row[0], row[1], row[2], row[3], tuple(sorted(row[4].split(",")))) for row in rows]

    def history(self, identity: int) -> list[Sighting]:
        """The passages of one person, in order of their start."""
        rows = self._rows(
            "SELECT tracklet, identity, camera, started, ended FROM sightings WHERE identity = ? ORDER BY started",
            (identity,),
        )
        return [Sighting(*row) for row in rows]

    def events_of(self, identity: int) -> list[dict[str, Any]]:
        """The events about one person, in order."""
        rows = self._rows(
            "SELECT body FROM events JOIN concerned USING (event_id) WHERE concerned.identity = ? ORDER BY event_id",
            (identity,),
        )
        return [json.loads(body) for (body,) in rows]

    def events_after(self, event_id: int, limit: int) -> list[dict[str, Any]]:
        """Events with higher numbers, in order."""
        rows = self._rows("SELECT body FROM events WHERE event_id > ? ORDER BY event_id LIMIT ?", (event_id, limit))
        return [json.loads(body) for (body,) in rows]

    def crops_of(self, tracklet: int) -> list[tuple[int, float]]:
        """Number and quality of each picture of a passage, best first."""
        rows = self._rows(
            "SELECT number, quality FROM crops WHERE tracklet = ? ORDER BY quality DESC, number", (tracklet,)
        )
        return [(number, quality) for number, quality in rows]

    def crop(self, number: int) -> bytes | None:
        """A picture as JPEG."""
        rows = self._rows("SELECT jpeg FROM crops WHERE number = ?", (number,))
        return rows[0][0] if rows else None

    def counts(self, since: float, until: float, bucket: float) -> list[tuple[float, str, int]]:
        """People in view by time and camera: (start of the bucket, camera, different people)."""
        rows = self._rows(
            "SELECT camera, identity, started, ended FROM sightings WHERE identity > 0 AND ended >= ? AND started <= ?",
            (since, until),
        )
        seen: dict[tuple[int, str], set[int]] = {}
        for camera, identity, started, ended in rows:
            first, last = int(max(started, since) // bucket), int(min(ended, until) // bucket)
            for place in range(first, last + 1):
                seen.setdefault((place, camera), set()).add(identity)
        return [(place * bucket, camera, len(people)) for (place, camera), people in sorted(seen.items())]

    def tell_apart(self, pairs: Sequence[tuple[int, int]]) -> None:
        """Keep that these tracklets are of different people."""
        both = [pair for one, other in pairs for pair in ((one, other), (other, one))]
        with self._writing() as base:
            base.executemany(
                "INSERT OR IGNORE INTO apart SELECT ?1, ?2 WHERE (SELECT count(*) FROM sightings "
                "WHERE tracklet IN (?1, ?2)) = 2",
                both,
            )

    def erase(self, identity: int) -> list[int]:
        """Remove every trace of a person, from the log of writes too; the tracklets that went."""
        with self._writing() as base:
            gone = [row[0] for row in base.execute("SELECT tracklet FROM sightings WHERE identity = ?", (identity,))]
            numbers = self._former_numbers(base, identity)
            self._delete_sightings(base, gone)
            for number in numbers:
                base.execute(
                    "DELETE FROM events WHERE event_id IN (SELECT event_id FROM concerned WHERE identity = ?)",
                    (number,),
                )
        self._truncate_log()
        return gone

    def expire(self, before: float) -> list[int]:
        """Remove what ended before a time; the tracklets that went."""
        with self._writing() as base:
            gone = [row[0] for row in base.execute("SELECT tracklet FROM sightings WHERE ended < ?", (before,))]
            self._delete_sightings(base, gone)
            base.execute("DELETE FROM events WHERE time < ?", (before,))
            base.execute("DELETE FROM audit WHERE time < ?", (before,))
        if gone:
            self._truncate_log()
        return gone

    def note(self, time: float, who: str, action: str, about: str) -> None:
        """Write a line of the audit log."""
        with self._writing() as base:
            base.execute("INSERT INTO audit (time, who, action, about) VALUES (?, ?, ?, ?)", (time, who, action, about))

    def audit(self, limit: int) -> list[AuditEntry]:
        """The newest lines of the audit log, newest first."""
        rows = self._rows("SELECT number, time, who, action, about FROM audit ORDER BY number DESC LIMIT ?", (limit,))
        return [AuditEntry(*row) for row in rows]

    def embedder(self, name: str) -> str:
        """The embedder whose vectors are kept; ``name`` where there are none yet."""
        with self._writing() as base:
            if not base.execute("SELECT 1 FROM sightings LIMIT 1").fetchone():
                self._set(base, embedder=name)
            return self._meta("embedder") or name

    def close(self) -> None:
        """Complete what was written; may be called twice."""
        with self._lock:
            if self._closed:
                return
            with self._writing() as base:
                self._set(base, clean=1)
            self._truncate_log()
            self._closed = True
            self._base.close()

    def _save_passage(self, base: sqlite3.Connection, passage: RememberedPassage) -> None:
        looks = passage.looks if passage.looks is not None and len(passage.looks) else None
        base.execute(
            "INSERT INTO sightings (tracklet, identity, camera, started, ended, mean) VALUES (?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (tracklet) DO UPDATE SET ended = max(ended, excluded.ended), "
            "identity = CASE excluded.identity WHEN 0 THEN identity ELSE excluded.identity END, "
            "mean = coalesce(excluded.mean, mean)",
            (
                passage.tracklet,
                passage.identity,
                passage.camera_id,
                passage.start,
                passage.end,
                None if looks is None else mean_look(looks).astype(np.float16).tobytes(),
            ),
        )
        if looks is not None:
            base.execute(
                "INSERT OR REPLACE INTO looks VALUES (?, ?, ?, ?, ?)",
                (
                    passage.tracklet,
                    json.dumps([*looks.global_.shape, *looks.stripes.shape[1:]]),
                    looks.quality.astype(np.float16).tobytes(),
                    looks.global_.astype(np.float16).tobytes(),
                    looks.stripes.astype(np.float16).tobytes(),
                ),
            )

    def _apply(self, base: sqlite3.Connection, event: IdentityEvent) -> None:
        """Write an event and move the sightings it is about (the rule is IdentityEvent's docstring)."""
        body = json.dumps(event_to_json(event), separators=(",", ":"))
        base.execute(
            "INSERT OR REPLACE INTO events VALUES (?, ?, ?, ?)", (event.event_id, event.time, event.identity, body)
        )
        base.executemany(
            "INSERT OR IGNORE INTO concerned VALUES (?, ?)",
            [(number, event.event_id) for number in {event.identity, *event.supersedes}],
        )
        if event.type is EventType.MERGED:
            for former in event.supersedes:
                base.execute("UPDATE sightings SET identity = ? WHERE identity = ?", (event.identity, former))
                base.execute(
                    "INSERT OR IGNORE INTO concerned SELECT ?, event_id FROM concerned WHERE identity = ?",
                    (event.identity, former),
                )
        elif event.type is not EventType.ENDED:
            base.executemany(
                "UPDATE sightings SET identity = ? WHERE tracklet = ?",
                [(event.identity, tracklet) for tracklet in event.tracklets],
            )

    @staticmethod
    def _former_numbers(base: sqlite3.Connection, identity: int) -> set[int]:
        """The identity and all that were merged into it."""
        merged: dict[int, list[int]] = {}
        for (body,) in base.execute('SELECT body FROM events WHERE body LIKE \'%"type":"merged"%\''):
            event = json.loads(body)
            merged.setdefault(event["identity"], []).extend(event["supersedes"])
        numbers, waiting = set[int](), [identity]
        while waiting:
            number = waiting.pop()
            if number not in numbers:
                numbers.add(number)
                waiting += merged.get(number, [])
        return numbers

    @staticmethod
    def _delete_sightings(base: sqlite3.Connection, tracklets: Sequence[int]) -> None:
        base.executemany("DELETE FROM sightings WHERE tracklet = ?", [(tracklet,) for tracklet in tracklets])

    def _truncate_log(self) -> None:
        with self._reading() as base:
            base.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def _meta(self, key: str) -> str | None:
        row = self._base.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    @staticmethod
    def _set(base: sqlite3.Connection, **values: object) -> None:
        base.executemany(
            "INSERT OR REPLACE INTO meta VALUES (?, ?)", [(key, str(value)) for key, value in values.items()]
        )

    def _rows(self, query: str, parameters: Sequence[object] = ()) -> list[Any]:
        with self._reading() as base:
            return base.execute(query, tuple(parameters)).fetchall()

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            if self._closed:
                raise StoreError(f"store {self._path}: closed")
            try:
                yield self._base
            except sqlite3.Error as error:
                raise StoreError(f"store {self._path}: {error}") from error

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._reading() as base:
            base.execute("BEGIN IMMEDIATE")
            try:
                yield base
                base.execute("COMMIT")
            except BaseException:
                if base.in_transaction:
                    base.execute("ROLLBACK")
                raise

"""The store over any SQL database: what is asked and written, in the SQL that SQLite and PostgreSQL share.

A database brings its connection, its types, and how it keeps vectors (reid_tracker.store.sqlite, .postgres).
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np

from reid_tracker.association.corrections import Correction
from reid_tracker.association.remembered import RememberedPassage
from reid_tracker.errors import StoreError
from reid_tracker.results.jsonl import event_to_json
from reid_tracker.store import told
from reid_tracker.store.high_water import HighWater
from reid_tracker.store.index import IndexedLook
from reid_tracker.store.records import AuditEntry, Batch, Erased, Numbers, PersonSummary, Sighting
from reid_tracker.store.schema import SCHEMA, SCHEMA_VERSION
from reid_tracker.store.session import Session
from reid_tracker.store.tidying import Tidying
from reid_tracker.store.vectors import looks_from_blobs, mean_look
from reid_tracker.types import EventType, FloatArray, IdentityEvent

# What a killed program may have numbered in the second that it had not written.
_MARGIN = Numbers(identity=100, tracklet=500, event=1000)
_AT_ONCE = 500  # parameters of one statement
_VECTORS_AT_ONCE = 5000


class SqlStore(ABC):
    """A store in an SQL database (reid_tracker.store.records.Store). Thread-safe as far as its sessions are.

    Raises:
        StoreError: from every call, where the database cannot be reached or used.
    """

    @abstractmethod
    def _reading(self) -> AbstractContextManager[Session]:
        """A session that only reads."""

    @abstractmethod
    def _writing(self) -> AbstractContextManager[Session]:
        """A session whose writes are all kept when it ends well, and none otherwise."""

    @abstractmethod
    def _vector_to_database(self, vector: FloatArray) -> object:
        """A (D,) mean look as the column ``mean`` takes it."""

    @abstractmethod
    def _vector_from_database(self, value: Any) -> FloatArray:
        """The same, as ``_mean`` gives it."""

    @abstractmethod
    def _after_erasing(self) -> None:
        """Take from disk what erased rows left there, as far as the database can."""

    _mean = "mean"  # SQL that reads the column of mean looks

    def _begin(self, shown: str, types: dict[str, str], high_water: Path | None) -> None:
        """Make the tables where they are missing, and note that a program writes.

        Args:
            shown: the database, for messages.
            types: names of the column types in ``SCHEMA``.
            high_water: file of the numbers that the database did not take; None where it does not outlast the program.

        Raises:
            StoreError: it was written by a newer release.
        """
        with self._writing() as base:
            for statement in SCHEMA:
                base.run(statement.format(**types))
            version = int(self._meta(base, "version") or SCHEMA_VERSION)
            if version > SCHEMA_VERSION:
                raise StoreError(f"store {shown}: written by a newer release (version {version})")
            self._unclean = self._meta(base, "clean") == "0"
            self._set(base, version=SCHEMA_VERSION, clean=0)
        self._high_water = HighWater(high_water)
        self._tidying = Tidying(self._after_erasing, self._unclean)

    def _end(self) -> None:
        """Note that nothing is left to write."""
        with self._writing() as base:
            self._set(base, clean=1)

    def save(self, batch: Batch) -> None:
        """Write a batch, all of it or nothing."""
        with self._writing() as base:
            for passage in batch.passages.values():
                self._save_passage(base, passage)
            for event in batch.events:
                self._apply(base, event)
            known = {row[0] for row in self._among(base, [crop.tracklet for crop in batch.crops])}
            base.run_many(
                "INSERT INTO crops (tracklet, time, quality, jpeg) VALUES (?, ?, ?, ?)",
                [(crop.tracklet, crop.time, crop.quality, crop.jpeg) for crop in batch.crops if crop.tracklet in known],
            )
            self._set(
                base,
                identity=max(batch.numbers.identity, int(self._meta(base, "identity") or 0)),
                tracklet=max(batch.numbers.tracklet, int(self._meta(base, "tracklet") or 0)),
                event=max(batch.numbers.event, int(self._meta(base, "event") or 0)),
            )
        self._high_water.clear()

    def numbers(self) -> Numbers:
        """Where a new run begins to count: beyond what a killed one may have given and not written."""
        with self._reading() as base:
            kept = self._high_water.numbers._asdict()
            given = {key: max(known, int(self._meta(base, key) or 0)) for key, known in kept.items()}
        if self._unclean:
            given = {key: value + getattr(_MARGIN, key) for key, value in given.items()}
        return Numbers(**given)

    def keep_numbers(self, numbers: Numbers) -> None:
        """Keep numbers that were given and that could not be saved, beside the database."""
        self._high_water.keep(numbers)

    def remembered(self, since: float, per_camera: int, most_people: int) -> list[RememberedPassage]:
        """The newest passages per person and camera that ended after ``since``, of the people seen last."""
        rows = self._rows(
            "WITH recent AS (SELECT identity FROM sightings WHERE identity > 0 GROUP BY identity "
            "HAVING max(ended) >= ? ORDER BY max(ended) DESC LIMIT ?), ranked AS (SELECT tracklet, row_number() OVER "
            "(PARTITION BY identity, camera ORDER BY ended DESC) AS place FROM sightings JOIN recent USING (identity)) "
            "SELECT tracklet FROM ranked WHERE place <= ?",
            (since, most_people, per_camera),
        )
        passages = [passage for _, passage in self.sightings([row[0] for row in rows]).values()]
        return told.with_constraints(passages, self.corrections())

    def vectors(self) -> Iterable[IndexedLook]:
        """Every passage that has looks, as the index takes it."""
        last = 0
        while rows := self._rows(  # a piece at a time: all of them may be gigabytes
            f"SELECT tracklet, {self._mean}, camera, started, ended FROM sightings "
            "WHERE mean IS NOT NULL AND tracklet > ? ORDER BY tracklet LIMIT ?",
            (last, _VECTORS_AT_ONCE),
        ):
            last = rows[-1][0]
            yield from (IndexedLook(row[0], self._vector_from_database(row[1]), *row[2:]) for row in rows)

    def sightings(self, tracklets: Sequence[int]) -> dict[int, tuple[Sighting, RememberedPassage]]:
        """Passages by tracklet, with their looks; missing ones are left out."""
        found: dict[int, tuple[Sighting, RememberedPassage]] = {}
        for start in range(0, len(tracklets), _AT_ONCE):
            chunk = tracklets[start : start + _AT_ONCE]
            marks = ",".join("?" * len(chunk))
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
                )
                found[tracklet] = (sighting, passage)
        return found

    def people(self, since: float, until: float, limit: int) -> list[PersonSummary]:
        """Who was seen between two times, the one seen last first."""
        within = "identity > 0 AND ended >= ? AND started <= ?"
        with self._reading() as base:
            rows = base.rows(
                f"SELECT identity, min(started), max(ended), count(*) FROM sightings WHERE {within} GROUP BY identity "
                "ORDER BY max(ended) DESC LIMIT ?",
                (since, until, limit),
            )
            cameras: dict[int, list[str]] = {row[0]: [] for row in rows}
            for identity, camera in base.rows(
                f"SELECT DISTINCT identity, camera FROM sightings WHERE {within} ORDER BY camera", (since, until)
            ):
                if identity in cameras:
                    cameras[identity].append(camera)
        return [PersonSummary(row[0], row[1], row[2], row[3], tuple(cameras[row[0]])) for row in rows]

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

    def correct(self, correction: Correction) -> None:
        """Keep what somebody said about stored passages."""
        with self._writing() as base:
            told.keep(base, correction)

    def corrections(self) -> list[Correction]:
        """What was said so far, oldest first."""
        with self._reading() as base:
            return told.kept(base)

    def erase(self, identity: int) -> Erased:
        """Remove every trace of a person, from the database's log too where it can."""
        with self._writing() as base:
            gone = [row[0] for row in base.rows("SELECT tracklet FROM sightings WHERE identity = ?", (identity,))]
            numbers = self._former_numbers(base, identity)
            self._delete_sightings(base, gone)
            told.forget(base, gone)
            for number in numbers:
                base.run(
                    "DELETE FROM events WHERE event_id IN (SELECT event_id FROM concerned WHERE identity = ?)",
                    (number,),
                )
        self._tidying.erased()
        return Erased(tuple(gone), frozenset(numbers))

    def expire(self, before: float) -> list[int]:
        """Remove what ended before a time; the tracklets that went."""
        with self._writing() as base:
            gone = [row[0] for row in base.rows("SELECT tracklet FROM sightings WHERE ended < ?", (before,))]
            self._delete_sightings(base, gone)
            told.forget(base, gone)
            base.run("DELETE FROM events WHERE time < ?", (before,))
            base.run("DELETE FROM audit WHERE time < ?", (before,))
        if gone:
            self._tidying.erased()
        return gone

    def tidy(self) -> None:
        """Take from disk what erased rows left there, where that is still to be done; tried now and then."""
        self._tidying()

    def note(self, time: float, who: str, action: str, about: str) -> None:
        """Write a line of the audit log."""
        with self._writing() as base:
            base.run("INSERT INTO audit (time, who, action, about) VALUES (?, ?, ?, ?)", (time, who, action, about))

    def audit(self, limit: int) -> list[AuditEntry]:
        """The newest lines of the audit log, newest first."""
        rows = self._rows("SELECT number, time, who, action, about FROM audit ORDER BY number DESC LIMIT ?", (limit,))
        return [AuditEntry(*row) for row in rows]

    def embedder(self, name: str) -> str:
        """The embedder whose vectors are kept; ``name`` where there are none yet."""
        with self._writing() as base:
            if not base.rows("SELECT 1 FROM sightings LIMIT 1"):
                self._set(base, embedder=name)
            return self._meta(base, "embedder") or name

    @abstractmethod
    def close(self) -> None:
        """Complete what was written; may be called twice."""

    def _save_passage(self, base: Session, passage: RememberedPassage) -> None:
        looks = passage.looks if passage.looks is not None and len(passage.looks) else None
        base.run(
            "INSERT INTO sightings (tracklet, identity, camera, started, ended, mean) VALUES (?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (tracklet) DO UPDATE SET "
            "ended = CASE WHEN excluded.ended > sightings.ended THEN excluded.ended ELSE sightings.ended END, "
            "identity = CASE excluded.identity WHEN 0 THEN sightings.identity ELSE excluded.identity END, "
            "mean = coalesce(excluded.mean, sightings.mean)",
            (
                passage.tracklet,
                passage.identity,
                passage.camera_id,
                passage.start,
                passage.end,
                None if looks is None else self._vector_to_database(mean_look(looks)),
            ),
        )
        if looks is not None:
            base.run(
                "INSERT INTO looks VALUES (?, ?, ?, ?, ?) ON CONFLICT (tracklet) DO UPDATE SET "
                "layout = excluded.layout, quality = excluded.quality, vectors = excluded.vectors, "
                "stripes = excluded.stripes",
                (
                    passage.tracklet,
                    json.dumps([*looks.global_.shape, *looks.stripes.shape[1:]]),
                    looks.quality.astype(np.float16).tobytes(),
                    looks.global_.astype(np.float16).tobytes(),
                    looks.stripes.astype(np.float16).tobytes(),
                ),
            )

    def _apply(self, base: Session, event: IdentityEvent) -> None:
        """Write an event and move the sightings it is about (the rule is IdentityEvent's docstring)."""
        body = json.dumps(event_to_json(event), separators=(",", ":"))
        base.run(
            "INSERT INTO events VALUES (?, ?, ?, ?) ON CONFLICT (event_id) DO UPDATE SET time = excluded.time, "
            "identity = excluded.identity, body = excluded.body",
            (event.event_id, event.time, event.identity, body),
        )
        base.run_many(
            "INSERT INTO concerned VALUES (?, ?) ON CONFLICT DO NOTHING",
            [(number, event.event_id) for number in {event.identity, *event.supersedes}],
        )
        if event.type is EventType.MERGED:
            for former in event.supersedes:
                base.run("UPDATE sightings SET identity = ? WHERE identity = ?", (event.identity, former))
                base.run(
                    "INSERT INTO concerned SELECT CAST(? AS BIGINT), event_id FROM concerned WHERE identity = ? "
                    "ON CONFLICT DO NOTHING",
                    (event.identity, former),
                )
        elif event.type is not EventType.ENDED:
            base.run_many(
                "UPDATE sightings SET identity = ? WHERE tracklet = ?",
                [(event.identity, tracklet) for tracklet in event.tracklets],
            )

    @staticmethod
    def _former_numbers(base: Session, identity: int) -> set[int]:
        """The identity and all that were merged into it."""
        merged: dict[int, list[int]] = {}
        for (body,) in base.rows("SELECT body FROM events WHERE body LIKE ?", ('%"type":"merged"%',)):
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
    def _delete_sightings(base: Session, tracklets: Sequence[int]) -> None:
        base.run_many("DELETE FROM sightings WHERE tracklet = ?", [(tracklet,) for tracklet in tracklets])

    @staticmethod
    def _among(base: Session, tracklets: Sequence[int]) -> Iterator[tuple[int]]:
        """Those of the tracklets that are there, as rows."""
        for start in range(0, len(tracklets), _AT_ONCE):
            chunk = tracklets[start : start + _AT_ONCE]
            marks = ",".join("?" * len(chunk))
            yield from base.rows(f"SELECT tracklet FROM sightings WHERE tracklet IN ({marks})", chunk)

    @staticmethod
    def _meta(base: Session, key: str) -> str | None:
        rows = base.rows("SELECT value FROM meta WHERE key = ?", (key,))
        return str(rows[0][0]) if rows else None

    @staticmethod
    def _set(base: Session, **values: object) -> None:
        base.run_many(
            "INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            [(key, str(value)) for key, value in values.items()],
        )

    def _rows(self, query: str, parameters: Sequence[object] = ()) -> list[Any]:
        with self._reading() as base:
            return base.rows(query, parameters)

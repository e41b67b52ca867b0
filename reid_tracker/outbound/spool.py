"""What did not arrive yet, on disk: messages outlast the program, and are sent when it starts again.

Deliveries say what they keep and let go; a thread of the spool writes twice a second what of that still holds, so that
nobody waits for a disk, and messages that arrive at once are never written. Killing the program loses at most what was
not written yet; what was sent and not yet crossed out is sent again, with the same key.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from reid_tracker.errors import ConfigError
from reid_tracker.outbound.messages import Kind, Message
from reid_tracker.store.sqlite_file import open_file

_WRITE_SECONDS = 0.5
_VERSION = 1
_TABLE = (
    "CREATE TABLE IF NOT EXISTS messages (number INTEGER PRIMARY KEY, destination TEXT NOT NULL, key TEXT NOT NULL, "
    "since REAL NOT NULL, channel TEXT NOT NULL, kind TEXT NOT NULL, camera TEXT, people TEXT NOT NULL, "
    "body BLOB NOT NULL, UNIQUE (destination, key))"
)

_log = logging.getLogger(__name__)

_Name = tuple[str, str]  # destination, key


class Spool:
    """Messages by destination in one file, which no other program may use meanwhile. Thread-safe.

    It is as large as the queues whose messages it keeps: those are bounded, and what they drop is let go.

    Args:
        path: the file; created where missing, readable by its owner alone.
        utc: the clock by which messages grow old while the program is away.

    Raises:
        ConfigError: it cannot be opened, is no such file, or another program uses it.
    """

    def __init__(self, path: str | Path, utc: Callable[[], float] = time.time) -> None:
        self._path = Path(path)
        self._utc = utc
        self._lock = threading.Lock()
        self._file = threading.Lock()  # one transaction at a time
        self._kept: dict[_Name, tuple[float, Message]] = {}
        self._gone: set[_Name] = set()
        self._erased = False
        self._failure = ""
        try:
            self._base = open_file(self._path, alone=True)
            (version,) = self._base.execute("PRAGMA user_version").fetchone()
            if version > _VERSION:
                raise ConfigError(f"outbound.spool {self._path}: written by a newer release (version {version})")
            self._base.execute(_TABLE)
            self._base.execute(f"PRAGMA user_version={_VERSION}")
        except (OSError, sqlite3.Error) as error:
            raise ConfigError(
                f"outbound.spool {self._path}: cannot be used ({error}); end the program that uses it, or choose "
                "another file"
            ) from error
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="outbound spool", daemon=True)
        self._thread.start()

    @property
    def failure(self) -> str:
        """Why it cannot be written; empty while all is well."""
        with self._lock:
            return self._failure

    def waiting(self, destination: str) -> list[tuple[float, Message]]:
        """What an earlier run left for a destination: seconds since it was put, and the message, in order."""
        with self._file:
            rows = self._base.execute(
                "SELECT since, key, channel, body, kind, camera, people FROM messages WHERE destination = ? "
                "ORDER BY number",
                (destination,),
            ).fetchall()
        now = self._utc()
        return [(max(0.0, now - since), _message(*columns)) for since, *columns in rows]

    def drop_others(self, destinations: Iterable[str]) -> int:
        """Drop what waits for destinations that are no longer configured; how many messages that were."""
        known = tuple(destinations)
        marks = ",".join("?" * len(known))
        self.erase_copies()
        with self._file:
            return self._base.execute(f"DELETE FROM messages WHERE destination NOT IN ({marks})", known).rowcount

    def keep(self, destination: str, message: Message) -> None:
        """Keep a message until it is let go. Returns at once."""
        with self._lock:
            self._kept[destination, message.key] = (self._utc(), message)

    def let_go(self, destination: str, key: str) -> None:
        """Cross a message out. Returns at once."""
        with self._lock:
            if self._kept.pop((destination, key), None) is None:
                self._gone.add((destination, key))

    def erase_copies(self) -> None:
        """Somebody was erased: no copy of what was let go, delivered long ago or not, may stay in the file's log.

        Returns at once.
        """
        with self._lock:
            self._erased = True

    def flush(self) -> None:
        """Write what is to be written, now; where that fails it is tried again later."""
        with self._file:
            with self._lock:
                kept, gone, erased = self._kept, self._gone, self._erased
                self._kept, self._gone, self._erased = {}, set(), False
            if not (kept or gone or erased):
                return
            try:
                self._write(kept, gone)
                if erased:
                    self._base.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
                failure = ""
            except sqlite3.Error as error:
                failure = f"outbound.spool {self._path}: {error}"
                self._put_back(kept, gone, erased)
        with self._lock:
            if failure and failure != self._failure:
                _log.error("%s; what waits is in memory alone until it can be written", failure)
            self._failure = failure

    def close(self) -> None:
        """Write what is to be written and close the file; may be called twice."""
        if self._closing.is_set():
            return
        self._closing.set()
        self._thread.join()
        self.flush()
        with self._file:
            self._base.close()

    def _run(self) -> None:
        while not self._closing.wait(_WRITE_SECONDS):
            self.flush()

    def _write(self, kept: dict[_Name, tuple[float, Message]], gone: set[_Name]) -> None:
        base = self._base
        base.execute("BEGIN IMMEDIATE")
        try:
            base.executemany("DELETE FROM messages WHERE destination = ? AND key = ?", gone)
            base.executemany(
                "INSERT INTO messages (destination, key, since, channel, body, kind, camera, people) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                [(*name, since, *_columns(message)) for name, (since, message) in kept.items()],
            )
            base.execute("COMMIT")
        except BaseException:
            if base.in_transaction:
                base.execute("ROLLBACK")
            raise

    def _put_back(self, kept: dict[_Name, tuple[float, Message]], gone: set[_Name], erased: bool) -> None:
        """What could not be written is written next time, less what was let go since."""
        with self._lock:
            never_written = self._gone & kept.keys()
            kept = {name: value for name, value in kept.items() if name not in never_written}
            self._kept = kept | self._kept
            self._gone = gone | (self._gone - never_written)
            self._erased |= erased


def _columns(message: Message) -> tuple[object, ...]:
    return (
        message.channel,
        message.body,
        message.kind or "",
        message.camera_id,
        json.dumps(sorted(message.people)),
    )


def _message(key: str, channel: str, body: bytes, kind: str, camera: str | None, people: str) -> Message:
    return Message(key, channel, body, Kind(kind) if kind else None, camera, frozenset(json.loads(people)))

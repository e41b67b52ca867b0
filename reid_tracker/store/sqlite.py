"""The store in one SQLite file: write-ahead log, one writer, erased pages overwritten.

Killing the program loses what was not yet committed and damages nothing; a power cut may in addition lose the last
commits (``synchronous=NORMAL``), and damages nothing either.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from reid_tracker.errors import StoreError
from reid_tracker.store.holding import held
from reid_tracker.store.sql import SqlStore
from reid_tracker.store.sqlite_file import BUSY_SECONDS, MEMORY, open_file
from reid_tracker.types import FloatArray

_READER_MILLISECONDS = 200  # that a reader is waited for, while everybody waits for us

_TYPES = {
    "integer": "INTEGER",
    "real": "REAL",
    "bytes": "BLOB",
    "vector": "BLOB",
    "number": "INTEGER PRIMARY KEY",
    "by_key": "WITHOUT ROWID",
}


class SqliteStore(SqlStore):
    """A store in a file (reid_tracker.store.records.Store).

    Args:
        path: the file; created where missing. Readable by its owner alone, since it holds what people look like.

    Raises:
        StoreError: it cannot be opened, is no database, was written by a newer release, or another program writes to
            it.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._lock = threading.RLock()
        self._closed = False
        with ExitStack() as opening:
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                if str(self._path) != MEMORY:
                    opening.enter_context(held(self._path))
                self._base = opening.enter_context(closing(open_file(self._path)))
            except (OSError, sqlite3.Error) as error:
                raise StoreError(f"store {self._path}: cannot be opened ({error}); choose another file") from error
            lasting = None if str(self._path) == MEMORY else Path(f"{self._path}.numbers")
            self._begin(str(self._path), _TYPES, lasting)
            self._opened = opening.pop_all()

    def close(self) -> None:
        """Complete what was written; may be called twice."""
        with self._lock:
            if self._closed:
                return
            self._end()
            self._tidying.erased()
            self._closed = True
            self._opened.close()

    def _vector_to_database(self, vector: FloatArray) -> bytes:
        return vector.astype(np.float16).tobytes()

    def _vector_from_database(self, value: Any) -> FloatArray:
        return np.frombuffer(value, np.float16).astype(np.float32)

    def _after_erasing(self) -> None:
        """The log of writes would keep what was erased."""
        with self._reading() as base:
            base.run(f"PRAGMA busy_timeout={_READER_MILLISECONDS}")
            try:
                ((busy, *_),) = base.rows("PRAGMA wal_checkpoint(TRUNCATE)")
            finally:
                base.run(f"PRAGMA busy_timeout={round(1e3 * BUSY_SECONDS)}")
        if busy:
            raise StoreError(f"store {self._path}: another program reads it, and keeps what was erased in its log")

    @contextmanager
    def _reading(self) -> Iterator[_Session]:
        with self._lock:
            if self._closed:
                raise StoreError(f"store {self._path}: closed")
            try:
                yield _Session(self._base)
            except sqlite3.Error as error:
                raise StoreError(f"store {self._path}: {error}") from error

    @contextmanager
    def _writing(self) -> Iterator[_Session]:
        with self._reading() as base:
            base.run("BEGIN IMMEDIATE")
            try:
                yield base
                base.run("COMMIT")
            except BaseException:
                if self._base.in_transaction:
                    base.run("ROLLBACK")
                raise


class _Session:
    def __init__(self, base: sqlite3.Connection) -> None:
        self._base = base

    def rows(self, query: str, parameters: Sequence[object] = ()) -> list[Any]:
        return self._base.execute(query, tuple(parameters)).fetchall()

    def run(self, statement: str, parameters: Sequence[object] = ()) -> None:
        self._base.execute(statement, tuple(parameters))

    def run_many(self, statement: str, rows: Iterable[Sequence[object]]) -> None:
        self._base.executemany(statement, rows)

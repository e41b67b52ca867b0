"""Opening SQLite files that hold what is known of people: write-ahead log, private, erased pages overwritten."""

from __future__ import annotations

import sqlite3
from pathlib import Path

MEMORY = ":memory:"
"""A path that keeps everything in memory, until the connection is closed."""

BUSY_SECONDS, _TAKEN_SECONDS = 5.0, 0.5  # waits for another program; one that keeps a file to itself stays
_ALWAYS = ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "secure_delete=ON")


def open_file(path: Path, alone: bool = False) -> sqlite3.Connection:
    """A connection for any thread, that begins transactions when it is told to.

    Args:
        path: the file, or ``MEMORY``; created where missing, readable by its owner alone.
        alone: keep other programs out as long as it is open.

    Raises:
        OSError, sqlite3.Error: it cannot be opened, is no database, or another program keeps it to itself.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if str(path) != MEMORY:
        path.touch(mode=0o600)
    base = sqlite3.connect(
        path, timeout=_TAKEN_SECONDS if alone else BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )
    try:
        for pragma in (*(["locking_mode=EXCLUSIVE"] if alone else []), *_ALWAYS):
            base.execute(f"PRAGMA {pragma}")
    except sqlite3.Error:
        base.close()
        raise
    return base

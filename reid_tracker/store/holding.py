"""One program at a time writes to a file: the numbers that two of them gave would be the same."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from reid_tracker.errors import StoreError

try:
    import fcntl
except ImportError:  # no such locks on Windows
    fcntl = None  # type: ignore[assignment]

_log = logging.getLogger(__name__)
_PATIENCE_SECONDS = 3.0  # a program that was just told to end, or killed, may still be letting go


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Keep a file from other programs; the operating system lets go of it when the process ends.

    The lock lies on a file beside it, ``<name>.lock``, which names the process: closing another view of a database's
    own file would let go of the locks that SQLite has on it. Where a system or file system has no locks, nothing is
    held, and the log says so.

    Raises:
        StoreError: another program, or another store of this one, holds it.
        OSError: the lock cannot be written.
    """
    with Path(f"{path}.lock").open("a+b") as file:
        _lock(file, path)
        file.truncate(0)
        file.write(f"{os.getpid()}\n".encode())
        file.flush()
        yield


def _lock(file: BinaryIO, path: Path) -> None:
    if fcntl is None:
        _log.info("%s: this system has no file locks; do not let two programs write to it", path)
        return
    try:
        _lock_in_time(file)
    except BlockingIOError as error:
        file.seek(0)
        holder = file.read(32).decode("ascii", "replace").strip() or "unknown"
        raise StoreError(
            f"store {path}: another program (process {holder}) writes to it; end that one, or choose another file"
        ) from error
    except OSError as error:
        _log.warning("%s: cannot be locked (%s); do not let two programs write to it", path, error.strerror)


def _lock_in_time(file: BinaryIO) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return

"""One program at a time writes to a store: the numbers that two of them gave would be the same."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from reid_tracker.errors import StoreError
from reid_tracker.results.lock import holder, lock, sign

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
        if not taken_in_time(lambda: lock(file, path)):
            raise StoreError(
                f"store {path}: another program (process {holder(file)}) writes to it; end that one, or choose another "
                "file"
            )
        sign(file)
        yield


def taken_in_time(take: Callable[[], bool]) -> bool:
    """Whether ``take`` succeeds within the seconds that a program may need to let go."""
    until = time.monotonic() + _PATIENCE_SECONDS
    while not take():
        if time.monotonic() >= until:
            return False
        time.sleep(0.1)
    return True

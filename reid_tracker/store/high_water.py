"""The highest numbers given while the database took none, so that a run after a kill does not give them again."""

from __future__ import annotations

import hashlib
import logging
import os
from contextlib import suppress
from pathlib import Path

from reid_tracker.store.records import Numbers

_log = logging.getLogger(__name__)


class HighWater:
    """A small file of this machine; always of one length, so that a full disk takes what is written over it.

    Args:
        path: the file; None keeps nothing, for stores that do not outlast the program.

    Attributes:
        numbers: as an earlier run left them; 0 where the database knew all of its numbers.
    """

    def __init__(self, path: Path | None) -> None:
        self.numbers = Numbers()
        self._path = path
        if path is None:
            return
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)
            with suppress(ValueError, TypeError):  # it is new
                self.numbers = Numbers(*map(int, path.read_text("ascii").split()))
            _write(path, self.numbers)
        except OSError as error:
            _log.warning("%s: %s; numbers given while the database is away may be given again", path, error.strerror)
        self._holds = self.numbers != Numbers()

    def keep(self, numbers: Numbers) -> None:
        """These were given, and the database did not take them."""
        if self._path is not None:
            self._holds = True
            with suppress(OSError):  # it was told at the start, or the disk will take nothing for a while
                _write(self._path, numbers)

    def clear(self) -> None:
        """The database knows all numbers again."""
        if self._path is not None and self._holds:
            with suppress(OSError):  # too high does no harm
                _write(self._path, Numbers())
            self._holds = False


def file_of_this_user(database: str) -> Path | None:
    """Where the numbers of a database elsewhere are kept: ``$XDG_STATE_HOME``, by default ``~/.local/state``."""
    base = os.environ.get("XDG_STATE_HOME")
    try:
        folder = Path(base) if base else Path.home() / ".local" / "state"
    except RuntimeError:  # this user has no home
        return None
    return folder / "reid_tracker" / f"{hashlib.sha256(database.encode()).hexdigest()[:16]}.numbers"


def _write(path: Path, numbers: Numbers) -> None:
    with path.open("r+b") as file:
        file.write(f"{numbers.identity:020d} {numbers.tracklet:020d} {numbers.event:020d}\n".encode())

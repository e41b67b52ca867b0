"""One run at a time in an output folder."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import BinaryIO

from reid_tracker.errors import ConfigError
from reid_tracker.results.files import output_error

try:
    import fcntl
except ImportError:  # no such locks on Windows
    fcntl = None  # type: ignore[assignment]

LOCK_FILE = ".lock"
_MOST_TRIES = 8

_log = logging.getLogger(__name__)


class FolderLock:
    """Holds a folder from construction to ``release``; the operating system lets go of it when the process ends.

    The lock lies on the file ``.lock``, which names the process that holds it. On systems and file systems without
    such locks (Windows, some network drives) nothing is held, and the log says so.

    Args:
        folder: exists.

    Raises:
        ConfigError: another run, in this or another process, holds the folder.
        OutputError: the file cannot be created.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / LOCK_FILE
        self._file: BinaryIO | None = None
        for _ in range(_MOST_TRIES):
            if self._hold():
                return
        raise ConfigError(f"{folder}: other runs come and go here; give another --out")

    def release(self) -> None:
        """Let go; may be called twice."""
        if self._file is None:
            return
        self._path.unlink(missing_ok=True)  # while it is still held: nobody can have locked it in between
        self._file.close()
        self._file = None

    def _hold(self) -> bool:
        """Lock the file; False where its last holder removed it between opening and locking."""
        try:
            file = self._path.open("a+b")
        except OSError as error:
            raise output_error(self._path, error) from error
        try:
            if not lock(file, self._path.parent):
                raise ConfigError(
                    f"{self._path.parent}: another run (process {holder(file)}) is writing here; wait for it to end, "
                    "or give another --out"
                )
            if self._path.exists() and os.path.samestat(os.fstat(file.fileno()), self._path.stat()):
                sign(file)
                self._file = file
        finally:
            if self._file is not file:
                file.close()
        return self._file is file


def lock(file: BinaryIO, shown: Path) -> bool:
    """Lock an open file for this process; False where another one has it.

    Where there are no such locks nothing is held, and the log says so of ``shown``.
    """
    if fcntl is None:
        _log.info("%s: this system has no file locks; do not let two programs write here", shown)
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        _log.warning("%s: cannot be locked (%s); do not let two programs write here", shown, error.strerror)
    return True


def sign(file: BinaryIO) -> None:
    """Write into a locked file which process has it."""
    file.truncate(0)
    file.write(f"{os.getpid()}\n".encode())
    file.flush()


def holder(file: BinaryIO) -> str:
    """The process that signed a file."""
    file.seek(0)
    return file.read(32).decode("ascii", "replace").strip() or "unknown"

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
            if not self._lock(file):
                file.seek(0)
                holder = file.read(32).decode("ascii", "replace").strip() or "unknown"
                raise ConfigError(
                    f"{self._path.parent}: another run (process {holder}) is writing here; wait for it to end, or give "
                    "another --out"
                )
            if self._path.exists() and os.path.samestat(os.fstat(file.fileno()), self._path.stat()):
                file.truncate(0)
                file.write(f"{os.getpid()}\n".encode())
                file.flush()
                self._file = file
        finally:
            if self._file is not file:
                file.close()
        return self._file is file

    def _lock(self, file: BinaryIO) -> bool:
        if fcntl is None:
            _log.info("%s: this system has no file locks; do not let two runs write here", self._path.parent)
            return True
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            _log.warning("%s: cannot be locked (%s); do not let two runs write here", self._path.parent, error.strerror)
        return True

"""The user's own folder of built engines.

An engine is code. The folder and what lies in it must belong to whoever runs this, and be writable by nobody else;
what does not is refused. An engine from elsewhere enters only through ``adopt``, against a checksum that came another
way than the engine did.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from reid_tracker.errors import ConfigError, ModelError
from reid_tracker.runtime.tensorrt.records import BuildRecord, check_engine, read_record

ENGINE, PAPERS, TIMINGS = "engine.plan", "build.json", "timings"
_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH
_UNFINISHED = ".unfinished-"
_TRIES = 10  # to put an engine where another builder puts one in the same moment


@dataclass(frozen=True, slots=True)
class Entry:
    """A folder in the cache.

    Attributes:
        record: its papers; None where they cannot be used.
        problem: why; empty where they can.
    """

    folder: Path
    record: BuildRecord | None
    problem: str = ""


def default_folder() -> Path:
    """``$XDG_CACHE_HOME/reid_tracker/engines``, by default in ``~/.cache``."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "reid_tracker" / "engines"


class EngineCache:
    """Engines of one user.

    Args:
        folder: of the cache; made when the first engine is stored.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or default_folder()

    def entries(self) -> list[Entry]:
        """Everything stored, by name.

        Raises:
            ModelError: the folder is not the user's own.
        """
        if not self.folder.exists():
            return []
        _must_be_own(self.folder)
        hidden = (TIMINGS, ".")
        folders = sorted(path for path in self.folder.iterdir() if path.is_dir() and not path.name.startswith(hidden))
        return [_entry(folder) for folder in folders]

    def store(self, record: BuildRecord, engine: bytes) -> Path:
        """Put an engine in, whole or not at all; replaces one of the same key.

        Raises:
            ModelError: the folder is not the user's own.
        """
        self._make()
        young = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=self.folder))
        try:
            _write(young / ENGINE, engine)
            _write(young / PAPERS, record.model_dump_json(indent=2).encode() + b"\n")
            return self._put(young, record.name)
        finally:
            shutil.rmtree(young, ignore_errors=True)

    def adopt(self, folder: Path, sha256: str) -> Path:
        """Take in an engine that somebody else built, because its checksum is vouched for.

        Args:
            folder: with ``engine.plan`` and ``build.json``.
            sha256: of the engine, from a source that is trusted and is not this folder.

        Raises:
            ConfigError: the engine is another one.
            ModelError: its papers or the engine cannot be used.
        """
        try:
            engine = (folder / ENGINE).read_bytes()  # once: what is compared is what is stored
        except OSError as error:
            raise ModelError(
                f"engine {folder}: {ENGINE} cannot be read ({error.strerror}); give the folder it lies in"
            ) from error
        found = hashlib.sha256(engine).hexdigest()
        if found != sha256.lower():
            raise ConfigError(f"engine {folder}: has sha256 {found}, not the one vouched for ({sha256}); not taken in")
        record = read_record(folder / PAPERS)
        check_engine(engine, record, folder)
        return self.store(record, engine)

    def read(self, entry: Entry) -> bytes:
        """The engine of an entry, compared with its papers; nothing has interpreted it yet.

        Raises:
            ModelError: it is not the user's own, damaged, truncated or missing.
        """
        if entry.record is None:
            raise ModelError(entry.problem)
        path = entry.folder / ENGINE
        for owned in (self.folder, entry.folder, path):
            _must_be_own(owned)
        engine = path.read_bytes()
        check_engine(engine, entry.record, entry.folder)
        return engine

    def remove(self, name: str) -> None:
        """Delete an entry.

        Raises:
            ConfigError: there is none of that name.
        """
        if name not in [entry.folder.name for entry in self.entries()]:
            raise ConfigError(f"engine {name!r}: not in {self.folder}; reid-tracker engines list shows what is")
        shutil.rmtree(self.folder / name)

    def timings(self, name: str) -> bytes:
        """Kernel timings that earlier builds left; empty where there are none."""
        path = self.folder / TIMINGS / name
        if not path.is_file():
            return b""
        _must_be_own(path)
        return path.read_bytes()

    def keep_timings(self, name: str, timings: bytes) -> None:
        """Keep kernel timings for the next build."""
        if timings:
            self._make()
            (self.folder / TIMINGS).mkdir(mode=0o700, exist_ok=True)
            handle, young = tempfile.mkstemp(prefix=_UNFINISHED, dir=self.folder / TIMINGS)
            os.close(handle)
            _write(Path(young), timings)
            Path(young).replace(self.folder / TIMINGS / name)

    def _make(self) -> None:
        if not self.folder.exists():
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            self.folder.mkdir(mode=0o700, exist_ok=True)
        _must_be_own(self.folder)

    def _put(self, young: Path, name: str) -> Path:
        """Rename a finished folder into place; of builders that race for it, the last one's stays."""
        final, old = self.folder / name, young.with_name(f"{young.name}-old")
        for _ in range(_TRIES):
            with suppress(FileNotFoundError):
                final.rename(old)
            try:
                return young.rename(final)
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    if old.exists():
                        old.rename(final)
                    raise
            finally:
                shutil.rmtree(old, ignore_errors=True)
        raise ModelError(f"engine {final}: other builds keep putting theirs there; build it again when they are done")


def _entry(folder: Path) -> Entry:
    try:
        for owned in (folder, folder / PAPERS):
            _must_be_own(owned)
    except ModelError as error:
        return Entry(folder, None, str(error))
    try:
        return Entry(folder, read_record(folder / PAPERS))
    except ModelError as error:
        return Entry(folder, None, f"{error}; delete the folder")


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _must_be_own(path: Path) -> None:
    try:
        found = path.lstat()
    except OSError as error:
        raise ModelError(f"engine {path}: cannot be read ({error.strerror}); build it again") from error
    if stat.S_ISLNK(found.st_mode):
        raise ModelError(f"engine {path}: is a link; engines are code, and only files of your own are loaded")
    if found.st_uid != os.geteuid():
        raise ModelError(
            f"engine {path}: belongs to user {found.st_uid}, not to you ({os.geteuid()}); engines are code: build your "
            "own, or take it in with reid-tracker engines adopt and a checksum that you trust"
        )
    if found.st_mode & _OTHERS_MAY_WRITE:
        raise ModelError(f"engine {path}: others may write to it; engines are code: chmod go-w it if you trust it")

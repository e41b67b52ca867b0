"""Files that stay readable: appending whole records, replacing a file at once, and one voice for what goes wrong."""

from __future__ import annotations

import errno
import functools
import json
import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self, TextIO

from reid_tracker.errors import OutputError, ReidTrackerError

_FULL = (errno.ENOSPC, errno.EDQUOT)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)

_log = logging.getLogger(__name__)


class FullDiskError(OutputError):
    """There is no room any more. It meets many files at once, and is told of one."""


def output_error(path: Path, error: OSError) -> OutputError:
    """What to tell a user whose results cannot be written to ``path``."""
    if error.errno in _FULL:
        return FullDiskError(
            f"{path}: the disk is full; free space or choose another output folder (what was written is readable)"
        )
    if error.errno in _FORBIDDEN:
        return OutputError(
            f"{path}: not writable ({error.strerror}); choose another output folder or change its rights"
        )
    return OutputError(f"{path}: cannot be written ({error.strerror or error}); choose another output folder")


def try_all(steps: Iterable[Callable[[], None]]) -> None:
    """Take every step, also after one that failed.

    Raises:
        ReidTrackerError: the first failure; the others are in the log.
    """
    failures: list[ReidTrackerError] = []
    for step in steps:
        try:
            step()
        except ReidTrackerError as error:
            failures.append(error)
        except OSError as error:  # of a sink that does not put it into words itself
            failures.append(output_error(Path(error.filename or "results"), error))
    for failure in failures[1:]:
        log_further(failures[0], failure)
    if failures:
        raise failures[0]


def log_further(first: BaseException, failure: ReidTrackerError) -> None:
    """Put on record a failure that came after another one; aloud unless the other one says the same."""
    same = isinstance(first, FullDiskError) and isinstance(failure, FullDiskError)
    _log.log(logging.INFO if same else logging.ERROR, "%s", failure)


def make_folder(path: Path) -> None:
    """Create a folder and its parents where missing.

    Raises:
        OutputError: it cannot be created.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise output_error(path, error) from error


@contextmanager
def writing(path: Path) -> Iterator[TextIO]:
    """Open ``path`` for text as it is given (UTF-8, line ends untouched); replaced where it exists.

    What is not whole in the end is not left.

    Raises:
        OutputError: it cannot be created or written.
    """
    with _whole(path, "w", encoding="utf-8", newline="") as file:
        yield file


@contextmanager
def writing_bytes(path: Path) -> Iterator[BinaryIO]:
    """``writing``, for bytes."""
    with _whole(path, "wb") as file:
        yield file


@contextmanager
def _whole(path: Path, mode: str, **options: str) -> Iterator[Any]:
    try:
        file = path.open(mode, **options)  # type: ignore[call-overload]
    except OSError as error:
        raise output_error(path, error) from error
    try:
        with file:
            yield file
    except BaseException as error:
        path.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise output_error(path, error) from error
        raise


def write_json_lines(path: Path, values: Iterable[Any]) -> Path:
    """Write a JSON value a line, UTF-8; returns ``path``.

    Raises:
        OutputError: it cannot be created or written.
    """
    with writing(path) as file:
        for value in values:
            file.write(json.dumps(value, ensure_ascii=False) + "\n")
    return path


def write_atomically(path: Path, parts: Iterable[str | bytes]) -> None:
    """Write text (UTF-8) or bytes beside ``path`` and rename it: a reader sees the old file or the new one, no half.

    Raises:
        OutputError: it cannot be written; the old file, if any, is untouched.
    """
    beside = path.with_name(part_name(path.name))
    try:
        with beside.open("wb") as file:
            for part in parts:
                # names of files may be no UTF-8: what stands for their bytes is written as JSON has it, \udcff
                file.write(part.encode(errors="backslashreplace") if isinstance(part, str) else part)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise output_error(path, error) from error


def part_name(name: str) -> str:
    """What a file is called while ``write_atomically`` has not finished it."""
    return f".{name}.part"


class AppendFile:
    """A file that grows by whole records.

    Each record goes to the operating system at once, so that a killed process loses none; when one cannot be written
    whole (a full disk), the part that was is taken back, so that the file ends with the record before it.

    Raises:
        OutputError: the file cannot be created.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file: BinaryIO | None = path.open("wb", buffering=0)
        except OSError as error:
            raise output_error(path, error) from error

    def append(self, record: bytes) -> None:
        """Write one record.

        Raises:
            OutputError: it cannot be written, or the file is closed.
        """
        if self._file is None:
            raise OutputError(f"{self.path}: already closed; write before closing")
        try:
            start = self._file.tell()
            left = memoryview(record)
            while left:
                left = left[self._file.write(left) :]
        except OSError as error:
            if self.path.is_file():  # a device has nothing to take back
                self._file.truncate(start)
                self._file.seek(start)
            raise output_error(self.path, error) from error

    def close(self) -> None:
        """Close; may be called twice.

        Raises:
            OutputError: the operating system reports a late failure.
        """
        if self._file is None:
            return
        file, self._file = self._file, None
        try:
            file.close()
        except OSError as error:
            raise output_error(self.path, error) from error


def file_name(camera_id: str) -> str:
    """A camera's name as a file name: letters, digits, ``-``, ``_`` and inner dots stay, all else becomes ``%XX``.

    Different cameras get different names, and none leaves its folder.
    """
    escaped = re.sub(
        r"[^\w.-]", lambda found: "".join(f"%{byte:02X}" for byte in found.group().encode()), camera_id, flags=re.ASCII
    )
    return re.sub(r"^\.", "%2E", escaped)


def without_credentials(text: str) -> str:
    """``text`` with ``user:password@`` taken out of every address in it."""
    return re.sub(r"(\w+://)[^/\s@]+@", r"\1", text)


class CameraFiles:
    """Text files in a folder, one per camera, opened when the camera first appears.

    Args:
        folder: exists.
        suffix: of the files, with its dot.

    Attributes:
        paths: the files, in order of first appearance.
    """

    def __init__(self, folder: Path, suffix: str) -> None:
        self.paths: list[Path] = []
        self._folder = folder
        self._suffix = suffix
        self._files: dict[str, TextIO] = {}

    def write(self, camera_id: str, text: str) -> None:
        """Append text to a camera's file; an empty text makes sure that there is one.

        Raises:
            OutputError: it cannot be written.
        """
        file = self._files.get(camera_id) or self._open(camera_id)
        try:
            file.write(text)
        except OSError as error:
            raise output_error(self._path(camera_id), error) from error

    def _open(self, camera_id: str) -> TextIO:
        path = self._path(camera_id)
        try:
            file = self._files[camera_id] = path.open("w", encoding="utf-8")
        except OSError as error:
            raise output_error(path, error) from error
        self.paths.append(path)
        return file

    def _path(self, camera_id: str) -> Path:
        return self._folder / f"{file_name(camera_id)}{self._suffix}"

    def close(self) -> None:
        """Close all files.

        Raises:
            OutputError: what was left to write cannot be written.
        """
        try_all(
            [functools.partial(_close, path, file) for path, file in zip(self.paths, self._files.values(), strict=True)]
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.close()
        except OutputError:
            self._remove()
            raise
        if error is not None:
            self._remove()

    def _remove(self) -> None:
        """What is not whole is not left."""
        for path in self.paths:
            path.unlink(missing_ok=True)


def _close(path: Path, file: TextIO) -> None:
    try:
        file.close()
    except OSError as error:
        raise output_error(path, error) from error

"""A camera from video files: one recording, or the segments that a recorder wrote one after the other."""

from __future__ import annotations

import logging
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from reid_tracker.errors import SourceError
from reid_tracker.sources.names import natural_key, time_in_name
from reid_tracker.sources.problems import Problem, Problems
from reid_tracker.sources.rereadable import Rereadable
from reid_tracker.sources.video_file import DEFAULT_RATE, Extent, VideoHeader, read_frames, read_header
from reid_tracker.types import Frame

_log = logging.getLogger(__name__)

# Names tell whole seconds and recorders take a moment to begin a file: nearer than this, a segment simply goes on.
_SEGMENT_SLACK_SECONDS = 1.5


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a recording a file begins.

    Attributes:
        file: its number, from 0.
        index: of its first frame in the recording.
        seconds: from the recording's first frame to the file's.
    """

    file: int = 0
    index: int = 0
    seconds: float = 0.0


class VideoSource(Rereadable):
    """Frames of one or several video files as one camera. Read by one thread at a time.

    Segments are ordered by the time in their names where every name has one (`names.time_in_name`), otherwise in
    natural order; then they follow one another without a gap, or with the gap that the names tell.

    Args:
        files: the recording's files, at least one.
        camera_id: name of the camera.
        start_time: UTC seconds of the first frame. Without it, the time in the first file's name counts; where
            names tell none, time begins at 0 (``time_base`` "relative").

    Attributes:
        fps, size: of the first readable file; see VideoHeader.
        start_time: UTC seconds of the first frame, or None.
        start_from_name: the start time comes from the file's name, nobody stated it.
        time_base: "utc" or, without a start time, "relative".
        live: False.
        problems: what did not go well since reading began.

    Raises:
        SourceError: no file can be read.
    """

    live = False

    def __init__(self, files: Sequence[Path], camera_id: str, start_time: float | None = None) -> None:
        self.camera_id = camera_id
        super().__init__(Problems(camera_id))
        self._files, self._name_times = _in_order(files)
        self.start_from_name = start_time is None and bool(self._name_times)
        self.start_time = self._name_times[0] if self.start_from_name else start_time
        self.time_base: Literal["utc", "relative"] = "relative" if self.start_time is None else "utc"
        header = self._first_header()
        self.fps = header.fps
        self.size = header.size
        if self.start_from_name:
            _log.info("camera %r starts at UTC %.0f s, as the name of %s tells", camera_id, self.start_time, files[0])

    @cached_property
    def frame_count(self) -> int | None:
        """Frames that the files announce together, None where one of them does not say. Often an estimate."""
        total = 0
        for file in self._files:
            try:
                count = read_header(file).frame_count
            except SourceError:
                continue  # told when reading comes to it
            if count is None:
                return None
            total += count
        return total

    @property
    def files(self) -> tuple[Path, ...]:
        """The recording's files, in order."""
        return tuple(self._files)

    def places(self, extents: Sequence[Extent | None]) -> list[Place]:
        """Where each file begins in the recording, and as a last entry where the recording ends.

        Args:
            extents: of each file, in order (`video_file.measure`); None where it cannot be read.
        """
        index, elapsed, places = 0, 0.0, []
        for number, extent in enumerate(extents):
            begin = self._begin_of(number, elapsed)
            places.append(Place(number, index, begin))
            if extent is not None and extent.frames:
                index += extent.frames
                elapsed = begin + extent.seconds + 1 / (self.fps or DEFAULT_RATE)
        return [*places, Place(len(places), index, elapsed)]

    def _read(self) -> Generator[Frame, None, None]:
        frames = self._read_from(Place())
        first = next(frames, None)
        if first is None:
            raise SourceError(
                f"camera {self.camera_id!r}: not one frame of its {len(self._files)} files can be decoded"
            )
        yield first
        yield from frames

    def _read_from(self, place: Place) -> Generator[Frame, None, None]:
        index, elapsed = place.index, place.seconds
        for number, file in list(enumerate(self._files))[place.file :]:
            begin = place.seconds if number == place.file else self._begin_of(number, elapsed)
            last: tuple[int, float] | None = None
            try:
                for decoded in read_frames(file, self.problems):
                    last = decoded.position, decoded.seconds
                    time = (self.start_time or 0.0) + begin + decoded.seconds
                    yield Frame(self.camera_id, index + decoded.position, time, decoded.image)
            except SourceError as error:
                if len(self._files) == 1:
                    raise
                self.problems.note(Problem.UNREADABLE_FILE, f"left out: {error}")
            if last is not None:
                position, seconds = last
                index += position + 1
                elapsed = begin + seconds + 1 / (self.fps or DEFAULT_RATE)

    def _begin_of(self, number: int, elapsed: float) -> float:
        """Seconds from the recording's first frame to the first frame of a segment."""
        if not self._name_times:
            return elapsed
        told = self._name_times[number] - self._name_times[0]
        if told > elapsed + _SEGMENT_SLACK_SECONDS:
            return told
        if told < elapsed - _SEGMENT_SLACK_SECONDS:
            self.problems.note(
                Problem.OVERLAPPING_FILES,
                f"{self._files[number].name} begins {elapsed - told:.1f} s before the segment before it ends, by its "
                "name; its frames follow on",
            )
        return elapsed

    def _first_header(self) -> VideoHeader:
        failures: list[SourceError] = []
        for file in self._files:
            try:
                return read_header(file)
            except SourceError as failure:
                failures.append(failure)
        others = f" (and none of the {len(failures) - 1} other files)" if len(failures) > 1 else ""
        raise SourceError(f"camera {self.camera_id!r}: {failures[0]}{others}") from failures[0]


class VideoPart(VideoSource):
    """A stretch of a recording, with the indices and times that its frames have in the whole of it.

    Reading begins with a file, so what lies before the stretch in that file is decoded and passed over.

    Args:
        files, camera_id, start_time: of the whole recording (see VideoSource).
        place: of the file to begin with, at or before ``begin``.
        begin, end: the stretch, in seconds since the recording's first frame; ``end`` is not part of it.
    """

    def __init__(
        self,
        files: Sequence[Path],
        camera_id: str,
        start_time: float | None = None,
        place: Place | None = None,
        begin: float = 0.0,
        end: float = float("inf"),
    ) -> None:
        super().__init__(files, camera_id, start_time)
        self._place = place or Place()
        self._begin, self._end = begin, end

    def _read(self) -> Generator[Frame, None, None]:
        first = self.start_time or 0.0
        for frame in self._read_from(self._place):
            if frame.time - first >= self._end:
                return
            if frame.time - first >= self._begin:
                yield frame


def _in_order(files: Sequence[Path]) -> tuple[list[Path], list[float]]:
    """The files in order of time, and the times in their names; no times where a name lacks one."""
    natural = sorted(files, key=natural_key)
    times = {file: time_in_name(file) for file in natural}
    told = [time for time in times.values() if time is not None]
    if len(told) < len(natural):
        return natural, []
    ordered = sorted(natural, key=lambda file: times[file] or 0.0)
    return ordered, sorted(told)

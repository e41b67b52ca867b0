"""One video file: its frames with their places and times, damaged ones left out and told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from reid_tracker.errors import SourceError
from reid_tracker.sources.census import PacketCensus, as_microseconds
from reid_tracker.sources.mp4 import Cut, cut_of, has_index
from reid_tracker.sources.problems import Problem, Problems
from reid_tracker.sources.quiet import open_capture
from reid_tracker.types import Image

# Rates that a container may claim; beyond, the field is a broken header or a clock tick (90000 is MPEG's).
_HIGHEST_RATE = 1000.0
DEFAULT_RATE = 25.0

# A header's frame count is often rounded from a duration: a recording that lacks less than this ended in full.
_LACKING_FRAMES = 2
_LACKING_SHARE = 0.01

# No hardware decoder: the same pictures on every machine.
_SETTINGS = (cv2.CAP_PROP_HW_ACCELERATION, cv2.VIDEO_ACCELERATION_NONE)


@dataclass(frozen=True, slots=True)
class VideoHeader:
    """What a video file says of itself.

    Attributes:
        fps: average frames a second, None where the file does not say.
        frame_count: frames it announces, None where it does not say. Often an estimate.
        size: (width, height) in pixels, upright.
        cut: the part of it that is to be shown, where it was trimmed.
    """

    fps: float | None
    frame_count: int | None
    size: tuple[int, int]
    cut: Cut | None = None

    @property
    def seconds(self) -> float | None:
        """How long it announces to be."""
        return self.frame_count / self.fps if self.frame_count and self.fps else None


@dataclass(frozen=True, slots=True)
class DecodedFrame:
    """A picture of a video file.

    Attributes:
        position: place in the file, from 0; places of frames that did not decode stay unused.
        seconds: since the file's first frame, by the container's timestamps.
        image: (H, W, 3) uint8, BGR, upright.
    """

    position: int
    seconds: float
    image: Image


def read_header(path: Path) -> VideoHeader:
    """Look into a video file.

    Raises:
        SourceError: the file is missing, empty, not readable or no video.
    """
    capture = _open(path)
    try:
        return _header(capture, path)
    finally:
        capture.release()


@dataclass(frozen=True, slots=True)
class Extent:
    """How much a video file holds.

    Attributes:
        frames: pictures, damaged ones too.
        seconds: from the first picture to the last.
    """

    frames: int
    seconds: float


def measure(path: Path) -> Extent:
    """Count a video file's pictures without decoding them; reads the whole file.

    Raises:
        SourceError: the file is missing, empty, not readable or no video.
    """
    header = read_header(path)
    census = PacketCensus(path, 1 / (header.fps or DEFAULT_RATE), header.cut)
    try:
        return Extent(*census.extent())
    finally:
        census.close()


def read_frames(path: Path, problems: Problems) -> Iterator[DecodedFrame]:
    """The pictures of a video file, in order of time.

    Frames that do not decode and an early end are noted in ``problems``. Where the container has no usable
    timestamps (a raw H.264 stream) frames follow one another at the announced rate.

    Raises:
        SourceError: the file cannot be opened, or (at its end) not one frame of it decodes.
    """
    capture = _open(path)
    header = _header(capture, path)
    period = 1 / (header.fps or DEFAULT_RATE)
    census = PacketCensus(path, period, header.cut)
    try:
        position, seconds, first, step, shown = -1, 0.0, None, period, 0
        while _grab(capture, census):
            stamp = as_microseconds(capture.get(cv2.CAP_PROP_POS_MSEC))
            first = stamp if first is None else first
            elapsed = (stamp - first) / 1e6
            usable = position < 0 or elapsed > seconds
            lost = census.lost_before(stamp if usable else None)
            if lost:
                problems.note(Problem.UNDECODABLE, f"{path.name}: frame at {seconds + period:.2f} s", lost)
            step = elapsed - seconds if usable and position >= 0 else period
            position, seconds = position + lost + 1, elapsed if usable else seconds + period
            decoded, image = capture.retrieve()
            if decoded:
                shown += 1
                yield DecodedFrame(position, seconds, image.astype(np.uint8, copy=False))
            else:
                problems.note(Problem.UNDECODABLE, f"{path.name}: frame at {seconds:.2f} s has no picture")
        if not shown:
            raise SourceError(f"{path}: not one frame of it can be decoded; record or copy it again")
        read = Extent(position + 1, seconds + max(step, period))
        _note_early_end(path, read, census.rest(), header, problems)
    finally:
        capture.release()
        census.close()


def _grab(capture: cv2.VideoCapture, census: PacketCensus) -> bool:
    """Advance to the next frame that decodes. OpenCV says False at a damaged frame as it does at the end."""
    if capture.grab():
        return True
    # A refused call has consumed a packet at least, so it is over when more were refused than packets are left.
    refused = 1
    while census.holds(refused):
        if capture.grab():
            return True
        refused += 1
    return False


def _note_early_end(path: Path, read: Extent, rest: int, header: VideoHeader, problems: Problems) -> None:
    announced = max(header.frame_count or 0, read.frames + rest)
    missing = max(_LACKING_FRAMES, _LACKING_SHARE * announced)
    if rest > missing or (announced - read.frames > missing and _lacks_time(read, header)):
        problems.note(
            Problem.ENDED_EARLY,
            f"{path.name} ended after {read.frames} of the {announced} frames it announces; it was cut off, "
            "damaged or trimmed; copy it again if the recording was longer",
        )
    elif rest:
        problems.note(Problem.UNDECODABLE, f"{path.name}: last frames", rest)


def _lacks_time(read: Extent, header: VideoHeader) -> bool:
    """Whether a file ended before its time. Where the rate varies, frames that it announces are length times rate, and
    mean nothing by themselves."""
    if header.seconds is None or header.fps is None:
        return True
    return header.seconds - read.seconds > max(_LACKING_FRAMES / header.fps, _LACKING_SHARE * header.seconds)


def _header(capture: cv2.VideoCapture, path: Path) -> VideoHeader:
    fps = capture.get(cv2.CAP_PROP_FPS)
    count = capture.get(cv2.CAP_PROP_FRAME_COUNT)
    cut = cut_of(path)
    if cut is not None:
        count = round((cut.end - cut.begin) * fps)
    return VideoHeader(
        fps=fps if 0 < fps <= _HIGHEST_RATE else None,
        frame_count=int(count) if 0 < count < 2**40 else None,
        size=(int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))),
        cut=cut,
    )


def _open(path: Path) -> cv2.VideoCapture:
    shown = str(path).encode(errors="backslashreplace").decode()
    if shown != str(path):  # OpenCV ends the process at such names
        raise SourceError(f"{shown}: the name is not valid UTF-8; rename the file or folder")
    head = _first_bytes(path)
    if not head:
        raise SourceError(f"{path}: the file is empty (0 bytes); record or copy it again")
    if _is_text(head):
        raise SourceError(f"{path}: this is text, not video; give the video file itself")
    capture = open_capture(str(path), cv2.CAP_FFMPEG, _SETTINGS)
    if capture is None:
        raise SourceError(f"{path}: cannot be read as video ({_why_not(path, head)})")
    capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
    return capture


def _first_bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(1024)
    except FileNotFoundError:
        raise SourceError(f"{path}: no such file; check the name and the folder") from None
    except OSError as error:
        raise SourceError(f"{path}: cannot be read ({error.strerror}); check its permissions") from error


def _is_text(head: bytes) -> bool:
    # No container begins with a kilobyte (or its whole self) of printable characters. Kept from FFmpeg also because
    # playlists are text, and would make it read other files and addresses.
    return all(byte >= 0x20 or byte in b"\t\n\r\f" for byte in head) and _decodes(head)


def _decodes(head: bytes) -> bool:
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start > len(head) - 4  # a character cut in two by the end of the sample
    return True


def _why_not(path: Path, head: bytes) -> str:
    if head[4:8] == b"ftyp" and not has_index(path):
        return (
            "an MP4 without its index: the recording was interrupted or is still being written; "
            "repair it with a tool such as untrunc, or record to .mkv or .ts, which survive interruptions"
        )
    return "no known format, or damaged at its start; check that it plays, or convert it with ffmpeg"

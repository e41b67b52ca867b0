"""From what a user writes to a camera that can be read."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from reid_tracker.errors import ConfigError, SourceError
from reid_tracker.parts import Source, find_part
from reid_tracker.sources.clock import TimeBase
from reid_tracker.sources.images import IMAGE_SUFFIXES, ImageSource
from reid_tracker.sources.problems import Problems
from reid_tracker.sources.video import VideoSource
from reid_tracker.sources.webcam import WebcamSource

STREAM_SCHEMES = ("rtsp", "rtsps", "rtmp", "http", "https", "srt", "udp", "rtp")
"""Schemes of live streams, which ``reid_tracker.live`` opens."""

_VIDEO_SUFFIXES = frozenset({".mp4", ".mkv", ".avi", ".mov", ".ts", ".webm", ".m4v", ".mpg", ".mpeg", ".flv", ".wmv"})

# What a user may give as a camera: see open_source.
SourceSpec = str | int | Path | Sequence[str | Path]


class CameraSource(Source, Protocol):
    """A source that also says what is known of it beforehand, as all of this package's do (see VideoSource)."""

    @property
    def fps(self) -> float | None:
        """Pictures a second; None where they come when they come."""
        ...

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels, as the pictures will have."""
        ...

    @property
    def frame_count(self) -> int | None:
        """How many pictures there are; None where that is not known."""
        ...

    @property
    def start_time(self) -> float | None:
        """UTC seconds of the first picture; None where nobody said."""
        ...

    @property
    def start_from_name(self) -> bool:
        """Whether the start time was read from the file's name."""
        ...

    @property
    def time_base(self) -> TimeBase:
        """What the times of the pictures count from."""
        ...

    @property
    def live(self) -> bool:
        """Whether pictures come by themselves, and wait for nobody."""
        ...

    @property
    def problems(self) -> Problems:
        """What went wrong so far."""
        ...


def open_source(
    spec: SourceSpec, camera_id: str, start_time: float | datetime | None = None, fps: float | None = None
) -> Source:
    """Open a camera. Nothing is decoded beyond a first look before it is iterated.

    Args:
        spec: a video file; a pattern of video files (``hall_*.mp4``) or a sequence of paths, joined in order of
            time; a folder of pictures, or of a MOTChallenge sequence (with ``img1`` inside); the number of a webcam;
            ``scheme://...`` where another package registered ``scheme`` as a source.
        camera_id: name of the camera, unique in a run.
        start_time: UTC seconds (or a datetime; UTC where it has no zone) of the first frame.
        fps: pictures a second of a folder of pictures.

    Returns:
        The source; those of this package have the attributes of CameraSource as well.

    Raises:
        SourceError: there is nothing to read, or it cannot be read.
        ConfigError: an argument does not fit the kind of source.

    Example:
        >>> for frame in open_source("door.mp4", camera_id="door"):  # doctest: +SKIP
        ...     print(frame.index, frame.time, frame.image.shape)
    """
    start = _seconds(start_time, camera_id)
    if isinstance(spec, str) and "://" in spec:
        return _registered(spec, camera_id, start)
    if isinstance(spec, int) or (isinstance(spec, str) and spec.isdecimal() and not Path(spec).exists()):
        if start is not None:
            raise ConfigError(f"camera {camera_id!r}: a webcam is live and takes no start time; leave it out")
        source: CameraSource = WebcamSource(int(spec), camera_id)
        if fps is None:
            return source
        source.close()
    else:
        files = _files_of(spec, camera_id)
        if all(file.suffix.lower() in IMAGE_SUFFIXES for file in files):
            return ImageSource(files, camera_id, start, _checked_rate(fps, camera_id))
        if fps is None:
            return VideoSource(files, camera_id, start)
    raise ConfigError(f"camera {camera_id!r}: fps is for folders of pictures; a video or webcam has its own")


def _files_of(spec: SourceSpec, camera_id: str) -> list[Path]:
    if not isinstance(spec, str | Path):
        files = [Path(path) for path in spec]  # type: ignore[union-attr]  # numbers were taken by the caller
        if not files:
            raise SourceError(f"camera {camera_id!r}: no files were given")
        return files
    path = Path(spec)
    if path.is_dir():
        return _pictures_in(path, camera_id)
    if path.exists() or not glob.has_magic(str(spec)):
        return [path]
    files = [Path(found) for found in glob.glob(str(spec), recursive=True) if not Path(found).is_dir()]
    if not files:
        raise SourceError(
            f"camera {camera_id!r}: no file matches {str(spec)!r}; check the folder, and quote the pattern in a shell"
        )
    return files


def _pictures_in(folder: Path, camera_id: str) -> list[Path]:
    for place in (folder, folder / "img1"):
        pictures = _with_suffix(place, IMAGE_SUFFIXES)
        if pictures:
            return pictures
    videos = len(_with_suffix(folder, _VIDEO_SUFFIXES))
    hint = f"it holds {videos} videos: give a pattern such as '{folder}/*.mp4'" if videos else "check the path"
    raise SourceError(f"camera {camera_id!r}: folder {folder} holds no pictures; {hint}")


def _with_suffix(folder: Path, suffixes: frozenset[str]) -> list[Path]:
    if not folder.is_dir():
        return []
    return [file for file in folder.iterdir() if file.suffix.lower() in suffixes and not file.name.startswith(".")]


def _registered(spec: str, camera_id: str, start_time: float | None) -> Source:
    scheme = spec.partition("://")[0].lower()
    try:
        part = find_part("sources", scheme)
    except ConfigError as error:
        if scheme in STREAM_SCHEMES:
            raise ConfigError(
                f"camera {camera_id!r}: {scheme}:// is a live stream, which has no end to wait for; follow it with "
                f"`reid-tracker serve --camera {camera_id}={scheme}://...`, or record it to a file first"
            ) from error
        raise ConfigError(
            f"camera {camera_id!r}: {scheme}:// addresses cannot be read; record to files, or install a package that "
            f"brings the source ({error})"
        ) from error
    source: Source = part(spec, camera_id=camera_id, start_time=start_time)
    return source


def _seconds(start_time: float | datetime | None, camera_id: str) -> float | None:
    if isinstance(start_time, datetime):
        return (start_time if start_time.tzinfo else start_time.replace(tzinfo=UTC)).timestamp()
    if start_time is not None and not abs(start_time) < 1e11:  # NaN too; beyond it lies the year 5138
        raise ConfigError(f"camera {camera_id!r}: start time {start_time} is no UTC seconds (milliseconds?)")
    return start_time


def _checked_rate(fps: float | None, camera_id: str) -> float | None:
    if fps is not None and not 0 < fps <= 1000:
        raise ConfigError(f"camera {camera_id!r}: fps is {fps}; it must be above 0 and at most 1000")
    return fps

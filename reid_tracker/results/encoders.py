"""Turning pictures into a video file that a browser plays, without any GPL part of our own.

H.264 (.mp4) comes from the user's own ``ffmpeg`` program where it has an encoder for it. VP8 and VP9 (.webm) come from
the FFmpeg inside OpenCV (LGPL, with libvpx). Its VP9 takes five times as long as its VP8, so VP8 stands in for H.264.
"""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import Literal, Protocol

import cv2

from reid_tracker.errors import ConfigError, OutputError
from reid_tracker.results.files import output_error
from reid_tracker.types import Image

Codec = Literal["h264", "vp8", "vp9"]
SUFFIX: dict[Codec, str] = {"h264": ".mp4", "vp8": ".webm", "vp9": ".webm"}

# H.264 encoders of FFmpeg that run on any machine (hardware encoders are listed even where the hardware is missing).
_H264_ENCODERS = {
    "libx264": ["-preset", "veryfast", "-crf", "23"],
    "libopenh264": ["-b:v", "3M"],
    "h264_videotoolbox": ["-b:v", "3M"],
}
_FULL_DISK = "No space left on device"  # in the words of the C library, which ffmpeg repeats
_FREE_BYTES_NEEDED = 1 << 16
_FRAMES_BETWEEN_CHECKS = 256

# Standard error belongs to the process: what is put back must be what was there before.
_opening = threading.Lock()


class Encoder(Protocol):
    """Takes pictures of one size at a constant rate."""

    def write(self, image: Image) -> None:
        """Append one picture."""
        ...

    def close(self) -> None:
        """Complete the file; may be called twice."""
        ...


def choose_codec(wanted: str) -> Codec:
    """The codec that ``output.video_codec`` means on this machine.

    Raises:
        ConfigError: h264 was asked for by name and no ffmpeg program here can encode it.
    """
    if wanted in ("vp8", "vp9"):
        return "vp8" if wanted == "vp8" else "vp9"
    if h264_encoder():
        return "h264"
    if wanted == "h264":
        raise ConfigError(
            "output.video_codec is h264, but there is no ffmpeg program with an H.264 encoder "
            f"({', '.join(_H264_ENCODERS)}) on the PATH; install one, or set it to vp8"
        )
    return "vp8"


def h264_encoder() -> str | None:
    """The name of an H.264 encoder that the ``ffmpeg`` on the PATH has, if there is one."""
    program = shutil.which("ffmpeg")
    if program is None:
        return None
    try:
        listed = subprocess.run(
            [program, "-hide_banner", "-encoders"], capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None  # a program that does not even list its encoders will not encode
    names = {line.split()[1] for line in listed.stdout.splitlines() if len(line.split()) > 1}
    return next((name for name in _H264_ENCODERS if name in names), None)


def open_encoder(path: Path, codec: Codec, size: tuple[int, int], fps: float) -> Encoder:
    """An encoder that writes ``path``.

    Args:
        size: (width, height) in pixels, both even.
        fps: pictures a second.

    Raises:
        OutputError: it cannot be started.
    """
    encoder = h264_encoder() if codec == "h264" else None
    if encoder:
        return FfmpegEncoder(path, encoder, size, fps)
    return OpencvEncoder(path, codec, size, fps)


class FfmpegEncoder:
    """H.264 by the user's ``ffmpeg`` program, fed with raw pictures through a pipe."""

    def __init__(self, path: Path, encoder: str, size: tuple[int, int], fps: float) -> None:
        self._path = path
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115 (lives as long as the encoder)
        width, height = size
        command = [
            "ffmpeg", "-hide_banner", "-loglevel", "error", "-nostdin", "-xerror", "-y",
            "-f", "rawvideo", "-pix_fmt", "bgr24", "-s", f"{width}x{height}", "-r", f"{fps:.6f}", "-i", "-",
            "-an", "-c:v", encoder, *_H264_ENCODERS[encoder], "-pix_fmt", "yuv420p", "-movflags", "+faststart",
            str(path.absolute()),
        ]  # fmt: skip
        try:
            # In a session of its own, so that Ctrl-C ends the run and not the encoder, which must complete its file.
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=self._complaints,
                start_new_session=True,
            )
        except OSError as error:
            raise OutputError(f"{path}: ffmpeg cannot be started ({error.strerror})") from error
        self._closed = False

    def write(self, image: Image) -> None:
        """Append one picture.

        Raises:
            OutputError: the program gave up, with its own words.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(image.data)
        except OSError as error:
            self._process.wait()
            raise self._failure() from error

    def close(self) -> None:
        """Complete the file; may be called twice.

        Raises:
            OutputError: the program could not complete it.
        """
        if self._closed:
            return
        self._closed = True
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # the program's own end says why, below
            self._process.stdin.close()
        failed = self._process.wait() != 0 or _FULL_DISK in self._words()  # of which ffmpeg may end with success
        failure = self._failure() if failed else None
        self._complaints.close()
        if failure:
            raise failure

    def _failure(self) -> OutputError:
        self._path.unlink(missing_ok=True)  # without its end an .mp4 shows nothing
        words = self._words()
        if _FULL_DISK in words:
            return output_error(self._path, OSError(errno.ENOSPC, _FULL_DISK))
        reason = words.splitlines()[-1] if words else "it gives no reason"
        return OutputError(f"{self._path}: ffmpeg failed ({reason})")

    def _words(self) -> str:
        """What the program complained of so far."""
        self._complaints.seek(0)
        return self._complaints.read().decode(errors="replace").strip()


class OpencvEncoder:
    """VP8 or VP9 by the FFmpeg inside OpenCV."""

    def __init__(self, path: Path, codec: Codec, size: tuple[int, int], fps: float) -> None:
        self._path = path
        self._written = 0
        fourcc = cv2.VideoWriter.fourcc(*("VP90" if codec == "vp9" else "VP80"))
        self._writer = _open_quietly(path, fourcc, fps, size)
        if not self._writer.isOpened():
            raise OutputError(f"{path}: OpenCV cannot write {codec} video here; run without --video, or install ffmpeg")

    def write(self, image: Image) -> None:
        """Append one picture.

        Raises:
            OutputError: the disk is full (asked now and then: OpenCV does not report it).
        """
        self._writer.write(image)
        self._written += 1
        if self._written % _FRAMES_BETWEEN_CHECKS == 0:
            self._check_disk()

    def close(self) -> None:
        """Complete the file; may be called twice.

        Raises:
            OutputError: the disk is full.
        """
        if self._writer.isOpened():
            self._writer.release()
            self._check_disk()

    def _check_disk(self) -> None:
        if shutil.disk_usage(self._path.parent).free < _FREE_BYTES_NEEDED:
            raise output_error(self._path, OSError(errno.ENOSPC, _FULL_DISK))


def _open_quietly(path: Path, fourcc: int, fps: float, size: tuple[int, int]) -> cv2.VideoWriter:
    """A writer, opened without the lines that OpenCV prints to stderr (any tag is "not supported" in WebM)."""
    with _opening, open(os.devnull, "w") as nowhere:
        stderr = os.dup(2)
        os.dup2(nowhere.fileno(), 2)
        try:
            return cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, fourcc, fps, size)
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)

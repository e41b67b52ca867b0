"""Annotated video: one file per camera, at a constant rate, with one colour per identity over all cameras."""

from __future__ import annotations

import math
from collections.abc import Container, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np

from reid_tracker.errors import OutputError
from reid_tracker.results.closing import Closing
from reid_tracker.results.drawing import Annotator
from reid_tracker.results.encoders import SUFFIX, Codec, Encoder, open_encoder
from reid_tracker.results.files import file_name, make_folder, try_all
from reid_tracker.types import Image, TrackedFrame

LEAST_FPS, MOST_FPS = 0.1, 60.0
UNKNOWN_FPS = 10.0
LONGEST_STILL_SECONDS = 5.0


class VideoSink(Closing):
    """Writes ``<camera>.mp4`` or ``.webm`` for each camera whose frames carry pictures.

    Ids are drawn as the frames have them. During a run these are the ids as given at the time, where a link that is
    found later shows from then on; ``redraw`` writes recordings with the ids as known at the end.

    Args:
        folder: for the files; created with the first picture.
        codec: see encoders.
        fps: frames a second by camera, where known; otherwise the time between the first two frames counts.
        note: of which ids these are, for the caption.
        without: cameras of which no video is made.
    """

    def __init__(
        self,
        folder: str | Path,
        codec: Codec,
        fps: Mapping[str, float | None] | None = None,
        note: str = "ids as given at the time",
        without: Container[str] = (),
    ) -> None:
        self._folder = Path(folder)
        self._codec = codec
        self._note = note
        self._without = without
        self._fps = dict(fps or {})
        self._cameras: dict[str, _CameraVideo] = {}

    def write(self, tracked: TrackedFrame) -> None:
        """Draw one frame and append it.

        Raises:
            OutputError: it cannot be written.
        """
        if tracked.image is None or tracked.camera_id in self._without:
            return
        camera = self._cameras.get(tracked.camera_id)
        if camera is None:
            make_folder(self._folder)
            path = self._folder / f"{file_name(tracked.camera_id)}{SUFFIX[self._codec]}"
            camera = self._cameras[tracked.camera_id] = _CameraVideo(
                path, self._codec, self._fps.get(tracked.camera_id), self._note
            )
        camera.write(tracked.image, tracked)

    def close(self) -> None:
        """Complete all files.

        Raises:
            OutputError: one cannot be completed.
        """
        try_all(camera.close for camera in self._cameras.values())

    def discard(self) -> None:
        """Remove all files: half a video looks like a whole one."""
        with suppress(OutputError):
            self.close()
        for camera in self._cameras.values():
            camera.path.unlink(missing_ok=True)
        self._cameras.clear()
        with suppress(OSError):  # other videos are in it
            self._folder.rmdir()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Complete all files, or none where an error came between."""
        self.close() if error is None else self.discard()


class _CameraVideo:
    """One camera's file."""

    def __init__(self, path: Path, codec: Codec, fps: float | None, note: str) -> None:
        self.path = path
        self._codec: Codec = codec
        self._fps = fps
        self._annotator = Annotator(note)
        self._encoder: Encoder | None = None
        self._clock: SteadyClock | None = None
        self._size = (0, 0)
        self._last: tuple[Image, float] | None = None  # newest drawn picture and its time

    def write(self, image: Image, tracked: TrackedFrame) -> None:
        drawn = self._annotator.draw(image, tracked)
        if self._last is not None:
            self._open(self._last[1], tracked.time)
            self._append(*self._last, until=tracked.time)
        else:
            self._size = _even(drawn)
        self._last = (_fitted(drawn, self._size), tracked.time)

    def close(self) -> None:
        try:
            if self._last is not None:
                last, self._last = self._last, None
                self._open(last[1], None)
                self._append(*last, until=None)
        finally:
            if self._encoder is not None:
                self._encoder.close()

    def _open(self, first_time: float, second_time: float | None) -> None:
        """Start the file once the rate is known: given, or from the first two frames."""
        if self._clock is not None:
            return
        fps = self._fps
        if not fps:
            fps = 1 / (second_time - first_time) if second_time and second_time > first_time else UNKNOWN_FPS
        fps = min(max(fps, LEAST_FPS), MOST_FPS)
        self._clock = SteadyClock(fps, first_time)
        self._encoder = open_encoder(self.path, self._codec, self._size, fps)

    def _append(self, image: Image, time: float, until: float | None) -> None:
        assert self._clock is not None
        assert self._encoder is not None
        for _ in range(self._clock.pictures(time, until)):
            self._encoder.write(image)


class SteadyClock:
    """Tells how often to show each picture so that a video of constant rate keeps to the frames' own times.

    Pictures that come faster than the rate are left out, slower ones repeated; a gap of more than
    LONGEST_STILL_SECONDS (a camera that was away) is shortened to one picture.

    Args:
        fps: pictures a second.
        start: time of the first picture, seconds.
    """

    def __init__(self, fps: float, start: float) -> None:
        self._fps = fps
        self._start = start
        self._shown = 0

    def pictures(self, time: float, until: float | None) -> int:
        """How often to show the picture of ``time`` when the next is of ``until`` (None: it is the last)."""
        if until is not None and until - time > LONGEST_STILL_SECONDS:
            self._start += until - time - 1 / self._fps
        end = time + 1 / self._fps if until is None else until
        due = math.floor((end - self._start) * self._fps + 0.5) - self._shown
        if until is None:
            due = max(due, 0 if self._shown else 1)
        self._shown += max(due, 0)
        return max(due, 0)


def _even(image: Image) -> tuple[int, int]:
    """Width and height, each rounded up to an even number: video stores colour for squares of four pixels."""
    height, width = image.shape[:2]
    return width + width % 2, height + height % 2


def _fitted(image: Image, size: tuple[int, int]) -> Image:
    """The picture in the video's size: a missing last row or column repeated, another size (a camera that changed
    its mind) resized."""
    width, height = size
    right, below = width - image.shape[1], height - image.shape[0]
    if (right, below) == (0, 0):
        return image
    if right in (0, 1) and below in (0, 1):
        return np.asarray(cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_REPLICATE), np.uint8)
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)

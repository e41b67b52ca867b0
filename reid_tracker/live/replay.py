"""Files and webcams read as if they were network cameras."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Iterator

import numpy as np

from reid_tracker.errors import SourceError
from reid_tracker.live.capture import CPU, CaptureError, Fault, Picture, Reading
from reid_tracker.live.timing import Clock, SystemClock
from reid_tracker.parts import Source
from reid_tracker.sources import Problem, Problems, open_source
from reid_tracker.types import Frame

_ROWS_BETWEEN = 8  # every eighth row of the picture goes into its fingerprint
_LONGEST_WAIT = 0.2  # seconds after which a read returns without a picture: longer ones are taken to be stuck


class SourceCapture:
    """A source of this package as a live stream: recordings at their own speed, webcams as they come.

    Args:
        source: what is read; closed with this.
        closing: once set, waiting for a picture's time to come is over.
        clock: where time comes from.
    """

    codec = "file"
    decoder = CPU

    def __init__(self, source: Source, closing: threading.Event, clock: Clock | None = None) -> None:
        self._source = source
        self._closing = closing
        self._clock = clock or SystemClock()
        self.recording = not getattr(source, "live", False)
        self._frames: Iterator[Frame] = iter(source)
        self._began: float | None = None  # monotonic seconds at media time 0
        self._next: Frame | None = None  # waits for its time
        self._undecodable = 0

    @property
    def fps(self) -> float | None:
        """As the source declares."""
        return getattr(self._source, "fps", None)

    def read(self) -> Reading:
        """The next picture, when its time has come; nothing where that is not within 0.2 s.

        Raises:
            CaptureError: the recording ended or cannot be read.
        """
        frame = self._next = self._next or self._decoded()
        if self.recording and not self._is_due(frame.time):
            return Reading()
        self._next = None
        image = frame.image
        fingerprint = zlib.crc32(np.ascontiguousarray(image[::_ROWS_BETWEEN]).tobytes())
        picture = Picture(frame.time, None, (image.shape[1], image.shape[0]), fingerprint, lambda: image)
        return Reading((picture,), self._newly_undecodable())

    def close(self) -> None:
        """Close the source; may be called twice."""
        self._source.close()

    def _decoded(self) -> Frame:
        try:
            frame = next(self._frames, None)
        except SourceError as error:
            raise CaptureError(Fault.BROKEN, str(error)) from error
        if frame is None:
            raise CaptureError(Fault.ENDED, f"the {'recording has ended' if self.recording else 'camera is gone'}")
        return frame

    def _is_due(self, media_time: float) -> bool:
        """Whether the time of a picture has come, waited for a little."""
        if self._began is None:
            self._began = self._clock.monotonic() - media_time
        left = self._began + media_time - self._clock.monotonic()
        if left <= 0:
            return True
        return self._clock.wait(self._closing, min(left, _LONGEST_WAIT)) or left <= _LONGEST_WAIT

    def _newly_undecodable(self) -> int:
        problems = getattr(self._source, "problems", None)
        total = problems.counts[Problem.UNDECODABLE] if isinstance(problems, Problems) else 0
        new, self._undecodable = total - self._undecodable, total
        return new


def open_replay(spec: str, camera_id: str, closing: threading.Event, clock: Clock | None = None) -> SourceCapture:
    """Open a file, a pattern of files, a folder of pictures or a webcam.

    Raises:
        CaptureError: there is nothing to read.
    """
    try:
        return SourceCapture(open_source(spec, camera_id), closing, clock)
    except SourceError as error:
        raise CaptureError(Fault.NOT_FOUND, str(error)) from error

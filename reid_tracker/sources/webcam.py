"""A camera at this machine, live."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Literal

import cv2
import numpy as np

from reid_tracker.errors import SourceError
from reid_tracker.sources.problems import Problem, Problems
from reid_tracker.sources.quiet import open_capture
from reid_tracker.types import Frame

# A camera may refuse a picture now and then (a bus hiccup); this many in a row mean that it is gone.
_REFUSALS_UNTIL_GONE = 30


class WebcamSource:
    """Frames of a webcam, timed by this machine's clock as they arrive. Read by one thread at a time.

    Args:
        device: number of the webcam, from 0.
        camera_id: name of the camera.

    Attributes:
        fps: frames a second that the driver announces, None where it does not.
        frame_count: None; it ends when it is closed or unplugged.
        size: (width, height) in pixels.
        live: True: whoever is slower than the camera must drop frames.
        start_time, time_base, problems, start_from_name: see VideoSource.

    Raises:
        SourceError: there is no such webcam, or it cannot be opened.
    """

    live = True
    frame_count: int | None = None
    start_time: float | None = None
    start_from_name = False
    time_base: Literal["utc", "relative"] = "utc"

    def __init__(self, device: int, camera_id: str) -> None:
        self.camera_id = camera_id
        self.problems = Problems(camera_id)
        self._device = device
        self._capture = open_capture(device, cv2.CAP_ANY)
        if self._capture is None:
            raise SourceError(
                f"camera {camera_id!r}: webcam {device} cannot be opened; check that it is plugged in, that no other "
                "program uses it, and its number (the first is 0)"
            )
        fps = self._capture.get(cv2.CAP_PROP_FPS)
        self.fps = fps if 0 < fps <= 1000 else None
        self.size = (
            int(self._capture.get(cv2.CAP_PROP_FRAME_WIDTH)),
            int(self._capture.get(cv2.CAP_PROP_FRAME_HEIGHT)),
        )

    def __iter__(self) -> Iterator[Frame]:
        """Frames from now on, until the source is closed or the camera is gone."""
        index = refused = 0
        while self._capture is not None:
            arrived, image = self._capture.read()
            now = time.time()
            if arrived:
                refused = 0
                yield Frame(self.camera_id, index, now, image.astype(np.uint8, copy=False))
            else:
                refused += 1
                self.problems.note(Problem.UNDECODABLE, f"webcam {self._device}: a picture did not come")
                if refused == _REFUSALS_UNTIL_GONE:
                    self.problems.note(Problem.STOPPED, f"webcam {self._device} gives no pictures any more")
                    return
            index += 1

    def close(self) -> None:
        """Release the device; may be called twice."""
        if self._capture is not None:
            self._capture.release()
            self._capture = None

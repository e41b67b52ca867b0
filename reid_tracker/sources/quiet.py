"""Opening OpenCV captures without its and FFmpeg's own lines on stderr: the package says what is wrong itself.

Nothing changes at import. While a capture is opened, and only then, OpenCV's log level is set to silent and
``OPENCV_FFMPEG_LOGLEVEL`` is set; both are put back before ``open_capture`` returns. OpenCV reads that variable when
the process opens its first video: an application that sets it, or opens a video before, keeps FFmpeg as it has it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import cv2

_LEVEL = "OPENCV_FFMPEG_LOGLEVEL"
_QUIET = "-8"  # AV_LOG_QUIET
_SILENT = 0  # LOG_LEVEL_SILENT of opencv2/core/utils/logger.defines.hpp

# Several cameras may be opened by several threads; what is put back must be what was there before the first.
_opening = threading.Lock()


@contextmanager
def _quietly() -> Iterator[None]:
    with _opening:
        # OpenCV 5 moved these from the module itself.
        logging: Any = cv2.utils.logging if hasattr(cv2.utils, "logging") else cv2
        level = logging.getLogLevel()
        chosen = os.environ.get(_LEVEL)
        logging.setLogLevel(_SILENT)
        if chosen is None:
            os.environ[_LEVEL] = _QUIET
        try:
            yield
        finally:
            logging.setLogLevel(level)
            if chosen is None:
                del os.environ[_LEVEL]


def open_capture(what: str | int, backend: int, settings: Sequence[int] = ()) -> cv2.VideoCapture | None:
    """An opened capture, or None where OpenCV cannot open it.

    Args:
        what: path of a file, or number of a device.
        backend: ``cv2.CAP_FFMPEG`` for files, ``cv2.CAP_ANY`` for devices.
        settings: property, value, property, value, ... in force from the start.
    """
    with _quietly():
        capture = cv2.VideoCapture(what, backend, list(settings))
    if capture.isOpened():
        return capture
    capture.release()
    return None

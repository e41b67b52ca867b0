"""Files and webcams as if they were network cameras."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest

from reid_tracker.live import CaptureError, Picture
from reid_tracker.live.replay import SourceCapture
from reid_tracker.types import Frame
from tests.live.test_reader import FakeClock


class Times:
    """A source of pictures that were taken at these seconds."""

    camera_id = "gate"

    def __init__(self, *times: float, live: bool = False) -> None:
        self._times, self.live = times, live

    def __iter__(self) -> Iterator[Frame]:
        for index, time in enumerate(self._times):
            yield Frame("gate", index, time, np.full((4, 6, 3), index, np.uint8))

    def close(self) -> None:
        pass


def played(source: Times) -> tuple[list[tuple[float, Picture]], float, str]:
    """What is read and when, the longest that a read took, and what it said at the end."""
    clock, longest = FakeClock(), 0.0
    capture = SourceCapture(source, threading.Event(), clock)
    found: list[tuple[float, Picture]] = []
    while True:
        began = clock.now
        try:
            reading = capture.read()
        except CaptureError as error:
            return found, longest, str(error)
        longest = max(longest, clock.now - began)
        found += [(clock.now, picture) for picture in reading.pictures]


def test_a_gap_in_a_recording_lasts_as_long_as_it_did_and_no_read_takes_long() -> None:
    """A read that waited for the next file to begin was taken to be stuck, and the recording began again."""
    found, longest, said = played(Times(100.0, 100.1, 112.0, 112.1))
    assert [at for at, _ in found] == pytest.approx([0.0, 0.1, 12.0, 12.1])
    assert [picture.media_time for _, picture in found] == [100.0, 100.1, 112.0, 112.1]
    assert longest == pytest.approx(0.2)
    assert said == "the recording has ended"


def test_a_webcam_is_no_recording_and_waits_for_nobody() -> None:
    found, longest, said = played(Times(100.0, 112.0, live=True))
    assert (len(found), longest, said) == (2, 0.0, "the camera is gone")
    assert not SourceCapture(Times(live=True), threading.Event()).recording

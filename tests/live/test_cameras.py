"""All cameras together, with streams that do what the test says."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from reid_tracker.config import CameraConfig, LiveConfig
from reid_tracker.live import CameraReader, CaptureError, Fault, LiveCameras, Reading
from tests.live.test_reader import picture


class Beat:
    """A stream of a picture whenever the test lets one through."""

    codec, decoder, fps, recording = "fake", "cpu", None, False

    def __init__(self) -> None:
        self._let = threading.Semaphore(0)
        self._count = 0

    def let(self) -> None:
        self._let.release()

    def read(self) -> Reading:
        if not self._let.acquire(timeout=0.1):
            return Reading()
        self._count += 1
        return Reading((picture(float(self._count), self._count),))

    def close(self) -> None:
        pass


def dead() -> Beat:
    raise CaptureError(Fault.REFUSED, "refused")


@pytest.fixture
def site() -> Iterator[tuple[LiveCameras, Beat]]:
    """A camera that works, with one beside it that refuses, one that is paused and one that never sent a picture."""
    works = Beat()
    captures = {"works": lambda: works, "refuses": dead, "paused": dead, "silent": Beat}

    def reader_of(camera: CameraConfig, changed: threading.Condition) -> CameraReader:
        return CameraReader(camera.id, captures[camera.id], LiveConfig(), changed)

    live = LiveCameras(cameras=[CameraConfig(id=name, source=name) for name in captures], reader_of=reader_of)
    live.pause("paused")
    yield live, works
    live.close()


def test_a_camera_that_sends_nothing_holds_up_none_that_does(site: tuple[LiveCameras, Beat]) -> None:
    """Each moment waited 30 ms for all cameras: one dead camera took a quarter of all others' pictures."""
    live, works = site
    took = []
    for _ in range(15):
        works.let()
        ends = time.monotonic() + 20
        while live.report()["works"].received <= len(took):
            assert time.monotonic() < ends
            time.sleep(0.001)
        began = time.monotonic()
        assert [frame.camera_id for frame in live.next_moment(1)] == ["works"]
        took.append(time.monotonic() - began)
    assert min(took) < 0.025

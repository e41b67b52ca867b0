"""Streams and their helpers, shared by the tests of live cameras."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from reid_tracker.config import CameraConfig, LiveConfig
from reid_tracker.live import LiveCameras


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with recordings to serve: ball.mp4 (640 x 360) and small.mp4 (320 x 180)."""
    from tests.live.servers import write_clip

    folder = tmp_path_factory.mktemp("clips")
    write_clip(folder / "ball.mp4")
    write_clip(folder / "small.mp4", size=(320, 180))
    return folder


@pytest.fixture
def cameras() -> Iterator[Callable[..., LiveCameras]]:
    """Makes LiveCameras from name=address, closed at the end."""
    opened: list[LiveCameras] = []

    def make(config: LiveConfig | None = None, **addresses: str) -> LiveCameras:
        opened.append(LiveCameras(config, [CameraConfig(id=name, source=source) for name, source in addresses.items()]))
        return opened[-1]

    yield make
    for each in opened:
        each.close()


def seconds_until_frame(live: LiveCameras, camera: str, limit: float) -> float:
    """Seconds until the next picture of a camera, pictures of the others thrown away; fails after ``limit``."""
    began = time.monotonic()
    while time.monotonic() - began < limit:
        if any(frame.camera_id == camera for frame in live.next_moment(0.1)):
            return time.monotonic() - began
    raise AssertionError(f"no picture of {camera!r} within {limit} s: {live.report()[camera]}")

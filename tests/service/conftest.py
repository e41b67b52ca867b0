"""A running service for the tests, and a client of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="needs the extra 'service'")
pytest.importorskip("httpx", reason="needs the extra 'dev'")

import httpx
import uvicorn

from reid_tracker.config import CameraConfig, Config
from reid_tracker.service.access import Access
from reid_tracker.service.api import build_app
from reid_tracker.service.runtime import Service
from tests.service.site import colour_pipeline, write_scene


@pytest.fixture(scope="session")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """door.avi shows red and green, hall.avi green and blue."""
    folder = tmp_path_factory.mktemp("scenes")
    write_scene(folder / "door.avi", ["red", "green"])
    write_scene(folder / "hall.avi", ["green", "blue"])
    return folder


def site_config(scenes: Path, **values: object) -> Config:
    """Two cameras that repeat, and whatever else."""
    cameras = [CameraConfig(id=name, source=str(scenes / f"{name}.avi")) for name in ("door", "hall")]
    return Config(cameras=cameras).with_values({"live.repeat": True, **values})


@pytest.fixture(scope="module")
def service(scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that has seen three people."""
    path = tmp_path_factory.mktemp("store") / "people.db"
    config = site_config(scenes, **{"store.path": str(path), "store.crops": True, "service.picture_rate": 20.0})
    with Service(config, colour_pipeline) as running:
        wait_for(lambda: len(running.store.people(0, 1e11, 10)) >= 3, 30)
        wait_for(lambda: len(running.index) >= 3, 30)
        yield running


@contextmanager
def listening(service: Service, access: Access) -> Iterator[str]:
    """A real server of the service; its address."""
    config = uvicorn.Config(build_app(service, access), host="127.0.0.1", port=0, log_config=None, lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    wait_for(lambda: server.started, 20)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(10)


@pytest.fixture(scope="module")
def address(service: Service) -> Iterator[str]:
    """Where the service listens, without tokens."""
    with listening(service, Access({})) as found:
        yield found


@pytest.fixture(scope="module")
def client(address: str) -> Iterator[httpx.Client]:
    """A client on this machine, where no tokens are needed."""
    with httpx.Client(base_url=address, timeout=30) as opened:
        yield opened


def wait_for(condition: Callable[[], bool], seconds: float) -> None:
    """Wait until something holds; fail where it does not."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to hold in time"
        time.sleep(0.05)

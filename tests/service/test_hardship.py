"""The service under hardship, each in a process of its own: many viewers, a full disk, and TLS as clients see it."""

from __future__ import annotations

import asyncio
import resource
import socket
import ssl
import statistics
import sys
import time
from pathlib import Path

import httpx
import pytest
import websockets.asyncio.client
import websockets.sync.client

from tests.certificates import self_signed
from tests.service.alone import alone
from tests.service.conftest import wait_for

VIEWERS = 200
WATCH_SECONDS = 15.0
HANDSHAKE = (
    b"GET /api/stream HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def resident_megabytes(process: int) -> float:
    """Memory that a process holds."""
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


def steps_a_second(address: str, seconds: float) -> float:
    """Moments that are tracked in a second."""
    began, before = time.monotonic(), httpx.get(f"{address}/api/health", timeout=30).json()["steps"]
    time.sleep(seconds)
    return float((httpx.get(f"{address}/api/health", timeout=30).json()["steps"] - before) / (time.monotonic() - began))


async def watch(address: str, viewers: int, seconds: float) -> list[int]:
    """Messages that each of so many viewers reads in a while, beginning when all have been let in."""
    path = address.replace("http", "ws") + "/api/stream"
    counts = [0] * viewers
    ready = asyncio.Barrier(viewers)

    async def view(number: int) -> None:
        async with websockets.asyncio.client.connect(path, open_timeout=60, compression=None) as viewer:
            await ready.wait()
            until = time.monotonic() + seconds
            while (left := until - time.monotonic()) > 0:
                try:
                    await asyncio.wait_for(viewer.recv(), left)
                except TimeoutError:
                    return
                counts[number] += 1

    await asyncio.gather(*(view(number) for number in range(viewers)))
    return counts


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads memory from /proc")
def test_two_hundred_viewers_leave_tracking_and_memory_alone(scenes: Path) -> None:
    """All but one read; the one that never does keeps its seat until the system's buffers for it are full."""
    with alone(scenes, **{"service.most_viewers": VIEWERS}) as (program, address):
        wait_for(lambda: httpx.get(f"{address}/api/health", timeout=30).json()["steps"] > 20, 30)
        before, memory = steps_a_second(address, 4), resident_megabytes(program.pid)
        silent = socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2])))
        silent.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        silent.sendall(HANDSHAKE)
        wait_for(lambda: httpx.get(f"{address}/api/health", timeout=30).json()["viewers"] == 1, 20)

        steps = httpx.get(f"{address}/api/health", timeout=30).json()["steps"]
        began = time.monotonic()
        counts = asyncio.run(watch(address, VIEWERS - 1, WATCH_SECONDS))
        during = (httpx.get(f"{address}/api/health", timeout=30).json()["steps"] - steps) / (time.monotonic() - began)
        health = httpx.get(f"{address}/api/health", timeout=30).json()

        assert min(counts) > 0
        assert statistics.median(counts) > WATCH_SECONDS  # both cameras, at least every other second
        assert during > 0.5 * before  # this process takes half of the machine
        assert health["failures"] == {}
        assert resident_megabytes(program.pid) - memory < 60
        silent.close()


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="limits another process, which Linux alone can do")
def test_a_full_disk_stops_nothing_and_is_made_up_for(scenes: Path, tmp_path: Path) -> None:
    """No file may grow any more: tracking goes on, health says so, nothing is searched without its line in the audit
    log, and once there is room again what waited is written."""
    values = {"store.path": str(tmp_path / "people.db"), "tracking.max_lost_seconds": 1.0}
    with alone(scenes, **values) as (program, address), httpx.Client(base_url=address, timeout=30) as client:
        wait_for(lambda: len(client.get("/api/identities").json()) >= 3, 30)
        resource.prlimit(program.pid, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
        wait_for(lambda: bool(client.get("/api/health").json()["store_failure"]), 20)
        health = client.get("/api/health").json()
        assert health["status"] == "degraded"
        assert "people.db" in health["store_failure"]
        wait_for(lambda: client.get("/api/health").json()["steps"] > health["steps"] + 10, 20)
        assert client.post("/api/identities/1/search").status_code == 503
        assert client.get("/api/people").status_code == 200

        resource.prlimit(program.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        wait_for(lambda: client.get("/api/health").json()["store_failure"] == "", 20)
        assert client.get("/api/health").json()["store_lost"] == 0
        assert client.get("/api/health").json()["status"] == "ok"
        assert client.post("/api/identities/1/search").status_code == 200
        last = client.get("/api/identities").json()[0]["last_seen"]
        wait_for(lambda: client.get("/api/identities").json()[0]["last_seen"] > last, 20)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for this machine, signed by itself, and its key."""
    return self_signed(tmp_path_factory.mktemp("tls"))


@pytest.mark.slow
def test_over_tls_with_tokens_others_may_reach_it(scenes: Path, certificate: tuple[Path, Path]) -> None:
    """Bound to every address; real clients that trust this certificate alone, and one that does not."""
    values = {
        "service.host": "0.0.0.0",
        "service.tls_certificate": str(certificate[0]),
        "service.tls_key": str(certificate[1]),
    }
    token = {"Authorization": "Bearer a-token-of-twenty-chars"}
    known = ssl.create_default_context(cafile=str(certificate[0]))
    with alone(scenes, {"REID_TRACKER_TOKENS": "viewer:anna:a-token-of-twenty-chars"}, **values) as (_, address):
        assert address.startswith("https://")
        port = address.rpartition(":")[2]
        with httpx.Client(base_url=f"https://127.0.0.1:{port}", verify=known, timeout=30) as client:
            assert client.get("/").status_code == 200
            assert client.get("/api/cameras").status_code == 401
            assert client.get("/api/cameras", headers=token).status_code == 200
            began = client.post("/api/session", headers=token)
            assert began.status_code == 204
            assert "secure" in began.headers["set-cookie"].lower()
            assert client.get("/api/cameras").status_code == 200  # by the cookie
        with httpx.Client(timeout=30) as stranger, pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            stranger.get(f"https://127.0.0.1:{port}/")
        stream = f"wss://localhost:{port}/api/stream"
        with websockets.sync.client.connect(stream, ssl=known, additional_headers=token) as viewer:
            assert viewer.recv(20)
        with pytest.raises(websockets.exceptions.InvalidStatus):
            websockets.sync.client.connect(stream, ssl=known)
        with pytest.raises(httpx.HTTPError):
            httpx.get(f"http://127.0.0.1:{port}/", timeout=10)

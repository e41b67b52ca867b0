"""The service over time: restarts, viewers who do not read, cameras that die, the command, the page in a browser."""

from __future__ import annotations

import ast
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from importlib.util import find_spec
from pathlib import Path

import httpx
import pytest
import websockets.sync.client

from reid_tracker.errors import ConfigError
from reid_tracker.service.access import Access
from reid_tracker.service.runtime import Service
from reid_tracker.types import EventType
from tests.service.conftest import listening, site_config, wait_for
from tests.service.site import colour_pipeline, picture
from tests.service.test_api import JPEG, jpeg


def identities(service: Service) -> dict[str, int]:
    """Who search takes each colour for."""
    return {
        colour: service.search_picture(picture((colour, 100)), 1, None, None, None)[0].sighting.identity
        for colour in ("red", "green", "blue")
    }


@pytest.mark.slow
def test_people_keep_their_numbers_over_a_restart(scenes: Path, tmp_path: Path) -> None:
    config = site_config(scenes, **{"store.path": str(tmp_path / "people.db")})
    with Service(config, colour_pipeline) as first:
        wait_for(lambda: len(first.store.people(0, 1e11, 10)) >= 3, 30)
        time.sleep(1.0)
        before = identities(first)
    with closing(sqlite3.connect(tmp_path / "people.db")) as stored:
        assert stored.execute("SELECT count(*) FROM sightings").fetchone()[0] >= 3
        assert stored.execute("SELECT count(*) FROM crops").fetchone() == (0,)  # vectors only, unless asked
    started = []
    second = Service(config, colour_pipeline)
    second.site.listen(
        lambda _frames, tracked, _events: started.extend(
            event for frame in tracked for event in frame.events if event.type is EventType.STARTED
        )
    )
    with second:
        wait_for(lambda: len(second.people_present()) >= 3, 30)
        assert set(second.people_present()) == set(before.values())
        assert identities(second) == before
    assert started == []


def test_looks_of_another_embedder_are_not_mixed(scenes: Path, tmp_path: Path) -> None:
    config = site_config(scenes, **{"store.path": str(tmp_path / "people.db")})
    with Service(config, colour_pipeline) as first:
        wait_for(lambda: len(first.store.people(0, 1e11, 10)) >= 1, 30)
    other = config.with_values({"embedding.model": str(scenes / "door.avi")})
    with pytest.raises(ConfigError, match="another store"):
        Service(other, colour_pipeline)


def test_sinks_are_refused_not_left_out(scenes: Path) -> None:
    """They are of recordings; a service once ignored them without a word."""
    with pytest.raises(ConfigError, match=r"output\.sinks: acme-counts: .*leave them out"):
        Service(site_config(scenes, **{"output.sinks": ["acme-counts"]}), colour_pipeline)


@pytest.mark.slow
def test_a_viewer_who_never_reads_delays_nobody(scenes: Path) -> None:
    """A socket that is never read fills the system's buffers; after that its messages are skipped and it is let go."""
    config = site_config(scenes, **{"service.viewer_queue": 4, "service.viewer_seconds": 1.0})
    with Service(config, colour_pipeline) as service, listening(service, Access({})) as address:
        port = int(address.rpartition(":")[2])
        silent = socket.create_connection(("127.0.0.1", port))
        silent.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        silent.sendall(
            b"GET /api/stream HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        path = address.replace("http", "ws") + "/api/stream"
        with websockets.sync.client.connect(path, max_size=None) as reading:
            wait_for(lambda: service.hub.viewers == 2, 10)
            before = service.site.report().steps
            for viewer in tuple(service.hub._viewers):  # what fills the buffers at once
                for _ in range(4):
                    viewer.put("x" * 3_000_000)
            began = time.monotonic()
            while time.monotonic() - began < 3:
                reading.recv(10)
            assert service.site.report().steps - before > 10
            wait_for(lambda: service.hub.viewers == 1, 20)
        silent.close()


def test_viewers_are_limited(scenes: Path) -> None:
    config = site_config(scenes, **{"service.most_viewers": 3})
    with Service(config, colour_pipeline) as service, listening(service, Access({})) as address:
        path = address.replace("http", "ws") + "/api/stream"
        with ExitStack() as others:
            for _ in range(2):
                others.enter_context(websockets.sync.client.connect(path))
            with websockets.sync.client.connect(path), pytest.raises(websockets.exceptions.InvalidStatus):
                others.enter_context(websockets.sync.client.connect(path))
            wait_for(lambda: service.hub.viewers == 2, 10)
            with websockets.sync.client.connect(path) as again:
                assert again.recv(20)


@pytest.mark.slow
def test_a_camera_that_dies_changes_no_number_elsewhere(scenes: Path) -> None:
    config = site_config(scenes, **{"tracking.max_lost_seconds": 1.0})
    with Service(config, colour_pipeline) as service:
        wait_for(lambda: len(service.people_present()) == 3, 30)
        here = {
            person.identity for frame in service.site.newest() if frame.camera_id == "door" for person in frame.people
        }
        service.cameras.remove("hall")
        time.sleep(2.5)
        wait_for(lambda: {frame.camera_id for frame in service.site.newest()} == {"door"}, 10)
        assert here == {person.identity for frame in service.site.newest() for person in frame.people}
        assert "hall" not in service.pipeline.trackers


@contextmanager
def command(*arguments: str, cwd: Path, **environment: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The real command, listening; its process and address."""
    program = subprocess.Popen(
        [sys.executable, "-m", "reid_tracker.cli", "serve", "--port", "0", "--set", "runtime.threads=1", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
        env={**os.environ, **environment},
    )
    assert program.stdout is not None
    assert program.stderr is not None
    try:
        line = program.stdout.readline()
        found = re.search(r"http://\S+", line)
        assert found, line + program.stderr.read()
        yield program, found[0].rstrip("/")
    finally:
        program.send_signal(signal.SIGTERM)
        program.wait(30)
        program.stdout.close()
        program.stderr.close()


@pytest.mark.slow
def test_the_command_follows_real_people_and_hides_passwords(repository: Path, tmp_path: Path) -> None:
    """Cameras of a file with a password from the environment, and one on the command line beside them."""
    site = tmp_path / "site.toml"
    sources = {name: repository / "demos" / "clip" / f"{name}.mp4" for name in ("door", "hall")}
    sources["gate"] = "rtsp://me:${GATE_PASSWORD}@127.0.0.1:1/x"
    tables = [f'[[cameras]]\nid = "{name}"\nsource = "{source}"\n' for name, source in sources.items()]
    site.write_text("".join([*tables, f'[store]\npath = "{tmp_path / "people.db"}"\n']), encoding="utf-8")
    arguments = ["--config", str(site), "--camera", "yard=rtsp://me:s3cret@127.0.0.1:1/x"]
    if find_spec("nats"):
        arguments += ["--set", "nats.url=nats://me:s3cret@127.0.0.1:1"]
    with command(*arguments, cwd=repository, GATE_PASSWORD="s3cret") as (program, address):
        wait_for(lambda: len(httpx.get(f"{address}/api/identities", timeout=60).json()) >= 2, 120)
        shown = Path(f"/proc/{program.pid}/cmdline")
        if shown.exists():
            assert b"s3cret" not in shown.read_bytes()
        listed = httpx.get(f"{address}/api/cameras", timeout=60).json()
        assert [camera["id"] for camera in listed] == ["door", "hall", "gate", "yard"]
        for path in ("cameras", "health"):
            assert "s3cret" not in httpx.get(f"{address}/api/{path}", timeout=60).text
        answer = httpx.post(f"{address}/api/search", content=jpeg(picture(("red", 9))), headers=JPEG, timeout=60)
        assert answer.status_code in (200, 422)
        program.send_signal(signal.SIGTERM)
        program.wait(60)
        assert program.stderr is not None
        assert "s3cret" not in program.stderr.read()
    assert program.returncode in (0, -signal.SIGTERM)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--host", "0.0.0.0", "--camera", "a=x.mp4"], "tokens"),
        (["--camera", "nonsense-with-s3cret"], "NAME=SOURCE"),
        (["--camera", "=rtsp://me:s3cret@host/"], "NAME=SOURCE"),
        (["--camera", "do\udcffor=rtsp://me:s3cret@host/"], "camera 'do"),
        (["--camera", "level/2=rtsp://me:s3cret@127.0.0.1:1/x"], "without slashes"),
        (["--set", "live.retry=3"], "live.retry"),
        (["--set", "nats://me:s3cret@host"], "KEY=VALUE"),
        (["--config", "nowhere.toml"], "nowhere.toml"),
    ],
)
def test_what_cannot_be_served_is_said_in_a_line(arguments: list[str], words: str, repository: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "reid_tracker.cli", "serve", *arguments],
        cwd=repository, capture_output=True, text=True, check=False, timeout=60,
        env={name: value for name, value in os.environ.items() if name != "REID_TRACKER_TOKENS"},
    )  # fmt: skip
    assert ran.returncode == 2
    assert words in ran.stderr
    assert "s3cret" not in ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
@pytest.mark.parametrize(
    "arguments",
    [
        ["a=rtsp://u:s3cret@h/x", "b=rtsp://u:s3cret@h/x"],  # one value twice
        ["a=rtsp://u:s3cret@h/ch10", "b=rtsp://u:s3cret@h/ch1"],  # one value begins like another
        ["a=rtsp://u:s3cret@h/ch1", "b=rtsp://v:s3cret@h/ch1", "c=x.mp4", "d=rtsp://h/ch1"],
    ],
)
def test_no_password_stays_in_the_list_of_processes(arguments: list[str]) -> None:
    program = (
        "import sys; from reid_tracker.cli_serve import hide_arguments\n"
        "hide_arguments([each.partition('=')[2] for each in sys.argv[1:]])\n"
        "print(open('/proc/self/cmdline').read().split(chr(0))[3:-1])"
    )
    ran = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True)
    shown = ast.literal_eval(ran.stdout)
    assert "s3cret" not in ran.stdout
    assert [each[:2] for each in shown] == [each[:2] for each in arguments]
    assert [each for each in shown if "@" not in each] == [each for each in arguments if "@" not in each]

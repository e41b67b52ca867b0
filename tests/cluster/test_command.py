"""``--cluster`` as a user meets it: real networks, a real cluster of this machine, exit codes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import pytest

from reid_tracker.cluster.archive import track_archive
from reid_tracker.cluster.engine import connected, load_ray
from reid_tracker.config import ClusterConfig, Config
from reid_tracker.errors import ConfigError
from reid_tracker.recording import track_recording
from tests.cluster.scenes import TasksHere

SECONDS = 4.0


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match=r"reid_tracker\[cluster\]"), connected("local", ClusterConfig()):
        pass


class Unreachable:
    """Ray where no cluster answers."""

    @staticmethod
    def init(**_: object) -> None:
        raise ConnectionError("ray client connection timeout\nmore of it")


def test_a_cluster_that_does_not_answer_is_said_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", Unreachable)
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    with (
        pytest.raises(ConfigError, match="ray://nowhere:10001: no cluster answers there") as raised,
        connected("ray://nowhere:10001", ClusterConfig()),
    ):
        pass
    assert "\n" not in str(raised.value)
    assert "if the cluster asks for a token, set RAY_AUTH_MODE=token" in str(raised.value)
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    with pytest.raises(ConfigError, match=r"ray://host:port$"), connected("ray://nowhere:10001", ClusterConfig()):
        pass
    assert load_ray() is Unreachable


NICENESS = """
import os
from reid_tracker.cluster.engine import RayTasks, connected
from reid_tracker.config import ClusterConfig

def niceness():
    return os.nice(0)

with connected("local", ClusterConfig(niceness=3)) as ray:
    tasks = RayTasks(ray, ClusterConfig())
    tasks.submit("one", niceness)
    print(*(ended.value for ended in tasks.ended(120)))
"""


@pytest.mark.slow
def test_workers_of_a_local_cluster_are_as_nice_as_they_are_told(repository: Path) -> None:
    """Ray's own 15 lets them wait for everything else on the machine."""
    pytest.importorskip("ray", reason="needs the extra 'cluster'")
    own = os.nice(0)
    ran = subprocess.run(
        [sys.executable, "-c", NICENESS], cwd=repository, capture_output=True, text=True, timeout=300, check=True
    )
    assert ran.stdout.split() == [str(own + 3)]


@pytest.fixture(scope="module")
def clip(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with some seconds of both cameras of the demo clip, from where somebody crosses."""
    folder = tmp_path_factory.mktemp("clip")
    for camera in ("door", "hall"):
        video = cv2.VideoCapture(str(repository / "demos" / "clip" / f"{camera}.mp4"))
        video.set(cv2.CAP_PROP_POS_FRAMES, 150)
        size = (int(video.get(cv2.CAP_PROP_FRAME_WIDTH)), int(video.get(cv2.CAP_PROP_FRAME_HEIGHT)))
        fps = video.get(cv2.CAP_PROP_FPS)
        writer = cv2.VideoWriter(str(folder / f"{camera}.avi"), cv2.VideoWriter.fourcc(*"MJPG"), fps, size)
        for _ in range(round(SECONDS * fps)):
            writer.write(video.read()[1])
        writer.release()
    return folder


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "reid_tracker.cli", *map(str, arguments)]


@pytest.fixture(scope="module")
def environment() -> dict[str, str]:
    pytest.importorskip("ray", reason="needs the extra 'cluster'")
    # by default Ray's workers wait for everything else on a machine
    return {**os.environ, "RAY_worker_niceness": "0"}


def numbers(folder: Path, field: str) -> dict[tuple[Any, ...], int]:
    """(camera, frame, box) -> tracklet or identity."""
    lines = [json.loads(line) for line in (folder / "tracks.jsonl").read_text().splitlines()]
    return {
        (line["camera"], line["frame"], *(round(side / 4) for side in person["box"])): person[field]
        for line in lines
        for person in line["people"]
    }


@pytest.mark.slow
def test_the_clip_in_one_piece_a_camera_is_line_by_line_that_of_one_process(clip: Path, tmp_path: Path) -> None:
    cameras = [{"id": name, "source": str(clip / f"{name}.avi")} for name in ("door", "hall")]
    config = Config().with_values({"cameras": cameras, "runtime.threads": 1})
    track_recording(config, tmp_path / "alone")
    track_archive(config, tmp_path / "tasks", TasksHere())
    one, other = ((tmp_path / name / "tracks.jsonl").read_text() for name in ("alone", "tasks"))
    assert one == other
    assert len(one.splitlines()) == 80


@pytest.mark.slow
def test_the_clip_comes_to_the_same_people_in_pieces(
    clip: Path, environment: dict[str, str], repository: Path, tmp_path: Path
) -> None:
    """Pieces of two seconds, and a file that is no video: it is told, and the exit code says so."""
    (clip / "yard.avi").write_bytes(b"\x00" * 4096)
    cameras = [part for name in ("door", "hall") for part in ("--camera", f"{name}={clip / f'{name}.avi'}")]
    given = ["track", *cameras, "--set", "runtime.threads=1"]
    alone = subprocess.run(command(*given, "--out", tmp_path / "alone"), cwd=repository, check=True, timeout=900)
    assert alone.returncode == 0
    ran = subprocess.run(
        command(
            *given, "--camera", f"yard={clip / 'yard.avi'}", "--out", tmp_path / "pieces", "--cluster", "local",
            "--set", "cluster.piece_seconds=2", "--set", "cluster.overlap_seconds=1",
        ),
        cwd=repository, env=environment, capture_output=True, text=True, timeout=900,
    )  # fmt: skip
    assert ran.returncode == 1, ran.stderr
    assert re.search(r"failed: .*yard\.avi", ran.stdout)
    assert "Traceback" not in ran.stderr
    assert len(list((tmp_path / "pieces" / "pieces").glob("*.npz"))) == 4
    pairs = paired(tmp_path / "pieces", tmp_path / "alone", "tracklet")
    assert len(pairs) == len({one for one, _ in pairs}) == len({other for _, other in pairs})
    # A tracklet that went through a seam kept other looks, so one link or another may be judged otherwise.
    agreed = paired(tmp_path / "pieces", tmp_path / "alone", "identity")
    most = Counter({other: max(agreed[pair] for pair in agreed if pair[1] == other) for _, other in agreed})
    assert most.total() > 0.75 * agreed.total()


def paired(pieces: Path, alone: Path, field: str) -> Counter[tuple[Any, Any]]:
    """How many boxes have which number here and which there."""
    ours, theirs = numbers(pieces, field), numbers(alone, field)
    shared = ours.keys() & theirs.keys()
    assert len(shared) > 0.8 * len(theirs)
    return Counter((ours[key], theirs[key]) for key in shared)


@pytest.fixture
def served(
    clip: Path, environment: dict[str, str], repository: Path, tmp_path: Path
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The real command on a cluster of its own, listening; its process and address."""
    pytest.importorskip("fastapi", reason="needs the extra 'service'")
    cameras = [part for name in ("door", "hall") for part in ("--camera", f"{name}={clip / f'{name}.avi'}")]
    program = subprocess.Popen(
        command(
            "serve", *cameras, "--cluster", "local", "--port", "0", "--set", "live.repeat=true",
            "--set", f"store.path={tmp_path / 'people.db'}", "--set", "runtime.threads=1",
        ),
        cwd=repository, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert program.stdout is not None
    assert program.stderr is not None
    killer = threading.Timer(400, program.kill)
    killer.start()
    try:
        found = None
        while found is None and (line := program.stdout.readline()):
            found = re.search(r"http://\S+", line)
        assert found, program.stderr.read()
        yield program, found[0].rstrip("/")
    finally:
        program.send_signal(signal.SIGTERM)
        program.wait(120)
        killer.cancel()
        program.stdout.close()
        program.stderr.close()


@pytest.mark.slow
def test_a_site_on_a_cluster_answers_as_one_machine_does(served: tuple[subprocess.Popen[str], str]) -> None:
    httpx = pytest.importorskip("httpx", reason="needs the extra 'dev'")
    program, address = served
    deadline = time.monotonic() + 300
    while not (people := httpx.get(f"{address}/api/identities", timeout=60).json()):
        assert time.monotonic() < deadline, "nobody was seen"
        time.sleep(1)
    assert people
    states = {each["id"]: each["state"] for each in httpx.get(f"{address}/api/cameras", timeout=60).json()}
    assert states == {"door": "live", "hall": "live"}
    program.send_signal(signal.SIGTERM)
    assert program.wait(120) == 0

"""The network between two Ray nodes is cut: each in a network namespace of its own, with a cable that can be pulled."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.scenes import write_visits

pytest.importorskip("ray", reason="needs the extra 'cluster'")
pytest.importorskip("fastapi", reason="needs the extra 'service'")
pytestmark = pytest.mark.slow
PATIENCE = 240.0
CUT_SECONDS = 8.0  # less than what Ray takes for the loss of a machine
HEAD, WORKER = "10.77.31.1", "10.77.31.2"


@dataclass
class Cable:
    """Two namespaces and what joins them."""

    head: str
    worker: str
    end: str

    def inside(self, namespace: str, *command: str) -> list[str]:
        return ["ip", "netns", "exec", namespace, *command]

    def pull(self) -> None:
        run("ip", "netns", "exec", self.worker, "ip", "link", "set", self.end, "down")

    def plug(self) -> None:
        run("ip", "netns", "exec", self.worker, "ip", "link", "set", self.end, "up")


def run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)


@pytest.fixture
def cable() -> Iterator[Cable]:
    """Skips where this machine does not let tests make namespaces."""
    if shutil.which("ip") is None:
        pytest.skip("needs the program ip (Debian's package iproute2)")
    tag = f"rt{os.getpid() % 100_000}"
    made = Cable(f"{tag}h", f"{tag}w", f"{tag}vw")
    try:
        run("ip", "netns", "add", made.head)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"needs network namespaces ({error.stderr.strip()})")
    try:
        run("ip", "netns", "add", made.worker)
        near = f"{tag}vh"
        run(
            "ip",
            "link",
            "add",
            near,
            "netns",
            made.head,
            "type",
            "veth",
            "peer",
            "name",
            made.end,
            "netns",
            made.worker,
        )
        for namespace, end, address in ((made.head, near, HEAD), (made.worker, made.end, WORKER)):
            run(*made.inside(namespace, "ip", "addr", "add", f"{address}/24", "dev", end))
            run(*made.inside(namespace, "ip", "link", "set", "lo", "up"))
            run(*made.inside(namespace, "ip", "link", "set", end, "up"))
        yield made
    finally:
        for namespace in (made.head, made.worker):
            found = subprocess.run(["ip", "netns", "pids", namespace], capture_output=True, text=True, check=False)
            for process in found.stdout.split():
                subprocess.run(["kill", "-9", process], capture_output=True, check=False)
            subprocess.run(["ip", "netns", "del", namespace], capture_output=True, check=False)


@dataclass
class Site:
    """The program that started the site, asked how it is."""

    program: subprocess.Popen[str]

    def state(self) -> dict[str, Any]:
        assert self.program.stdin is not None
        assert self.program.stdout is not None
        self.program.stdin.write("?\n")
        self.program.stdin.flush()
        line = self.program.stdout.readline()
        assert line, "the program has ended"
        found: dict[str, Any] = json.loads(line)
        return found

    def wait_for(self, holds: Callable[[dict[str, Any]], bool], seconds: float = PATIENCE) -> dict[str, Any]:
        deadline = time.monotonic() + seconds
        while not holds(found := self.state()):
            assert time.monotonic() < deadline, f"it did not come to hold in time: {found}"
        return found


SETTINGS = """
[cluster]
group_cameras = 1
heartbeat_seconds = 0.5
site_resource = "site"
[tracking]
max_lost_seconds = 2.0
[live]
repeat = true
"""


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    """A site of two cameras with a person or two in each."""
    text = f'{SETTINGS}[store]\npath = "{tmp_path / "people.db"}"\n'
    for name, visits in {"door": [("red", 0, 60), ("green", 0, 60)], "hall": [("blue", 0, 60)]}.items():
        source = write_visits(tmp_path / f"{name}.avi", visits, 60.0)
        text += f'[[cameras]]\nid = "{name}"\nsource = "{source}"\n'
    (tmp_path / "site.toml").write_text(text)
    return tmp_path / "site.toml"


@pytest.fixture
def environment(repository: Path) -> dict[str, str]:
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    return {**os.environ, **token, "PYTHONPATH": str(repository), "RAY_worker_niceness": "0"}


def start_nodes(cable: Cable, environment: dict[str, str]) -> None:
    """A head that keeps the site, and a machine for the groups."""
    ray = [sys.executable, "-m", "ray.scripts.scripts", "start", "--disable-usage-stats"]
    ray += ["--object-store-memory", "80000000"]
    head = ["--head", "--port", "6379", "--num-cpus", "0", "--resources", '{"site": 1}', "--include-dashboard", "false"]
    for namespace, address, options in (
        (cable.head, HEAD, head),
        (cable.worker, WORKER, ["--address", f"{HEAD}:6379", "--num-cpus", "2"]),
    ):
        command = cable.inside(namespace, *ray, "--node-ip-address", address, *options)
        started = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        assert started.returncode == 0, started.stdout + started.stderr


@pytest.fixture
def site(cable: Cable, settings: Path, environment: dict[str, str], repository: Path) -> Iterator[Site]:
    start_nodes(cable, environment)
    command = [sys.executable, "-m", "tests.cluster.cut_site", f"{HEAD}:6379", str(settings)]
    program = subprocess.Popen(
        cable.inside(cable.head, *command),
        env=environment,
        cwd=repository,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    yield Site(program)
    program.kill()
    program.wait()
    for pipe in (program.stdin, program.stdout):
        assert pipe is not None
        pipe.close()


def all_three(found: dict[str, Any]) -> bool:
    return {name: len(people) for name, people in found.get("present", {}).items()} == {"door": 2, "hall": 1}


def test_people_keep_their_ids_over_a_cut_and_what_is_lost_is_told(cable: Cable, site: Site) -> None:
    before = site.wait_for(all_three)
    cable.pull()
    site.wait_for(lambda found: found.get("present") == {}, 60)  # given up, as where cameras are silent
    time.sleep(CUT_SECONDS - 4)
    cable.plug()
    site.wait_for(all_three)
    after = site.wait_for(
        lambda found: all(each["seconds"] > 2 for each in found["losses"].values()) and len(found["losses"]) == 2
    )
    assert site.wait_for(all_three)["present"] == before["present"]
    assert all(restarts == 0 for _, restarts in after["groups"].values()), "the groups went on"
    assert {name: each["restarts"] for name, each in after["losses"].items()} == {"door": 0, "hall": 0}
    wells = site.wait_for(lambda found: all(condition == "well" for condition, _ in found["groups"].values()), 60)
    assert wells["present"].keys() == {"door", "hall"}

"""The same on a real Ray cluster: several nodes on this machine, and what becomes of people when parts of it die."""

from __future__ import annotations

import functools
import itertools
import json
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from reid_tracker.cluster.archive import track_archive
from reid_tracker.cluster.engine import RayTasks
from reid_tracker.cluster.group import SiteAway
from reid_tracker.cluster.launch import ClusterSite
from reid_tracker.cluster.pieces import Piece
from reid_tracker.config import Config
from reid_tracker.pipeline import Pipeline
from reid_tracker.store import SqliteStore
from tests.cluster.scenes import TasksHere, steady_pipeline, write_visits
from tests.cluster.test_districts_live import two_districts
from tests.cluster.test_live import site_pipeline
from tests.cluster.test_moving import histories, nobody_twice
from tests.service.conftest import wait_for

ray: Any = pytest.importorskip("ray", reason="needs the extra 'cluster'")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # Ray's own warnings
PATIENCE = 240.0  # a worker takes seconds to start, and a minute on a machine that is busy


class Nodes:
    """A cluster whose nodes are processes here; the head has no room for work and keeps the site.

    Each node says that it has a GPU, which is all that Ray knows of one: who asks for a share is placed by it.
    """

    def __init__(self, cluster: Any) -> None:
        self._cluster = cluster
        self.nodes: list[Any] = []

    def add(self) -> None:
        room = {"num_cpus": 1, "num_gpus": 1, "object_store_memory": 80_000_000}
        self.nodes.append(self._cluster.add_node(include_dashboard=False, **room))

    def lose(self, node_id: str) -> None:
        node = next(each for each in self.nodes if each.node_id == node_id)
        self.nodes.remove(node)
        self._cluster.remove_node(node, allow_graceful=False)


@pytest.fixture(scope="module")
def nodes(repository: Path) -> Iterator[Nodes]:
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(repository))  # the workers' way to this checkout and its tests
        patch.setenv("RAY_worker_niceness", "0")  # by default workers wait for everything else on a machine
        head = {"num_cpus": 0, "resources": {"site": 1}, "object_store_memory": 80_000_000, "include_dashboard": False}
        cluster = Cluster(initialize_head=True, head_node_args=head)
        try:
            ray.init(address=cluster.address, log_to_driver=False)
            yield Nodes(cluster)
        finally:
            ray.shutdown()
            cluster.shutdown()


def dies_once(marker: str, config: Config, piece: Piece) -> Pipeline:
    """A pipeline whose first worker is killed."""
    if not Path(marker).exists():
        Path(marker).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return steady_pipeline(config, piece)


def test_an_archive_is_tracked_although_a_worker_is_killed(nodes: Nodes, tmp_path: Path) -> None:
    nodes.add()
    visits = [("red", 0.5, 12.0), ("green", 3.0, 9.0)]
    config = Config().with_values(
        {
            "cameras": [{"id": "door", "source": str(write_visits(tmp_path / "door.avi", visits, 12.0))}],
            "cluster.piece_seconds": 6.0,
            "cluster.overlap_seconds": 2.0,
        }
    )
    killed = functools.partial(dies_once, str(tmp_path / "killed"))
    functools.update_wrapper(killed, dies_once)
    summary = track_archive(config, tmp_path / "ray", RayTasks(ray, config.cluster), pipeline_of=killed)
    assert (tmp_path / "killed").exists()
    assert summary.failures == ()
    track_archive(config, tmp_path / "here", TasksHere(), pipeline_of=steady_pipeline)
    one, other = ((tmp_path / name / "tracks.jsonl").read_text() for name in ("ray", "here"))
    assert one == other
    assert json.loads(one.splitlines()[-1])["frame"] == 119


@pytest.fixture
def config(tmp_path: Path) -> Config:
    visits = {"door": [("red", 0, 60), ("green", 0, 60)], "hall": [("blue", 0, 60)]}
    cameras = [
        {"id": name, "source": str(write_visits(tmp_path / f"{name}.avi", visit, 60.0))}
        for name, visit in visits.items()
    ]
    return Config().with_values(
        {
            "cameras": cameras,
            "live.repeat": True,
            "cluster.group_cameras": 1,
            "cluster.gpus": 0.4,
            "cluster.heartbeat_seconds": 0.5,
            "cluster.site_resource": "site",
            "tracking.max_lost_seconds": 2.0,
            "store.path": str(tmp_path / "people.db"),
        }
    )


def process_of(actor: Any) -> tuple[int, str]:
    """Process and node of an actor."""
    call = actor.__ray_call__.remote(lambda _self: (os.getpid(), ray.get_runtime_context().get_node_id()))
    found: tuple[int, str] = ray.get(call, timeout=PATIENCE)
    return found


def gpus_of(actor: Any) -> list[str]:
    """The GPUs that an actor was given a share of."""
    call = actor.__ray_call__.remote(lambda _self: ray.get_runtime_context().get_accelerator_ids()["GPU"])
    found: list[str] = ray.get(call, timeout=PATIENCE)
    return found


def test_people_keep_their_ids_when_a_worker_a_node_and_the_site_are_lost(nodes: Nodes, config: Config) -> None:
    while len(nodes.nodes) < 3:
        nodes.add()  # two for the groups, one to spare
    with ClusterSite(ray, config, steady_pipeline, site_pipeline, serving=False) as site:

        def ask(method: str) -> Any:
            try:
                return site.ask(method)
            except SiteAway:
                return {}

        def all_three() -> bool:
            present = ask("present")
            return {name: len(people) for name, people in present.items()} == {"door": 2, "hall": 1}

        wait_for(all_three, PATIENCE)
        before = ask("present")
        assert len({number for people in before.values() for number in people}) == 3

        assert [gpus_of(group) for group in site.groups.values()] == [["0"], ["0"]]
        assert gpus_of(site.site) == []

        door = site.groups["group 1"]
        os.kill(process_of(door)[0], signal.SIGKILL)  # a worker
        wait_for(lambda: (lost := ask("losses").get("door")) is not None and lost.restarts == 1, PATIENCE)
        wait_for(all_three, PATIENCE)
        assert ask("present") == before
        assert ask("losses")["door"].seconds > 0
        assert "hall" not in ask("losses") or ask("losses")["hall"].restarts == 0

        hall = site.groups["group 2"]
        nodes.lose(process_of(hall)[1])  # a machine
        wait_for(lambda: (lost := ask("losses").get("hall")) is not None and lost.restarts >= 1, PATIENCE)
        wait_for(all_three, PATIENCE)
        assert ask("present") == before

        os.kill(process_of(site.site)[0], signal.SIGKILL)  # the associator
        wait_for(lambda: ask("present") == {}, PATIENCE)
        wait_for(all_three, PATIENCE)
        assert ask("present") == before
    store = SqliteStore(config.store.path)
    people = store.people(0, 1e11, 10)
    assert {person.identity for person in people} == {number for numbers in before.values() for number in numbers}
    for person in people:  # nobody is in one camera twice at a time
        passages = store.history(person.identity)
        assert all(one.ended < other.started for one, other in itertools.pairwise(passages))
    store.close()


def in_both(site: ClusterSite) -> set[int]:
    """Numbers seen in both cameras from now on, once there are some."""
    seen: dict[str, set[int]] = {"door": set(), "hall": set()}

    def walked() -> bool:
        with suppress(SiteAway):
            for camera, people in site.ask("present").items():
                seen[camera] |= set(people)
        return bool(seen["door"] & seen["hall"])

    wait_for(walked, PATIENCE)
    return seen["door"] & seen["hall"]


def test_two_districts_know_one_person_when_one_of_them_and_the_front_are_lost(nodes: Nodes, tmp_path: Path) -> None:
    """Somebody walks from the camera of one associator to that of the other; each of the parts is killed in turn."""
    while len(nodes.nodes) < 2:
        nodes.add()
    values = {"cluster.site_resource": "site", "cluster.associator_cpus": 0, "cluster.heartbeat_seconds": 0.5}
    config = two_districts(tmp_path).with_values(values)
    with ClusterSite(ray, config, steady_pipeline, site_pipeline, serving=False) as site:
        assert list(site.districts) == ["district 1", "district 2"]

        walker = in_both(site)
        assert len(walker) == 1
        os.kill(process_of(site.districts["district 2"])[0], signal.SIGKILL)  # an associator
        wait_for(lambda: site.ask("present").get("hall") is None, PATIENCE)
        assert in_both(site) == walker
        wait_for(lambda: {state.condition for state in site.ask("groups").values()} == {"well"}, PATIENCE)
        os.kill(process_of(site.site)[0], signal.SIGKILL)  # the front

        def away() -> bool:
            try:
                return site.ask("present") == {}
            except SiteAway:
                return True

        wait_for(away, PATIENCE)
        assert in_both(site) == walker
    store = SqliteStore(config.store.path)
    assert len(store.people(0, 1e11, 10)) == 3
    events = [event["event_id"] for event in store.events_after(0, 1000)]
    assert events == sorted(set(events))
    merged = [event for event in store.events_after(0, 1000) if event["type"] == "merged"]
    assert len({(event["identity"], *event["supersedes"]) for event in merged}) == len(merged), "each told once"
    store.close()


def test_a_group_goes_to_another_district_while_the_site_runs(nodes: Nodes, tmp_path: Path) -> None:
    """Somebody walks in and out of its camera; then who took it on is killed, and at last the group itself."""
    while len(nodes.nodes) < 2:
        nodes.add()
    values = {"cluster.site_resource": "site", "cluster.associator_cpus": 0, "cluster.heartbeat_seconds": 0.5}
    config = two_districts(tmp_path).with_values(values)
    with ClusterSite(ray, config, steady_pipeline, site_pipeline, serving=False) as site:

        def cameras_of(district: str) -> set[str]:
            """As the district's own actor says; nothing while it is started again."""
            call = site.districts[district].__ray_call__.remote(
                lambda actor: {each.id for each in actor._district.arrivals.cameras}
            )
            try:
                found: set[str] = ray.get(call, timeout=PATIENCE)
            except ray.exceptions.RayError:
                return set()
            return found

        walker = in_both(site)
        assert len(walker) == 1
        process, _ = process_of(site.groups["group 2"])
        with pytest.raises(ray.exceptions.RayTaskError, match="no district is called"):
            ray.get(site.site.move.remote("group 2", "district 9"), timeout=PATIENCE)
        ray.get(site.site.move.remote("group 2", "district 1"), timeout=PATIENCE)
        wait_for(lambda: cameras_of("district 1") == {"door", "hall"}, PATIENCE)
        assert cameras_of("district 2") == set()
        assert in_both(site) == walker
        assert process_of(site.groups["group 2"])[0] == process, "the group went on"

        os.kill(process_of(site.districts["district 1"])[0], signal.SIGKILL)
        wait_for(lambda: site.ask("present").get("hall") is None, PATIENCE)
        assert in_both(site) == walker
        assert cameras_of("district 1") == {"door", "hall"}

        (stays,) = set(site.ask("present")["hall"]) - walker
        os.kill(process, signal.SIGKILL)  # is started again where it began: with district 2, which sends it on
        wait_for(lambda: (lost := site.ask("losses").get("hall")) is not None and lost.restarts >= 1, PATIENCE)
        wait_for(lambda: stays in site.ask("present").get("hall", ()), PATIENCE)
        assert cameras_of("district 2") == set()
        wait_for(lambda: {state.condition for state in site.ask("groups").values()} == {"well"}, PATIENCE)
    store = SqliteStore(config.store.path)
    lives = histories(store)
    assert {*walker, stays} < lives.keys()
    assert nobody_twice(lives)
    told = [event["event_id"] for event in store.events_after(0, 1000)]
    assert told == sorted(set(told))
    store.close()

"""How a cluster is watched: the page of groups, their metrics, and a dashboard that asks for what there is."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="needs the extra 'service'")

import httpx

from reid_tracker.cluster.group import GroupReport
from reid_tracker.cluster.site import ClusterService
from reid_tracker.config import CameraConfig, Config
from reid_tracker.live import CameraState, HealthReport
from reid_tracker.service.access import Access
from reid_tracker.service.metrics import metrics_text
from tests.cluster.test_live import site_pipeline
from tests.service.conftest import listening, wait_for
from tests.service.test_page import browser, find  # noqa: F401 - fixtures


@pytest.fixture
def service() -> Iterator[ClusterService]:
    """Two groups, of which one works all the time and one was never heard of."""
    cameras = [CameraConfig(id=name, source="rtsp://10.0.0.1/live") for name in ("door", "hall")]
    config = Config(cameras=cameras).with_values({"cluster.heartbeat_seconds": 60.0})  # it says nothing more
    made = ClusterService(config, {"group 1": cameras[:1], "group 2": cameras[1:]}, site_pipeline)
    with made:
        health = {"door": HealthReport(CameraState.LIVE, fps=10.0, processed=100)}
        made.arrivals.sync(GroupReport("group 1", "a life", health, 0.2, 0.97, node="node-7"))
        made.arrivals.sync(GroupReport("group 1", "another life", health, 0.2, 0.97, node="node-7"))
        yield made


def exposed(text: str) -> set[str]:
    return set(re.findall(r"^# TYPE (\w+) ", text, re.MULTILINE))


def expressions(node: Any) -> Iterator[str]:
    """Every query of a dashboard, wherever it stands."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key in ("expr", "query") and isinstance(value, str):
                yield value
            yield from expressions(value)
    elif isinstance(node, list):
        for each in node:
            yield from expressions(each)


def test_the_dashboard_asks_for_what_the_service_tells(service: ClusterService, repository: Path) -> None:
    dashboard = json.loads((repository / "deploy/grafana/reid_tracker.json").read_text())
    text = metrics_text(service)
    asked: dict[str, set[str]] = {}
    for query in expressions(dashboard):
        for name, inside in re.findall(r"(reid_tracker_\w+)(?:\{([^}]*)\})?", query):
            asked.setdefault(name, set()).update(re.findall(r"(\w+)(?:=~|!=|=)", inside))
        by = {label.strip() for group in re.findall(r"by \(([^)]*)\)", query) for label in group.split(",")}
        for name in re.findall(r"reid_tracker_\w+", query):
            asked[name] |= by
    assert len(asked) > 25
    assert asked.keys() - exposed(text) == set()
    for name, labels in asked.items():
        samples = re.findall(rf"^{name}\{{([^}}]*)\}} ", text, re.MULTILINE)
        known = {label for sample in samples for label in re.findall(r'(\w+)="', sample)} | {"job"}
        assert not samples or labels <= known, name
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(ids)) == len(ids)
    assert exposed(text) - asked.keys() <= {"reid_tracker_camera_fps"}, "everything else is shown"


@pytest.fixture
def promtool() -> str:
    """Prometheus' own checker."""
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("needs promtool (Debian's package prometheus)")
    return found


def test_prometheus_reads_the_metrics(service: ClusterService, promtool: str) -> None:
    text = metrics_text(service)
    for given, expected in ((text, 0), (text.replace("# TYPE", "# TYPE of", 1), 1)):
        ran = subprocess.run([promtool, "check", "metrics"], input=given, capture_output=True, text=True, timeout=60)
        assert min(ran.returncode, 1) == expected, ran.stderr


def test_prometheus_understands_the_dashboards_queries(repository: Path, tmp_path: Path, promtool: str) -> None:
    """Each as a rule, with what Grafana would put in the place of its variables."""
    dashboard = json.loads((repository / "deploy/grafana/reid_tracker.json").read_text())
    asked = [query for query in expressions(dashboard["panels"]) if "reid_tracker_" in query]
    assert len(asked) > 25

    def check(*queries: str) -> subprocess.CompletedProcess[str]:
        rules = [{"record": f"q{number}", "expr": query.replace("$job", "x")} for number, query in enumerate(queries)]
        file = tmp_path / "rules.yml"
        file.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))  # which is YAML as well
        command = [promtool, "check", "rules", str(file)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert (ran := check(*asked)).returncode == 0, ran.stderr
    assert check("sum by (camera").returncode != 0


def test_metrics_name_groups_that_are_behind(service: ClusterService) -> None:
    text = metrics_text(service)
    assert 'reid_tracker_group_condition{group="group 1",associator="site",condition="behind",node="node-7"} 1' in text
    assert 'reid_tracker_group_restarts_total{group="group 1",associator="site"} 1' in text
    assert 'condition="starting"' in text
    assert 'reid_tracker_associator_waiting{associator="site"} 0' in text


def test_the_interface_tells_which_group_is_behind_and_why(service: ClusterService) -> None:
    with listening(service, Access({})) as address, httpx.Client(base_url=address, timeout=30) as client:
        answer = client.get("/api/cluster").json()
        page = client.get("/cluster")
    first, second = answer["groups"]
    assert (first["name"], first["condition"], first["node"], first["restarts"]) == ("group 1", "behind", "node-7", 1)
    assert first["why"].startswith("works 97% of its time: give it more cores (cluster.cpus)")
    assert (second["condition"], second["cameras"]) == ("starting", ["hall"])
    (associator,) = answer["associators"]
    assert (associator["name"], associator["cameras"]) == ("site", 2)
    assert "Groups of cameras" in page.text


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of the driver's own sockets
def test_the_page_shows_them(service: ClusterService, browser: Any, find: Any) -> None:  # noqa: F811
    with listening(service, Access({})) as address:
        browser.get(f"{address}/cluster")
        read = (
            "return [...document.querySelectorAll(arguments[0])].map(row => [...row.cells].map(each => each.innerText))"
        )
        wait_for(lambda: len(browser.execute_script(read, "#groups tbody tr")) == 2, 20)
        first, _ = browser.execute_script(read, "#groups tbody tr")
        assert first[:2] == ["group 1", "behind"]
        assert "give it more cores" in first[2]
        assert find("#status")[0].text == "2 of 2 groups need a look: group 1 (behind), group 2 (starting)"
        assert [row[0] for row in browser.execute_script(read, "#associators tbody tr")] == ["site"]

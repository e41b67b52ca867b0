"""The map of the site: where cameras are put, what of it is learned, and the pictures that go with it."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations, pairwise
from pathlib import Path

import cv2
import httpx
import numpy as np
import pytest

from reid_tracker.association.topology import CameraLink, ReturnTimes
from reid_tracker.config import CameraConfig, load_config
from reid_tracker.errors import ConfigError
from reid_tracker.service.map import Layout, load_map, places
from reid_tracker.service.runtime import Service
from tests.service.conftest import wait_for
from tests.service.site import picture


def cameras(*names: str, **places_of: tuple[float, float]) -> list[CameraConfig]:
    return [CameraConfig(id=name, source="0", place=places_of.get(name)) for name in names]


def corridor(*names: str, seconds: float = 20.0) -> list[CameraLink]:
    """People walk from each camera to the next."""
    return [CameraLink(one, other, 3.0, seconds) for one, other in pairwise(names)]


def test_cameras_along_a_corridor_are_laid_out_in_order() -> None:
    shown = cameras("c", "a", "d", "b")
    found = places(shown, corridor("a", "b", "c", "d"))
    across = [found[name][0] for name in "abcd"]
    assert across in (sorted(across), sorted(across, reverse=True))
    assert np.ptp(across) > 2 * np.ptp([found[name][1] for name in "abcd"])
    assert all(0 <= side <= 1 for place in found.values() for side in place)
    assert found == places(shown, corridor("a", "b", "c", "d"))


def test_given_places_stay_and_the_others_are_put_beside_their_neighbours() -> None:
    shown = cameras("a", "b", "c", a=(0.1, 0.2), b=(0.9, 0.2))
    found = places(shown, [*corridor("a", "b", seconds=60), *corridor("b", "c", seconds=5)])
    assert (found["a"], found["b"]) == ((0.1, 0.2), (0.9, 0.2))
    far, near = (np.hypot(*np.subtract(found["c"], found[name])) for name in "ab")
    assert near < far
    assert 0 <= min(found["c"]) <= max(found["c"]) <= 1


@pytest.mark.parametrize("count", [0, 1, 2, 3, 40])
def test_without_anything_known_no_two_cameras_lie_on_each_other(count: int) -> None:
    found = np.array(list(places(cameras(*(f"camera{number}" for number in range(count))), []).values()))
    assert len(found) == count
    assert np.isfinite(found).all()
    apart = [np.hypot(*(one - other)) for row, one in enumerate(found) for other in found[:row]]
    assert min(apart, default=1.0) > 0.01


def test_a_camera_that_nobody_walks_to_does_not_push_the_others_into_one_spot() -> None:
    """Sixteen cameras three seconds apart and one that is down: names of all have room."""
    names = [f"camera{number}" for number in range(16)]
    found = places(cameras(*names, "gate"), corridor(*names, names[0], seconds=3.0))
    apart = [np.hypot(*np.subtract(found[one], found[other])) for one, other in combinations(found, 2)]
    assert min(apart) > 0.14


def test_the_layout_is_found_again_only_where_cameras_change() -> None:
    layout, shown = Layout(), cameras("a", "b", "c")
    first = layout(shown, [])
    assert layout(shown, corridor("a", "c", "b")) is first
    assert set(layout([*shown, *cameras("d")], [])) == {"a", "b", "c", "d"}


def test_configured_neighbours_lie_near_before_anybody_walked() -> None:
    shown = [*cameras("a", "b"), CameraConfig(id="c", source="0", neighbours={"a": [2.0, 4.0]})]
    found = places(shown, [])
    assert np.hypot(*np.subtract(found["c"], found["a"])) < np.hypot(*np.subtract(found["c"], found["b"]))


def test_links_tell_how_many_went_and_how_long_it_took() -> None:
    learned = ReturnTimes()
    door, hall = learned.index("door"), learned.index("hall")
    for gap in (5.0, 6.0, 40.0):
        learned.observe_returns(np.array([door]), hall, np.array([gap]), np.array([1.0]))
    learned.observe_returns(np.array([hall]), door, np.array([9.0]), np.array([0.1]))  # hardly anybody
    learned.observe_returns(np.array([door]), door, np.array([9.0]), np.array([1.0]))  # came back to where they left
    assert learned.links() == [CameraLink("door", "hall", 3.0, 6.0)]


def test_a_map_that_cannot_be_used_is_refused_and_found_beside_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text('[site]\nmap = "plan.png"\n', encoding="utf-8")
    path = load_config(tmp_path / "site.toml", {}).site.map
    assert path == str(tmp_path / "plan.png")
    with pytest.raises(ConfigError, match=r"plan\.png: cannot be read"):
        load_map(path)
    Path(path).write_text("<svg/>", encoding="utf-8")
    with pytest.raises(ConfigError, match="expected a PNG or JPEG"):
        load_map(path)
    cv2.imwrite(path, picture())
    loaded = load_map(path)
    assert loaded is not None
    assert (loaded.media_type, loaded.aspect) == ("image/png", pytest.approx(4 / 3))


def test_the_service_tells_where_cameras_are_and_how_people_went(client: httpx.Client, service: Service) -> None:
    topology = service.site.associator.topology
    door, hall = topology.index("door"), topology.index("hall")
    gaps = np.full(200, 6.0)  # more than the scene itself teaches meanwhile
    service.site.call(lambda: topology.observe_returns(np.full(200, door), hall, gaps, np.ones(200)))
    wait_for(lambda: sum(link["people"] for link in client.get("/api/site").json()["links"]) >= 200, 10)
    site = client.get("/api/site").json()
    assert {camera["id"]: camera["placed"] for camera in site["cameras"]} == {"door": False, "hall": False}
    (way,) = [link for link in site["links"] if link["origin"] == "door"]
    assert (way["destination"], way["seconds"]) == ("hall", 6.0)
    assert way["people"] >= 200
    assert (site["picture"], client.get("/api/site/map").status_code) == (False, 404)


def test_pictures_come_once_and_as_wide_as_they_are_shown(client: httpx.Client) -> None:
    first = client.get("/api/cameras/door/picture?width=100")
    assert first.headers["content-type"] == "image/jpeg"
    assert float(first.headers["picture-wait"]) >= 0.05  # service.picture_rate is 20 here
    assert cv2.imdecode(np.frombuffer(first.content, np.uint8), cv2.IMREAD_COLOR).shape[1] == 320
    client.patch("/api/cameras/door", json={"paused": True})
    wait_for(lambda: client.get("/api/cameras/door").json()["state"] == "paused", 10)
    plain, sharp = (client.get(f"/api/cameras/door/picture?dots={dots}").content for dots in (1, 2))
    drawn = [cv2.imdecode(np.frombuffer(each, np.uint8), cv2.IMREAD_COLOR) for each in (plain, sharp)]
    assert drawn[0].shape == drawn[1].shape
    dark = [(each[-60:, :160] < 60).all(axis=2).sum() for each in drawn]
    assert dark[1] > 1.5 * dark[0] > 0  # the strip behind the caption is larger where a page's pixel has four dots

    def again() -> int:
        newest = client.get("/api/cameras/door/picture").headers["picture-number"]
        return client.get(f"/api/cameras/door/picture?after={newest}").status_code

    wait_for(lambda: again() == 204, 10)
    client.patch("/api/cameras/door", json={"paused": False})
    wait_for(lambda: client.get("/api/cameras/door").json()["state"] == "live", 10)
    assert client.get("/api/cameras/nowhere/picture").status_code == 404


def test_pictures_tell_when_they_were_taken_and_say_so_in_utc_unless_asked_not_to(client: httpx.Client) -> None:
    def strip(caption: bool) -> float:
        """How bright it is at the lower left, where a caption darkens the picture."""
        answer = client.get(f"/api/cameras/door/picture?caption={caption}")
        assert abs(float(answer.headers["Picture-Time"]) - time.time()) < 60
        picture = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_COLOR)
        return float(np.median(picture[-8:, :100]))

    assert strip(caption=False) > 2 * strip(caption=True)


def test_the_map_is_shown_and_health_told_while_tracking_hangs(address: str, service: Service) -> None:
    """Whoever looked at the map once waited for tracking, with a thread of those that answer everybody."""
    going_on = threading.Event()
    held = threading.Thread(target=lambda: service.site.call(lambda: going_on.wait(30)))
    held.start()
    with ThreadPoolExecutor(60) as people:
        began = time.monotonic()
        answers = [people.submit(httpx.get, f"{address}/api/site", timeout=30) for _ in range(60)]
        assert httpx.get(f"{address}/api/health", timeout=30).status_code == 200
        assert {each.result().status_code for each in answers} == {200}
        assert time.monotonic() - began < 15
    going_on.set()
    held.join()

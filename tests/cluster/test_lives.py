"""A part that is taken for dead and begun again, and that was not dead: one of the two is heard, never both."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="needs the extra 'service'")

from reid_tracker.cluster.arrivals import ClusterCameras
from reid_tracker.cluster.charge import Charge
from reid_tracker.cluster.front import FrontService
from reid_tracker.cluster.group import Duty, GroupReport
from reid_tracker.cluster.lives import new_life
from reid_tracker.cluster.orders import DistrictNews, DistrictReport, Push, Reply
from reid_tracker.cluster.peers import Districts
from reid_tracker.cluster.registry import Registry
from reid_tracker.cluster.remote_district import RemoteDistrict
from reid_tracker.cluster.site import ClusterService
from reid_tracker.config import CameraConfig, Config
from reid_tracker.service.site import Busy
from tests.cluster.scenes import write_visits
from tests.cluster.test_districts_live import Site, two_districts
from tests.cluster.test_live import Link, group, identities_on, news, site_pipeline
from tests.service.conftest import wait_for

DOOR = CameraConfig(id="door", source="x")
SILENT_SECONDS = 5.0  # that a group is silent until another life of it may speak, at a heartbeat a second


def test_a_later_life_has_the_greater_name() -> None:
    names = [new_life() for _ in range(100)]
    assert len(set(names)) == 100
    assert [name[:16] for name in names] == sorted(name[:16] for name in names)


def test_of_two_lives_of_a_group_the_newest_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.monotonic()
    monkeypatch.setattr("reid_tracker.cluster.arrivals.time.monotonic", lambda: now)
    cameras = ClusterCameras({"one": [DOOR]}, 1.0)
    older, newer = new_life(), new_life() + "x"

    def sync(life: str) -> Duty:
        return cameras.sync(GroupReport("one", life))

    assert sync(older).cameras == (DOOR,)
    cameras.take(older, [news(0, 10.0, whole=True)])
    assert sync(newer).cameras == (DOOR,)
    cameras.take(newer, [news(0, 10.5, whole=True)])
    assert sync(older) == Duty(), "has nothing to read any more"
    assert cameras.take(older, [news(1, 10.6, whole=True)]) == [], "and is not asked to say all"
    cameras.take(newer, [news(1, 10.7)])
    assert [cameras.next_moment(0)[0].news.time for _ in range(3)] == [10.0, 10.5, 10.7]
    assert cameras.next_moment(0) == []
    assert cameras.losses()["door"].restarts == 1

    now += SILENT_SECONDS + 1
    assert sync(older).cameras == (DOOR,), "the newest is lost, and this one is there"
    cameras.take(older, [news(2, 17.0, whole=True)])
    assert cameras.next_moment(0)[0].news.time == 17.0
    assert sync(newer).cameras == (DOOR,), "the newest is back"
    assert sync(older) == Duty()


def test_whoever_takes_a_group_on_does_not_hear_a_life_that_was_followed_by_another() -> None:
    """An associator that begins again knows of each camera how far it is, before it has heard of any group."""
    older, newer = sorted(new_life() for _ in range(2))
    before, after = ClusterCameras({"one": [DOOR]}, 1.0), ClusterCameras({}, 1.0)
    for life in (older, newer):
        before.sync(GroupReport("one", life))
        before.take(life, [news(0, 10.0 + (life == newer), whole=True)])
    before.give(Charge("one", "two", 1))
    (charge,) = before.charges()
    after.take_on(charge)
    assert after.take(older, [news(1, 11.1, whole=True)]) == []
    after.take(newer, [news(1, 11.2, whole=True)])
    assert after.next_moment(0)[0].news.time == 11.2
    assert after.next_moment(0) == []


def test_of_two_lives_of_a_district_the_newest_is_heard() -> None:
    placed = {"one": {"group 1": [DOOR]}}
    districts = Districts(placed, Registry(list(placed)))
    first, second, third = "b", "a", "c"  # the clock of the second one's machine is behind

    def push(life: str, number: int = 1) -> Reply:
        return districts.push(Push("one", life, number, DistrictNews(), DistrictReport((DOOR,))))

    districts.begin("one")
    assert not push(first).replaced
    districts.begin("one")
    assert push(first, 2).replaced, "as soon as the next one begins"
    assert not push(second).replaced
    assert push(first, 3).replaced
    assert not push(third).replaced, "it began with a front that is no more"
    assert push(second, 2).replaced
    assert districts.reports()["one"][2] == 2


@pytest.mark.slow
def test_people_are_counted_once_while_two_workers_run_one_group(tmp_path: Path) -> None:
    source = write_visits(tmp_path / "door.avi", [("red", 0, 60), ("green", 0, 60)], 60.0)
    config = Config().with_values(
        {
            "cameras": [{"id": "door", "source": str(source)}],
            "cluster.heartbeat_seconds": 0.2,
            "tracking.max_lost_seconds": 2.0,
            "store.path": str(tmp_path / "people.db"),
        }
    )
    site = ClusterService(config, {"group door": config.cameras}, site_pipeline)
    with site:
        older = group(config, "group door", Link(site))
        wait_for(lambda: len(identities_on(site)) == 2, 60)
        ids = identities_on(site)
        newer = group(config, "group door", Link(site))
        wait_for(lambda: newer.report().cameras.get("door") is not None, 30)
        wait_for(lambda: older.report().cameras == {}, 30)
        wait_for(lambda: identities_on(site) == ids, 30)
        assert site.arrivals.losses()["door"].restarts == 1
        newer.stop()
        wait_for(lambda: "door" in older.report().cameras, 30)
        wait_for(lambda: identities_on(site) == ids, 30)
        site.recorder.flush()
        assert {person.identity for person in site.store.people(0, 1e11, 10)} == set(ids.values())
        older.stop()


@contextmanager
def one_district(site: Site) -> Iterator[tuple[Site, FrontService, RemoteDistrict]]:
    """A site with its front and the first of its districts, which has been heard."""
    with site.new_front() as service:
        site.front.service = service
        name = next(iter(site.placed))
        with RemoteDistrict(site.config, name, list(site.placed), site.front) as district:
            wait_for(lambda: service.districts.reports()[name][0].cameras != (), 30)
            yield site, service, district
        site.front.service = None


@pytest.mark.slow
def test_a_district_that_was_begun_again_elsewhere_ends(tmp_path: Path) -> None:
    with (
        one_district(Site(two_districts(tmp_path))) as (site, service, older),
        RemoteDistrict(site.config, older.name, list(site.placed), site.front) as newer,
    ):
        wait_for(lambda: service.districts.reports()[older.name][2] == 1, 30)
        wait_for(lambda: older.arrivals.sync(GroupReport("group 1", "a life")).waits, 30)
        assert not newer.arrivals.sync(GroupReport("group 1", "a life")).waits


@pytest.mark.slow
def test_what_the_front_answered_is_done_however_busy_the_district_is(tmp_path: Path) -> None:
    """The front says once what to do; a district whose loop has no time for it just then does it later."""
    with one_district(Site(two_districts(tmp_path))) as (site, service, district):
        (camera, *_) = [each.id for each in district.arrivals.cameras]
        answered, call, push = [], district.loop.call, site.front.push

        def busy_after_an_answer(function: Callable[[], object], timeout: float = 30.0) -> object:
            if answered and answered.pop():
                raise Busy("no time")
            return call(function, timeout)

        def pushed(news: Push) -> Reply:
            reply = push(news)
            answered.append(bool(reply.cameras))
            return reply

        district.loop.call, site.front.push = busy_after_an_answer, pushed  # type: ignore[method-assign,assignment]
        service.districts.pause(camera)
        wait_for(lambda: any(camera in charge.paused for charge in district.arrivals.charges()), 30)

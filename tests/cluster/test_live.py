"""Live groups and their site in one process: what Ray carries between machines, without Ray."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest

pytest.importorskip("fastapi", reason="needs the extra 'service'")

from reid_tracker.cluster.arrivals import Arrived, ClusterCameras
from reid_tracker.cluster.group import CameraGroup, Duty, GroupReport, SiteAway
from reid_tracker.cluster.news import FrameNews, NewsWriter
from reid_tracker.cluster.site import ClusterService, RemoteCamera
from reid_tracker.config import CameraConfig, Config
from reid_tracker.errors import ConfigError, InputError
from reid_tracker.ids import IdAllocator
from reid_tracker.live import CameraState
from reid_tracker.pipeline import Pipeline
from reid_tracker.sources import open_source
from reid_tracker.types import CameraTracks, EventType
from tests.cluster.scenes import steady_pipeline, write_visits
from tests.service.conftest import wait_for

VISITS = {"door": [("red", 0, 60), ("green", 0, 60)], "hall": [("blue", 0, 60)]}


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    folder = tmp_path_factory.mktemp("live")
    cameras = [
        {"id": name, "source": str(write_visits(folder / f"{name}.avi", visits, 60.0))}
        for name, visits in VISITS.items()
    ]
    return Config().with_values(
        {
            "cameras": cameras,
            "cluster.heartbeat_seconds": 0.2,
            "tracking.max_lost_seconds": 2.0,
            "tracking.refresh_seconds": 0.5,
            "store.path": str(folder / "people.db"),
        }
    )


def site_pipeline(config: Config, first: int) -> Pipeline:
    return steady_pipeline(config, first_tracklet=first)


@dataclass
class Link:
    """The way to a site that can be cut."""

    site: ClusterService | None = None
    moments: int = 0
    twice: bool = False

    def take(self, _group: str, epoch: str, news: Sequence[FrameNews]) -> list[str]:
        if self.site is None:
            raise SiteAway("cut")
        self.moments += 1
        if self.twice:
            self.site.arrivals.take(epoch, news)
        return self.site.arrivals.take(epoch, news)

    def sync(self, report: GroupReport) -> Duty:
        if self.site is None:
            raise SiteAway("cut")
        return self.site.arrivals.sync(report)

    def turn_to(self, associator: str) -> None:
        raise AssertionError(f"there is no {associator}")


def group(config: Config, name: str, link: Link) -> CameraGroup:
    made = CameraGroup(name, config, link, steady_pipeline)
    made.start()
    return made


def by_group(config: Config) -> dict[str, list[CameraConfig]]:
    return {f"group {camera.id}": [camera] for camera in config.cameras}


def identities_on(service: ClusterService) -> dict[tuple[str, int], int]:
    """(camera, place from the left) -> identity, of those in view now."""
    return {
        (frame.camera_id, place): person.identity
        for frame in service.site.newest()
        for place, person in enumerate(sorted(frame.people, key=lambda person: person.box[0]))
    }


def wait_for_three(service: ClusterService) -> dict[tuple[str, int], int]:
    wait_for(lambda: len(set(identities_on(service).values())) == 3, 60)
    return identities_on(service)


@pytest.mark.slow
def test_people_keep_their_ids_whatever_is_lost(config: Config) -> None:
    """A group starts again, the way to the site is cut, moments come twice, the site itself starts again."""
    link = Link()
    with ClusterService(config, by_group(config), site_pipeline) as site:
        link.site = site
        groups = {name: group(config, name, link) for name in by_group(config)}
        before = wait_for_three(site)
        wait_for(lambda: all(each.state is CameraState.LIVE for each in site.cameras.report().values()), 30)

        link.twice = True
        have = link.moments
        wait_for(lambda: link.moments > have + 10, 30)
        link.twice = False
        assert sum(each.repeated for each in site.arrivals.losses().values()) >= 10
        assert wait_for_three(site) == before

        link.site = None  # cut
        time.sleep(1.5)
        link.site = site
        wait_for(lambda: {"door", "hall"} <= site.arrivals.losses().keys(), 30)
        wait_for(lambda: all(each.seconds > 1.0 for each in site.arrivals.losses().values()), 30)
        assert wait_for_three(site) == before

        groups["group door"].stop()
        groups["group door"] = group(config, "group door", link)
        wait_for(lambda: site.arrivals.losses()["door"].restarts == 1, 30)
        assert wait_for_three(site) == before
        assert site.arrivals.losses()["hall"].restarts == 0
        link.site = None
    started = []
    again = ClusterService(config, by_group(config), site_pipeline)
    again.site.listen(
        lambda _frames, tracked, _events: started.extend(
            event for frame in tracked for event in frame.events if event.type is EventType.STARTED
        )
    )
    with again:
        link.site = again
        assert wait_for_three(again) == before
        assert started == []
        people = again.store.people(0, 1e11, 10)
        assert {person.identity for person in people} == set(before.values())
        for each in groups.values():
            each.stop()


def arrived(config: Config, count: int, later: float = 0.0) -> list[tuple[CameraTracks, Arrived]]:
    """The first frames of the door with the news of them."""
    pipeline, writer = steady_pipeline(config), NewsWriter()
    source = open_source(config.cameras[0].source, "door")
    found = []
    for frame, _ in zip(source, range(count), strict=False):
        (tracks,) = pipeline.follow([replace(frame, time=frame.time + later)])
        found.append((tracks, Arrived("first life", writer(tracks))))
    source.close()
    return found


def test_remote_tracks_are_the_groups_under_the_sites_numbers(config: Config) -> None:
    camera = RemoteCamera(64, IdAllocator(7))
    read = [(tracks, camera.read(each)) for tracks, each in arrived(config, 10)]
    assert [each.id for each in read[-1][1].tracklets] == [7, 8]
    for own, told in read:
        assert [tuple(each.box) for each in told.tracklets] == [tuple(each.box) for each in own.tracklets]
        assert [each.started for each in told.tracklets] == [each.started for each in own.tracklets]
    assert [(each.id, each.state) for each in camera.finish()] == [(7, "ended"), (8, "ended")]
    assert camera.finish() == ()


def test_a_new_life_of_a_group_ends_what_the_old_one_had_open(config: Config) -> None:
    camera = RemoteCamera(64, IdAllocator())
    *_, last = [camera.read(each) for _, each in arrived(config, 10)]
    assert len(last.tracklets) == 2
    frames = [Arrived("second life", each.news) for _, each in arrived(config, 10, later=5.0)]
    first = camera.read(frames[0])
    assert sorted(each.id for each in first.ended) == [1, 2]
    assert [each.id for each in [camera.read(frame) for frame in frames[1:]][-1].tracklets] == [3, 4]


def test_a_site_that_knows_nothing_asks_for_all(config: Config) -> None:
    """Whoever was open when it died is somebody who comes into view for the new site: never in two places at once."""
    camera = RemoteCamera(64, IdAllocator())
    frames = arrived(config, 12)
    with pytest.raises(InputError, match="not known"):
        camera.read(frames[8][1])
    writer = NewsWriter()
    for tracks, _ in frames[:11]:
        writer(tracks)
    writer.say_all()
    told = camera.read(Arrived("first life", writer(frames[11][0])))
    assert len(told.tracklets) == 2
    assert all(each.started == told.time and len(each.looks) for each in told.tracklets)


def news(number: int, time: float, whole: bool = False) -> FrameNews:
    nobody = np.zeros((0, 2))
    return FrameNews(
        "door", number, time, (320, 240), number, whole, nobody[:, 0].astype(np.int64), nobody[:, 0].astype(np.uint8),
        np.zeros((0, 4), np.float32), nobody, nobody,
    )  # fmt: skip


def test_what_arrives_is_counted_once_and_gaps_are_told() -> None:
    cameras = ClusterCameras({"one": [CameraConfig(id="door", source="x")]}, 1.0)
    assert cameras.take("life", [news(0, 10.0, whole=True)]) == []
    assert cameras.take("life", [news(1, 10.1)]) == []
    assert cameras.take("life", [news(1, 10.1)]) == []  # delivered twice
    assert cameras.take("life", [news(5, 13.1)]) == ["door"]  # something is missing: means nothing
    assert cameras.take("life", [news(6, 13.2, whole=True)]) == []
    assert cameras.take("other life", [news(0, 17.2, whole=True)]) == []
    numbers = [each.news.number for _ in range(4) for each in cameras.next_moment(0.1)]
    assert numbers == [0, 1, 6, 0]
    losses = cameras.losses()["door"]
    assert (losses.repeated, losses.frames, losses.restarts) == (1, 4, 1)
    assert losses.seconds == pytest.approx(3.1 + 4.0)
    health = cameras.report()["door"]
    assert health.lost["undelivered"] == 4
    assert health.message.startswith("7 s did not reach the site")


def test_cameras_are_given_moved_and_taken_back() -> None:
    cameras = ClusterCameras({"one": [CameraConfig(id="door", source="x")], "two": []}, 1.0)
    cameras.add(CameraConfig(id="hall", source="y"))
    cameras.pause("hall")

    def duty(name: str) -> tuple[list[str], frozenset[str]]:
        given = cameras.sync(GroupReport(name, "life"))
        return [camera.id for camera in given.cameras], given.paused

    assert duty("one") == (["door"], frozenset())
    assert duty("two") == (["hall"], frozenset({"hall"}))
    cameras.move("door", "two")
    cameras.remove("hall")
    assert duty("one") == ([], frozenset())
    assert duty("two") == (["door"], frozenset())
    assert duty("three") == ([], frozenset())
    for call in (lambda: cameras.pause("hall"), lambda: cameras.move("door", "nine"),
                 lambda: cameras.add(CameraConfig(id="door", source="z"))):  # fmt: skip
        with pytest.raises(ConfigError):
            call()


def test_cameras_move_away_from_a_group_that_cannot_keep_up(monkeypatch: pytest.MonkeyPatch) -> None:
    both = [CameraConfig(id=name, source="x") for name in ("door", "hall")]
    cameras = ClusterCameras({"one": both, "two": []}, 1.0)
    now = time.monotonic()
    monkeypatch.setattr("reid_tracker.cluster.arrivals.time.monotonic", lambda: now)
    cameras.sync(GroupReport("two", "life", busy=0.0))
    assert len(cameras.sync(GroupReport("one", "life", busy=1.0)).cameras) == 2  # not at once
    now += 58
    cameras.sync(GroupReport("two", "life", busy=0.0))
    now += 3
    assert [each.id for each in cameras.sync(GroupReport("one", "life", busy=1.0)).cameras] == ["hall"]
    assert [each.id for each in cameras.sync(GroupReport("two", "life", busy=0.0)).cameras] == ["door"]


def test_a_group_that_is_silent_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    cameras = ClusterCameras({"one": [CameraConfig(id="door", source="x")]}, 1.0)
    assert cameras.report()["door"].state is CameraState.CONNECTING
    cameras.sync(GroupReport("one", "life"))
    now = time.monotonic()
    monkeypatch.setattr("reid_tracker.cluster.arrivals.time.monotonic", lambda: now + 60)
    assert cameras.report()["door"].state is CameraState.WAITING
    assert "does not answer" in cameras.report()["door"].message

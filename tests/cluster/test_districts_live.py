"""Two districts and their front in one process: what Ray carries between machines, without Ray."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="needs the extra 'service'")

from reid_tracker.cluster.condition import GroupState, judged
from reid_tracker.cluster.districts import plan
from reid_tracker.cluster.front import FrontService
from reid_tracker.cluster.group import CameraGroup, Duty, GroupReport, SiteAway
from reid_tracker.cluster.launch import placement
from reid_tracker.cluster.news import FrameNews
from reid_tracker.cluster.orders import Beginning, Push, Reply
from reid_tracker.cluster.remote_district import RemoteDistrict
from reid_tracker.config import CameraConfig, Config
from reid_tracker.errors import InputError
from reid_tracker.live import CameraState, HealthReport
from reid_tracker.types import EventType, IdentityEvent
from tests.cluster.scenes import steady_pipeline, write_visits
from tests.cluster.test_live import site_pipeline
from tests.service.conftest import wait_for

# red walks from the door to the hall and back, again and again; green stays, and so does blue. Each camera's recording
# begins when its group does: the walk is so long that red is not in both at once where one begins seconds later
SECONDS = 24.0
VISITS = {"door": [("red", 0, 3), ("green", 0, SECONDS)], "hall": [("red", 12, 15), ("blue", 0, SECONDS)]}


def two_districts(folder: Path) -> Config:
    """Each camera is a district."""
    cameras = [
        {
            "id": name,
            "source": str(write_visits(folder / f"{name}.avi", visits, SECONDS)),
            "neighbours": {other: [0, 60] for other in VISITS if other != name},
        }
        for name, visits in VISITS.items()
    ]
    return Config().with_values(
        {
            "cameras": cameras,
            "live.repeat": True,
            "cluster.associator_cameras": 1,
            "cluster.heartbeat_seconds": 0.2,
            "tracking.max_lost_seconds": 1.0,
            "tracking.refresh_seconds": 0.5,
            "store.path": str(folder / "people.db"),
        }
    )


@dataclass
class Front:
    """The way to a front that can be cut."""

    service: FrontService | None = None
    twice: bool = False

    def begin(self, district: str) -> Beginning:
        return self._there().begin(district)

    def push(self, push: Push) -> Reply:
        if self.twice:
            self._there().districts.push(push)
        return self._there().districts.push(push)

    def _there(self) -> FrontService:
        if self.service is None:
            raise SiteAway("cut")
        return self.service


@dataclass
class ToDistrict:
    """A group's way to its district, and to the others."""

    districts: dict[str, RemoteDistrict]
    name: str

    @property
    def district(self) -> RemoteDistrict:
        return self.districts[self.name]

    def turn_to(self, associator: str) -> None:
        self.name = associator

    def take(self, _group: str, epoch: str, news: Sequence[FrameNews]) -> list[str]:
        return self.district.arrivals.take(epoch, news)

    def sync(self, report: GroupReport) -> Duty:
        return self.district.arrivals.sync(report)


@dataclass
class Site:
    """All of it."""

    config: Config
    front: Front = field(default_factory=Front)
    events: list[IdentityEvent] = field(default_factory=list)
    groups: dict[str, CameraGroup] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.parts = plan(self.config)
        self.placed = placement(self.config, self.parts)

    def new_front(self) -> FrontService:
        service = FrontService(self.config, self.placed, site_pipeline)
        service.site.listen(self._heard)
        return service

    def _heard(self, _frames: object, tracked: Sequence[object], events: Sequence[IdentityEvent]) -> None:
        self.events += [event for frame in tracked for event in frame.events]  # type: ignore[attr-defined]
        self.events += events

    @contextmanager
    def running(self, service: FrontService) -> Iterator[dict[str, RemoteDistrict]]:
        with ExitStack() as stack:
            self.front.service = stack.enter_context(service)
            districts = {
                name: stack.enter_context(RemoteDistrict(self.config, name, list(self.placed), self.front))
                for name in self.placed
            }
            for name, groups in self.placed.items():
                for group in groups:
                    self.start_group(group, districts, name)
            stack.callback(lambda: [group.stop() for group in self.groups.values()])
            yield districts

    def start_group(self, name: str, districts: dict[str, RemoteDistrict], begins: str) -> CameraGroup:
        """Start a group, which begins with a district; once more where it ran before."""
        if name in self.groups:
            self.groups[name].stop()
        made = self.groups[name] = CameraGroup(name, self.config, ToDistrict(districts, begins), steady_pipeline)
        made.start()
        return made


def in_view(service: FrontService) -> dict[str, set[int]]:
    return {frame.camera_id: {person.identity for person in frame.people} for frame in service.site.newest()}


def walker(service: FrontService) -> int:
    """Whoever was in both cameras, once somebody was."""

    def in_both() -> set[int]:
        service.recorder.flush()
        people = service.store.people(0, 1e11, 100)
        return {person.identity for person in people if len(person.cameras) == 2}

    wait_for(lambda: len(in_both()) == 1, 90)
    (number,) = in_both()
    return number


@pytest.mark.slow
def test_whoever_walks_through_the_cut_keeps_the_number_whatever_is_lost(tmp_path: Path) -> None:
    """Messages that come twice, a front that starts again from the store, a correction, a camera that is paused."""
    site = Site(two_districts(tmp_path))
    assert list(site.parts.values()) == [["door"], ["hall"]]
    service = site.new_front()
    with site.running(service):
        site.front.twice = True
        number = walker(service)
        site.front.twice = False
        assert [event.event_id for event in site.events] == sorted({event.event_id for event in site.events})
        wait_for(lambda: len(set.union(*in_view(service).values(), set())) == 3, 60)
        assert all(each.state is CameraState.LIVE for each in service.cameras.report().values())
        assert {state.condition for state in service.districts.states().values()} == {"well"}
        people = {person.identity for person in service.store.people(0, 1e11, 100)}
        assert number in people
        assert len(people) == 3, "three people, however often they walk"

        green, blue = sorted(people - {number})
        assert service.merge(green, blue) == green
        wait_for(lambda: any(event.type is EventType.MERGED for event in site.events), 10)
        wait_for(lambda: all(blue not in numbers for numbers in in_view(service).values()), 10)
        with pytest.raises(InputError, match="is not remembered"):
            service.merge(1, 10_000)
        service.recorder.flush()
        parted = service.store.history(green)[-1]
        fresh = service.split(green, [parted.tracklet])
        assert fresh not in people
        wait_for(lambda: any(event.type is EventType.SPLIT for event in site.events), 10)
        service.never(green, number)

        service.cameras.pause("hall")
        wait_for(lambda: service.cameras.report()["hall"].state is CameraState.PAUSED, 20)
        service.cameras.resume("hall")
        wait_for(lambda: service.cameras.report()["hall"].state is CameraState.LIVE, 20)

        site.front.service = None  # the front is lost, and starts again from the store
        service.site.stop()
        service.recorder.close()
        service.store.close()
        told = len(site.events)
        again = site.new_front()
        with again:
            site.front.service = again
            wait_for(lambda: {"door", "hall"} <= in_view(again).keys(), 30)
            seen: set[int] = set()

            def walked_again() -> bool:
                seen.update(*in_view(again).values())
                return number in in_view(again).get("hall", ()) and len(seen) >= 3

            wait_for(walked_again, 60)
            started = [event for event in site.events[told:] if event.type is EventType.STARTED]
            assert started == [], "everybody is known"
            assert min(event.event_id for event in site.events[told:]) > max(e.event_id for e in site.events[:told])
            site.front.service = None


def test_the_reason_is_told_where_a_group_is_behind() -> None:
    base = GroupState("group 1", ("door",), "node 7", arriving=10.0, processed=10.0)
    live = {"door": HealthReport(CameraState.LIVE)}

    def told(health: dict[str, HealthReport] = live, waiting: int = 0, **changes: object) -> tuple[str, str]:
        from dataclasses import replace

        state = judged(replace(base, **changes), health, 5.0, waiting)  # type: ignore[arg-type]
        return state.condition, state.why

    assert told() == ("well", "")
    assert told(node="")[0] == "starting"
    assert told(silent=9.0, restarts=2) == (
        "silent",
        "does not answer for 9 s: its worker, its machine or the way to it is lost; started again 2 times so far",
    )
    for (condition, why), expected in (
        (told(busy=0.97), "works 97% of its time: give it more cores"),
        (told(waiting=40), "its associator is behind: 40 moments wait"),
        (
            told(health={"door": HealthReport(CameraState.WAITING, "refused")}),
            "camera 'door' sends no pictures: refused",
        ),
        (told(lag=3.0), "pictures wait 3.0 s until they are taken: others use its machine node 7"),
        (told(processed=4.0), "takes 4.0 of 10.0 pictures a second"),
    ):
        assert condition == "behind"
        assert why.startswith(expected)


def test_groups_have_names_of_their_own_over_all_districts() -> None:
    config = Config(cameras=[CameraConfig(id=f"c{number}", source="x") for number in range(9)]).with_values(
        {"cluster.associator_cameras": 3, "cluster.group_cameras": 2}
    )
    placed = placement(config, plan(config))
    names = [name for groups in placed.values() for name in groups]
    assert names == [f"group {number}" for number in range(1, 7)]
    assert sorted(camera.id for groups in placed.values() for each in groups.values() for camera in each) == [
        f"c{number}" for number in range(9)
    ]

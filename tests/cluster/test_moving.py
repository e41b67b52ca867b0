"""Groups of cameras that go from the associator of one district to that of another while the site runs."""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("fastapi", reason="needs the extra 'service'")

from reid_tracker.cluster.allotment import Allotment
from reid_tracker.cluster.arrivals import ClusterCameras
from reid_tracker.cluster.charge import Charge, Losses, Progress
from reid_tracker.cluster.group import GroupReport
from reid_tracker.cluster.orders import DistrictNews, DistrictReport, Push
from reid_tracker.cluster.peers import Districts
from reid_tracker.cluster.placement import group_links, links
from reid_tracker.cluster.registry import Registry
from reid_tracker.cluster.remote_district import RemoteDistrict
from reid_tracker.config import CameraConfig
from reid_tracker.errors import ConfigError
from reid_tracker.store import Sighting, Store
from reid_tracker.types import EventType
from tests.cluster.test_districts_live import Site, in_view, two_districts, walker
from tests.cluster.test_live import news
from tests.service.conftest import wait_for


def camera(name: str, *neighbours: str) -> CameraConfig:
    return CameraConfig(id=name, source="x", neighbours=dict.fromkeys(neighbours, (1.0, 30.0)))


PLACED = {
    "one": {"group 1": [camera("a", "b")], "group 2": [camera("b", "a", "c")]},
    "two": {"group 3": [camera("c", "b", "d")]},
    "three": {"group 4": [camera("d", "c")]},
}


class Rehearsal:
    """A front's allotment and what its districts have, with messages that are lost and parts that begin anew."""

    def __init__(self) -> None:
        self.allotment = Allotment(PLACED)
        self.districts: dict[str, ClusterCameras] = {}
        self.replies: dict[str, tuple[Charge, ...]] = {}
        for name in PLACED:
            self.begin(name)

    def begin(self, name: str) -> None:
        self.replies.pop(name, None)
        self.districts[name] = made = ClusterCameras({}, 1.0)
        for charge in self.allotment.begins(name):
            (made.take_on if charge.associator == name else made.give)(charge)

    def push(self, name: str, answered: bool = True) -> None:
        district = self.districts[name]
        if name not in self.replies:  # else it pushes the same once more, and is answered the same
            self.allotment.hear(name, district.charges(), district.elsewhere())
            self.replies[name] = self.allotment.orders(name)
        for charge in self.replies.pop(name) if answered else ():
            if charge.associator == name:
                district.take_on(charge)
            else:
                district.give(charge)

    def where(self) -> dict[str, list[str]]:
        """Group -> the districts that have it."""
        found: dict[str, list[str]] = {group: [] for groups in PLACED.values() for group in groups}
        for name, district in self.districts.items():
            for group in district.groups():
                found[group].append(name)
        return found

    def talks_to(self, group: str, begins: str) -> str:
        """The district that a group ends with which begins with another one, as its cameras say."""
        for _ in range(5):
            duty = self.districts[begins].sync(GroupReport(group, "a life"))
            if not duty.elsewhere:
                return "" if duty.waits else begins
            begins = duty.elsewhere
        raise AssertionError(f"{group} is sent in a circle")


@given(st.integers(0, 10_000), st.booleans())
def test_a_group_is_in_one_district_whatever_is_lost(seed: int, fronts_die: bool) -> None:
    chance, site = random.Random(seed), Rehearsal()
    groups, names = list(site.where()), list(PLACED)
    for _ in range(60):
        what, name = chance.random(), chance.choice(names)
        if what < 0.15:
            site.allotment.move(chance.choice(groups), name)
        elif what < 0.25:
            site.begin(name)
        elif what < 0.3 and fronts_die:
            site.allotment = Allotment(PLACED)
            site.replies.clear()
        else:
            site.push(name, answered=chance.random() < 0.8)
        if not fronts_die:
            assert all(len(has) <= 1 for has in site.where().values())
    for _ in range(12):
        for name in names:
            site.push(name)
    assert site.allotment.settled()
    wanted = {group: [name] for name, members in site.allotment.groups().items() for group in members}
    assert site.where() == wanted
    for group, begins in itertools.product(groups, names):
        assert [site.talks_to(group, begins)] == wanted[group]


def test_what_does_not_exist_is_not_moved() -> None:
    allotment = Allotment(PLACED)
    with pytest.raises(ConfigError, match="no group is called 'group 9'"):
        allotment.move("group 9", "one")
    with pytest.raises(ConfigError, match="no district is called 'nine'"):
        allotment.move("group 1", "nine")


def test_who_takes_on_a_camera_knows_how_far_it_is() -> None:
    """A frame that both were sent counts once, and what was lost in between is told by the new one."""
    one, two = ClusterCameras({"group 1": [CameraConfig(id="door", source="x")]}, 1.0), ClusterCameras({}, 1.0)
    one.sync(GroupReport("group 1", "life"))
    one.pause("door")
    one.take("life", [news(0, 10.0, whole=True)])
    one.take("life", [news(1, 10.1)])
    one.take("life", [news(1, 10.1)])
    assert one.give(Charge("group 1", "two", 1)) == ("door",)
    assert one.give(Charge("group 1", "two", 1)) == ()
    assert one.take("life", [news(2, 10.2)]) == []
    assert one.next_moment(0) == [], "nothing is taken of a camera that went"
    assert one.sync(GroupReport("group 1", "life")).elsewhere == "two"
    assert two.sync(GroupReport("group 1", "life")).waits

    (charge,) = one.charges()
    assert charge.progress == {"door": Progress("life", 1, 10.1)}
    two.take_on(charge)
    two.take_on(charge)
    duty = two.sync(GroupReport("group 1", "life"))
    assert ([each.id for each in duty.cameras], duty.paused, duty.waits) == (["door"], {"door"}, False)
    two.take("life", [news(1, 10.1, whole=True)])
    two.take("life", [news(5, 13.1, whole=True)])
    assert [each.news.number for each in two.next_moment(0)] == [5]
    assert two.losses()["door"] == Losses(frames=3, seconds=pytest.approx(3.0), repeated=2)
    assert one.losses() == {}


def test_a_group_that_still_reads_a_camera_of_another_one_is_not_heard() -> None:
    cameras = ClusterCameras({"one": [CameraConfig(id="door", source="x")], "two": []}, 1.0)
    cameras.sync(GroupReport("one", "first"))
    cameras.sync(GroupReport("two", "second"))
    cameras.take("first", [news(0, 10.0, whole=True)])
    cameras.move("door", "two")
    cameras.take("first", [news(1, 10.1)])
    cameras.take("second", [news(0, 10.2, whole=True)])
    assert cameras.take("first", [news(2, 10.3)]) == [], "and is not asked to say all"
    cameras.take("second", [news(1, 10.4)])
    assert [cameras.next_moment(0)[0].news.time for _ in range(3)] == [10.0, 10.2, 10.4]
    cameras.remove("door")
    assert cameras.take("second", [news(2, 10.5, whole=True)]) == []
    assert cameras.next_moment(0) == []


def test_links_of_groups_are_those_of_their_cameras() -> None:
    groups = {"one": ["a", "b"], "two": ["c"]}
    assert group_links(groups, {("a", "b"): 1.0, ("a", "c"): 0.5, ("b", "c"): 0.25, ("c", "z"): 9.0}) == {
        ("one", "two"): 0.75
    }


class Pushing:
    """The districts of PLACED, which push what they are told to."""

    def __init__(self, districts: Districts) -> None:
        self.districts = districts
        self.numbers = itertools.count()
        self.has: dict[str, ClusterCameras] = {}
        for name in PLACED:
            charges, _ = districts.begin(name)
            self.has[name] = made = ClusterCameras({}, 1.0)
            for charge in charges:
                (made.take_on if charge.associator == name else made.give)(charge)

    def push(self, name: str, steps: int, waiting: int = 0) -> None:
        district = self.has[name]
        report = DistrictReport(
            district.cameras,
            steps=steps,
            step_seconds=0.1,
            waiting=waiting,
            charges=district.charges(),
            elsewhere=district.elsewhere(),
        )
        for charge in self.districts.push(Push(name, "life", next(self.numbers), DistrictNews(), report)).charges:
            if charge.associator == name:
                district.take_on(charge)
            else:
                district.give(charge)

    def groups(self) -> dict[str, set[str]]:
        return {name: set(district.groups()) for name, district in self.has.items()}


@pytest.mark.parametrize(
    ("steps", "waiting", "moved"),
    [
        ({"one": 590, "two": 100, "three": 50}, 0, ("group 2", "two")),  # those are beside one another
        ({"one": 590, "two": 500, "three": 50}, 0, ("group 1", "three")),  # the neighbour has no room
        ({"one": 400, "two": 100, "three": 50}, 0, None),  # keeps up
        ({"one": 300, "two": 100, "three": 50}, 40, ("group 2", "two")),  # moments wait, however little it works
        ({"one": 100, "two": 600, "three": 50}, 0, None),  # its only group stays
    ],
)
def test_a_district_that_cannot_keep_up_gives_a_group_to_a_neighbour_with_room(
    monkeypatch: pytest.MonkeyPatch, steps: dict[str, int], waiting: int, moved: tuple[str, str] | None
) -> None:
    """Steps are of a minute, each of a tenth of a second."""
    now = 1000.0
    monkeypatch.setattr("reid_tracker.cluster.peers.time.monotonic", lambda: now)
    districts = Districts(PLACED, Registry(list(PLACED)))
    site = Pushing(districts)
    for name in PLACED:
        site.push(name, 0)
    before = {camera.id for camera in districts.cameras}
    for later in (58, 3, 0, 0, 0):
        now += later
        for name in ("two", "three", "one"):
            site.push(name, steps[name], waiting if name == "one" else 0)
            assert {camera.id for camera in districts.cameras} == before, "all are shown all the time"
    wanted = {"one": {"group 1", "group 2"}, "two": {"group 3"}, "three": {"group 4"}}
    if moved is not None:
        group, to = moved
        wanted["one"].remove(group)
        wanted[to].add(group)
    assert site.groups() == wanted


def test_districts_hear_how_they_lie_after_a_move() -> None:
    districts = Districts(PLACED, Registry(list(PLACED)))
    site = Pushing(districts)
    districts.move("group 2", "two")
    for _ in range(3):
        for name in PLACED:
            site.push(name, 0)
    _, lie = districts.begin("one")
    assert lie["one"].exits["two"] == {"a", "b"}, "a leads there now; in b people were last seen here"
    assert lie["two"].exits == {"one": {"b"}, "three": {"c"}}
    assert lie["two"].entrances == {"a", "b", "d"}
    assert group_links({"x": ["a"], "y": ["b"]}, links(districts.cameras)) == {("x", "y"): 0.5}


def histories(store: Store) -> dict[int, list[Sighting]]:
    return {person.identity: store.history(person.identity) for person in store.people(0, 1e11, 100)}


def nobody_twice(lives: Mapping[int, list[Sighting]]) -> bool:
    """No person is in one camera in two passages at one time."""
    for passages in lives.values():
        for name in {passage.camera_id for passage in passages}:
            here = sorted((each.started, each.ended) for each in passages if each.camera_id == name)
            if any(one[1] >= other[0] for one, other in itertools.pairwise(here)):
                return False
    return True


@pytest.mark.slow
def test_people_keep_their_numbers_when_their_camera_goes_to_another_district(tmp_path: Path) -> None:
    """There and back while somebody walks in and out; then who took it on begins anew, and so does the group."""
    site = Site(two_districts(tmp_path))
    service = site.new_front()
    with site.running(service) as districts:
        number = walker(service)
        wait_for(lambda: len(set.union(*in_view(service).values(), set())) == 3, 60)
        people = {person.identity for person in service.store.people(0, 1e11, 100)}
        lives = {name: state.restarts for name, state in service.districts.states().items()}

        def all_walk(district: str) -> None:
            """Everybody comes by, in cameras of which the hall is the district's."""
            wait_for(lambda: {each.id for each in districts[district].arrivals.cameras} >= {"hall"}, 30)
            wait_for(lambda: "hall" in in_view(service), 30)
            seen: dict[str, set[int]] = {"door": set(), "hall": set()}

            def walked() -> bool:
                for name, numbers in in_view(service).items():
                    seen[name] |= numbers
                return number in seen["door"] & seen["hall"] and len(seen["hall"]) == 2 and len(seen["door"]) == 2

            with suppress(AssertionError):
                wait_for(walked, 60)
            assert walked(), (number, people, seen)
            assert seen["door"] | seen["hall"] == people

        service.districts.move("group 2", "district 1")
        all_walk("district 1")
        assert [each.id for each in districts["district 2"].arrivals.cameras] == []
        service.districts.move("group 2", "district 2")
        all_walk("district 2")
        service.districts.move("group 2", "district 1")
        all_walk("district 1")
        assert {name: state.restarts for name, state in service.districts.states().items()} == lives, "no group stopped"
        losses = service.districts.losses()["hall"]
        assert losses.frames > 0
        assert losses.restarts == 0

        districts["district 1"].__exit__()
        begun = RemoteDistrict(site.config, "district 1", list(site.placed), site.front)
        with begun:
            districts["district 1"] = begun
            assert {each.id for each in begun.arrivals.cameras} == {"door", "hall"}, "it has what it was given"
            all_walk("district 1")

            service.recorder.flush()
            lives_of = histories(service.store)
            assert lives_of.keys() == people, "nobody new"
            assert nobody_twice(lives_of)
            events = [event.event_id for event in site.events]
            assert events == sorted(set(events)), "each told once"
            assert [event for event in site.events if event.type is EventType.MERGED] == [], "known before they came"

            (stays,) = in_view(service)["hall"] - {number}
            again = site.start_group("group 2", districts, "district 2")  # as one that Ray starts again
            wait_for(lambda: (told := begun.arrivals.groups()["group 2"]) is not None and told.epoch == again.epoch, 30)
            wait_for(lambda: begun.arrivals.losses()["hall"].restarts == 1, 30)
            wait_for(lambda: stays in in_view(service).get("hall", ()), 30)

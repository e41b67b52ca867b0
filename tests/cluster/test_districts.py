"""A site that is too large for one associator: how it is cut, and what becomes of people who walk through the cut."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reid_tracker.association import CrossCameraAssociator
from reid_tracker.association.remembered import RememberedPassage
from reid_tracker.cluster.districts import DistrictAssociator, in_districts, plan, surroundings
from reid_tracker.cluster.orders import Answer, Apart, DistrictNews, Erase, Order, Part, Renumber
from reid_tracker.cluster.partition import borders, districts, traffic
from reid_tracker.cluster.registry import Registry, first_identity
from reid_tracker.config import CameraConfig, Config
from reid_tracker.types import EventType, IdentityEvent, TrackedFrame
from tests.association.scenes import Story, Visit, Wardrobe, play


def grid(side: int) -> tuple[list[str], dict[tuple[str, str], float]]:
    """Cameras on a square, each linked to those beside it."""
    name = [[f"c{row:02}{column:02}" for column in range(side)] for row in range(side)]
    pairs = {(name[row][one], name[row][one + 1]): 1.0 for row in range(side) for one in range(side - 1)}
    pairs |= {(name[one][column], name[one + 1][column]): 1.0 for column in range(side) for one in range(side - 1)}
    return [each for row in name for each in row], pairs


def strength_cut(parts: Sequence[Sequence[str]], strength: dict[tuple[str, str], float]) -> float:
    of = {name: number for number, part in enumerate(parts) for name in part}
    return sum(value for (one, other), value in strength.items() if of[one] != of[other])


def test_a_square_site_is_cut_straight_through() -> None:
    cameras, strength = grid(8)
    halves = districts(cameras, strength, 32)
    assert [len(part) for part in halves] == [32, 32]
    assert strength_cut(halves, strength) == 8
    quarters = districts(cameras, strength, 16)
    assert [len(part) for part in quarters] == [16] * 4
    assert strength_cut(quarters, strength) <= 18  # 16 is the least


def test_the_cut_goes_where_few_people_walk() -> None:
    cameras, strength = grid(6)
    cameras = cameras[:24]  # four rows of six; straight through the columns would cut four strong links
    strength = {
        pair: 0.1 if {pair[0][:3], pair[1][:3]} == {"c01", "c02"} else 1.0
        for pair in strength
        if set(pair) <= set(cameras)
    }
    parts = districts(cameras, strength, 12)
    assert parts == [cameras[:12], cameras[12:]]
    assert strength_cut(parts, strength) == pytest.approx(0.6)


@given(st.integers(1, 30), st.integers(1, 9), st.integers(0))
def test_every_camera_is_in_one_district_and_none_is_too_large(count: int, most: int, seed: int) -> None:
    chance = random.Random(seed)
    cameras = [f"c{number}" for number in range(count)]
    pairs = [pair for pair in itertools.combinations(cameras, 2) if chance.random() < 0.2]
    strength = {pair: 0.1 + chance.random() for pair in pairs}
    parts = districts(cameras, strength, most)
    assert sorted(itertools.chain(*parts)) == sorted(cameras)
    assert len(parts) == -(-count // most)
    assert max(map(len, parts)) <= most
    assert max(map(len, parts)) - min(map(len, parts)) <= 1 or len(parts) > 2
    assert parts == districts(cameras, dict(reversed(strength.items())), most)


def test_hundreds_of_cameras_are_cut_as_well_as_few() -> None:
    """The sparse way: 400 cameras in four districts of 100, whose least cut is 40."""
    cameras, strength = grid(20)
    parts = districts(cameras, strength, 100)
    assert [len(part) for part in parts] == [100] * 4
    assert strength_cut(parts, strength) <= 44


def passage(number: int, identity: int, camera: str, start: float, end: float) -> RememberedPassage:
    return RememberedPassage(number, identity, camera, start, end)


def test_traffic_is_counted_from_what_was_seen() -> None:
    seen = [passage(1, 1, "a", 0, 5), passage(2, 1, "b", 8, 9), passage(3, 2, "a", 0, 5), passage(4, 2, "b", 9, 12),
            passage(5, 2, "c", 15, 20), passage(6, 3, "a", 0, 1), passage(7, 3, "c", 5000, 5001)]  # fmt: skip
    assert traffic(seen) == {("a", "b"): 1.0, ("b", "c"): 0.5}
    cameras = [CameraConfig(id=name, source="x") for name in "abc"]
    config = Config(cameras=cameras).with_values({"cluster.associator_cameras": 2})
    assert plan(config, {("b", "c"): 1.0})["district 2"] in (["c", "b"], ["b", "c"])


def test_borders_name_the_cameras_beside_the_cut() -> None:
    parts = {"one": ["a", "b", "lonely"], "two": ["c", "d"]}
    found = borders(parts, {("a", "b"): 1, ("b", "c"): 1, ("c", "d"): 1})
    assert found == {"one": {"two": frozenset({"b", "lonely"})}, "two": {"one": frozenset({"c"})}}


# a corridor: a b | c d, seconds between them


def corridor(**values: object) -> Config:
    beside = {"a": {"b": [1, 30]}, "b": {"a": [1, 30], "c": [3, 60]}, "c": {"b": [3, 60], "d": [1, 30]},
              "d": {"c": [1, 30]}}  # fmt: skip
    cameras = [{"id": name, "source": "x", "neighbours": neighbours} for name, neighbours in beside.items()]
    return Config().with_values({"cameras": cameras, "cluster.associator_cameras": 2, **values})


def cut_corridor() -> DistrictAssociator:
    config = corridor()
    parts = plan(config)
    assert list(parts.values()) == [["a", "b"], ["c", "d"]]
    return in_districts(config, parts)


def walks(people: int, ways: Sequence[str] = ("abcd", "dcba")) -> list[Visit]:
    """Each person walks along a corridor, some this way and some that; 4 s in a camera, 3 s between two."""
    numbers = itertools.count(1)
    return [
        Visit(next(numbers), person, camera, begin, begin + 4)
        for person in range(people)
        for place, camera in enumerate(ways[person % len(ways)])
        for begin in [5.0 * person + 7.0 * place]
    ]


def people_of(story: Story, visits: Sequence[Visit]) -> dict[int, set[int]]:
    final = story.final
    found: dict[int, set[int]] = {}
    for visit in visits:
        found.setdefault(visit.person, set()).add(final[visit.number])
    return found


def test_people_keep_their_number_through_the_cut() -> None:
    visits = walks(8)
    story = play(cut_corridor(), visits, Wardrobe(noise=0.3))
    found = people_of(story, visits)
    assert all(len(numbers) == 1 for numbers in found.values()), found
    assert len({number for numbers in found.values() for number in numbers}) == 8
    assert story.of(EventType.MERGED) == [], "known before they came"
    crossed = {visit.number for visit in visits if visit.camera in "bc"}
    assert {story.emitted[number] for number in crossed} == set.union(*found.values())


def test_cut_and_uncut_sites_say_the_same_of_clear_looks() -> None:
    visits, config = walks(6, ("abcdcb", "dcb", "ba")), corridor()
    whole = play(CrossCameraAssociator(config.association, config.cameras), visits, Wardrobe(noise=0.3))
    parted = play(cut_corridor(), visits, Wardrobe(noise=0.3))

    def together(story: Story) -> set[frozenset[int]]:
        groups: dict[int, set[int]] = {}
        for tracklet, identity in story.final.items():
            groups.setdefault(identity, set()).add(tracklet)
        return {frozenset(group) for group in groups.values()}

    assert together(parted) == together(whole)
    assert [event.event_id for event in parted.events] == list(range(1, len(parted.events) + 1))
    ended = Counter(event.identity for event in parted.of(EventType.ENDED))
    assert set(ended.values()) == {1}


def test_who_is_known_on_both_sides_is_merged_once() -> None:
    """Somebody whose looks came too late is somebody new at first; both sides find out, and it is told once."""
    registry = Registry(["one", "two"])
    merged = IdentityEvent(7, EventType.MERGED, 5.0, "a", 4, (11,), (7,))
    again = IdentityEvent(3, EventType.MERGED, 6.0, "c", 4, (11,), (7,))
    frames, _ = registry.take("one", DistrictNews((TrackedFrame("a", 0, 5.0, (), (merged,)),)))
    assert [event.supersedes for event in frames[0].events] == [(7,)]
    frames, _ = registry.take("two", DistrictNews((TrackedFrame("c", 0, 6.0, (), (again,)),)))
    assert frames[0].events == ()
    assert registry.answer("two").orders == (Renumber(7, 4),)
    assert registry.answer("two").orders == ()


def test_contradicting_mergers_leave_one_person() -> None:
    """One side takes 9 for 4, the other 9 for 3: all three are one, and both sides hear of both."""
    registry = Registry(["one", "two"], last_event=20)
    first = registry.say(IdentityEvent(1, EventType.MERGED, 5.0, "a", 4, (), (9,)))
    second = registry.say(IdentityEvent(1, EventType.MERGED, 5.0, "c", 3, (), (9,)))
    assert first is not None
    assert second is not None
    assert (first.event_id, second.event_id) == (21, 22)
    assert (second.identity, second.supersedes) == (3, (4,))
    assert [registry.number(number) for number in (3, 4, 9)] == [3, 3, 3]
    assert registry.answer("one").orders == (Renumber(9, 4), Renumber(4, 3))
    registry = Registry(["one"], merged=[(9, 4), (4, 3)])  # after a restart
    assert registry.number(9) == 3
    registry.remind("one")
    assert set(registry.answer("one").orders) == {Renumber(9, 4), Renumber(4, 3)}


def test_post_waits_and_the_newest_counts() -> None:
    registry = Registry(["one", "two"])
    for end in (5.0, 6.0):
        registry.take("one", DistrictNews(border={"two": (passage(1, 4, "b", 1.0, end),), "nobody": ()}))
    registry.say(IdentityEvent(1, EventType.MERGED, 5.0, "a", 2, (), (4,)))
    assert registry.answer("two").foreign == {"one": (passage(1, 2, "b", 1.0, 6.0),)}


@given(st.integers(1, 6), st.integers(0, 100))
def test_districts_never_give_one_number_twice(count: int, last: int) -> None:
    given_out: list[int] = []
    for place in range(count + 1):
        first, step = first_identity(place, count, last)
        given_out += range(first, first + 5 * step, step)
    assert len(set(given_out)) == len(given_out)
    assert min(given_out) > last


def test_what_an_operator_says_holds_on_both_sides() -> None:
    site, visits = cut_corridor(), walks(2, ("abcd",))
    story = play(site, visits, Wardrobe(noise=0.3), finish=False)
    one, two = site.parts.values()
    first, second = (next(iter(numbers)) for numbers in people_of(story, visits).values())
    crossing = {number for number in (first, second) if number in two.associator.book.identities}
    assert crossing == {first, second}
    two.obey(answer(Apart((1, 2, 3, 4), (5, 6, 7, 8))))
    assert all(each.apart for each in two.associator.book.identities[first].passages)
    for part in (one, two):
        part.obey(answer(Renumber(max(first, second), min(first, second), told=True)))
        assert max(first, second) not in part.associator.book.identities
    held = two.associator.book.identities[min(first, second)]
    assert all(each.pinned and not each.apart for each in held.passages)
    two.obey(answer(Part(held.number, (7, 8), 99)))
    assert [each.tracklet for each in two.associator.book.identities[99].passages] == [7, 8]
    two.obey(answer(Erase(99)))
    assert 99 not in two.associator.book.identities


def answer(order: Order) -> Answer:
    return Answer((order,))


def test_who_walks_on_is_let_go_by_the_neighbours() -> None:
    """Nobody who turned round at the cut and went home stays in the other side's memory."""
    site, visits = cut_corridor(), walks(3, ("aba",))
    play(site, visits, Wardrobe(noise=0.3), finish=False)
    assert site.parts["district 2"].associator.book.identities == {}
    assert len(site.parts["district 1"].associator.book.identities) == 3


def test_surroundings_agree() -> None:
    config = corridor()
    lie = surroundings(plan(config), config.cameras)
    assert lie["district 1"].exits == {"district 2": frozenset({"b"})}
    assert lie["district 2"].entrances == frozenset({"b"})


@pytest.mark.parametrize("most", [0, -1])
def test_a_district_without_room_is_refused(most: int) -> None:
    with pytest.raises(ValueError, match="at least one camera"):
        districts(["a"], {}, most)

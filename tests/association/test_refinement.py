"""Solving a finished recording again: better where the online result was wrong, and hard constraints hold."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

import pytest

from reid_tracker.association import CrossCameraAssociator
from reid_tracker.association.calibration import PassageLooks
from reid_tracker.association.evidence import combine, combined_so_far
from reid_tracker.association.hindsight import learn_topology
from reid_tracker.association.refinement import Refinement, refine
from reid_tracker.association.remembering import RememberedPassage
from reid_tracker.association.topology import ReturnTimes
from reid_tracker.association.worth import Assignment
from reid_tracker.config import CameraConfig
from reid_tracker.review.evidence import Evidence, learned
from reid_tracker.review.refining import solve_again
from tests.association.scenes import DIMENSION, Wardrobe
from tests.association.test_ground import walkers
from tests.association.walks import Floor, Viewpoint

CAMERAS = ("door", "hall", "yard")


def site(people: int, noise: float = 0.3) -> list[RememberedPassage]:
    """People who pass three cameras in turn, two at a time; identities are the true ones."""
    wardrobe = Wardrobe(noise=noise)
    passages = []
    for number in range(people):
        for place, camera in enumerate(CAMERAS):
            begin = 40.0 * (number // 2) + 10 * place
            looks = wardrobe.looks(number + 1, 4)
            passages.append(RememberedPassage(1 + 3 * number + place, number + 1, camera, begin, begin + 5, looks))
    return passages


def solved(
    passages: list[RememberedPassage],
    together: tuple[frozenset[int], ...] = (),
    apart: dict[int, frozenset[int]] | None = None,
    cameras: tuple[CameraConfig, ...] = (),
    truth: list[RememberedPassage] | None = None,
) -> Refinement:
    """Solve again from the identities that ``passages`` have; what distances mean is learned from ``truth``."""
    evidence = Evidence(tuple(truth or passages))
    calibration, looks = learned(evidence)
    topology = learn_topology(ReturnTimes(cameras), truth or passages, {})
    people: defaultdict[int, set[int]] = defaultdict(set)
    for one in passages:
        people[one.identity].add(one.tracklet)
    assignment = Assignment(passages, looks, calibration, topology, len(people), apart, together=together)
    return refine(assignment, map(frozenset, people.values()), together)


def true_people(passages: list[RememberedPassage]) -> set[frozenset[int]]:
    people: defaultdict[int, set[int]] = defaultdict(set)
    for one in passages:
        people[one.identity].add(one.tracklet)
    return {frozenset(person) for person in people.values()}


def test_a_life_of_many_returns_is_not_taken_for_an_impossible_one() -> None:
    wardrobe = Wardrobe(noise=0.3)
    busy = [
        RememberedPassage(1 + place, 1, CAMERAS[place % 3], 300.0 * place, 300.0 * place + 5, wardrobe.looks(1, 4))
        for place in range(40)
    ]
    others = [replace(one, tracklet=one.tracklet + 100, identity=one.identity + 1) for one in site(12)]
    assert frozenset(range(1, 41)) in solved([*busy, *others]).people


@pytest.mark.slow
def test_where_people_stood_tells_those_dressed_alike_apart() -> None:
    """Two views of one floor; half of the people are twins who cross it at once. All begin as one person each look."""
    ways = walkers(12)
    twins = [(person, start, end, begin) for person, start, begin, end in ways[6:]]  # the same ways, from the far end
    associator = CrossCameraAssociator()
    story, walker = Floor({"front": Viewpoint(), "side": Viewpoint(turned=1.2)}, [*ways, *twins]).play(associator)
    ended = {one.id: one for frame in story.frames for one in frame.finished}
    passages = [
        RememberedPassage(one.id, one.id, one.camera_id, one.started, one.updated, one.looks) for one in ended.values()
    ]
    truth = {frozenset(one for one in walker if walker[one] == who) for who in set(walker.values())}
    blind = set(solve_again(passages, (), ())[1].people)
    seeing = set(solve_again(passages, (), story.frames)[1].people)
    assert len(seeing & truth) > len(blind & truth)
    assert seeing == truth
    hidden = max(next(person for person in truth if len(person) > 1))  # never seen well enough for a look
    unseen = [replace(one, looks=None) if one.tracklet == hidden else one for one in passages]
    assert set(solve_again(unseen, (), story.frames)[1].people) == truth


def test_what_is_known_so_far_is_what_combining_says() -> None:
    evidence = Evidence(tuple(site(4)))
    calibration, looks = learned(evidence)
    spread = calibration.spread_of(DIMENSION)
    some = [looks[tracklet] for tracklet in (1, 4, 7, 2, 10)]  # several in one camera
    means, precisions = combined_so_far(some, spread)
    for place in range(len(some)):
        mean, precision = combine(some[: place + 1], spread)
        assert means[place] == pytest.approx(mean, abs=1e-6)
        assert precisions[place] == pytest.approx(precision)


def test_a_right_result_stays_as_it_is() -> None:
    passages = site(20)
    found = solved(passages)
    assert set(found.people) == true_people(passages)
    assert found.after == found.before


def test_split_merged_and_swapped_people_are_mended() -> None:
    passages = site(20)
    truth = true_people(passages)
    wrong = {1: 101, 4: 102, 5: 1, 8: 4, 11: 3}  # tracklet -> a wrong identity: two split off, three mixed up
    online = [replace(one, identity=wrong.get(one.tracklet, one.identity)) for one in passages]
    found = solved(online, truth=passages)
    assert set(found.people) == truth
    assert found.after > found.before


def test_what_is_found_is_a_partition_and_the_same_each_time() -> None:
    passages = [replace(one, identity=one.tracklet) for one in site(12, noise=0.6)]
    first, again = solved(passages), solved(passages)
    assert first == again
    assert sorted(tracklet for person in first.people for tracklet in person) == [one.tracklet for one in passages]
    assert first.after >= first.before


def test_people_in_one_camera_at_once_are_never_one() -> None:
    wardrobe = Wardrobe(noise=0.05)
    twins = [
        RememberedPassage(1, 1, "door", 0, 10, wardrobe.looks(1, 4)),
        RememberedPassage(2, 2, "door", 10, 20, wardrobe.looks(1, 4)),  # in view of the last moment of the first
    ]
    found = solved([*twins, *[replace(one, tracklet=one.tracklet + 10, identity=one.identity + 10) for one in site(8)]])
    assert frozenset({1}) in found.people
    assert frozenset({2}) in found.people


def test_what_people_said_is_never_broken() -> None:
    passages = site(12)
    apart = {1: frozenset({2}), 2: frozenset({1})}  # the same person by all evidence
    for online in (passages, [replace(one, identity=one.tracklet) for one in passages]):
        found = solved(online, apart=apart, truth=passages)
        assert not any({1, 2} <= person for person in found.people)
    alike_in_nothing = frozenset({1, 17})  # two people by all evidence
    found = solved(passages, together=(alike_in_nothing,))
    assert any(alike_in_nothing <= person for person in found.people)


def test_what_people_said_holds_where_it_seems_impossible_and_the_rest_is_mended() -> None:
    """In one camera at once and faster than anybody walks; a person elsewhere is still put together."""
    passages = site(12)
    told = frozenset({1, 4, 10})  # people 1 and 2 in the first camera at one time, and person 4
    slow = tuple(CameraConfig(id=name, source="0", neighbours={"door": [900, 999]}) for name in CAMERAS)
    online = [replace(one, identity=99 if one.tracklet == 36 else one.identity) for one in passages]
    found = solved(online, together=(told,), cameras=slow, truth=passages)
    assert any(told <= person for person in found.people)
    assert frozenset({34, 35, 36}) in found.people
    assert found.after > found.before


def test_nobody_is_faster_than_the_configured_travel_time() -> None:
    passages = site(12)
    slow = tuple(
        CameraConfig(id=name, source="0", neighbours={other: [60, 600] for other in CAMERAS if other != name})
        for name in CAMERAS
    )
    found = solved([replace(one, identity=one.tracklet) for one in passages], cameras=slow, truth=passages)
    of = {tracklet: person for person in found.people for tracklet in person}
    assert not any({one.tracklet, one.tracklet + 1} <= of[one.tracklet] for one in passages if one.camera_id == "door")


@pytest.mark.parametrize("count", [0, 1])
def test_hardly_anybody(count: int) -> None:
    passages = site(1)[:count]
    topology = learn_topology(ReturnTimes(), passages, {})
    calibration, _ = learned(Evidence(tuple(site(4))))
    looks: dict[int, PassageLooks] = {}
    found = refine(Assignment(passages, looks, calibration, topology, count), [frozenset({1})] * count, ())
    assert found.people == (frozenset({1}),) * count

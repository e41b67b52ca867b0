"""Solving a finished recording again: better where the online result was wrong, and hard constraints hold."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from reid_tracker.association import CrossCameraAssociator
from reid_tracker.association.calibration import PassageLooks
from reid_tracker.association.evidence import appearance_evidence
from reid_tracker.association.hindsight import learn_topology
from reid_tracker.association.lives import Lives
from reid_tracker.association.refinement import FINISHED, WHILE_RUNNING, Refinement, refine
from reid_tracker.association.remembered import RememberedPassage
from reid_tracker.association.topology import ReturnTimes
from reid_tracker.association.worth import Assignment
from reid_tracker.config import CameraConfig
from reid_tracker.review.evidence import Evidence, learned
from reid_tracker.review.refining import solve_again
from reid_tracker.types import Appearance, TrackedFrame
from tests.association.scenes import DIMENSION, Wardrobe, unit
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
    return refine(assignment, map(frozenset, people.values()), together, FINISHED)


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
    blind = anew(passages, ())
    seeing = anew(passages, story.frames)
    assert len(seeing & truth) > len(blind & truth)
    assert seeing == truth
    hidden = max(next(person for person in truth if len(person) > 1))  # never seen well enough for a look
    unseen = [replace(one, looks=None) if one.tracklet == hidden else one for one in passages]
    assert anew(unseen, story.frames) == truth


def anew(passages: Sequence[RememberedPassage], frames: Sequence[TrackedFrame]) -> set[frozenset[int]]:
    """People from nothing: there is no run whose word would count."""
    assignment, _ = solve_again(passages, (), frames)
    return set(refine(assignment, [frozenset({one.tracklet}) for one in passages], (), WHILE_RUNNING).people)


def test_whoever_looks_different_the_second_time_round_stays_one_person() -> None:
    """Ten people come eight times, and eight times more with their coats open: that is one change, not eight."""
    generator = np.random.default_rng(0)
    passages = []
    for number in range(10):
        body, *coats = (unit(generator.standard_normal(DIMENSION)) for _ in range(3))
        for visit in range(16):
            noise = unit(generator.standard_normal((3, DIMENSION)))
            vectors = unit(np.sqrt(0.75) * body + np.sqrt(0.15) * coats[visit // 8] + np.sqrt(0.1) * noise)
            ones = np.ones(3, np.float32)
            looks = Appearance(vectors.astype(np.float32), np.zeros((3, 0, 0), np.float32), ones, ones > 0)
            begin = 400.0 * visit + 20 * number + 40_000 * (visit // 8)
            tracklet = 1 + 16 * number + visit
            passages.append(RememberedPassage(tracklet, number + 1, CAMERAS[visit % 3], begin, begin + 5, looks))
    assert set(solved(passages).people) == true_people(passages)


def test_a_life_is_what_arrays_say_passage_by_passage() -> None:
    """Each passage beside the mean of those before it, which share half of what sets passages apart."""
    calibration, looks = learned(Evidence(tuple(site(6))))
    spread = calibration.spread_of(DIMENSION)
    life = [1, 2, 3, 5, 8]
    said = Lives(looks, spread).agreement(life)
    for place in range(1, len(life)):
        before, seen = [looks[one] for one in life[:place]], looks[life[place]]
        shares = np.array([1 / (spread.passage / 2 + spread.look / one.weight) for one in before])
        mean = (shares @ np.stack([one.mean for one in before]) / shares.sum()).astype(np.float32)
        precision = 1 / (1 / shares.sum() + spread.passage / 2)
        assert precision < 2 / spread.passage  # never surer than what they share
        variance = np.array([spread.of_passage(seen.weight)])
        expected = appearance_evidence(seen.mean[None], variance, mean[None], np.array([precision]), spread)
        assert said[place - 1] == pytest.approx(float(expected[0, 0]), abs=1e-3)


class Priced(Assignment):
    """Four passages whose pairs are worth what a table says; small steps do not lead from one pairing to the other."""

    def __init__(self, worth: dict[frozenset[int], float]) -> None:
        calibration, _ = learned(Evidence(tuple(site(4))))
        passages = [RememberedPassage(number, number, CAMERAS[0], number, number + 0.5) for number in (1, 2, 3, 4)]
        super().__init__(passages, {}, calibration, ReturnTimes(), 4)
        self._prices = worth

    def worth(self, person: frozenset[int]) -> float:
        return 0.0 if len(person) < 2 else self._prices.get(person, -10.0)

    def neighbours(self) -> dict[int, list[int]]:
        return {one: [other for other in self.passages if other != one] for one in self.passages}


@pytest.mark.parametrize(("better", "taken"), [(3.9, False), (4.1, True)])
def test_what_comes_from_nothing_must_be_clearly_better(better: float, taken: bool) -> None:
    online = [frozenset({1, 2}), frozenset({3, 4})]
    other = [frozenset({1, 3}), frozenset({2, 4})]
    found = refine(Priced(dict.fromkeys(online, 5.0) | dict.fromkeys(other, 5.0 + better)), online, (), FINISHED)
    assert found.people == tuple(other if taken else online)
    assert found.after - found.before == pytest.approx(2 * better if taken else 0.0)


@pytest.mark.parametrize(("worth", "joined"), [(0.4, False), (0.6, True)])
def test_two_people_are_joined_where_that_is_worth_something(worth: float, joined: bool) -> None:
    online = [frozenset({1}), frozenset({2}), frozenset({3}), frozenset({4})]
    found = refine(Priced({frozenset({1, 2}): worth}), online, (), FINISHED)
    assert (frozenset({1, 2}) in found.people) is joined


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


def test_a_passage_without_looks_beside_its_own_person_spoils_nothing() -> None:
    """It was held with the one beside it all the same, and then no partition was better than another."""
    broken = [replace(one, identity=one.tracklet) for one in site(8)]
    person = RememberedPassage(90, 90, "attic", 700, 710, Wardrobe().looks(40, 4))
    beside = RememberedPassage(91, 90, "attic", 705, 712, None)
    _, found = solve_again([*broken, person, beside], (), ())
    _, without = solve_again([*broken, person], (), ())
    assert set(found.people) == {*without.people, frozenset({91})}
    assert found.after - found.before > 10


def test_a_group_that_cannot_be_one_person_is_let_go_of() -> None:
    passages = site(8)
    beside = frozenset({1, 4})  # people 1 and 2 in one camera at one time
    evidence = Evidence(tuple(passages))
    calibration, looks = learned(evidence)
    assignment = Assignment(passages, looks, calibration, learn_topology(ReturnTimes(), passages, {}), 8)
    found = refine(assignment, [frozenset({one.tracklet}) for one in passages], [beside], FINISHED)
    assert frozenset({1, 2, 3}) in found.people
    assert found.after > found.before


@pytest.mark.parametrize("count", [0, 1])
def test_hardly_anybody(count: int) -> None:
    passages = site(1)[:count]
    topology = learn_topology(ReturnTimes(), passages, {})
    calibration, _ = learned(Evidence(tuple(site(4))))
    looks: dict[int, PassageLooks] = {}
    found = refine(Assignment(passages, looks, calibration, topology, count), [frozenset({1})] * count, (), FINISHED)
    assert found.people == (frozenset({1}),) * count

"""Ground that two cameras share: found from people who are in both, refused where there is none, and used."""

from __future__ import annotations

import numpy as np
import pytest

from reid_tracker.association import CrossCameraAssociator
from reid_tracker.association.calibration import Calibration, PassageLooks
from reid_tracker.association.feet import FootPath, together
from reid_tracker.association.homography import GroundMap, Walk, fit_ground_map
from reid_tracker.association.identities import Passage
from reid_tracker.association.overlap import OverlapLearner, SharedView
from tests.association.scenes import Wardrobe
from tests.association.walks import Floor, Viewpoint

FRONT, SIDE = Viewpoint(), Viewpoint(turned=1.2)


def walkers(count: int, seed: int = 1, every: float = 3.0) -> list[tuple[int, float, tuple[float, float], tuple]]:
    """People who cross the floor, each on a way of its own."""
    generator = np.random.default_rng(seed)
    ways = []
    for person in range(1, count + 1):
        angle = generator.uniform(0, 2 * np.pi)
        begin = 6 * np.array([np.cos(angle), np.sin(angle)])
        end = -begin + generator.uniform(-4, 4, 2)
        ways.append((person, every * (person - 1), tuple(begin), tuple(end)))
    return ways


def truth_of(first: Viewpoint, second: Viewpoint, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Foot points and, for the second, body heights of people at places that both see."""
    both = [(first.box(place), second.box(place)) for place in places]
    rows = [(one, other) for one, other in both if one is not None and other is not None]
    feet = [[((box[0] + box[2]) / 2, box[3], box[3] - box[1]) for box in pair] for pair in rows]
    array = np.array(feet)
    return array[:, 0, :2], array[:, 1]


def test_common_ground_is_found_from_people_in_both_views() -> None:
    associator = CrossCameraAssociator()
    Floor({"front": FRONT, "side": SIDE}, walkers(16)).play(associator)
    view = associator.ground.shared["front", "side"]
    first, second = truth_of(FRONT, SIDE, np.random.default_rng(3).uniform(-3, 3, (60, 2)))
    off = np.linalg.norm(view.map(first) - second[:, :2], axis=1) / second[:, 2]
    assert np.median(off) < 0.1
    assert view.map.residual < 0.15
    assert view.offset == pytest.approx(0, abs=0.3)


def test_views_that_share_no_ground_are_left_alone() -> None:
    """People dressed alike are in both at once, in places that have nothing to do with one another."""
    associator = CrossCameraAssociator()
    here = walkers(14, seed=1)
    there = [(person, start, (x + 40, y), (u + 40, v)) for person, start, (x, y), (u, v) in walkers(14, seed=2)]
    Floor({"front": FRONT, "yard": Viewpoint(middle=(40.0, 0.0))}, [*here, *there]).play(associator)
    assert associator.ground.shared == {}


@pytest.mark.slow
def test_clocks_that_differ_are_found_with_the_ground() -> None:
    associator = CrossCameraAssociator()
    late = Viewpoint(turned=1.2, ahead=2.0)
    Floor({"front": FRONT, "side": late}, walkers(24, every=2.0)).play(associator)
    assert associator.ground.shared["front", "side"].offset == pytest.approx(2.0, abs=0.3)


@pytest.mark.slow
def test_where_they_stand_tells_people_dressed_alike_apart() -> None:
    """Twins cross both views at once; which is which only their feet say."""
    twins = [(99, 60.0, (-5.0, 0.5), (5.0, -1.0)), (99, 60.0, (4.0, -3.0), (-4.0, 4.0))]
    floor = Floor({"front": FRONT, "side": SIDE}, [*walkers(16), *twins], Wardrobe(noise=0.3))
    story, owner = floor.play(CrossCameraAssociator())
    of_twins = {walker: {story.final[number] for number in owner if owner[number] == walker} for walker in (16, 17)}
    assert len(of_twins[16]) == len(of_twins[17]) == 1
    assert of_twins[16] != of_twins[17]


@pytest.mark.slow
def test_a_map_follows_a_camera_that_was_turned() -> None:
    associator, turned = CrossCameraAssociator(), Viewpoint(turned=-0.9)
    Floor({"front": FRONT, "side": SIDE}, walkers(10)).play(associator)
    before = associator.ground.shared["front", "side"].map
    later = [(person + 50, *way) for person, *way in walkers(30, seed=4)]
    Floor({"front": FRONT, "side": turned}, later, begins=1000.0, first_number=1000).play(associator)
    after = associator.ground.shared["front", "side"].map
    first, second = truth_of(FRONT, turned, np.random.default_rng(3).uniform(-3, 3, (60, 2)))
    assert np.median(after.errors(Walk(first, second, 1.0))) < 0.15
    assert np.median(before.errors(Walk(first, second, 1.0))) > 1


@pytest.mark.parametrize("wrong", [0, 12])
def test_a_map_comes_through_many_wrong_pairs(wrong: int) -> None:
    generator = np.random.default_rng(wrong)
    walks = []
    for _ in range(12):
        way = generator.uniform(-3, 3, (2, 2))
        first, second = truth_of(FRONT, SIDE, np.linspace(way[0], way[1], 8))
        walks.append(Walk(first, second, 0.9))
    for _ in range(wrong):
        first, _ = truth_of(FRONT, SIDE, np.linspace(*generator.uniform(-3, 3, (2, 2)), 8))
        _, second = truth_of(FRONT, SIDE, np.linspace(*generator.uniform(-3, 3, (2, 2)), 8))
        length = min(len(first), len(second))
        walks.append(Walk(first[:length], second[:length], 0.9))
    found = fit_ground_map(walks)
    assert found is not None
    assert found.people == pytest.approx(12, abs=1)
    assert found.share == pytest.approx(12 / (12 + wrong), abs=0.06)
    first, second = truth_of(FRONT, SIDE, generator.uniform(-2, 2, (40, 2)))
    assert np.median(np.linalg.norm(found(first) - second[:, :2], axis=1) / second[:, 2]) < 0.05


def test_a_map_stays_where_nobody_of_now_stands_in_both_pictures() -> None:
    """Those who proved it are forgotten, and the feet of whoever comes are cut off: that was a division by nought."""
    learner = OverlapLearner(
        {number: FootPath("side" if number % 2 else "front") for number in range(8)}, Calibration()
    )
    proved = SharedView(GroundMap(np.eye(3), 0.1, 4, 0.9, np.zeros((4, 2))), 0.0, 10.0)
    learner.views["front", "side"] = proved
    for person in range(4):
        looks, time = Wardrobe(noise=0.1).looks(person, 1).global_[0], 10.0 * person
        both = [
            Passage(2 * person + place, camera, place, time, time + 4, PassageLooks(camera, looks, 4.0))
            for place, camera in enumerate(("front", "side"))
        ]
        learner.learn(both, time + 4)
    assert learner.views == {("front", "side"): proved}


def test_too_few_people_make_no_map() -> None:
    first, second = truth_of(FRONT, SIDE, np.linspace((-2, -1), (2, 1), 8))
    assert fit_ground_map([Walk(first, second, 1.0)] * 3) is None


def test_a_path_is_read_between_its_points_and_not_across_its_gaps() -> None:
    path = FootPath("a")
    for time, x in ((0.0, 100), (0.5, 110), (4.0, 300)):
        path.add(time, np.array([x - 10, 0, x + 10, 50], np.float32))
    feet, seen = path.at(np.array([0.3, 2.0, 3.9, 9.0]))
    assert seen.tolist() == [True, False, True, False]
    assert feet[0].tolist() == pytest.approx([106, 50, 50])


def test_a_long_path_is_thinned_and_cut_boxes_are_left_out() -> None:
    path = FootPath("a")
    for step in range(1000):
        path.add(0.1 * step, np.array([step, 0, step + 20, 50], np.float32))
    assert len(path.rows) <= 64
    assert path.rows[0, 0] < 5
    assert path.rows[-1, 0] > 90
    path.add(200.0, np.array([900, 0, 999, 50], np.float32), (1000, 500))
    assert path.rows[-1, 0] < 200
    other = FootPath("b")
    other.add(52.03, np.array([0, 0, 20, 50], np.float32))
    mine, theirs = together(path, other)
    assert len(mine) == len(theirs) == 1

"""The associator's parts by themselves: assignment, return times, calibration, evidence, memory, ground."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reid_tracker.association.assignment import assign
from reid_tracker.association.calibration import Calibration, PassageLooks
from reid_tracker.association.evidence import appearance_evidence, combine, summarise
from reid_tracker.association.ground import GroundPlane
from reid_tracker.association.memory import varied
from reid_tracker.association.stripe_scale import AlignedScale
from reid_tracker.association.topology import ReturnTimes
from reid_tracker.config import CameraConfig
from reid_tracker.types import Appearance
from tests.association.scenes import DIMENSION, Wardrobe, unit


@settings(max_examples=50, deadline=None)
@given(tracklets=st.integers(0, 4), identities=st.integers(0, 4), seed=st.integers(0, 10_000))
def test_assignment_is_the_best_of_all(tracklets: int, identities: int, seed: int) -> None:
    log_odds = np.random.default_rng(seed).normal(0, 3, (tracklets, identities))
    log_odds[log_odds < -3] = -np.inf
    chosen = assign(log_odds)
    given_away = [column for column in chosen.tolist() if column >= 0]
    assert len(given_away) == len(set(given_away))
    gain = sum(log_odds[row, column] for row, column in enumerate(chosen) if column >= 0)
    best = 0.0
    for answer in itertools.product(range(-1, identities), repeat=tracklets):
        used = [column for column in answer if column >= 0]
        if len(used) == len(set(used)):
            best = max(best, sum(log_odds[row, column] for row, column in enumerate(answer) if column >= 0))
    assert gain == pytest.approx(best)


def test_nobody_is_forced_upon_a_hopeless_match() -> None:
    assert assign(np.array([[-0.1, -5.0], [-np.inf, -np.inf]])).tolist() == [-1, -1]


def _learned(gap: float, cameras: tuple[CameraConfig, ...] = ()) -> ReturnTimes:
    """A site where everybody who leaves the door is in the hall after ``gap`` seconds."""
    times = ReturnTimes(cameras)
    door, hall = times.index("door"), times.index("hall")
    for number in range(60):
        times.advance(10.0 * number)
        times.observe_returns(np.array([door]), hall, np.array([gap]), np.array([1.0]))
        times.observe_waited(door, gap)
    times.refresh(np.zeros(0, np.intp), np.zeros(0))
    return times


def test_the_usual_travel_time_becomes_the_most_likely_one() -> None:
    times = _learned(10.0)
    gaps = np.array([1.5, 10.0, 100.0])
    rates = times.log_rate(np.zeros(3, np.intp), times.index("hall"), gaps)
    assert rates.argmax() == 1
    assert rates[1] - rates[0] > 2
    assert rates[1] - rates[2] > 2
    assert [times.log_rate_of(0, times.index("hall"), gap) for gap in gaps] == pytest.approx(rates.tolist())


def test_what_one_pair_of_cameras_learned_helps_a_new_pair_less_than_itself() -> None:
    times = _learned(10.0)
    yard = times.index("yard")
    own = times.log_rate(np.array([0]), times.index("hall"), np.array([10.0]))[0]
    other = times.log_rate(np.array([0]), yard, np.array([10.0]))[0]
    assert own > other


def test_waiting_in_vain_lowers_the_rate() -> None:
    times = ReturnTimes()
    times.index("hall")
    before = times.log_rate(np.array([0]), 0, np.array([100.0]))[0]
    times.refresh(np.zeros(500, np.intp), np.full(500, 1000.0))
    assert times.log_rate(np.array([0]), 0, np.array([100.0]))[0] < before - 1


def test_rates_fall_with_the_gap_before_anything_is_known() -> None:
    times = ReturnTimes()
    times.index("door")
    rates = times.log_rate(np.zeros(8, np.intp), 0, 4.0 ** np.arange(8))
    assert (np.diff(rates) < 0).all()


def test_configured_travel_times_hold_against_what_was_learned() -> None:
    cameras = (CameraConfig(id="door", source="0", neighbours={"hall": [5.0, 60.0]}),)
    times = _learned(10.0, cameras)
    rates = times.log_rate(np.zeros(3, np.intp), times.index("hall"), np.array([2.0, 10.0, 90.0]))
    assert rates[0] < -50  # nobody walks that fast
    assert rates[1] > rates[2]


def test_a_life_is_the_sum_of_its_returns() -> None:
    times = _learned(10.0)
    starts, ends = np.array([0.0, 15.0, 40.0]), np.array([5.0, 20.0, 41.0])
    cameras = np.array([0, 1, 0])
    steps = times.log_rate(np.array([0]), 1, np.array([10.0])) + times.log_rate(np.array([1]), 0, np.array([20.0]))
    assert times.chain(cameras, starts, ends) == pytest.approx(float(steps[0]))
    assert times.chain(cameras[:1], starts[:1], ends[:1]) == 0


def _observed(common: float, people: int = 30) -> tuple[Calibration, Wardrobe]:
    """A calibration that saw tracklets of people who were in view in pairs."""
    calibration, wardrobe = Calibration(), Wardrobe(common=common)
    passages = []
    for person in range(people):
        looks = wardrobe.looks(person, 5)
        calibration.observe_passage(looks, "door", ended=True)
        passages.append(PassageLooks("door", looks.global_.mean(axis=0), 5.0))
    for first, second in itertools.pairwise(passages):
        calibration.observe_strangers(first, [second], [(id(first), id(second))])
    return calibration, wardrobe


@pytest.mark.parametrize("common", [0.0, 0.4, 0.8])
def test_calibration_takes_away_what_all_looks_share(common: float) -> None:
    spread = _observed(common)[0].spread_of(DIMENSION)
    assert abs(spread.stranger) < 0.12
    # 0.45 of a look is noise around the person, whatever everybody has in common
    assert spread.look == pytest.approx(0.4, abs=0.12)
    assert spread.person + spread.passage + spread.look == pytest.approx(1 - spread.stranger)
    assert 25 < spread.dimensions < 160


def test_two_people_who_stay_in_view_are_one_pair_of_strangers() -> None:
    """They were counted with every look: a couple dressed alike became what strangers look like on the whole site."""
    wardrobe = Wardrobe()
    looks = [PassageLooks("door", wardrobe.looks(person, 5).global_.mean(axis=0), 5.0) for person in range(20)]
    counts = []
    for repeated in (1, 200):
        calibration = Calibration()
        for _ in range(repeated):
            calibration.observe_strangers(looks[0], [looks[0]], ["a couple dressed alike"])
        for place, (first, second) in enumerate(itertools.pairwise(looks)):
            calibration.observe_strangers(first, [second], [place])
        counts.append(calibration.spread_of(DIMENSION).stranger)
    assert counts[0] == pytest.approx(counts[1], abs=1e-6)


def test_couples_dressed_alike_among_a_few_people_are_no_tail() -> None:
    """A dozen people who came three times made 198 pairs: two couples then stood for how alike strangers are."""
    wardrobe, calibration = Wardrobe(), Calibration()
    people = [PassageLooks("door", wardrobe.looks(person, 5).global_.mean(axis=0), 5.0) for person in range(10)]
    people += people[:2]
    for visit in range(3):
        for first, second in itertools.combinations(range(12), 2):
            calibration.observe_strangers(people[first], [people[second]], [(visit, first, second)])
    calibration.count_people(12)
    few = calibration.spread_of(DIMENSION).dimensions
    calibration.count_people(40)  # as if these were the pairs of so many
    assert calibration.spread_of(DIMENSION).dimensions < 0.5 * few


def test_all_who_are_remembered_show_what_strangers_look_like() -> None:
    """Every passage was compared with the same four of them; here these wear what everybody who comes wears."""
    generator = np.random.default_rng(0)
    people = unit(generator.standard_normal((40, DIMENSION)))
    people[[0, 10, 20, 30]] = uniform = unit(generator.standard_normal(DIMENSION))
    calibration = Calibration()
    for _ in range(100):
        look = unit(uniform + 0.5 * unit(generator.standard_normal(DIMENSION))).astype(np.float32)
        calibration.observe_crowd(PassageLooks("door", look, 5.0), people.astype(np.float32), np.ones(40), np.ones(40))
    assert calibration.spread_of(DIMENSION).stranger < 0.3  # a tenth of the pairs, not all


@pytest.mark.parametrize("common", [0.0, 0.4, 0.8])
def test_evidence_tells_people_apart_at_any_scale(common: float) -> None:
    calibration, wardrobe = _observed(common)
    spread = calibration.spread_of(DIMENSION)
    known = [
        summarise("door", wardrobe.looks(person, 5).global_, np.ones(5, np.float32), np.zeros(DIMENSION, np.float32))
        for person in range(10)
    ]
    seen = summarise("hall", wardrobe.looks(3, 5).global_, np.ones(5, np.float32), np.zeros(DIMENSION, np.float32))
    combined = [combine([passage], spread) for passage in known]
    evidence = appearance_evidence(
        seen.mean[None],
        np.array([spread.of_passage(seen.weight)]),
        np.stack([mean for mean, _ in combined]),
        np.array([precision for _, precision in combined]),
        spread,
    )[0]
    assert evidence.argmax() == 3
    assert evidence[3] > 3
    assert (np.delete(evidence, 3) < 0).all()


def test_poor_looks_say_little() -> None:
    calibration, wardrobe = _observed(0.0)
    spread = calibration.spread_of(DIMENSION)
    mean, precision = combine([PassageLooks("door", wardrobe.looks(1, 5).global_.mean(axis=0), 5.0)], spread)
    look = wardrobe.looks(1, 1).global_[0]
    clear, blurred = (
        appearance_evidence(
            look[None], np.array([spread.of_passage(weight)]), mean[None], np.array([precision]), spread
        ).item()
        for weight in (1.0, 0.1)
    )
    assert 0 < blurred < clear


def test_passages_in_two_cameras_say_more_than_in_one() -> None:
    spread = _observed(0.0)[0].spread_of(DIMENSION)
    look = np.eye(DIMENSION, dtype=np.float32)[0]
    together = combine([PassageLooks("a", look, 3.0), PassageLooks("a", look, 3.0)], spread)[1]
    apart = combine([PassageLooks("a", look, 3.0), PassageLooks("b", look, 3.0)], spread)[1]
    assert combine([PassageLooks("a", look, 3.0)], spread)[1] < together < apart


def test_varied_looks_leave_out_repetitions() -> None:
    directions = np.eye(DIMENSION, dtype=np.float32)
    vectors = directions[[0, 0, 0, 1, 1, 2]]
    quality = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4], np.float32)
    looks = Appearance(vectors, np.zeros((6, 0, 0), np.float32), quality, np.ones(6, np.bool_))
    assert varied(looks, 3).quality.tolist() == pytest.approx([0.9, 0.6, 0.4])
    assert varied(looks, 6) is looks


def test_feet_on_one_spot_are_evidence_and_feet_apart_are_proof() -> None:
    metres = ((0.01, 0.0, 0.0), (0.0, 0.01, 0.0), (0.0, 0.0, 1.0))
    ground = GroundPlane([CameraConfig(id=name, source=name, homography=metres) for name in ("a", "b")])
    here, there = np.array([100, 0, 140, 200], np.float32), np.array([1100, 0, 1140, 200], np.float32)
    for time in (0.0, 0.5, 1.0):
        ground.saw(1, "a", time, here)
        ground.saw(2, "b", time + 0.1, here)
        ground.saw(3, "b", time + 0.1, there)
    ground.saw(4, "b", 50.0, here)
    ground.saw(5, "unknown", 0.0, here)
    assert ground.evidence(1, 2) > 3
    assert ground.evidence(1, 3) < -50
    assert ground.evidence(1, 4) == 0  # never at one moment
    assert ground.evidence(1, 5) == 0  # no homography
    ground.forget([1])
    assert ground.evidence(1, 2) == 0


@pytest.mark.parametrize(
    ("own_share", "says"),
    [
        (0.0, False),  # the aligned distance repeats the global one: counted once, not twice
        (1.0, True),  # it knows something of its own
    ],
)
def test_the_aligned_distance_says_only_what_the_global_one_does_not(own_share: float, says: bool) -> None:
    generator = np.random.default_rng(5)
    right = np.arange(400) % 4 == 0
    looks = np.where(right, 4.0, -4.0) + 2 * generator.standard_normal(400)
    distances = 0.5 - 0.02 * looks - own_share * 0.1 * right + 0.03 * generator.standard_normal(400)
    scale = AlignedScale()
    scale.observe(distances, looks, right.astype(float))
    asked = np.array([0.25, 0.55, np.nan])
    near, far, none = scale.evidence(asked, np.array([2.0, 2.0, 2.0]))
    assert [scale.evidence_of(one, 2.0) for one in asked] == pytest.approx([near, far, none])
    assert none == 0
    assert (near > 1 and far < -1) if says else (abs(near) < 0.75 and abs(far) < 0.75)


def test_many_passages_at_once_are_weighed_as_each_alone() -> None:
    calibration, wardrobe = _observed(0.4)
    spread = calibration.spread_of(DIMENSION)
    known = np.stack([wardrobe.looks(person, 5).global_.mean(axis=0) for person in range(12)])
    asked = np.stack([wardrobe.looks(person, 2).global_.mean(axis=0) for person in range(5)])
    precisions, variances = np.linspace(1, 6, 12), np.linspace(0.2, 0.6, 5)
    together = appearance_evidence(asked, variances, known, precisions, spread, (known**2).sum(axis=1))
    alone = [
        appearance_evidence(asked[row : row + 1], variances[row : row + 1], known, precisions, spread)[0]
        for row in range(5)
    ]
    assert together == pytest.approx(np.stack(alone), abs=1e-3)


def test_people_in_view_of_both_cameras_are_no_quick_returns() -> None:
    """Whoever is seen at one instant in two cameras was in view; somebody gone for half a second was not."""
    times = ReturnTimes()
    door, hall = times.index("door"), times.index("hall")
    times.advance(0.0)
    times.advance(1000.0)
    for _ in range(60):
        times.observe_returns(np.array([door]), hall, np.array([0.5]), np.array([1.0]))
        times.observe_waited(door, 0.5)
        times.observe_waited(door, -10.0)
    both, gone = times.log_rate(np.array([door, door]), hall, np.array([0.0, 0.5]))
    assert both < gone - 3
    assert both == times.log_rate(np.array([door]), hall, np.array([-3.0]))[0]


def test_ways_of_a_camera_that_was_moved_are_unknown_again() -> None:
    """Its own ways begin anew, those of others stay, and travel times that were configured hold no longer."""
    cameras = [CameraConfig(id="a", source="-", neighbours={"b": (5.0, 10.0)}), CameraConfig(id="b", source="-")]
    times = ReturnTimes(cameras)
    a, b, c = (times.index(name) for name in "abc")
    times.advance(0.0)
    times.advance(1000.0)
    for origin in (a, c):
        for _ in range(30):
            times.observe_returns(np.array([origin]), b, np.array([6.0]), np.array([1.0]))
            times.observe_waited(origin, 6.0)
    assert times.log_rate(np.array([a]), b, np.array([1.0]))[0] < -50
    known = times.log_rate(np.array([c]), b, np.array([6.0]))[0]
    times.forget_camera("a")
    times.refresh(np.array([], np.intp), np.array([]))
    assert [(link.origin, link.destination) for link in times.links()] == [("c", "b")]
    assert times.log_rate(np.array([a]), b, np.array([1.0]))[0] > -20
    assert times.log_rate(np.array([a]), b, np.array([6.0]))[0] < known - 0.5
    times.index("d")  # a camera that turns up later finds nothing configured of the one that was moved


def test_cameras_that_turn_up_after_all_configured_ways_are_gone_can_be_moved_too() -> None:
    """What was kept of configured ways no longer grew, so the ninth camera that was moved ended the run."""
    times = ReturnTimes([CameraConfig(id="a", source="-", neighbours={"b": (5.0, 10.0)})])
    for name in "ab":
        times.index(name)
    times.forget_camera("a")
    for number in range(10):
        times.index(f"later {number}")
    times.forget_camera("later 9")
    assert times.log_rate(np.array([0]), 1, np.array([1.0]))[0] > -20


def test_reading_the_ways_decides_nothing() -> None:
    """The live page's map asks for them at any time; what was seen since the waiting was looked at counts in them."""

    def rate(read: bool) -> tuple[float, int]:
        times = ReturnTimes()
        door, hall = times.index("door"), times.index("hall")
        times.advance(100.0)
        times.log_rate(np.array([door]), hall, np.array([5.0]))
        times.observe_returns(np.array([door]), hall, np.array([5.0]), np.array([1.0]))
        links = times.links() if read else []
        return float(times.log_rate(np.array([door]), hall, np.array([5.0]))[0]), len(links)

    assert rate(True) == (rate(False)[0], 1)


def test_years_in_which_no_clock_was_set_are_not_waited_for() -> None:
    """A site that begins in 1970 and is set ten seconds later knows how often people come, and who is in two views."""

    def judged(begin: float) -> tuple[float, float]:
        times, today = ReturnTimes(), 1.79e9
        door, hall = times.index("door"), times.index("hall")
        for now in (begin, begin + 10, today, today + 10):
            times.advance(now)
        times.observe_waited(door, begin - today)  # was in view all the time
        times.refresh(np.array([], np.intp), np.array([]))
        return times.log_new_rate(3), float(times.log_rate(np.array([door]), hall, np.array([-1.0]))[0])

    unset, known = judged(5.0), judged(1.79e9 - 86_400)
    assert unset[0] > known[0]
    assert unset[1] == pytest.approx(known[1], abs=0.5)

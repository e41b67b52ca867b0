"""The benchmarks of association count right, and their made-up sites obey the laws of nature."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.association import all as every_case
from benchmarks.association.ablations import ABLATIONS, shifted
from benchmarks.association.baselines import Alike, average_linkage, nearest_mean
from benchmarks.association.cases import Case, Sightings, owners
from benchmarks.association.contest import (
    AT_END,
    FINAL,
    LINKAGE,
    NEAREST,
    NEW,
    ONLINE,
    PERFECT,
    REFINED,
    Depth,
    compete,
)
from benchmarks.association.material import Album
from benchmarks.association.ours import as_told, associate
from benchmarks.association.replays import market_cut_by_looks
from benchmarks.association.scoring import identified, score
from benchmarks.association.simulator import Moment, Plan, Site, simulate
from benchmarks.association.site import site_case
from benchmarks.association.wardrobe import PICTURES, Wardrobe
from reid_tracker.errors import InputError
from reid_tracker.evaluation.linking import NOBODY
from reid_tracker.evaluation.ranking import Looks
from reid_tracker.training.data import PeopleSet
from reid_tracker.types import EventType, IdentityEvent

_SMALL = Plan(cameras=4, people=8, population=12, seconds=20, rate=2)


def _album(people: int = 16, pictures: int = 5, cameras: int = 3, root: Path = Path("/m")) -> Album:
    """People 1, 2, ... with looks around one of their own, and a few distractors."""
    generator, dimension = np.random.default_rng(0), 32
    persons, seen_in, vectors, paths = [], [], [], []
    for person in range(people + 1):  # 0 is nobody in particular
        own = generator.standard_normal(dimension)
        for camera in range(1, cameras + 1):
            for number in range(pictures):
                look = (own if person else generator.standard_normal(dimension)) + 0.5 * generator.standard_normal(
                    dimension
                )
                persons.append(person)
                seen_in.append(camera)
                vectors.append(look / np.linalg.norm(look))
                frame = 200 * (person // 2) + 40 * camera + number  # two walk past each camera together
                paths.append(root / f"query/{person:04}_c{camera}s1_{frame:06}_00.jpg")
    looks = Looks(np.array(vectors, np.float32), np.zeros((len(vectors), 0, 0), np.float32))
    return Album(PeopleSet("made up", tuple(paths), np.array(persons), np.array(seen_in)), looks, root)


@pytest.fixture(scope="module")
def small_case() -> Case:
    return site_case("small", _SMALL, _album())


plans = st.builds(
    Plan,
    cameras=st.integers(1, 7),
    people=st.integers(1, 10),
    population=st.integers(10, 14),
    seconds=st.just(8.0),
    seed=st.integers(0, 5),
    overlapping=st.floats(0, 1),
    missed=st.floats(0, 0.9),
    ghosts=st.floats(0, 1),
    wrong_clocks=st.floats(0, 1),
    dropouts=st.floats(0, 1),
)


@settings(max_examples=12, deadline=None)
@given(plans)
def test_nobody_is_in_two_cameras_that_see_no_common_ground(plan: Plan) -> None:
    site = Site(plan)
    for moment in simulate(plan):
        cameras_of: dict[int, list[int]] = {}
        for view in moment.views:
            assert len(set(view.keys.tolist())) == len(view.keys)
            for key in view.keys[view.keys >= 0].tolist():
                cameras_of.setdefault(key, []).append(view.camera)
        for cameras in cameras_of.values():
            assert all(site.overlap(a, b) for a in cameras for b in cameras if a < b)


@settings(max_examples=12, deadline=None)
@given(plans)
def test_as_many_are_present_as_planned_and_they_walk_no_faster_than_people(plan: Plan) -> None:
    before: Moment | None = None
    for moment in simulate(plan):
        assert len(set(moment.present.tolist())) == plan.people
        assert set(moment.present.tolist()) <= set(range(plan.population))
        for view in moment.views:
            assert set(view.keys[view.keys >= 0].tolist()) <= set(moment.present.tolist())
            assert len(view.keys) == len(view.boxes) == len(view.detected)
            assert (view.boxes[:, 2:] > view.boxes[:, :2]).all()
        if before is not None:
            stayed = moment.present == before.present
            assert (np.linalg.norm(moment.places - before.places, axis=1)[stayed] < 3.0 / plan.rate).all()
        before = moment


@settings(max_examples=6, deadline=None)
@given(plans)
def test_one_seed_gives_one_result(plan: Plan) -> None:
    for one, other in zip(simulate(plan), simulate(plan), strict=True):
        assert np.array_equal(one.places, other.places)
        for here, there in zip(one.views, other.views, strict=True):
            assert here.clock == there.clock
            assert np.array_equal(here.keys, there.keys)
            assert np.array_equal(here.boxes, there.boxes)
            assert np.array_equal(here.detected, there.detected)


def test_a_camera_that_is_away_says_nothing_and_a_wrong_clock_stays_wrong_by_as_much() -> None:
    plan = Plan(cameras=4, people=8, population=8, seconds=60, dropouts=0.5, wrong_clocks=0.5, clock_error=4.0)
    site = Site(plan)
    away = np.flatnonzero(site.outages[:, 1] > site.outages[:, 0])
    assert len(away) == 2
    assert 0 < np.count_nonzero(site.clock_errors) <= 2
    for moment in simulate(plan):
        for view in moment.views:
            assert view.clock - moment.time == pytest.approx(site.clock_errors[view.camera])
            begin, end = site.outages[view.camera]
            assert not begin <= moment.time < end


def test_a_homography_leads_from_feet_in_the_picture_to_the_place_on_the_ground() -> None:
    site = Site(_SMALL)
    places = site.centres[2] + np.array([[0.0, 0.0], [3.0, -5.0], [-6.0, 4.0]])
    boxes = site.boxes(2, places)
    feet = np.column_stack([(boxes[:, 0] + boxes[:, 2]) / 2, boxes[:, 3], np.ones(3)])
    ground = feet @ site.homography(2).T
    assert ground[:, :2] / ground[:, 2:] == pytest.approx(places)


def test_boxes_of_a_site_add_up(small_case: Case) -> None:
    shown = seen = 0
    for moment in simulate(_SMALL):
        for view in moment.views:
            shown += int((view.keys >= 0).sum())
            seen += int(view.detected.sum())
    real = int((small_case.sightings.people != NOBODY).sum())
    assert len(small_case.sightings) == seen == sum(len(m.tracklets) for s in small_case.steps for m in s.tracks)
    assert real + small_case.missed == shown


def test_every_tracklet_ends_once(small_case: Case) -> None:
    ended = [one.id for step in small_case.steps for moment in step.tracks for one in moment.ended]
    ended += [one.id for one in small_case.ended]
    assert sorted(ended) == sorted({one.id for one in small_case.tracklets()})


def test_no_picture_is_worn_in_two_places_before_it_must_be() -> None:
    album = _album(people=4, pictures=PICTURES, cameras=3)
    wardrobe = Wardrobe(album, people=4)
    rows = np.concatenate([[wardrobe.look(0, place)[0] for _ in range(PICTURES)] for place in range(3)])
    assert len(np.unique(rows, axis=0)) == 3 * PICTURES
    assert wardrobe.uses()["uses of a picture, most"] == 1
    wardrobe.look(0, 3)
    assert wardrobe.uses()["uses of a picture, most"] == 2


def test_a_wardrobe_without_enough_people_says_so() -> None:
    with pytest.raises(InputError, match="5 people, but the album shows only 4"):
        Wardrobe(_album(people=4), people=5)


def test_people_dressed_alike_are_more_alike() -> None:
    def likeness(alike: float) -> float:
        wardrobe = Wardrobe(_album(), people=8, alike=alike)
        return float(wardrobe.look(0, 0)[0] @ wardrobe.look(1, 0)[0])

    assert likeness(1.0) > likeness(0.0) + 0.2


def test_false_and_missed_boxes_count_against_the_score() -> None:
    sightings = Sightings.of([(0, 1, 7), (1, 1, 7), (0, 2, 8), (1, 3, NOBODY)])
    case = Case("counted", [], (), sightings, missed=2)
    # right: 3 of 4 reported and of 3 + 2 true boxes
    assert identified(case, sightings.tracklets) == pytest.approx(2 * 3 / (4 + 5))
    assert identified(case, np.zeros(4, np.int64)) == pytest.approx(2 * 2 / (4 + 5))


def test_a_tracklet_belongs_to_whom_half_of_its_boxes_show() -> None:
    rows = [(0.0, 1, 5), (1.0, 1, 5), (2.0, 1, 6), (0.0, 2, 5), (1.0, 2, 6), (2.0, 2, 7)]
    assert owners(Sightings.of(rows)) == {1: 5, 2: NOBODY}


def test_ids_are_read_as_they_stood_at_the_time_asked() -> None:
    started = IdentityEvent(1, EventType.STARTED, 0.0, "a", 1, (10,))
    other = IdentityEvent(2, EventType.STARTED, 1.0, "a", 2, (11,))
    merged = IdentityEvent(3, EventType.MERGED, 5.0, "a", 1, (11,), (2,))
    told = [(0.0, (started,)), (1.0, (other,)), (5.0, (merged,))]
    sightings = Sightings.of([(0.0, 10, 1), (1.0, 11, 1), (4.0, 11, 1)])
    assert as_told(sightings, sightings.times + 2.0, told).tolist() == [1, 2, 1]


def test_baselines_keep_apart_who_was_in_one_camera_at_once() -> None:
    likeness = np.array([[1, 0.9, 0.8], [0.9, 1, 0.85], [0.8, 0.85, 1]], np.float32)
    apart = np.zeros((3, 3), np.bool_)
    apart[0, 1] = apart[1, 0] = True
    together = Alike(likeness, apart)
    for guess in (nearest_mean(together, 0.5), average_linkage(together)(0.5)):
        assert guess[0] != guess[1]
        assert guess[2] in guess[:2]
    free = Alike(likeness, np.zeros((3, 3), np.bool_))
    assert len(set(nearest_mean(free, 0.5).tolist())) == 1
    assert len(set(average_linkage(free)(0.5).tolist())) == 1
    assert len(set(nearest_mean(free, 0.95).tolist())) == 3


def test_two_tracklets_with_one_look_are_one_cluster_whatever_rounding_does() -> None:
    likeness = np.full((2, 2), 1 + 1e-6, np.float32)
    assert len(set(average_linkage(Alike(likeness, np.zeros((2, 2), np.bool_)))(0.9).tolist())) == 1


def test_a_whole_case_is_judged(small_case: Case) -> None:
    shown: list[str] = []
    depth = Depth(ablations=False, shifts=(1.0,))
    report = compete(small_case, depth, judge=lambda kind, _ids: shown.append(kind))
    assert shown[:2] == [ONLINE, FINAL]
    idf1 = {name: row["idf1"] for name, row in report["methods"].items()}
    assert set(idf1) - {REFINED} == {NEW, NEAREST, LINKAGE, PERFECT, ONLINE, AT_END, FINAL}
    assert idf1[NEW] < idf1[FINAL] <= idf1[PERFECT] < 1  # some boxes are missed
    assert all(idf1[name] <= idf1[PERFECT] for name in idf1)
    assert report["automatic threshold"][FINAL]["lost to hindsight"] >= 0
    assert report["cost"]["state MB"] > 0


@pytest.mark.parametrize("package", ["association", "review"])
def test_a_report_is_of_the_code_that_it_was_made_by(
    package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refined ids are made in reid_tracker.review too; a report of other code there was taken for one of the same."""
    material: Any = SimpleNamespace(judged=SimpleNamespace(key="k"))
    monkeypatch.setattr(f"reid_tracker.{package}.__file__", str(tmp_path / "__init__.py"))
    before = every_case.made_of(material, quick=True, depth=Depth())
    (tmp_path / "more.py").write_text("changed = True")
    assert every_case.made_of(material, quick=True, depth=Depth()) != before


@pytest.mark.parametrize("variant", ABLATIONS, ids=lambda variant: variant.name)
def test_each_ingredient_can_still_be_switched_off(small_case: Case, variant: object) -> None:
    """A part of the associator that was renamed would otherwise be left on, and its share reported as nothing."""
    answer = associate(small_case, variant)  # type: ignore[arg-type]
    assert len(answer.final) == len(small_case.sightings)


def test_a_threshold_that_is_shifted_far_links_nobody(small_case: Case) -> None:
    answer = associate(small_case, shifted(200.0))
    assert score(small_case, answer.final).recall == 0


def test_pictures_are_joined_by_looks_alone_one_to_one_in_a_frame(tmp_path: Path) -> None:
    album = _album(root=tmp_path)
    (tmp_path / "bounding_box_test").mkdir()
    (tmp_path / "query").mkdir()
    for path in album.people.paths:
        path.touch()
    (case,) = market_cut_by_looks(album)
    assert len(case.sightings) == len(album.people)
    assert (case.sightings.people == NOBODY).sum() == (album.people.persons == 0).sum()
    shown: dict[int, set[int]] = {}
    for tracklet, person in zip(case.sightings.tracklets.tolist(), case.sightings.people.tolist(), strict=True):
        shown.setdefault(tracklet, set()).add(person)
    one_person = sum(len(people) == 1 for people in shown.values())
    assert one_person > 0.8 * len(shown)  # those who walk together are kept apart
    assert len(shown) < 0.6 * len(album.people)  # and their pictures joined
    assert case.facts["tracklets of several people"] == len(shown) - one_person

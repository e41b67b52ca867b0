"""The tracker on hand-made scenes."""

from __future__ import annotations

import pickle
from collections.abc import Sequence

import numpy as np
import pytest

from reid_tracker.errors import InputError
from reid_tracker.ids import IdAllocator
from reid_tracker.tracking import PersonTracker
from reid_tracker.types import Appearance, Detections, TrackletState
from tests.tracking.scenes import (
    LEVELS,
    SIZE,
    Walker,
    appearance,
    frame_at,
    ids_by_person,
    look,
    new_tracker,
    observe,
    play,
)

CROSSING = (Walker(0, (100, 200), (80, 0)), Walker(1, (500, 210), (-80, 0)))


def at_rate(rate: float, seconds: float) -> np.ndarray:
    return np.arange(round(rate * seconds)) / rate


def looks_taken(tracker: PersonTracker, walkers: Sequence[Walker], times: np.ndarray) -> list[tuple[float, np.ndarray]]:
    """Time and looks asked for of each frame; the tracker gets what it asked for."""
    taken = []
    for index, time in enumerate(times.tolist()):
        frame = frame_at(index, time)
        found, looks = observe(walkers, time)
        wanted = tracker.wanted(frame, found)
        taken.append((time, wanted))
        tracker(frame, found, appearance(looks.global_, looks.valid & wanted))
    return taken


@pytest.mark.parametrize("rate", [5, 15, 30])
def test_people_who_cross_keep_their_ids_at_any_rate(rate: float) -> None:
    results = play(new_tracker(), CROSSING, at_rate(rate, 5))
    carried = ids_by_person(results, CROSSING)
    assert sorted(carried[0] + carried[1]) == [1, 2]


@pytest.mark.parametrize("rate", [5, 15, 30])
def test_crossing_by_motion_alone(rate: float) -> None:
    """No appearance at all, e.g. detections from a file and no embedder."""
    tracker = new_tracker()
    results = []
    for index, time in enumerate(at_rate(rate, 5)):
        found, _ = observe(CROSSING, float(time))
        results.append(tracker(frame_at(index, float(time)), found, Appearance.empty(len(found))))
    carried = ids_by_person(results, CROSSING)
    assert sorted(carried[0] + carried[1]) == [1, 2]


def overtaking(seed: int) -> list[Detections]:
    """One walks past another who is slower; while they are close the detector draws one box around both."""
    noise = np.random.default_rng(seed)
    fast, slow = Walker(0, (100, 200), (60, 0)), Walker(1, (200, 204), (20, 0))
    frames = []
    for time in at_rate(10, 5).tolist():
        boxes = np.array([fast.box(time), slow.box(time)])
        if abs(boxes[0, 0] - boxes[1, 0]) < 45:
            boxes = np.concatenate([boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)])[None]
        boxes = boxes + noise.normal(0, 3, boxes.shape)
        frames.append(Detections(boxes.astype(np.float32), np.full(len(boxes), 0.9, np.float32)))
    return frames


def overtaken(frames: Sequence[Detections], **settings: float) -> bool:
    """Who was on the left when both were first believed is on the right at the end."""
    tracker = new_tracker(**settings)
    results = [
        tracker(frame_at(index, index / 10), found, Appearance.empty(len(found))) for index, found in enumerate(frames)
    ]
    orders = [
        [tracklet.id for tracklet in sorted(result.tracklets, key=lambda tracklet: float(tracklet.boxes[-1, 0]))]
        for result in (results[5], results[-1])
    ]
    return len(orders[0]) == 2 and orders[0] == orders[1][::-1]


def test_a_box_around_two_people_disturbs_their_motion_less_when_it_is_known_for_one() -> None:
    """They used to count like any other box and pulled both along, so that who walked past took the other's place."""
    scenes = [overtaking(seed) for seed in range(10)]
    exact = {"position_noise": 0.05, "size_noise": 0.08}  # boxes that are believed, so that it shows who disturbs
    kept = sum(overtaken(frames, rival_weight=1.0, **exact) for frames in scenes)
    assert kept > sum(overtaken(frames, rival_weight=0.0, **exact) for frames in scenes)


@pytest.mark.parametrize("rate", [5, 15, 30])
def test_somebody_covered_for_a_second_is_found_again(rate: float) -> None:
    hidden = Walker(3, (100, 200), (60, 0), seen=lambda time: not 2 <= time < 3)
    results = play(new_tracker(), [hidden], at_rate(rate, 5))
    assert ids_by_person(results, [hidden])[3] == [1]
    assert [result.lost[0].id for result in results if result.lost] == [1] * rate


@pytest.mark.parametrize("rate", [5, 15, 30])
def test_lifetime_in_seconds_does_not_depend_on_the_rate(rate: float) -> None:
    """Unseen for exactly the limit it lives, beyond it is over; the end is told once."""
    tracker = new_tracker(max_lost_seconds=2.0)
    gone = Walker(0, (300, 200), (0, 0), seen=lambda time: time <= 1 + 1e-9)
    results = play(tracker, [gone], at_rate(rate, 5))
    ends = [(result.time, result.ended[0].updated) for result in results if result.ended]
    assert len(ends) == 1
    assert ends[0][0] == pytest.approx(3 + 1 / rate)
    assert ends[0][1] == pytest.approx(1.0)


@pytest.mark.parametrize(("away", "same"), [(1.9, True), (2.0, True), (2.1, False)])
def test_return_at_the_limit_is_the_same_and_after_it_somebody_new(away: float, same: bool) -> None:
    """An expired track once came back to life with its old id."""
    tracker = new_tracker(max_lost_seconds=2.0)
    person = Walker(0, (300, 200), (0, 0))
    before = play(tracker, [person], [0.0, 0.1, 0.2])
    after = play(tracker, [person], [0.2 + away, 0.3 + away, 0.4 + away])
    old, new = before[-1].tracklets[0].id, after[-1].tracklets[0].id
    assert (old == new) is same
    assert [tracklet.id for result in after for tracklet in result.ended] == ([] if same else [old])
    assert {tracklet.id for tracklet in tracker.finish()} == {new}


def test_empty_frames_age_tracks() -> None:
    """No detections is time passing, too."""
    tracker = new_tracker(max_lost_seconds=1.0)
    play(tracker, CROSSING, at_rate(10, 1))
    results = play(tracker, [], 1 + at_rate(10, 100))
    assert sorted(tracklet.id for result in results for tracklet in result.ended) == [1, 2]
    assert tracker.finish() == ()


def test_two_trackers_interleaved_are_like_two_alone() -> None:
    """Class-level counters once gave two cameras one another's ids; one is created late on purpose."""
    times = at_rate(10, 4)
    alone = play(new_tracker(), CROSSING, times)
    ids = IdAllocator()
    first = new_tracker("hall", ids)
    hall, door = [], []
    for index, time in enumerate(times):
        hall += play(first, CROSSING, [time])
        if index == 5:
            second = new_tracker("door", ids)
        if index >= 5:
            door += play(second, CROSSING, [time])
    numbers = {t.id for result in hall for t in result.tracklets}, {t.id for result in door for t in result.tracklets}
    assert numbers[0].isdisjoint(numbers[1])
    assert [[t.box.tolist() for t in result.tracklets] for result in hall] == [
        [t.box.tolist() for t in result.tracklets] for result in alone
    ]


def test_same_frames_give_the_same_tracks() -> None:
    def run() -> list[list[tuple[int, list[float]]]]:
        results = play(new_tracker(), CROSSING, at_rate(15, 4))
        return [[(t.id, t.box.tolist()) for t in result.tracklets] for result in results]

    assert run() == run()


# score of a lone detection -> does it begin a track, does it continue one
SCORES = [
    (LEVELS[1], True, True),  # equal to the confident level: in, not in a gap between two sets
    (np.nextafter(np.float32(LEVELS[1]), np.float32(0)), False, True),
    (LEVELS[0], False, True),  # equal to the weak level
    (np.nextafter(np.float32(LEVELS[0]), np.float32(0)), False, False),
]


@pytest.mark.parametrize(("score", "begins", "continues"), SCORES)
def test_score_equal_to_a_level_counts(score: float, begins: bool, continues: bool) -> None:
    levels = tuple(float(np.float32(level)) for level in LEVELS)
    alone = new_tracker()
    alone._weak_score, alone._confident_score = levels
    faint = Walker(0, (300, 200), (0, 0), score=float(np.float32(score)))
    assert bool(play(alone, [faint], at_rate(10, 1))[-1].tracklets) is begins

    helped = new_tracker()
    helped._weak_score, helped._confident_score = levels
    play(helped, [Walker(0, (300, 200), (0, 0))], at_rate(10, 1))
    assert bool(play(helped, [faint], 1 + at_rate(10, 1))[0].tracklets) is continues


def test_people_left_of_and_above_the_picture_are_tracked() -> None:
    """Negative coordinates are legal: a sum of corners below zero once meant 'no box'."""
    half_out = Walker(0, (5, 20), (1, 0))
    results = play(new_tracker(), [half_out], at_rate(10, 2))
    assert results[-1].tracklets[0].box[0] < 0
    assert ids_by_person(results, [half_out])[0] == [1]


def test_somebody_who_walked_out_is_soon_over_and_one_hidden_inside_is_not() -> None:
    tracker = new_tracker()
    leaving = Walker(0, (500, 200), (150, 0), seen=lambda time: time < 0.95)
    hidden = Walker(1, (200, 300), (0, 0), seen=lambda time: time < 0.95)
    results = play(tracker, [leaving, hidden], at_rate(10, 2.5))
    assert [tracklet.boxes[-1][0] > 550 for result in results for tracklet in result.ended] == [True]
    assert [tracklet.boxes[-1][0] < 250 for tracklet in results[-1].lost] == [True]


def test_one_glimpse_is_nobody() -> None:
    glimpse = Walker(0, (300, 200), (0, 0), seen=lambda time: time < 0.05)
    results = play(new_tracker(), [glimpse], at_rate(10, 3))
    assert not any(result.tracklets or result.lost or result.ended for result in results)


def test_confirmation_needs_its_seconds() -> None:
    tracker = new_tracker(confirm_seconds=0.5)
    results = play(tracker, [Walker(0, (300, 200), (0, 0))], at_rate(10, 1))
    assert [bool(result.tracklets) for result in results] == [False] * 5 + [True] * 5


def test_detection_inside_a_tracked_person_starts_nobody() -> None:
    """Detectors give a second, smaller box of the same person."""
    tracker = new_tracker()
    for index, time in enumerate(at_rate(10, 2)):
        boxes = np.array([[280, 100, 340, 250], [285, 105, 335, 180]], np.float32)
        found = Detections(boxes, np.array([0.9, 0.6], np.float32))
        result = tracker(frame_at(index, float(time)), found, Appearance.empty(2))
    assert [tracklet.id for tracklet in result.tracklets] == [1]


def test_who_is_dropped_begins_anew_without_the_looks_of_before() -> None:
    tracker = new_tracker()
    play(tracker, CROSSING, at_rate(10, 1))
    tracker.drop({1})
    after = play(tracker, CROSSING, 1 + at_rate(10, 1))
    assert not any(1 in {each.id for each in (*moment.tracklets, *moment.lost, *moment.ended)} for moment in after)
    assert [each.id for each in after[-1].tracklets] == [2, 3]
    assert after[-1].tracklets[1].look_times.min() >= 1


def test_long_gap_between_frames_ends_everybody() -> None:
    tracker = new_tracker()
    person = Walker(0, (300, 200), (0, 0))
    play(tracker, [person], at_rate(10, 1))
    result = play(tracker, [person], [86_400.0])[0]
    assert [tracklet.id for tracklet in result.ended] == [1]
    assert result.tracklets == ()


def test_one_frame_a_second_is_enough_to_follow_somebody_slow() -> None:
    slow = Walker(0, (300, 200), (5, 0))
    results = play(new_tracker(), [slow], at_rate(1, 20))
    assert ids_by_person(results, [slow])[0] == [1]


def test_wanted_changes_nothing() -> None:
    """Asking twice, or not at all, gives the same answer and the same tracks."""
    asked, plain = new_tracker(), new_tracker()
    for index, time in enumerate(at_rate(10, 4)):
        frame = frame_at(index, float(time))
        found, looks = observe(CROSSING, float(time))
        first, second = asked.wanted(frame, found), asked.wanted(frame, found)
        np.testing.assert_array_equal(first, second)
        one, other = asked(frame, found, looks), plain(frame, found, looks)
        assert [t.box.tolist() for t in one.tracklets] == [t.box.tolist() for t in other.tracklets]


@pytest.mark.parametrize("rate", [5, 10, 30])
def test_lone_walker_is_looked_at_at_growing_intervals_of_seconds(rate: float) -> None:
    """At once, after half the time in view again, and from then on once in ``refresh_seconds``, at any rate."""
    tracker = new_tracker(refresh_seconds=1.0, refresh_share=0.5)
    lone = Walker(0, (50, 400), (10, 0))
    taken = [time for time, wanted in looks_taken(tracker, [lone], at_rate(rate, 10)) if wanted[0]]
    assert sum(time < 2 for time in taken) >= 4
    steady = np.diff([time for time in taken if time >= 3])
    assert (np.abs(steady - 1) <= 1 / rate + 1e-6).all()
    assert len(steady) >= 5


def test_people_whose_places_do_not_tell_them_apart_are_looked_at() -> None:
    """They meet in the middle, at 2.5 s, the second ten pixels lower than the first."""
    taken = dict(looks_taken(new_tracker(), CROSSING, at_rate(10, 5)))
    assert taken[2.5].all()


def test_somebody_found_again_is_looked_at() -> None:
    tracker = new_tracker()
    hidden = Walker(0, (100, 200), (20, 0), seen=lambda time: not 3 <= time < 4)
    taken = looks_taken(tracker, [hidden], at_rate(10, 6))
    assert [bool(wanted[0]) for time, wanted in taken if time == 4.0] == [True]


def test_look_waits_for_the_end_of_a_cover() -> None:
    """Somebody who is plain to follow but mostly covered stays due: such a look would not be remembered."""
    tracker = new_tracker(plain_margin=0.1)
    behind = Walker(0, (300, 200), (0, 0))
    front = Walker(1, (318, 204), (0, 0), seen=lambda time: 2 <= time < 5)
    taken = looks_taken(tracker, [behind, front], at_rate(10, 6))
    covered = [bool(wanted[0]) for time, wanted in taken if 3 <= time < 5]
    uncovered = [bool(wanted[0]) for time, wanted in taken if time >= 5]
    assert not any(covered)
    assert uncovered[0]


def test_covered_crops_are_not_remembered() -> None:
    """The front person's look must not become the look of the one behind."""
    tracker = new_tracker()
    behind, front = Walker(0, (300, 200), (0, 0)), Walker(1, (310, 215), (0, 0))
    play(tracker, [behind], at_rate(10, 1))
    results = play(tracker, [behind, front], 1 + at_rate(10, 2))
    looks = {t.id: t.looks.global_ for t in results[-1].tracklets}
    np.testing.assert_array_equal(looks[1], look(0)[None])
    assert max(results[-1].tracklets[0].look_times) < 1


def test_callers_arrays_stay_as_they_were() -> None:
    tracker = new_tracker()
    for index, time in enumerate(at_rate(10, 1)):
        found, looks = observe(CROSSING, float(time))
        copies = [array.copy() for array in (found.boxes, found.scores, looks.global_, looks.quality, looks.valid)]
        tracker(frame_at(index, float(time)), found, looks)
        for array, copied in zip(
            (found.boxes, found.scores, looks.global_, looks.quality, looks.valid), copies, strict=True
        ):
            np.testing.assert_array_equal(array, copied)


def test_tracklets_that_were_handed_on_do_not_change() -> None:
    tracker = new_tracker(history_length=4)
    person = Walker(0, (100, 200), (50, 0))
    results = play(tracker, [person], at_rate(10, 1))
    kept = results[4].tracklets[0]
    boxes, times = kept.boxes.copy(), kept.times.copy()
    play(tracker, [person], 1 + at_rate(10, 3))
    np.testing.assert_array_equal(kept.boxes, boxes)
    np.testing.assert_array_equal(kept.times, times)


def test_history_is_bounded_and_ends_with_the_present() -> None:
    tracker = new_tracker(history_length=8)
    results = play(tracker, [Walker(0, (100, 200), (50, 0))], at_rate(10, 6))
    newest = results[-1].tracklets[0]
    assert len(newest.boxes) == len(newest.times) == 8
    np.testing.assert_allclose(newest.times, results[-1].time - np.arange(7, -1, -1) / 10)


def clutter(tracker: PersonTracker, frames: range) -> int:
    """Boxes and looks at random; the tracker's size in bytes after it."""
    rng = np.random.default_rng(frames.start)
    for index in frames:
        corners = rng.uniform(0, 400, (6, 2))
        boxes = np.hstack([corners, corners + rng.uniform(20, 80, (6, 2))]).astype(np.float32)
        found = Detections(boxes, rng.uniform(0.2, 1, 6).astype(np.float32))
        vectors = rng.normal(size=(6, 16)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        tracker(frame_at(index, index / 10), found, appearance(vectors))
    return len(pickle.dumps(tracker))


@pytest.mark.slow
def test_ten_thousand_frames_of_clutter_keep_memory_bounded() -> None:
    tracker = new_tracker(max_lost_seconds=1.0)
    early = clutter(tracker, range(500))
    late = clutter(tracker, range(500, 10_000))
    assert late < 2 * early


def test_finish_returns_the_believed_and_empties_the_tracker() -> None:
    tracker = new_tracker()
    play(tracker, CROSSING, at_rate(10, 1))
    ended = tracker.finish()
    assert [(tracklet.id, tracklet.state) for tracklet in ended] == [(1, TrackletState.ENDED), (2, TrackletState.ENDED)]
    assert tracker.finish() == ()


def test_result_tells_the_frame() -> None:
    result = play(new_tracker(), CROSSING, [7.5])[0]
    assert (result.camera_id, result.index, result.time, result.size) == ("hall", 0, 7.5, SIZE)


def test_wrong_camera_order_or_rows_are_refused() -> None:
    tracker = new_tracker("hall")
    found, looks = observe(CROSSING, 1.0)
    with pytest.raises(InputError, match=r"'hall'.*'door'"):
        tracker(frame_at(0, 1.0, "door"), found, looks)
    tracker(frame_at(0, 1.0), found, looks)
    with pytest.raises(InputError, match="order of time"):
        tracker(frame_at(1, 0.5), found, looks)
    with pytest.raises(InputError, match="got 1 for 2"):
        tracker(frame_at(1, 1.5), found, Appearance.empty(1))
    with pytest.raises(InputError, match="finite"):
        Detections(np.array([[0, 0, np.nan, 5]], np.float32), np.ones(1, np.float32))

"""The protocol of Market-1501: a case worked by hand, a slow reference, and what is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from reid_tracker.errors import InputError
from reid_tracker.evaluation.reid import Labels, ReidScores, mean_of, score_blocks, score_distances, score_ways


def labels(persons, cameras, junk=None) -> Labels:
    marks = np.zeros(len(persons), dtype=np.bool_) if junk is None else np.array(junk, dtype=np.bool_)
    return Labels(np.array(persons), np.array(cameras), marks)


def test_a_case_worked_by_hand():
    # Ranked: same camera (left out), wrong, right, junk (left out), distractor, right.
    gallery = labels([1, 2, 1, -1, 0, 1], [1, 2, 2, 3, 2, 3], [0, 0, 0, 1, 0, 0])
    found = score_distances(np.arange(6, dtype=np.float32)[None], labels([1], [1]), gallery, ranks=5)
    # What counts is: wrong, right, distractor, right.
    assert found.cmc.tolist() == [0, 1, 1, 1, 1]
    assert found.mean_ap == pytest.approx((1 / 2 + 2 / 4) / 2)
    assert found.mean_inp == pytest.approx(2 / 4)
    assert (found.queries, found.skipped) == (1, 0)


def test_same_person_in_the_same_camera_under_another_id_counts_as_wrong():
    gallery = labels([2, 1], [1, 2])
    assert score_distances(np.array([[0.1, 0.2]], np.float32), labels([1], [1]), gallery).rank(1) == 0


def test_query_without_a_right_picture_is_skipped_and_counted():
    gallery = labels([1, 3, 3], [1, 1, 2])  # person 1 only in the query's own camera
    distances = np.array([[0.0, 1.0, 2.0], [1.0, 2.0, 0.0]], dtype=np.float32)
    found = score_distances(distances, labels([1, 3], [1, 1]), gallery)
    assert (found.queries, found.skipped) == (1, 1)
    assert found.rank(1) == 1


def test_a_distractor_that_asks_is_skipped_for_two_of_them_are_not_one_person():
    gallery = labels([0, 3, 3], [2, 1, 2])
    found = score_distances(np.zeros((2, 3), np.float32), labels([0, 3], [1, 1]), gallery)
    assert (found.queries, found.skipped) == (1, 1)


def test_nothing_to_score_is_an_error_and_not_a_division_by_zero():
    with pytest.raises(InputError, match="nothing to score"):
        score_distances(np.zeros((1, 1), np.float32), labels([1], [1]), labels([1], [1]))


def test_not_a_number_and_wrong_shape_are_refused():
    with pytest.raises(InputError, match="not a number"):
        score_distances(np.array([[np.nan]], np.float32), labels([1], [1]), labels([1], [2]))
    with pytest.raises(InputError, match="expected"):
        score_distances(np.zeros((1, 3), np.float32), labels([1], [1]), labels([1], [2]))
    with pytest.raises(InputError, match="as many"):
        labels([1, 2], [1])


def slow_reference(distances, queries: Labels, gallery: Labels) -> ReidScores:
    """One query, one picture at a time, as the definition reads."""
    firsts, precisions, penalties, skipped = [], [], [], 0
    for q in range(len(queries.persons)):
        ranked = []
        for g in sorted(range(len(gallery.persons)), key=lambda g: distances[q, g]):
            same = gallery.persons[g] == queries.persons[q]
            if not gallery.junk[g] and not (same and gallery.cameras[g] == queries.cameras[q]):
                ranked.append(bool(same))
        if queries.junk[q] or queries.persons[q] == 0 or not any(ranked):
            skipped += 1
            continue
        right, total = 0, 0.0
        for place, same in enumerate(ranked, start=1):
            if same:
                right += 1
                total += right / place
                last = place
        firsts.append(ranked.index(True))
        precisions.append(total / right)
        penalties.append(right / last)
    cmc = np.array([np.mean([first < k for first in firsts]) for k in range(1, 51)])
    return ReidScores(cmc, float(np.mean(precisions)), float(np.mean(penalties)), len(firsts), skipped)


@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_a_slow_reference(seed):
    rng = np.random.default_rng(seed)
    queries = labels(rng.integers(1, 12, 300), rng.integers(1, 4, 300), rng.random(300) < 0.05)
    gallery = labels(rng.integers(-1, 14, 90), rng.integers(1, 4, 90), rng.random(90) < 0.1)
    distances = rng.random((300, 90)).astype(np.float32)  # more queries than one block holds
    fast, slow = score_distances(distances, queries, gallery), slow_reference(distances, queries, gallery)
    np.testing.assert_allclose(fast.cmc, slow.cmc)
    assert fast.mean_ap == pytest.approx(slow.mean_ap)
    assert fast.mean_inp == pytest.approx(slow.mean_inp)
    assert (fast.queries, fast.skipped) == (slow.queries, slow.skipped)


def test_distances_may_come_block_by_block():
    rng = np.random.default_rng(5)
    queries, gallery = labels(np.arange(1, 601) % 20, np.ones(600, int)), labels(np.arange(40) % 20, np.full(40, 2))
    distances = rng.random((600, 40)).astype(np.float32)
    asked = []

    def block(rows: slice):
        asked.append(rows)
        return distances[rows]

    assert score_blocks(block, queries, gallery).mean_ap == score_distances(distances, queries, gallery).mean_ap
    assert len(asked) > 1


@given(st.data())
def test_agrees_with_a_slow_reference_on_any_small_case(data):
    count, size = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 12))

    def drawn(length: int) -> Labels:
        few = st.lists(st.integers(-1, 3), min_size=length, max_size=length)
        marks = st.lists(st.booleans(), min_size=length, max_size=length)
        return labels(data.draw(few), data.draw(few), data.draw(marks))

    queries, gallery = drawn(count), drawn(size)
    # Coarse, so that ties are common: the order of the gallery decides them, in both.
    levels = data.draw(arrays.arrays(np.int8, (count, size), elements=st.integers(0, 4)))
    distances = levels.astype(np.float32)
    try:
        fast = score_distances(distances, queries, gallery)
    except InputError:
        right = [
            not queries.junk[q]
            and queries.persons[q] != 0
            and not gallery.junk[g]
            and gallery.persons[g] == queries.persons[q]
            and gallery.cameras[g] != queries.cameras[q]
            for q in range(count)
            for g in range(size)
        ]
        assert not any(right)
        return
    slow = slow_reference(distances, queries, gallery)
    np.testing.assert_allclose(fast.cmc, slow.cmc)
    assert fast.mean_ap == pytest.approx(slow.mean_ap)
    assert fast.mean_inp == pytest.approx(slow.mean_inp)
    assert (fast.queries, fast.skipped) == (slow.queries, slow.skipped)
    assert 0 < fast.mean_inp <= 1
    assert (np.diff(fast.cmc) >= 0).all()


def test_several_ways_are_scored_as_each_alone():
    rng = np.random.default_rng(7)
    queries, gallery = labels(np.arange(300) % 9, np.ones(300, int)), labels(np.arange(50) % 9, np.full(50, 2))
    first, second = rng.random((2, 300, 50)).astype(np.float32)
    both = score_ways(lambda rows: {"first": first[rows], "second": second[rows]}, queries, gallery)
    assert both["first"].mean_ap == score_distances(first, queries, gallery).mean_ap
    assert both["second"].mean_ap == score_distances(second, queries, gallery).mean_ap


def test_mean_of_trials():
    gallery = labels([1, 2], [2, 2])
    good = score_distances(np.array([[0.0, 1.0]], np.float32), labels([1], [1]), gallery)
    bad = score_distances(np.array([[1.0, 0.0]], np.float32), labels([1], [1]), gallery)
    mean = mean_of([good, bad])
    assert mean.cmc[:2].tolist() == [0.5, 1]
    assert mean.mean_ap == pytest.approx(0.75)
    assert mean.queries == 2

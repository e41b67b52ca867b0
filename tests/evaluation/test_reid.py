"""The protocol of Market-1501: a case worked by hand, a slow reference, and what is refused."""

import numpy as np
import pytest

from reid_tracker.errors import InputError
from reid_tracker.evaluation.reid import Labels, ReidScores, score_blocks, score_distances


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
        if queries.junk[q] or not any(ranked):
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

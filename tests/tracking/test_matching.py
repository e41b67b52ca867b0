"""Assignment with a limit, overlaps of grown boxes, and the memory of looks."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reid_tracker.boxes import overlap
from reid_tracker.tracking.matching import assign, centre_distance, grown_overlap, height_ratio, share_inside
from reid_tracker.tracking.memory import AppearanceScale, LookMemory, look_distances
from tests.tracking.scenes import appearance, look


def cheapest(cost: np.ndarray, allowed: np.ndarray, limit: float) -> float:
    """Least total over all ways of pairing, where a pair saves ``limit`` and a forbidden one is not made."""
    rows, columns = cost.shape
    saving = np.where(allowed & (cost <= limit), cost - limit, 0.0)
    if rows > columns:
        saving, rows, columns = saving.T, columns, rows
    return min(sum(saving[i, order[i]] for i in range(rows)) for order in permutations(range(columns), rows))


@given(data=st.data(), rows=st.integers(1, 4), columns=st.integers(1, 4))
def test_assignment_is_the_cheapest_and_keeps_the_limit(data: st.DataObject, rows: int, columns: int) -> None:
    numbers = st.floats(-1, 2, width=16)
    cost = np.array(data.draw(st.lists(numbers, min_size=rows * columns, max_size=rows * columns))).reshape(
        rows, columns
    )
    allowed = np.array(data.draw(st.lists(st.booleans(), min_size=rows * columns, max_size=rows * columns))).reshape(
        rows, columns
    )
    pairs = assign(cost, allowed, 1.0)
    assert len(set(pairs[:, 0])) == len(pairs) == len(set(pairs[:, 1]))
    assert all(allowed[row, column] and cost[row, column] <= 1.0 for row, column in pairs)
    total = sum(cost[row, column] - 1.0 for row, column in pairs)
    assert total == pytest.approx(cheapest(cost, allowed, 1.0), abs=1e-6)


def test_hopeless_pair_does_not_displace_a_good_one() -> None:
    """Solving on all pairs and rejecting afterwards gives (0, 1), (1, 0) here, of which one is hopeless."""
    cost = np.array([[0.1, 0.2], [0.15, 5.0]])
    pairs = assign(cost, np.ones((2, 2), np.bool_), 1.0)
    assert pairs.tolist() == [[0, 1], [1, 0]]
    cost = np.array([[0.1, 0.9], [0.9, 5.0]])
    assert assign(cost, np.ones((2, 2), np.bool_), 0.5).tolist() == [[0, 0]]


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0)])
def test_assignment_of_nothing_is_nothing(shape: tuple[int, int]) -> None:
    assert assign(np.zeros(shape), np.ones(shape, np.bool_), 1.0).shape == (0, 2)


def test_grown_overlap_without_growth_is_plain_overlap() -> None:
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 100, (6, 2))
    boxes = np.hstack([corners, corners + rng.uniform(5, 60, (6, 2))]).astype(np.float32)
    np.testing.assert_allclose(grown_overlap(boxes[:2], boxes[2:], 0.0), overlap(boxes[:2], boxes[2:]), atol=1e-6)


def test_grown_boxes_meet_that_did_not_touch() -> None:
    left, right = np.array([[0, 0, 10, 20]], np.float32), np.array([[12, 0, 22, 20]], np.float32)
    assert grown_overlap(left, right, 0.0)[0, 0] == 0
    # grown by 0.2: [-2, -4, 12, 24] and [10, -4, 24, 24]: 2 x 28 shared of 14 x 28 each
    assert grown_overlap(left, right, 0.2)[0, 0] == pytest.approx(2 / 26)
    assert grown_overlap(left, right, np.array([0.2]))[0, 0] == pytest.approx(2 / 26)


def test_pairwise_measures_on_paper() -> None:
    tracks = np.array([[0, 0, 10, 20]], np.float32)
    detections = np.array([[5, 0, 15, 40], [0, 0, 10, 20]], np.float32)
    np.testing.assert_allclose(share_inside(tracks, detections), [[0.5, 1.0]])
    np.testing.assert_allclose(height_ratio(tracks, detections), [[0.5, 1.0]])
    np.testing.assert_allclose(centre_distance(tracks, detections), [[np.hypot(5, 10), 0.0]], rtol=1e-6)


def graded(vector: np.ndarray, quality: float) -> object:
    one = appearance(vector[None])
    return type(one)(one.global_, one.stripes, np.array([quality], np.float32), one.valid)


def test_memory_is_bounded_and_keeps_variety() -> None:
    memory = LookMemory(capacity=3, variety=0.1)
    box = np.array([0, 0, 1, 1], np.float32)
    for number in (0, 1, 0, 0, 1, 2, 0):
        memory.add(appearance(look(number)[None]), float(number), box)
    assert len(memory) == 3
    assert sorted(memory.looks.global_.argmax(axis=1).tolist()) == [0, 1, 2]


def test_memory_prefers_the_better_of_two_like_looks() -> None:
    memory = LookMemory(capacity=3, variety=0.1)
    box = np.array([0, 0, 1, 1], np.float32)
    memory.add(graded(look(0), 0.5), 0.0, box)
    version = memory.version
    memory.add(graded(look(0), 0.4), 1.0, box)
    assert memory.version == version
    assert memory.times.tolist() == [0.0]
    memory.add(graded(look(0), 0.9), 2.0, box)
    assert memory.version > version
    assert memory.looks.quality.tolist() == [np.float32(0.9)]
    assert memory.times.tolist() == [2.0]


def test_looks_that_were_handed_on_do_not_change() -> None:
    memory = LookMemory(capacity=1, variety=0.0)
    box = np.array([0, 0, 1, 1], np.float32)
    memory.add(graded(look(0), 0.5), 0.0, box)
    handed, before = memory.looks, memory.looks.global_.copy()
    memory.add(graded(look(1), 0.9), 1.0, box)
    np.testing.assert_array_equal(handed.global_, before)


def test_look_distance_is_to_the_nearest_look_and_unknown_without_one() -> None:
    box = np.array([0, 0, 1, 1], np.float32)
    two, none, one = (LookMemory(4, 0.1) for _ in range(3))
    two.add(appearance(look(0)[None]), 0.0, box)
    two.add(appearance(look(1)[None]), 1.0, box)
    one.add(appearance(look(2)[None]), 1.0, box)
    distances = look_distances([two, none, one], np.stack([look(1), look(2)]))
    np.testing.assert_allclose(distances[[0, 2]], [[0, 1], [1, 0]], atol=1e-6)
    assert np.isnan(distances[1]).all()


def test_scale_learns_what_distances_mean() -> None:
    """With an embedder whose same-person distances are 0.5 and others 0.9, 0.6 comes to speak for the same person."""
    scale = AppearanceScale(same=0.2, different=0.5)
    asked = np.array([0.6, np.nan], np.float32)
    assert scale.evidence(asked).tolist() == [-1.0, 0.0]
    for _ in range(50):
        scale.observe(np.full(10, 0.5), np.full(10, 0.9))
    assert 0 < scale.evidence(asked)[0] < 1
    assert scale.evidence(np.array([0.4, 0.95], np.float32)).tolist() == [1.0, -1.0]

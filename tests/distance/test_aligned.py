"""The aligned distance against a recursion written down from the paper, in float64."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reid_tracker.distance import (
    aligned_distance,
    aligned_distance_pairs,
    aligned_distance_shortlist,
    aligned_path,
)
from reid_tracker.errors import InputError


def unit_stripes(count: int, stripes: int = 8, dimension: int = 128, seed: int = 0, spread: float = 1.0) -> np.ndarray:
    """Random stripes around a common direction; a small spread makes people alike."""
    generator = np.random.default_rng(seed)
    vectors = generator.standard_normal((1, stripes, dimension)) + spread * generator.standard_normal(
        (count, stripes, dimension)
    )
    return (vectors / np.linalg.norm(vectors, axis=2, keepdims=True)).astype(np.float32)


def recursion(first: np.ndarray, second: np.ndarray) -> float:
    """Mean cell cost of the cheapest right/down path, by the definition."""
    edges = np.linalg.norm(first.astype(np.float64)[:, None] - second.astype(np.float64)[None], axis=2)
    costs = (np.exp(edges) - 1) / (np.exp(edges) + 1)

    @cache
    def cheapest(i: int, j: int) -> float:
        before = [cheapest(*cell) for cell in ((i - 1, j), (i, j - 1)) if min(cell) >= 0]
        return float(costs[i, j]) + min(before, default=0.0)

    size = len(first)
    return cheapest(size - 1, size - 1) / (2 * size - 1)


def recursion_matrix(queries: np.ndarray, gallery: np.ndarray) -> np.ndarray:
    return np.array([[recursion(query, entry) for entry in gallery] for query in queries])


def test_path_by_hand() -> None:
    # Two stripes, at right angles to each other: d is 0 where they are equal and tanh(sqrt(2) / 2) elsewhere, and
    # the path has to leave the diagonal once: one of its three cells costs.
    stripes = np.eye(2, dtype=np.float32)
    path = aligned_path(stripes, stripes)
    assert path.distance == pytest.approx(np.tanh(np.sqrt(2) / 2) / 3, abs=1e-6)
    assert path.stripes[0] == (0, 0)
    assert path.stripes[-1] == (1, 1)
    assert len(path.stripes) == 3


@settings(max_examples=30, deadline=None)
@given(
    stripes=st.integers(1, 9),
    dimension=st.integers(1, 40),
    queries=st.integers(1, 4),
    gallery=st.integers(1, 5),
    spread=st.sampled_from([1.0, 1e-1, 1e-3, 1e-6]),
    seed=st.integers(0, 1000),
)
def test_every_form_agrees_with_the_recursion(
    stripes: int, dimension: int, queries: int, gallery: int, spread: float, seed: int
) -> None:
    first = unit_stripes(queries, stripes, dimension, seed, spread)
    second = np.concatenate([unit_stripes(gallery, stripes, dimension, seed, spread), first])  # identical ones too
    expected = recursion_matrix(first, second)
    everybody = np.tile(np.arange(len(second)), (queries, 1))
    np.testing.assert_allclose(aligned_distance(first, second), expected, atol=1e-5)
    np.testing.assert_allclose(aligned_distance_shortlist(first, second, everybody), expected, atol=1e-5)
    np.testing.assert_allclose(aligned_distance_pairs(first, second[:queries]), expected.diagonal(), atol=1e-5)
    assert aligned_path(first[0], second[-1]).distance == pytest.approx(expected[0, -1], abs=1e-5)


def test_large_problems_are_cut_into_blocks_with_the_same_result() -> None:
    queries, gallery = unit_stripes(300, 8, 16, seed=1), unit_stripes(700, 8, 16, seed=2)
    gallery[3] = queries[299]  # equal stripes in the last query block
    distances = aligned_distance(queries, gallery, threads=2)
    for m, n in [(0, 0), (255, 511), (256, 512), (299, 699), (299, 3), (17, 640)]:
        assert distances[m, n] == pytest.approx(recursion(queries[m], gallery[n]), abs=1e-5)
    np.testing.assert_allclose(distances[:20, :100], aligned_distance(queries[:20], gallery[:100]), atol=1e-6)


def test_shortlists_that_share_nothing_are_gathered() -> None:
    queries, gallery = unit_stripes(4, seed=3), unit_stripes(200, seed=4)
    candidates = np.random.default_rng(0).permutation(200)[:40].reshape(4, 10)
    expected = np.take_along_axis(aligned_distance(queries, gallery), candidates, axis=1)
    np.testing.assert_allclose(aligned_distance_shortlist(queries, gallery, candidates), expected, atol=1e-6)


def test_path_visits_neighbouring_cells_and_adds_up() -> None:
    first, second = unit_stripes(2, seed=5)
    path = aligned_path(first, second)
    steps = np.diff(np.array(path.stripes), axis=0)
    assert sorted(map(tuple, np.unique(steps, axis=0).tolist())) == [(0, 1), (1, 0)]
    assert len(path.stripes) == 15
    assert path.costs.mean() == pytest.approx(path.distance, abs=1e-6)


def test_path_follows_a_box_that_was_cut_too_low() -> None:
    person = unit_stripes(1, seed=6)[0]
    lowered = np.concatenate([person[2:], unit_stripes(1, seed=7)[0, :2]])
    met = set(aligned_path(person, lowered).stripes)
    assert {(stripe + 2, stripe) for stripe in range(6)} <= met
    stranger = unit_stripes(1, seed=8)[0]
    assert aligned_distance_pairs(person[None], lowered[None]) < aligned_distance_pairs(person[None], stranger[None])


def test_it_is_symmetric_bounded_and_not_a_metric() -> None:
    people = unit_stripes(12, seed=9)
    distances = aligned_distance(people, people)
    np.testing.assert_allclose(distances, distances.T, atol=1e-6)
    assert (distances > 0).all()
    assert distances.max() <= np.tanh(1)


def test_inputs_are_left_as_they_were() -> None:
    queries, gallery = unit_stripes(3, seed=10), unit_stripes(5, seed=11)
    before = queries.copy(), gallery.copy()
    aligned_distance(queries, gallery)
    aligned_distance_shortlist(queries, gallery, np.zeros((3, 2), np.intp))
    aligned_path(queries[0], gallery[0])
    np.testing.assert_array_equal(queries, before[0])
    np.testing.assert_array_equal(gallery, before[1])


def test_half_precision_looks_are_read_as_they_are() -> None:
    queries, gallery = unit_stripes(3, seed=12).astype(np.float16), unit_stripes(4, seed=13).astype(np.float16)
    np.testing.assert_allclose(aligned_distance(queries, gallery), recursion_matrix(queries, gallery), atol=1e-4)


@pytest.mark.parametrize(
    ("queries", "gallery"),
    [(0, 5), (5, 0), (0, 0)],
)
def test_nobody_gives_an_empty_matrix(queries: int, gallery: int) -> None:
    assert aligned_distance(unit_stripes(queries), unit_stripes(gallery)).shape == (queries, gallery)
    nobody = np.zeros((queries, 0), np.intp)
    assert aligned_distance_shortlist(unit_stripes(queries), unit_stripes(gallery), nobody).shape == (queries, 0)


@pytest.mark.parametrize(
    ("queries", "gallery", "culprit"),
    [
        (np.zeros((2, 8)), np.zeros((2, 8, 4)), "query stripes"),  # no stripe axis
        (np.zeros((2, 0, 4)), np.zeros((2, 0, 4)), "no stripes"),  # an embedder without stripes
        (np.zeros((2, 8, 4)), np.zeros((2, 6, 4)), "equal dimensions"),  # another number of stripes
        (np.zeros((2, 8, 4)), np.zeros((2, 8, 5)), "equal dimensions"),  # another network
        (np.full((2, 8, 4), np.nan), np.zeros((2, 8, 4)), "query stripes"),
        (np.zeros((2, 8, 4)), np.full((2, 8, 4), np.inf), "gallery stripes"),
    ],
)
def test_arrays_that_do_not_fit_are_named(queries: np.ndarray, gallery: np.ndarray, culprit: str) -> None:
    with pytest.raises(InputError, match=culprit):
        aligned_distance(queries, gallery)


@pytest.mark.parametrize("candidates", [np.array([[5]]), np.array([[-1]]), np.array([[0], [1]]), np.array([0])])
def test_candidates_outside_the_gallery_are_refused(candidates: np.ndarray) -> None:
    with pytest.raises(InputError, match="candidates"):
        aligned_distance_shortlist(unit_stripes(1), unit_stripes(5), candidates)

"""Global distance, the mixture of both, and re-ranking against the paper's definition written as loops."""

from __future__ import annotations

import numpy as np
import pytest

from reid_tracker.distance import (
    aligned_distance,
    aligned_path,
    fused_distance,
    global_distance,
    rerank_blocks,
    rerank_distance,
    unaligned_distance,
)
from reid_tracker.errors import InputError


def people(count: int, looks: int, spread: float, seed: int = 0) -> np.ndarray:
    """``looks`` unit vectors of each of ``count`` people, one person after the other."""
    generator = np.random.default_rng(seed)
    centres = np.repeat(generator.standard_normal((count, 32)), looks, axis=0)
    vectors = centres + spread * generator.standard_normal(centres.shape)
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def rerank_by_definition(vectors: np.ndarray, queries: int, k1: int, k2: int, share: float) -> np.ndarray:
    vectors = vectors.astype(np.float64)
    squared = ((vectors[:, None] - vectors[None]) ** 2).sum(axis=2)
    original = squared / squared.max(axis=1, keepdims=True)
    order = np.argsort(original, axis=1, kind="stable")
    count = len(vectors)

    def reciprocal(i: int, k: int) -> set[int]:
        return {int(j) for j in order[i, : k + 1] if i in order[j, : k + 1]}

    weights = np.zeros((count, count))
    for i in range(count):
        own = reciprocal(i, k1)
        expanded = set(own)
        for candidate in own:
            theirs = reciprocal(candidate, round(k1 / 2))
            if len(theirs & own) > 2 / 3 * len(theirs):
                expanded |= theirs
        members = sorted(expanded)
        weights[i, members] = np.exp(-original[i, members])
        weights[i] /= weights[i].sum()
    weights = np.stack([weights[order[i, :k2]].mean(axis=0) for i in range(count)])
    result = np.empty((queries, count - queries))
    for i in range(queries):
        for j in range(queries, count):
            shared = np.minimum(weights[i], weights[j]).sum()
            jaccard = 1 - shared / (2 - shared)
            result[i, j - queries] = (1 - share) * jaccard + share * original[i, j]
    return result


def test_global_distance_is_one_minus_cosine() -> None:
    vectors = np.array([[1, 0], [0, 1], [-1, 0]], np.float32)
    np.testing.assert_allclose(global_distance(vectors[:1], vectors), [[0, 1, 2]], atol=1e-7)


def test_global_distance_never_leaves_its_range() -> None:
    vectors = people(50, 4, 1e-4)
    distances = global_distance(vectors, vectors)
    assert distances.min() >= 0
    assert distances.max() <= 2


def test_fused_distance_weighs_two_means() -> None:
    global_, aligned = np.array([[1.0]], np.float32), np.array([[0.2]], np.float32)
    whole = np.tanh(np.sqrt(2) / 2)  # right angles are sqrt(2) apart; a stripe's cost of that
    assert fused_distance(global_, aligned, 0.0)[0, 0] == pytest.approx(whole)
    assert fused_distance(global_, aligned, 1.0)[0, 0] == pytest.approx(0.2)
    assert fused_distance(global_, aligned, 0.25)[0, 0] == pytest.approx(0.75 * whole + 0.05)


def test_fused_distance_of_people_whose_stripes_are_all_alike_is_a_stripes_cost() -> None:
    # Every stripe at the global vectors' angle: both distances say the same, so the share does not matter.
    vectors = people(6, 1, 0.0)
    stripes = np.repeat(vectors[:, None], 8, axis=1)
    global_, aligned = global_distance(vectors, vectors), aligned_distance(stripes, stripes)
    for share in (0.0, 0.3, 1.0):
        np.testing.assert_allclose(fused_distance(global_, aligned, share), aligned, atol=1e-3)


@pytest.mark.parametrize(("k1", "k2", "share"), [(20, 6, 0.3), (4, 1, 0.0), (7, 3, 0.5), (1, 2, 0.3)])
def test_rerank_agrees_with_the_definition(k1: int, k2: int, share: float) -> None:
    vectors = people(14, 6, 0.8)
    reranked = rerank_distance(vectors[::6], np.delete(vectors, np.s_[::6], axis=0), k1, k2, share)
    ordered = np.concatenate([vectors[::6], np.delete(vectors, np.s_[::6], axis=0)])
    np.testing.assert_allclose(reranked, rerank_by_definition(ordered, 14, k1, k2, share), atol=1e-5)


def test_rerank_by_blocks_is_rerank_as_a_whole() -> None:
    vectors = people(10, 5, 0.8)
    blocks = rerank_blocks(vectors[:12], vectors[12:])
    parts = [blocks(slice(0, 5)), blocks(slice(5, 6)), blocks(slice(6, 12))]
    np.testing.assert_allclose(np.concatenate(parts), rerank_distance(vectors[:12], vectors[12:]), atol=1e-6)


def test_unaligned_distance_is_the_mean_cost_of_stripes_at_one_height() -> None:
    stripes = people(10, 8, 0.4).reshape(10, 8, -1)
    found = unaligned_distance(stripes[:4], stripes)
    for row in range(4):
        for column in range(10):
            apart = np.linalg.norm(stripes[row].astype(np.float64) - stripes[column], axis=1)
            assert found[row, column] == pytest.approx(np.tanh(apart / 2).mean(), abs=2e-5)
    assert np.diag(found).max() < 1e-5  # unlike the aligned distance, whose path must leave the diagonal
    assert aligned_path(stripes[0], stripes[0]).distance > 0.1


def test_rerank_works_with_fewer_pictures_than_neighbours() -> None:
    vectors = people(3, 2, 0.5)
    reranked = rerank_distance(vectors[::2], vectors[1::2])
    assert reranked.shape == (3, 3)
    assert np.isfinite(reranked).all()


def test_rerank_brings_people_together() -> None:
    vectors = people(40, 8, 1.4, seed=3)
    owners = np.repeat(np.arange(40), 8)
    queries, gallery = vectors[::8], np.delete(vectors, np.s_[::8], axis=0)
    same = owners[::8, None] == np.delete(owners, np.s_[::8])[None]

    def precision_at_seven(distances: np.ndarray) -> float:
        nearest = np.argsort(distances, axis=1)[:, :7]
        return float(np.take_along_axis(same, nearest, axis=1).mean())

    assert precision_at_seven(rerank_distance(queries, gallery)) > precision_at_seven(global_distance(queries, gallery))


@pytest.mark.parametrize(
    ("arguments", "culprit"),
    [((0, 1, 0.3), "k1"), ((5, 0, 0.3), "k2"), ((5, 7, 0.3), "k2"), ((5, 2, 1.5), "share")],
)
def test_rerank_refuses_settings_without_meaning(arguments: tuple[int, int, float], culprit: str) -> None:
    with pytest.raises(InputError, match=culprit):
        rerank_distance(people(3, 2, 0.1), people(3, 2, 0.1), *arguments)


@pytest.mark.parametrize("function", [global_distance, rerank_distance])
def test_vectors_that_are_not_finite_are_refused(function: object) -> None:
    vectors = people(3, 2, 0.1)
    vectors[1, 1] = np.nan
    with pytest.raises(InputError, match="gallery"):
        function(people(3, 2, 0.1), vectors)  # type: ignore[operator]


def test_fused_distance_refuses_what_does_not_fit() -> None:
    with pytest.raises(InputError, match="shapes"):
        fused_distance(np.zeros((2, 2), np.float32), np.zeros((2, 3), np.float32))
    with pytest.raises(InputError, match="share"):
        fused_distance(np.zeros((2, 2), np.float32), np.zeros((2, 2), np.float32), 1.2)

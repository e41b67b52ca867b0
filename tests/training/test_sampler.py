"""Batches of P people x K pictures: balanced, fair, repeatable and continued exactly."""

import numpy as np
import pytest

from reid_tracker.errors import ModelError
from reid_tracker.training.sampler import IdentitySampler

LABELS = np.repeat(np.arange(10), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
SOURCES = (LABELS >= 6).astype(np.int64)


def sampler(seed=0) -> IdentitySampler:
    return IdentitySampler(LABELS, SOURCES, [3, 2], 4, seed)


def test_each_batch_holds_p_people_of_each_source_and_k_pictures_of_each():
    one = sampler()
    for _ in range(30):
        picks = one.batch()
        people, counts = np.unique(LABELS[picks], return_counts=True)
        assert counts.tolist() == [4] * 5
        assert (people < 6).sum() == 3
        assert (people >= 6).sum() == 2


def test_a_person_with_enough_pictures_gives_none_twice():
    one = sampler()
    for _ in range(30):
        picks = one.batch()
        many = picks[LABELS[picks] >= 3]
        assert len(np.unique(many)) == len(many)


def test_everybody_comes_before_anybody_comes_again():
    one = sampler()
    seen = np.concatenate([np.unique(LABELS[one.batch()]) for _ in range(2)])
    assert sorted(seen[seen < 6].tolist()) == list(range(6))


def test_same_seed_same_batches_and_another_seed_others():
    first, second, other = sampler(), sampler(), sampler(1)
    batches = [first.batch() for _ in range(5)]
    assert all((batch == second.batch()).all() for batch in batches)
    assert any((batch != other.batch()).any() for batch in batches)


def test_a_state_of_other_people_or_sets_is_refused():
    one = sampler()
    one.batch()
    fewer = IdentitySampler(LABELS[:-10], SOURCES[:-10], [3, 2], 4, 0)
    with pytest.raises(ModelError, match="other people than set 2"):
        fewer.restore({**one.state(), "queues": [[0], [9]]})
    with pytest.raises(ModelError, match="of 1 sets"):
        one.restore({**one.state(), "queues": [[]]})


def test_continues_exactly_from_its_state():
    one, other = sampler(), sampler(5)
    for _ in range(7):
        one.batch()
    other.restore(one.state())
    for _ in range(20):
        np.testing.assert_array_equal(one.batch(), other.batch())

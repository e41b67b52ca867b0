"""Augmentation: repeatable, in range, off when it is told to be off, and never the caller's array."""

import pytest

torch = pytest.importorskip("torch", reason="training needs torch")

from reid_tracker.training.augment import augment  # noqa: E402
from reid_tracker.training.recipe import AugmentRecipe  # noqa: E402

OFF = AugmentRecipe(flip=0, shift=0, scale=0, brightness=0, contrast=0, colour=0, erase=0)


def pictures():
    return torch.rand(64, 3, 32, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1


def once(recipe, seed=0):
    return augment(pictures(), recipe, torch.Generator().manual_seed(seed))


def test_nothing_happens_when_all_is_off():
    torch.testing.assert_close(once(OFF), pictures(), atol=1e-5, rtol=0)


def test_flip_mirrors():
    mirrored = OFF.model_copy(update={"flip": 1.0})
    torch.testing.assert_close(once(mirrored), pictures().flip(3), atol=1e-5, rtol=0)


def test_same_chance_same_result_and_the_input_stays():
    x = pictures()
    before = x.clone()
    first = augment(x, AugmentRecipe(), torch.Generator().manual_seed(4))
    assert torch.equal(x, before)
    assert torch.equal(first, once(AugmentRecipe(), 4))
    assert not torch.equal(first, once(AugmentRecipe(), 5))
    assert first.min() >= -1
    assert first.max() <= 1


@pytest.mark.parametrize("chance", [0.0, 0.5, 1.0])
def test_erasing_hides_a_rectangle_as_often_as_it_is_told(chance):
    found = once(OFF.model_copy(update={"erase": chance}))
    hidden = (found == 0).all(dim=1)
    touched = hidden.flatten(1).any(dim=1).float().mean()
    assert abs(float(touched) - chance) < 0.2
    for mask in hidden[hidden.flatten(1).any(dim=1)]:
        rows, columns = mask.any(dim=1).sum(), mask.any(dim=0).sum()
        assert int(mask.sum()) == int(rows * columns)  # a rectangle
        assert int(mask.sum()) <= 0.4 * mask.numel()


def test_shift_moves_by_no_more_than_told():
    # A step from dark to light in the middle: it may move by a quarter of the width at the most.
    x = torch.cat([-torch.ones(64, 3, 32, 8), torch.ones(64, 3, 32, 8)], dim=3)
    moved = augment(x, OFF.model_copy(update={"shift": 0.25}), torch.Generator().manual_seed(0))
    light = (moved[:, 0, 16] > 0).sum(dim=1)
    assert light.min() >= 8 - 4
    assert light.max() <= 8 + 4
    assert light.min() < 7
    assert light.max() > 9

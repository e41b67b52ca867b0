"""Augmentation: repeatable, in range, off when it is told to be off, and never the caller's array."""

import pytest

torch = pytest.importorskip("torch", reason="training needs torch")

from reid_tracker.training.augment import augment  # noqa: E402
from reid_tracker.training.recipe import AugmentRecipe  # noqa: E402

OFF = AugmentRecipe(flip=0, shift=0, scale=0, brightness=0, contrast=0, colour=0, erase=0)


def pictures():
    return torch.rand(64, 3, 32, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1


def once(recipe, seed=0):
    return augment(pictures(), recipe, torch.Generator().manual_seed(seed)).x


def test_nothing_happens_when_all_is_off():
    torch.testing.assert_close(once(OFF), pictures(), atol=1e-5, rtol=0)


def test_flip_mirrors():
    mirrored = OFF.model_copy(update={"flip": 1.0})
    torch.testing.assert_close(once(mirrored), pictures().flip(3), atol=1e-5, rtol=0)


def test_same_chance_same_result_and_the_input_stays():
    x = pictures()
    before = x.clone()
    first = augment(x, AugmentRecipe(), torch.Generator().manual_seed(4)).x
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
    moved = augment(x, OFF.model_copy(update={"shift": 0.25}), torch.Generator().manual_seed(0)).x
    light = (moved[:, 0, 16] > 0).sum(dim=1)
    assert light.min() >= 8 - 4
    assert light.max() <= 8 + 4
    assert light.min() < 7
    assert light.max() > 9


def test_a_body_crop_shows_a_band_of_the_height_and_all_of_the_width():
    # Rows from -1 at the head to 1 at the foot; columns carry the mirror image of that in another channel.
    rows = torch.linspace(-1, 1, 64)[:, None].expand(64, 16)
    columns = torch.linspace(-1, 1, 16)[None].expand(64, 16)
    x = torch.stack([rows, columns, rows]).expand(200, 3, 64, 16).contiguous()
    cut = augment(x, OFF.model_copy(update={"body_crop": 1.0, "body_least": 0.5}), torch.Generator().manual_seed(0)).x
    top, bottom = cut[:, 0, 0, 8], cut[:, 0, -1, 8]
    kept = (bottom - top) / 2
    assert kept.min() > 0.45
    assert kept.max() <= 1.01
    assert abs(float(kept.mean()) - 0.75) < 0.04
    assert abs(float(((top + bottom) / 2).mean())) < 0.08  # from head to foot alike
    torch.testing.assert_close(cut[:, 1, 32], x[:, 1, 32], atol=1e-3, rtol=0)


def test_pictures_that_were_cut_are_named():
    recipe = OFF.model_copy(update={"body_crop": 0.5, "body_least": 0.1})
    found = augment(pictures(), recipe, torch.Generator().manual_seed(0))
    changed = (found.x - pictures()).abs().amax(dim=(1, 2, 3)) > 1e-4
    assert torch.equal(changed, found.cut)
    assert 0.3 < float(found.cut.float().mean()) < 0.7
    assert not augment(pictures(), OFF, torch.Generator().manual_seed(0)).cut.any()


def test_blur_keeps_the_light_and_takes_the_detail():
    found = once(OFF.model_copy(update={"blur": 1.0, "blur_most": 0.1}))
    torch.testing.assert_close(found.mean(dim=(2, 3)), pictures().mean(dim=(2, 3)), atol=0.1, rtol=0)
    detail = found.diff(dim=2).abs().mean(dim=(1, 2, 3)) + found.diff(dim=3).abs().mean(dim=(1, 2, 3))
    before = pictures().diff(dim=2).abs().mean(dim=(1, 2, 3)) + pictures().diff(dim=3).abs().mean(dim=(1, 2, 3))
    assert (detail < 1.01 * before).all()
    assert float((detail < 0.9 * before).float().mean()) > 0.5
    untouched = once(OFF.model_copy(update={"blur": 0.001}))
    assert float((untouched - pictures()).abs().amax(dim=(1, 2, 3)).lt(1e-4).float().mean()) > 0.9

"""Whole training steps on a device that is not the CPU, where no such device is there: shapes and places, no numbers.

Torch's device "meta" has shapes alone: what would make the host wait for an answer of the device fails there.
"""

import contextlib

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch")

from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402
from torch.utils._pytree import tree_leaves  # noqa: E402

from reid_tracker.training import trainer as training  # noqa: E402
from reid_tracker.training.data import TrainingSet  # noqa: E402
from reid_tracker.training.recipe import Recipe  # noqa: E402

PEOPLE, BATCH = 6, 8
ELSEWHERE = torch.device("meta")
EVERYTHING = {
    "name": "everything",
    "partner": "efficientnet_lite0",
    "pictures_per_person": 2,
    "sets": [{"name": "asked", "folder": ".", "people": 3}, {"name": "not asked", "folder": ".", "people": 1}],
    "stages": [{"pictures": 2 * BATCH, "size_hw": [64, 32]}],
    "loss": {
        **{f"teacher_{loss}": 1 for loss in ("direct", "pairs", "ranks", "aligned", "stripes")},
        "mined_by": "both",
        "cut_bodies": "stripes",
        "centre": 0.1,
        "circle": 0.1,
    },
    "augment": {"body_crop": 0.5, "blur": 0.5},
}


class OneDevice(TorchDispatchMode):
    """Refuses an operation on tensors of two devices, as an accelerator does, moving them and single numbers apart."""

    def __torch_dispatch__(self, operation, types, arguments=(), named=None):
        named = named or {}
        tensors = [one for one in tree_leaves((arguments, named)) if isinstance(one, torch.Tensor) and one.ndim]
        if operation not in (torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default):
            assert len({one.device for one in tensors}) < 2, f"{operation}: tensors of two devices"
        return operation(*arguments, **named)


def people() -> TrainingSet:
    """Six people of two pictures; the last two are of a set that the teacher was not asked about."""
    labels = np.repeat(np.arange(PEOPLE), 2)
    sources = (labels >= 4).astype(np.int64)
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (2 * PEOPLE, 64, 32, 3), dtype=np.uint8)
    vectors, stripes = rng.normal(size=(12, 256)).astype(np.float32), rng.normal(size=(12, 8, 128)).astype(np.float16)
    vectors[sources == 1] = stripes[sources == 1] = np.nan
    return TrainingSet((pixels, pixels), labels, sources, np.arange(2 * PEOPLE), vectors, stripes)


def test_a_step_of_all_losses_stays_on_its_device(monkeypatch):
    monkeypatch.setattr(training, "choose_device", lambda _compute: ELSEWHERE)
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: contextlib.nullcontext())  # knows devices that compute
    recipe = Recipe.model_validate(EVERYTHING)
    trainer = training.Trainer(recipe, people(), None)
    trainer.enter(recipe.stages[0])
    with OneDevice():
        losses = trainer.step(people())
    assert {value.device for value in losses.values()} == {ELSEWHERE}
    assert {"teacher_aligned", "teacher_stripes", "circle", "centre", "partner_mutual_metric"} <= set(losses)

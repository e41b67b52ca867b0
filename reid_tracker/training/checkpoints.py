"""A run on disk: whole checkpoints, which continue bit for bit, and kept states, which are small enough to travel."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from reid_tracker.errors import ModelError
from reid_tracker.training.trainer import Trainer

CHECKPOINT = "checkpoint.pt"
PROGRESS = "progress.json"
_HALF_FROM = 1024  # smaller tensors stay as they are: nothing to gain
# A classifier of thousands of composed people would be a third of a kept state, and is learnt anew in minutes.
_MOST_CLASSIFIER = 2**20


def save_checkpoint(trainer: Trainer, folder: Path, keep: Path | None = None) -> None:
    """Write the state so that an interruption leaves the old checkpoint or the new one, never half of one.

    Args:
        trainer: whose state.
        folder: for checkpoint and progress.
        keep: file for a small state as ``keep_state`` makes it, or None.
    """
    folder.mkdir(parents=True, exist_ok=True)
    state = trainer.state()
    _save(state, folder / CHECKPOINT)
    if keep is not None:
        _save(_kept(state), keep)
    progress = {"seen": trainer.seen, "pictures": trainer.recipe.pictures}
    progress["finished"] = trainer.seen >= trainer.recipe.pictures
    young = folder / (PROGRESS + ".new")
    young.write_text(json.dumps(progress) + "\n", encoding="utf-8")
    young.replace(folder / PROGRESS)


def keep_state(checkpoint: Path, out: Path) -> None:
    """What it takes to go on training, in half precision: averaged weights, a classifier that is not large, and place,
    no optimizer.

    ``train --state`` begins a new run from it; ``train --resume`` goes on in the middle of the same one. The
    optimizer's moments come back within a warm-up. 8 MB for EfficientNet-lite0, 12 MB for lite2.
    """
    _save(_kept(load(checkpoint)), out)


def _kept(state: dict[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {name: state[name] for name in ("recipe", "seen", "sampler", "chance") if name in state}
    kept |= _kept_learner(state)
    if "partner" in state:
        kept["partner"] = _kept_learner(state["partner"])
    return kept


def load(file: Path) -> dict[str, Any]:
    """A checkpoint or a kept state; only tensors and plain values are read, nothing that could run.

    Raises:
        ModelError: it is missing or damaged.
    """
    try:
        state: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, pickle.UnpicklingError) as error:
        raise ModelError(f"{file}: cannot be read as a training state ({str(error).splitlines()[0]})") from error
    return state


def _kept_learner(state: dict[str, Any]) -> dict[str, Any]:
    head = {name: value for name, value in state["head"].items() if value.numel() <= _MOST_CLASSIFIER}
    kept = {"averaged": state["averaged"], "head": head}
    return {part: {name: _narrow(value) for name, value in values.items()} for part, values in kept.items()}


def _save(state: dict[str, Any], file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    young = file.with_name(file.name + ".new")
    torch.save(state, young)
    young.replace(file)


def _narrow(value: Tensor) -> Tensor:
    # Running variances can lie outside half precision's range; they are few.
    return value.half() if value.dtype == torch.float32 and value.numel() >= _HALF_FROM and value.ndim > 1 else value

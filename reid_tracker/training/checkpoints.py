"""A run on disk: whole checkpoints, which continue bit for bit, and kept states, which are small enough to travel."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
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
    _save(_kept(load(checkpoint, "averaged", "head", "recipe", "seen")), out)


def _kept(state: dict[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {name: state[name] for name in ("recipe", "seen", "sampler", "chance") if name in state}
    kept |= _kept_learner(state)
    if "partner" in state:
        kept["partner"] = _kept_learner(state["partner"])
    return kept


def load(file: Path, *parts: str) -> dict[str, Any]:
    """A checkpoint or a kept state; only tensors and plain values are read, nothing that could run.

    Args:
        file: what ``save_checkpoint`` or ``keep_state`` wrote.
        parts: what it has to hold for what is meant to be done with it.

    Raises:
        ModelError: it is missing or damaged, or holds something else.
    """
    try:
        state: object = torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, EOFError, ValueError, KeyError, RuntimeError, pickle.UnpicklingError) as error:
        raise ModelError(f"{file}: cannot be read as a training state ({_one_line(error)})") from error
    if not isinstance(state, dict):
        raise ModelError(f"{file}: expected a training state, it holds a {type(state).__name__}")
    missing = sorted(set(parts) - set(state))
    if missing:
        raise ModelError(
            f"{file}: expected a training state with {', '.join(missing)}, it holds {sorted(map(str, state))[:5]}"
        )
    return state


@contextmanager
def fitting(file: Path) -> Iterator[None]:
    """Name the file of a state that does not fit where it is put.

    Raises:
        ModelError: it does not fit.
    """
    try:
        yield
    except ModelError as error:
        raise ModelError(f"{file}: {error}") from error
    except (RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(
            f"{file}: does not fit, it is of another backbone or of other people, or damaged ({_one_line(error)})"
        ) from error


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


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

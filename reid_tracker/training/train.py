"""The training loop: ``python -m reid_tracker.training.train --recipe R.toml --data D --out O``.

A run continues by itself from the last checkpoint in its folder, and exactly: weights, averaged weights, optimizer,
sampler and chance are all in it. What ships are the averaged weights.
"""

from __future__ import annotations

import argparse
import copy
import logging
import math
import signal
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from reid_tracker.errors import ConfigError, ModelError
from reid_tracker.training.augment import augment
from reid_tracker.training.backbones import load_start_weights
from reid_tracker.training.data import (
    PeopleSet,
    TrainingSet,
    at_most_per_person,
    decode_people,
    join_people,
    read_people,
)
from reid_tracker.training.losses import (
    aligned_distillation,
    distillation,
    identity_loss,
    rank_distillation,
    trihard,
)
from reid_tracker.training.network import AlignedReIDNet, Features, IdentityHead, pixels_to_input, set_last_stride
from reid_tracker.training.recipe import LossRecipe, Recipe, StageRecipe, read_recipe
from reid_tracker.training.sampler import IdentitySampler
from reid_tracker.training.teacher import teacher_vectors

logger = logging.getLogger(__name__)

CHECKPOINT = "checkpoint.pt"


@dataclass(frozen=True, slots=True)
class Places:
    """Where a run finds and leaves things.

    Attributes:
        data: folder that holds the sets' folders.
        out: checkpoints and logs.
        cache: decoded pictures and teacher's answers; never inside a repository.
        start: published weights of the backbone; None starts from random ones.
        teacher: model to learn from; needed where the recipe gives it weight.
        state: a kept training state (``export --keep-state``) to go on from; its people may be others.
    """

    data: Path
    out: Path
    cache: Path
    start: Path | None = None
    teacher: Path | None = None
    state: Path | None = None


def read_sets(recipe: Recipe, places: Places) -> list[PeopleSet]:
    """The recipe's sets, thinned where it says so."""
    sets = []
    for wanted in recipe.sets:
        people = read_people(places.data / wanted.folder, wanted.name)
        sets.append(at_most_per_person(people, wanted.most_per_person) if wanted.most_per_person else people)
    return sets


def load_stage(recipe: Recipe, places: Places, sets: list[PeopleSet], stage: StageRecipe) -> TrainingSet:
    """The pictures of one stage at its size, with the teacher's answers where the recipe uses them."""
    vectors = _ask_teacher(recipe, places, sets) if recipe.uses_teacher and stage.teacher else None
    return join_people(sets, [decode_people(one, stage.size_hw, places.cache) for one in sets], vectors)


def _ask_teacher(recipe: Recipe, places: Places, sets: list[PeopleSet]) -> list[NDArray[np.float32] | None]:
    if places.teacher is None:
        raise ConfigError("the recipe learns from a teacher: name it with --teacher, or set its weights to 0")
    return [
        teacher_vectors(places.teacher, people, recipe.teacher_size_hw, places.cache) if wanted.teacher else None
        for wanted, people in zip(recipe.sets, sets, strict=True)
    ]


class Trainer:
    """Everything that changes while training, one step at a time."""

    def __init__(self, recipe: Recipe, data: TrainingSet, start: Path | None) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe = recipe
        self.seen = 0
        self.network = AlignedReIDNet(recipe.backbone)
        if start is not None:
            load_start_weights(self.network.backbone, recipe.backbone, start)
        # 1.7 times as fast on a CPU; torch's own annotations do not know this keyword.
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.head = IdentityHead(data.classes)
        self.averaged = copy.deepcopy(self.network).eval().requires_grad_(False)
        self.optimizer = _make_optimizer(self.network, self.head, recipe)
        self.chance = torch.Generator().manual_seed(recipe.seed)
        self.sampler = IdentitySampler(
            data.labels, data.sources, [one.people for one in recipe.sets], recipe.pictures_per_person, recipe.seed
        )

    def enter(self, stage: StageRecipe) -> None:
        """Set stride and frozen part of a stage."""
        for network in (self.network, self.averaged):
            set_last_stride(network, stage.last_stride)
        self.network.train()
        self.network.backbone.freeze(stage.frozen_blocks)  # type: ignore[operator]  # nn.Module hides it
        self.network.backbone.fix_statistics(stage.fixed_statistics)  # type: ignore[operator]

    def step(self, data: TrainingSet) -> dict[str, float]:
        """One batch; returns the losses by name."""
        picks = self.sampler.batch()
        labels = torch.from_numpy(data.labels[picks])
        x = augment(pixels_to_input(torch.from_numpy(data.gather(picks))), self.recipe.augment, self.chance)
        features = self.network(x.contiguous(memory_format=torch.channels_last))
        losses = self._losses(features, labels)
        if data.teacher is not None:
            losses |= self._teacher_losses(features, torch.from_numpy(data.teacher[picks]), torch.from_numpy(data.bank))
        total = torch.stack(list(losses.values())).sum()
        if not bool(torch.isfinite(total)):
            raise ModelError(f"diverged after {self.seen} pictures, the loss is {float(total)}; lower the rates")
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()  # type: ignore[no-untyped-call]  # torch's
        parameters = [*self.network.parameters(), *self.head.parameters()]
        nn.utils.clip_grad_norm_(parameters, self.recipe.optimizer.most_gradient)
        self._set_rates()
        self.optimizer.step()
        self.seen += len(picks)
        self._average()
        return {name: float(value.detach()) for name, value in losses.items()}

    def _losses(self, features: Features, labels: Tensor) -> dict[str, Tensor]:
        weights: LossRecipe = self.recipe.loss
        global_, local = trihard(
            features.global_, features.stripes, labels, weights.margin_global, weights.margin_local
        )
        return {
            "identity": weights.identity * identity_loss(self.head(features.raw), labels, weights.label_smoothing),
            "trihard_global": weights.trihard_global * global_,
            "trihard_local": weights.trihard_local * local,
        }

    def _teacher_losses(self, features: Features, teacher: Tensor, bank: Tensor) -> dict[str, Tensor]:
        weights: LossRecipe = self.recipe.loss
        taught = torch.isfinite(teacher).all(dim=1)
        student, stripes, teacher = features.global_[taught], features.stripes[taught], teacher[taught]
        direct, pairs = distillation(student, teacher)
        losses = {"teacher_direct": weights.teacher_direct * direct, "teacher_pairs": weights.teacher_pairs * pairs}
        # The other two cost time, so they are computed where they count.
        if weights.teacher_ranks:
            ranks = rank_distillation(student, teacher, bank, weights.ranks_temperature)
            losses["teacher_ranks"] = weights.teacher_ranks * ranks
        if weights.teacher_aligned:
            losses["teacher_aligned"] = weights.teacher_aligned * aligned_distillation(stripes, teacher)
        return losses

    def _set_rates(self) -> None:
        settings = self.recipe.optimizer
        warm = min(1.0, (self.seen + self.recipe.batch) / settings.warmup_pictures)
        part = warm * 0.5 * (1 + math.cos(math.pi * min(1.0, self.seen / self.recipe.pictures)))
        for group in self.optimizer.param_groups:
            group["lr"] = group["full_rate"] * part

    @torch.no_grad()
    def _average(self) -> None:
        # Young averages follow quickly, else the start weights would stay in them for long.
        steps = self.seen / self.recipe.batch
        decay = min(self.recipe.optimizer.ema, (1 + steps) / (10 + steps))
        new = self.network.state_dict()
        for name, old in self.averaged.state_dict().items():
            if old.dtype.is_floating_point:
                old.lerp_(new[name], 1 - decay)
            else:
                old.copy_(new[name])

    def adopt(self, kept: dict[str, Any]) -> None:
        """Start from another run's averaged weights; its classifier too where it knows as many people."""
        weights = {name: value.to(self.network.state_dict()[name].dtype) for name, value in kept["averaged"].items()}
        for network in (self.network, self.averaged):
            network.load_state_dict(weights)
        head = {name: value.to(self.head.state_dict()[name].dtype) for name, value in kept["head"].items()}
        if head["classifier.weight"].shape == self.head.classifier.weight.shape:
            self.head.load_state_dict(head)

    def state(self) -> dict[str, Any]:
        """All of it, for a checkpoint."""
        return {
            "seen": self.seen,
            "recipe": self.recipe.model_dump_json(),
            "network": self.network.state_dict(),
            "head": self.head.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "sampler": self.sampler.state(),
            "chance": self.chance.get_state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue exactly where ``state`` was taken."""
        if state["recipe"] != self.recipe.model_dump_json():
            logger.warning("the recipe has changed since the checkpoint; going on with the new one")
        self.seen = state["seen"]
        self.network.load_state_dict(state["network"])
        self.head.load_state_dict(state["head"])
        self.averaged.load_state_dict(state["averaged"])
        full_rates = [group["full_rate"] for group in self.optimizer.param_groups]
        self.optimizer.load_state_dict(state["optimizer"])
        for group, full_rate in zip(self.optimizer.param_groups, full_rates, strict=True):
            group["full_rate"] = full_rate
        self.sampler.restore(state["sampler"])
        self.chance.set_state(state["chance"])


def _make_optimizer(network: AlignedReIDNet, head: IdentityHead, recipe: Recipe) -> torch.optim.Optimizer:
    settings = recipe.optimizer
    backbone = list(network.backbone.parameters())
    heads = [*network.global_head.parameters(), *network.local_head.parameters(), *head.parameters()]
    groups = [
        {"params": backbone, "full_rate": settings.backbone_rate},
        {"params": heads, "full_rate": settings.head_rate},
    ]
    return torch.optim.AdamW(groups, lr=settings.backbone_rate, weight_decay=settings.weight_decay)


def save_checkpoint(trainer: Trainer, folder: Path) -> None:
    """Write the state so that an interruption leaves the old checkpoint or the new one, never half of one."""
    folder.mkdir(parents=True, exist_ok=True)
    young = folder / (CHECKPOINT + ".new")
    torch.save(trainer.state(), young)
    young.replace(folder / CHECKPOINT)


class StopRequest:
    """Turns the first SIGTERM or Ctrl-C into a question that the loop asks, so that a checkpoint is written first."""

    def __init__(self) -> None:
        self.asked = False

    def listen(self) -> None:
        """Take over the two signals; a second Ctrl-C ends at once."""
        signal.signal(signal.SIGTERM, self._ask)
        signal.signal(signal.SIGINT, self._ask)

    def _ask(self, number: int, _frame: FrameType | None) -> None:
        self.asked = True
        signal.signal(number, signal.SIG_DFL)


def run(recipe: Recipe, places: Places, checkpoint_minutes: float = 4.0, stop: StopRequest | None = None) -> Trainer:
    """Train to the end of the recipe, from the last checkpoint if there is one.

    Args:
        recipe: what to do; may differ from the checkpoint's in lengths, rates and weights.
        places: where data and checkpoints are.
        checkpoint_minutes: how much work an interruption may cost.
        stop: asked after each step; None never stops.
    """
    stop = stop or StopRequest()
    sets = read_sets(recipe, places)
    data = load_stage(recipe, places, sets, recipe.stages[0])
    trainer = Trainer(recipe, data, places.start)
    kept = places.out / CHECKPOINT
    if kept.exists():
        trainer.restore(torch.load(kept, map_location="cpu", weights_only=True))
        logger.info("continuing after %d pictures", trainer.seen)
    elif places.state is not None:
        trainer.adopt(torch.load(places.state, map_location="cpu", weights_only=True))
    while (stage := recipe.stage_at(trainer.seen)) is not None and not stop.asked:
        data = load_stage(recipe, places, sets, stage)
        logger.info("stage %s: %d pictures, %d people", stage, len(data.labels), data.classes)
        trainer.enter(stage)
        _run_stage(trainer, data, stage, places.out, checkpoint_minutes, stop)
    return trainer


def _run_stage(
    trainer: Trainer, data: TrainingSet, stage: StageRecipe, out: Path, checkpoint_minutes: float, stop: StopRequest
) -> None:
    started, saved, begun = time.monotonic(), time.monotonic(), trainer.seen
    sums: dict[str, float] = defaultdict(float)
    steps = 0
    while trainer.recipe.stage_at(trainer.seen) is stage and not stop.asked:
        for name, value in trainer.step(data).items():
            sums[name] += value
        steps += 1
        if steps % 20 == 0:
            rate = (trainer.seen - begun) / (time.monotonic() - started)
            left = (trainer.recipe.pictures - trainer.seen) / rate / 60
            shown = " ".join(f"{name} {value / 20:.3f}" for name, value in sums.items())
            logger.info("%d pictures, %.1f/s, %.0f min left at this rate: %s", trainer.seen, rate, left, shown)
            sums.clear()
        if time.monotonic() - saved > checkpoint_minutes * 60:
            save_checkpoint(trainer, out)
            saved = time.monotonic()
    save_checkpoint(trainer, out)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", type=Path, required=True, help="TOML file, see reid_tracker/training/recipes")
    parser.add_argument("--data", type=Path, required=True, help="folder that holds the sets")
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoints")
    parser.add_argument("--cache", type=Path, help="folder for decoded pictures (default: OUT/cache)")
    parser.add_argument("--start", type=Path, help="published backbone weights to start from")
    parser.add_argument("--teacher", type=Path, help="OpenVINO IR or ONNX embedder to learn from")
    parser.add_argument("--state", type=Path, help="kept training state to go on from, e.g. engines/training/*.pt")
    parser.add_argument("--threads", type=int, default=0, help="torch threads; 0 leaves the choice to torch")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    if options.threads:
        torch.set_num_threads(options.threads)
    places = Places(
        data=options.data,
        out=options.out,
        cache=options.cache or options.out / "cache",
        start=options.start,
        teacher=options.teacher,
        state=options.state,
    )
    stop = StopRequest()
    stop.listen()
    run(read_recipe(options.recipe), places, stop=stop)


if __name__ == "__main__":
    main()

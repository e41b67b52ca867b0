"""One network, or two that learn from each other, one step at a time."""

from __future__ import annotations

import logging
import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from reid_tracker.errors import ConfigError, ModelError
from reid_tracker.training.augment import augment
from reid_tracker.training.data import TrainingSet
from reid_tracker.training.feed import Feed, choose_device, use_device
from reid_tracker.training.learner import Answer, Learner, Starter
from reid_tracker.training.losses import mutual_losses
from reid_tracker.training.network import (
    GLOBAL_SIZE,
    STRIPE_SIZE,
    STRIPES,
    AlignedReIDNet,
    IdentityHead,
    pixels_to_input,
)
from reid_tracker.training.recipe import LossRecipe, Recipe, StageRecipe
from reid_tracker.training.sampler import IdentitySampler

logger = logging.getLogger(__name__)

PARTNER = "partner_"  # before the names of the second network's losses


class Trainer:
    """Everything that changes while training.

    Args:
        recipe: what to do.
        data: decides the number of people and who comes when; every stage's set must list the same pictures.
        start: puts published weights into a backbone; None leaves random ones.

    Raises:
        ConfigError: a set has fewer people than the recipe wants in each batch, there is one person in all, or the
            teacher's answers are of another size than the losses need.
    """

    def __init__(self, recipe: Recipe, data: TrainingSet, start: Starter | None) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe = recipe
        self.seen = 0
        self.steps = 0  # made by this process
        self.warm_from = 0
        self.device = choose_device(recipe.compute)
        use_device(self.device)
        _check_people(recipe, data)
        _check_teacher(recipe.loss, data)
        self.learners = [Learner(recipe, recipe.backbone, data.classes, start, self.device)]
        if recipe.partner:
            self.learners.append(Learner(recipe, recipe.partner, data.classes, start, self.device))
        self.chance = torch.Generator().manual_seed(recipe.seed)
        self.sampler = IdentitySampler(
            data.labels, data.sources, [one.people for one in recipe.sets], recipe.pictures_per_person, recipe.seed
        )
        self._fed: tuple[TrainingSet, Feed] | None = None

    @property
    def network(self) -> AlignedReIDNet:
        """The network that ships, as the last step left it."""
        return self.learners[0].network

    @property
    def averaged(self) -> AlignedReIDNet:
        """Its average, which is what ships."""
        return self.learners[0].averaged

    @property
    def head(self) -> IdentityHead:
        """Its classifier."""
        return self.learners[0].head

    def enter(self, stage: StageRecipe) -> None:
        """Set stride and frozen part of a stage."""
        for learner in self.learners:
            learner.enter(stage)

    def step(self, data: TrainingSet) -> dict[str, Tensor]:
        """One batch; the losses by name, detached, on the device: reading them there and then would make it wait."""
        feed = self._feed_of(data)
        picks = self.sampler.batch()
        batch = feed.batch(picks)
        changed = augment(pixels_to_input(batch.pixels), self.recipe.augment, self.chance)
        answers = [learner.answer(changed.x, changed.cut) for learner in self.learners]
        losses = [
            learner.losses(answer, batch, feed.bank) for learner, answer in zip(self.learners, answers, strict=True)
        ]
        if len(answers) == 2:
            for own, (answer, other) in zip(losses, (answers, answers[::-1]), strict=True):
                own |= self._mutual(answer, other)
        part = self._part_of_full_rate()
        self.seen += len(picks)
        self.steps += 1
        for learner, own in zip(self.learners, losses, strict=True):
            learner.learn(torch.stack(list(own.values())).sum(), part)
            learner.average(self.seen / self.recipe.batch)
        named = dict(losses[0])
        for own in losses[1:]:
            named |= {PARTNER + name: value for name, value in own.items()}
        return {name: value.detach() for name, value in named.items()}

    def _feed_of(self, data: TrainingSet) -> Feed:
        if self._fed is None or self._fed[0] is not data:
            self._fed = None  # let go of the last stage's pictures first: both may not fit
            self._fed = (data, Feed(data, self.device))
        return self._fed[1]

    def _mutual(self, answer: Answer, other: Answer) -> dict[str, Tensor]:
        classes, metric = mutual_losses(answer.logits, answer.features.global_, other.logits, other.features.global_)
        weights = self.recipe.loss
        return {"mutual_identity": weights.mutual_identity * classes, "mutual_metric": weights.mutual_metric * metric}

    def _part_of_full_rate(self) -> float:
        """A linear warm-up, anew where the optimizer's moments were lost, and a cosine over the whole recipe."""
        settings = self.recipe.optimizer
        warm = min(1.0, (self.seen - self.warm_from + self.recipe.batch) / settings.warmup_pictures)
        return warm * 0.5 * (1 + math.cos(math.pi * min(1.0, self.seen / self.recipe.pictures)))

    def check(self, losses: dict[str, float]) -> None:
        """Stop a run whose losses are no numbers before it writes them down.

        Raises:
            ModelError: it diverged.
        """
        wrong = [name for name, value in losses.items() if not math.isfinite(value)]
        if wrong:
            raise ModelError(
                f"diverged after {self.seen} pictures: {', '.join(wrong)} is not a number; lower the rates, or compute "
                "in bf16 or fp32"
            )

    def adopt(self, kept: dict[str, Any]) -> None:
        """Start from another run's averaged weights; its classifier too where it knows as many people."""
        self.learners[0].adopt(kept)

    def resume(self, kept: dict[str, Any]) -> None:
        """Go on in the middle of a run from a kept state: averaged weights and place, no optimizer.

        Not exact: the average takes the place of the weights, and rates warm up again while the optimizer's moments
        come back.

        Raises:
            ModelError: the state does not say where the run was.
        """
        if not {"sampler", "chance"} <= set(kept):
            raise ModelError("does not say where its run was; start a new run from it with --state")
        self.seen = self.warm_from = int(kept["seen"])
        self.learners[0].adopt(kept)
        if len(self.learners) == 2 and "partner" in kept:
            self.learners[1].adopt(kept["partner"])
        self.sampler.restore(kept["sampler"])
        self.chance.set_state(kept["chance"])

    def state(self) -> dict[str, Any]:
        """All of it, for a checkpoint."""
        state = {
            "seen": self.seen,
            "warm_from": self.warm_from,
            "recipe": self.recipe.model_dump_json(),
            **self.learners[0].state(),
            "sampler": self.sampler.state(),
            "chance": self.chance.get_state(),
        }
        if len(self.learners) == 2:
            state["partner"] = self.learners[1].state()
        return state

    def restore(self, state: dict[str, Any]) -> None:
        """Continue exactly where ``state`` was taken."""
        if state["recipe"] != self.recipe.model_dump_json():
            logger.warning("the recipe has changed since the checkpoint; going on with the new one")
        self.seen = state["seen"]
        self.warm_from = state.get("warm_from", 0)
        self.learners[0].restore(state)
        if len(self.learners) == 2:
            if "partner" not in state:
                raise ModelError("has no partner network, the recipe does; begin a new run")
            self.learners[1].restore(state["partner"])
        self.sampler.restore(state["sampler"])
        self.chance.set_state(state["chance"])


def _check_people(recipe: Recipe, data: TrainingSet) -> None:
    for number, wanted in enumerate(recipe.sets):
        there = len(np.unique(data.labels[data.sources == number]))
        if there < wanted.people:
            raise ConfigError(
                f"set {wanted.name!r}: {there} people with readable pictures, and people = {wanted.people} in each "
                "batch: lower that, or give it more people"
            )
    if data.classes < 2:
        raise ConfigError(f"recipe {recipe.name}: one person in all; it takes two to tell people apart")


def _check_teacher(loss: LossRecipe, data: TrainingSet) -> None:
    if (
        data.teacher is not None
        and data.teacher.shape[1] != GLOBAL_SIZE
        and (loss.teacher_direct or loss.teacher_ranks)
    ):
        raise ConfigError(
            f"teacher: its vectors have {data.teacher.shape[1]} numbers; loss.teacher_direct and loss.teacher_ranks "
            f"need {GLOBAL_SIZE}: set them to 0, or take another teacher"
        )
    stripes = data.teacher_stripes
    if stripes is not None and stripes.shape[1:] != (STRIPES, STRIPE_SIZE):
        raise ConfigError(
            f"teacher: its stripes are {stripes.shape[1]} of {stripes.shape[2]} numbers; loss.teacher_stripes needs "
            f"{STRIPES} of {STRIPE_SIZE}: set it to 0, or take another teacher"
        )

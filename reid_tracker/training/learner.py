"""One network in training: its weights, its average, its classifier and its optimizer, and its losses on a batch."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from reid_tracker.training.feed import Batch, Told, dtype_of
from reid_tracker.training.losses import (
    aligned_distillation,
    centre_loss,
    circle_loss,
    distillation,
    identity_loss,
    rank_distillation,
    stripe_distillation,
    trihard,
)
from reid_tracker.training.network import AlignedReIDNet, Features, IdentityHead, set_last_stride
from reid_tracker.training.recipe import LossRecipe, Recipe, StageRecipe
from reid_tracker.training.sending import sent

Starter = Callable[[nn.Module, str], None]
"""Puts published weights into a backbone of that name."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a network says about a batch while it learns.

    Attributes:
        features: float32 vectors.
        logits: (B, classes) float32.
    """

    features: Features
    logits: Tensor


class Learner:
    """A network that learns, alone or with a partner.

    Args:
        recipe: losses, rates, precision.
        backbone: by name.
        classes: people of the training set.
        start: puts published weights into the backbone; None leaves random ones.
        device: where it lives.
    """

    def __init__(
        self, recipe: Recipe, backbone: str, classes: int, start: Starter | None, device: torch.device
    ) -> None:
        self._recipe = recipe
        self._device = device
        self.network = AlignedReIDNet(backbone)
        if start is not None:
            start(self.network.backbone, backbone)
        # 1.7 times as fast on a CPU, and what tensor cores want; torch's own annotations do not know this keyword.
        self.network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.head = IdentityHead(classes, recipe.loss.centre > 0).to(device)
        self.averaged = copy.deepcopy(self.network).eval().requires_grad_(False)
        self.optimizer = _make_optimizer(self.network, self.head, recipe)
        self._dtype = dtype_of(recipe.compute)
        self._scaler = torch.amp.GradScaler(device.type, enabled=self._dtype is torch.float16)

    def enter(self, stage: StageRecipe) -> None:
        """Set stride and frozen part of a stage."""
        for network in (self.network, self.averaged):
            set_last_stride(network, stage.last_stride)
        self.network.train()
        self.network.backbone.freeze(stage.frozen_blocks)
        self.network.backbone.fix_statistics(stage.fixed_statistics)

    def answer(self, x: Tensor, cut: Tensor) -> Answer:
        """Features and classification of pictures (B, 3, H, W), computed in the recipe's precision.

        Args:
            x: the pictures.
            cut: (B,) bool, of which only a part of the body is left.
        """
        with torch.autocast(self._device.type, self._dtype, enabled=self._dtype is not torch.float32):
            features: Features = self.network(x.contiguous(memory_format=torch.channels_last))
        if self._recipe.loss.cut_bodies == "stripes":
            features = features.global_held(sent(cut, self._device))
        return Answer(features, self.head(features.raw))

    def losses(self, answer: Answer, batch: Batch, bank: Tensor | None) -> dict[str, Tensor]:
        """Weighed losses by name, all in float32."""
        weights, features = self._recipe.loss, answer.features
        global_, local = trihard(
            features.global_,
            features.stripes,
            batch.labels,
            weights.margin_global,
            weights.margin_local,
            weights.mined_by,
        )
        losses = {
            "identity": weights.identity * identity_loss(answer.logits, batch.labels, weights.label_smoothing),
            "trihard_global": weights.trihard_global * global_,
            "trihard_local": weights.trihard_local * local,
        }
        if self.head.centres is not None:
            losses["centre"] = weights.centre * centre_loss(features.global_, self.head.centres, batch.labels)
        if weights.circle:
            circle = circle_loss(features.global_, batch.labels, weights.circle_margin, weights.circle_scale)
            losses["circle"] = weights.circle * circle
        if batch.told is not None and bank is not None:
            losses |= _teacher_losses(weights, features, batch.told, bank)
        return losses

    def learn(self, total: Tensor, part_of_full_rate: float) -> None:
        """Follow the gradient of a loss, then let the average follow."""
        for group in self.optimizer.param_groups:
            group["lr"] = group["full_rate"] * part_of_full_rate
        self.optimizer.zero_grad(set_to_none=True)
        self._scaler.scale(total).backward()  # type: ignore[no-untyped-call]  # torch's
        self._scaler.unscale_(self.optimizer)
        parameters = [*self.network.parameters(), *self.head.parameters()]
        nn.utils.clip_grad_norm_(parameters, self._recipe.optimizer.most_gradient)
        self._scaler.step(self.optimizer)
        self._scaler.update()

    @torch.no_grad()
    def average(self, steps: float) -> None:
        """Move the averaged weights towards the present ones; ``steps`` were made so far."""
        # Young averages follow quickly, else the start weights would stay in them for long.
        decay = min(self._recipe.optimizer.ema, (1 + steps) / (10 + steps))
        new, old = self.network.state_dict(), self.averaged.state_dict()
        moving = [name for name, value in old.items() if value.dtype.is_floating_point]
        torch._foreach_lerp_([old[name] for name in moving], [new[name] for name in moving], 1 - decay)
        for name in old.keys() - set(moving):
            old[name].copy_(new[name])

    def adopt(self, kept: dict[str, Any]) -> None:
        """Start from another run's averaged weights; its classifier too where it was kept and knows as many people."""
        weights = {name: value.to(self.network.state_dict()[name].dtype) for name, value in kept["averaged"].items()}
        for network in (self.network, self.averaged):
            network.load_state_dict(weights)
        own = self.head.state_dict()
        head = {name: value.to(own[name].dtype) for name, value in kept["head"].items() if name in own}
        if "classifier.weight" in head and head["classifier.weight"].shape == self.head.classifier.weight.shape:
            self.head.load_state_dict({**own, **head})

    def state(self) -> dict[str, Any]:
        """Everything of it that changes."""
        state = {
            "network": self.network.state_dict(),
            "head": self.head.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }
        if self._scaler.is_enabled():
            state["scaler"] = self._scaler.state_dict()
        return state

    def restore(self, state: dict[str, Any]) -> None:
        """Continue exactly where ``state`` was taken."""
        self.network.load_state_dict(state["network"])
        self.head.load_state_dict(state["head"])
        self.averaged.load_state_dict(state["averaged"])
        full_rates = [group["full_rate"] for group in self.optimizer.param_groups]
        self.optimizer.load_state_dict(state["optimizer"])
        for group, full_rate in zip(self.optimizer.param_groups, full_rates, strict=True):
            group["full_rate"] = full_rate
        if self._scaler.is_enabled() and "scaler" in state:
            self._scaler.load_state_dict(state["scaler"])


def _teacher_losses(weights: LossRecipe, features: Features, told: Told, bank: Tensor) -> dict[str, Tensor]:
    student, stripes = (one.index_select(0, told.rows) for one in (features.global_, features.stripes))
    teacher = told.vectors
    direct, pairs = distillation(student, teacher)
    losses = {"teacher_direct": weights.teacher_direct * direct, "teacher_pairs": weights.teacher_pairs * pairs}
    # The other two cost time, so they are computed where they count.
    if weights.teacher_ranks:
        ranks = rank_distillation(student, teacher, bank, weights.ranks_temperature)
        losses["teacher_ranks"] = weights.teacher_ranks * ranks
    if weights.teacher_aligned:
        losses["teacher_aligned"] = weights.teacher_aligned * aligned_distillation(stripes, teacher)
    if told.stripes is not None:
        losses["teacher_stripes"] = weights.teacher_stripes * stripe_distillation(stripes, told.stripes)
    return losses


def _make_optimizer(network: AlignedReIDNet, head: IdentityHead, recipe: Recipe) -> torch.optim.Optimizer:
    settings = recipe.optimizer
    backbone = list(network.backbone.parameters())
    heads = [*network.global_head.parameters(), *network.local_head.parameters(), *head.parameters()]
    groups = [
        {"params": backbone, "full_rate": settings.backbone_rate},
        {"params": heads, "full_rate": settings.head_rate},
    ]
    return torch.optim.AdamW(groups, lr=settings.backbone_rate, weight_decay=settings.weight_decay)

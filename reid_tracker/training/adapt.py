"""Better on one site without labels: an embedder learns from what that site's recordings agree on.

The present embedder sees every crop of a run. What its answers have in common over a tracklet, with the camera's share
taken out and with the tracklet's nearest partner in the other cameras, is a better answer than any single one
(``agreement.py``); the network is trained to give that answer for each picture. Nothing is treated as a stranger
because nobody linked it, which is what wrong pseudo-labels do. A part of the people is held out, and a result that is
no better on them is refused.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from reid_tracker.errors import InputError
from reid_tracker.training.agreement import Examination, agreed_answers
from reid_tracker.training.data import decode_people, join_people
from reid_tracker.training.network import AlignedReIDNet, pixels_to_input
from reid_tracker.training.recipe import Recipe
from reid_tracker.training.site import SitePeople
from reid_tracker.training.trainer import Trainer
from reid_tracker.types import BoolArray, FloatArray, Image

logger = logging.getLogger(__name__)

LEAST_TRACKLETS = 40  # fewer say little, and a held-out part of them less
_HELD_OUT = 0.25
_BATCH = 64


@dataclass(frozen=True, slots=True)
class Adapted:
    """What came of it.

    Attributes:
        state: of the trainer, as a checkpoint has it.
        before, after: agreement (0..1) of the held-out part's answers with what is certain there.
    """

    state: dict[str, Any]
    before: float
    after: float

    @property
    def better(self) -> bool:
        """Whether it is worth shipping."""
        return self.after > self.before


def adapt_to_site(
    site: SitePeople,
    kept: dict[str, Any],
    recipe: Recipe,
    cache: Path,
    rounds: int = 2,
    report: Callable[[str], None] = logger.info,
) -> Adapted:
    """Train a kept state on a site's crops.

    Args:
        site: the crops of a run, or pictures gathered otherwise.
        kept: training state of the present embedder.
        recipe: its one stage is passed once a round.
        cache: for decoded pictures; never inside a repository.
        rounds: after each one all answers are asked anew of the new network; the best one's is what comes out.
        report: told how it goes.

    Raises:
        InputError: there is too little to learn from.
    """
    if len(site) < LEAST_TRACKLETS:
        raise InputError(f"{len(site)} tracklets with crops; adaptation needs {LEAST_TRACKLETS}: track more video")
    learned, held = split_site(site, recipe.seed)
    of_learned, of_held = (decode_people(part.pictures, recipe.stages[0].size_hw, cache) for part in (learned, held))
    network = _network_of(kept, recipe)
    judged = look_at(network, of_held[0])
    examination = Examination(judged, held)
    before = examination.grade(judged)
    report(f"{len(learned)} tracklets to learn from, {len(held)} held out; agreement there {before:.4f}")
    best: Adapted | None = None
    for number in range(1, rounds + 1):
        trainer = _one_round(learned, of_learned, network, recipe)
        network = trainer.averaged
        after = examination.grade(look_at(network, of_held[0]))
        report(f"round {number} of {rounds}: agreement on the held-out part {after:.4f}")
        if best is None or after > best.after:
            best = Adapted(copy.deepcopy(trainer.state()), before, after)
    assert best is not None
    return best


def split_site(site: SitePeople, seed: int) -> tuple[SitePeople, SitePeople]:
    """Tracklets to learn from, and those held out.

    Held-out ones come in groups that were in view together, else nothing would be certain about them.
    """
    moments = np.argsort((site.started + site.ended) / 2, kind="stable")
    groups = np.array_split(moments, max(4, len(site) // 20))
    chosen = np.random.default_rng(seed).permutation(len(groups))[: max(1, round(_HELD_OUT * len(groups)))]
    held = np.concatenate([groups[place] for place in sorted(chosen)])
    return site.only(np.setdiff1d(np.arange(len(site)), held)), site.only(np.sort(held))


def look_at(network: AlignedReIDNet, pixels: Image) -> FloatArray:
    """Global vectors (N, D) of crops (N, h, w, 3)."""
    device = next(network.parameters()).device
    answers = []
    with torch.inference_mode():
        for start in range(0, len(pixels), _BATCH):
            batch = torch.from_numpy(np.array(pixels[start : start + _BATCH])).to(device)
            x = pixels_to_input(batch).contiguous(memory_format=torch.channels_last)
            answers.append(network(x).global_.float().cpu().numpy())
    return np.concatenate(answers)


def _one_round(site: SitePeople, decoded: tuple[Image, BoolArray], network: AlignedReIDNet, recipe: Recipe) -> Trainer:
    answers: NDArray[np.float32] = agreed_answers(look_at(network, decoded[0]), site)
    data = join_people([site.pictures], [decoded], [answers])
    trainer = Trainer(recipe, data, None)
    trainer.adopt({"averaged": network.state_dict(), "head": trainer.head.state_dict()})
    stage = recipe.stages[0]
    trainer.enter(stage)
    while trainer.seen < stage.pictures:
        trainer.check({name: float(value) for name, value in trainer.step(data).items()})
    return trainer


def _network_of(kept: dict[str, Any], recipe: Recipe) -> AlignedReIDNet:
    network = AlignedReIDNet(recipe.backbone)
    network.load_state_dict({name: value.float() for name, value in kept["averaged"].items()})
    return network.eval().requires_grad_(False)

"""Better on one site without labels: an embedder learns from what that site's recordings agree on.

The present embedder sees every crop of a run. What its answers have in common over a tracklet, with the camera's share
taken out and with the tracklet's nearest partner in the other cameras, is a better answer than any single one
(``agreement.py``); the network is trained to give that answer for each picture. Nothing is treated as a stranger
because nobody linked it, which is what wrong pseudo-labels do. A part of the people is held out, and a result that is
not better on them by more than chance is refused.
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
from reid_tracker.training.agreement import Examination, Gain, agreed_answers, probable_people, site_links
from reid_tracker.training.data import decode_people, join_people
from reid_tracker.training.network import AlignedReIDNet, pixels_to_input
from reid_tracker.training.recipe import Recipe
from reid_tracker.training.site import SitePeople
from reid_tracker.training.trainer import Trainer
from reid_tracker.types import BoolArray, FloatArray, Image

logger = logging.getLogger(__name__)

LEAST_TRACKLETS = 40  # fewer say little, and a held-out part of them less
LEAST_QUESTIONS = 20  # fewer tell a gain from luck only where it is large
_HELD_OUT = 0.25
_MOST_HELD_OUT = 0.4  # people who are linked are held out together, which may be more than was wanted
_BATCH = 64


@dataclass(frozen=True, slots=True)
class Adapted:
    """What came of it.

    Attributes:
        state: of the trainer, as a checkpoint has it.
        gain: how much better the held-out part's answers agree with what is certain there.
    """

    state: dict[str, Any]
    gain: Gain

    @property
    def before(self) -> float:
        """Agreement (0..1) of the present embedder's answers."""
        return self.gain.before

    @property
    def after(self) -> float:
        """Agreement (0..1) of the adapted one's."""
        return self.gain.after

    @property
    def better(self) -> bool:
        """Whether it is worth shipping."""
        return self.gain.certain


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
        InputError: there is too little to learn from, or to judge by.
        ConfigError: fewer tracklets are left to learn from than the recipe wants in a batch.
    """
    pixels, readable = decode_people(site.pictures, recipe.stages[0].size_hw, cache)
    if not readable.all():
        site, pixels = site.pictured(readable), pixels[readable]
    if len(site) < LEAST_TRACKLETS:
        raise InputError(
            f"{len(site)} tracklets with readable crops; adaptation needs {LEAST_TRACKLETS}: track more video"
        )
    network = network_of(kept, recipe)
    vectors = look_at(network, pixels)
    held = hold_out(site, probable_people(site_links(vectors, site), len(site)), recipe.seed)
    examination = Examination(vectors, site, held)
    if len(examination.questions) < LEAST_QUESTIONS:
        raise InputError(
            f"{len(examination.questions)} questions to judge by, of {held.sum()} tracklets held out; adaptation needs "
            f"{LEAST_QUESTIONS}: track more video, of people who are in view together or pass several cameras"
        )
    before = examination.scores(vectors)
    report(f"{(~held).sum()} tracklets to learn from, {held.sum()} held out, {len(before)} questions about them")
    best: Adapted | None = None
    for number in range(1, rounds + 1):
        trainer = _one_round(site, pixels, vectors, held, network, recipe)
        network = trainer.averaged
        vectors = look_at(network, pixels)
        gain = examination.gain(before, examination.scores(vectors))
        report(f"round {number} of {rounds}: agreement there {gain.before:.4f} -> {gain.after:.4f} ± {gain.error:.4f}")
        if best is None or gain.after > best.gain.after:
            best = Adapted(copy.deepcopy(trainer.state()), gain)
    assert best is not None
    return best


def hold_out(site: SitePeople, people: NDArray[np.int64], seed: int) -> BoolArray:
    """(T,) bool: the tracklets that are kept from learning, about a quarter.

    They come in groups that were in view together, else nothing would be certain about them, and with everything of
    the probable ``people`` (T,) in them: whoever is learned in one camera is no stranger in the next.
    """
    moments = np.argsort((site.started + site.ended) / 2, kind="stable")
    groups = np.array_split(moments, max(8, len(site) // 10))
    held = np.zeros(len(site), dtype=np.bool_)
    for group in np.random.default_rng(seed).permutation(len(groups)):
        more = held | np.isin(people, people[groups[group]])
        if more.mean() <= _MOST_HELD_OUT:
            held = more
        if held.mean() >= _HELD_OUT:
            break
    return held


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


def _one_round(
    site: SitePeople, pixels: Image, vectors: FloatArray, held: BoolArray, network: AlignedReIDNet, recipe: Recipe
) -> Trainer:
    learned = ~held[site.tracklet_of]
    answers = np.zeros_like(vectors)
    answers[learned] = agreed_answers(vectors[learned], site.only(np.flatnonzero(~held)))
    # Those held out are left out as unreadable ones are; their pixels stay where they are, in a memory-mapped file.
    data = join_people([site.pictures], [(pixels, learned)], [answers])
    trainer = Trainer(recipe, data, None)
    trainer.adopt({"averaged": network.state_dict(), "head": trainer.head.state_dict()})
    stage = recipe.stages[0]
    trainer.enter(stage)
    while trainer.seen < stage.pictures:
        trainer.check({name: float(value) for name, value in trainer.step(data).items()})
    return trainer


def network_of(kept: dict[str, Any], recipe: Recipe) -> AlignedReIDNet:
    """The averaged network of a kept state, in evaluation mode."""
    network = AlignedReIDNet(recipe.backbone)
    network.load_state_dict({name: value.float() for name, value in kept["averaged"].items()})
    return network.eval().requires_grad_(False)

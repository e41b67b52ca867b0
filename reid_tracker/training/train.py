"""The training loop: ``reid-tracker train --recipe R.toml --data D --out O``.

A run continues by itself from the last checkpoint in its folder, and exactly: weights, averaged weights, optimizer,
sampler and chance are all in it. What ships are the averaged weights.
"""

from __future__ import annotations

import dataclasses
import logging
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from reid_tracker.errors import ConfigError, ModelError
from reid_tracker.training.backbones import load_start_weights
from reid_tracker.training.checkpoints import CHECKPOINT, fitting, load, save_checkpoint
from reid_tracker.training.composed import compose_people
from reid_tracker.training.data import (
    PeopleSet,
    TrainingSet,
    at_most_per_person,
    decode_people,
    join_people,
    read_people,
)
from reid_tracker.training.learner import Starter
from reid_tracker.training.pack import Pack
from reid_tracker.training.recipe import Recipe, SetRecipe, StageRecipe
from reid_tracker.training.teacher import teacher_stripes, teacher_vectors
from reid_tracker.training.trainer import Trainer

logger = logging.getLogger(__name__)

REPORT_STEPS = 20


@dataclass(frozen=True, slots=True)
class Places:
    """Where a run finds and leaves things.

    Attributes:
        data: folder that holds the sets' folders; not needed with a pack.
        out: checkpoints and logs.
        cache: decoded pictures and teacher's answers; never inside a repository.
        start: published weights of the backbone; None starts from random ones, or from the pack's.
        teacher: model to learn from; needed where the recipe gives it weight and there is no pack.
        state: a kept training state to begin from; its people may be others.
        resume: a kept state of this very run to go on from, where there is no checkpoint.
        pack: pictures, teacher's answers and start weights in one file, in place of ``data``, ``teacher``, ``start``.
        partner_start: published weights of the partner's backbone.
        keep: file for a small state, written with each checkpoint.
    """

    data: Path
    out: Path
    cache: Path
    start: Path | None = None
    teacher: Path | None = None
    state: Path | None = None
    resume: Path | None = None
    pack: Path | None = None
    partner_start: Path | None = None
    keep: Path | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """What a run says of itself now and then.

    Attributes:
        seen: pictures so far, of ``pictures``.
        rate: pictures a second in this stage and process.
        minutes_left: at this rate, later stages by the size of their pictures.
        losses: means since the last report, by name.
    """

    seen: int
    pictures: int
    rate: float
    minutes_left: float
    losses: dict[str, float] = field(default_factory=dict)

    def to_text(self) -> str:
        """One line."""
        shown = " ".join(f"{name} {value:.3f}" for name, value in self.losses.items())
        return f"{self.seen} pictures, {self.rate:.1f}/s, {self.minutes_left:.0f} min left at this rate: {shown}"


def read_sets(recipe: Recipe, places: Places) -> list[PeopleSet]:
    """The recipe's sets, thinned where it says so; a pack was thinned when it was made."""
    if places.pack is not None:
        pack = Pack(places.pack)
        return [pack.people(wanted.name) for wanted in recipe.sets]
    return [_read_set(wanted, places, recipe.seed) for wanted in recipe.sets]


def _read_set(wanted: SetRecipe, places: Places, seed: int) -> PeopleSet:
    people = read_people(places.data / wanted.folder, wanted.name)
    if wanted.most_per_person:
        people = at_most_per_person(people, wanted.most_per_person)
    return compose_people(people, wanted.composed, places.cache, seed) if wanted.composed else people


def load_stage(recipe: Recipe, places: Places, sets: list[PeopleSet], stage: StageRecipe) -> TrainingSet:
    """The pictures of one stage at its size, with the teacher's answers where the recipe uses them."""
    asks = recipe.uses_teacher and stage.teacher
    if places.pack is not None:
        pack = Pack(places.pack)
        told = [pack.teacher(one.name) if one.teacher else None for one in recipe.sets] if asks else None
        if asks and recipe.loss.teacher_stripes:
            raise ConfigError("a pack holds no stripes of a teacher: set loss.teacher_stripes to 0, or use --teacher")
        if told is not None and all(one is None for one in told):
            raise ConfigError(f"the recipe learns from a teacher, and {places.pack} has no answers of one")
        return join_people(sets, [pack.decode(one.name, stage.size_hw) for one in sets], told)
    vectors = ask_teacher(recipe, places, sets) if asks else None
    stripes = ask_stripes(recipe, places, sets) if asks and recipe.loss.teacher_stripes else None
    return join_people(sets, [decode_people(one, stage.size_hw, places.cache) for one in sets], vectors, stripes)


def ask_teacher(recipe: Recipe, places: Places, sets: list[PeopleSet]) -> list[NDArray[np.float32] | None]:
    """The teacher's answers for each set that the recipe asks it about.

    Raises:
        ConfigError: no teacher is named.
    """
    teacher = _teacher_of(places)
    return [
        teacher_vectors(teacher, people, recipe.teacher_size_hw, places.cache) if wanted.teacher else None
        for wanted, people in zip(recipe.sets, sets, strict=True)
    ]


def ask_stripes(recipe: Recipe, places: Places, sets: list[PeopleSet]) -> list[NDArray[np.float16] | None]:
    """The teacher's stripes for each set that the recipe asks it about.

    Raises:
        ConfigError: no teacher is named.
        ModelError: it has no stripes.
    """
    teacher = _teacher_of(places)
    return [
        teacher_stripes(teacher, people, places.cache) if wanted.teacher else None
        for wanted, people in zip(recipe.sets, sets, strict=True)
    ]


def _teacher_of(places: Places) -> Path:
    if places.teacher is None:
        raise ConfigError("the recipe learns from a teacher: name it with --teacher, or set its weights to 0")
    return places.teacher


def starter_of(recipe: Recipe, places: Places) -> Starter | None:
    """How backbones get their first weights: from a file each, from the pack, or not at all."""
    files = {recipe.backbone: places.start}
    if recipe.partner:
        # Two networks of one kind may start from one file: their heads and their batches' order of sums differ.
        files[recipe.partner] = places.partner_start or files.get(recipe.partner)
    if places.start is None and places.pack is None:
        return None
    pack = Pack(places.pack) if places.pack is not None else None

    def start(backbone: nn.Module, name: str) -> None:
        file = files.get(name)
        if file is not None:
            load_start_weights(backbone, name, file)
        elif pack is not None:
            pack.start(backbone, name)
        else:
            raise ModelError(f"no start weights for {name}: name them with --partner-start")

    return start


class StopRequest:
    """A question that the loop asks after each step, so that a checkpoint is written before it ends.

    Args:
        minutes: say yes after so long, counted from here; None never by itself.
    """

    def __init__(self, minutes: float | None = None) -> None:
        self._asked = False
        self._until = None if minutes is None else time.monotonic() + 60 * minutes

    @property
    def asked(self) -> bool:
        """Whether the run should end now."""
        return self._asked or (self._until is not None and time.monotonic() >= self._until)

    def listen(self) -> None:
        """Take over SIGTERM and Ctrl-C; a second one ends at once."""
        signal.signal(signal.SIGTERM, self._ask)
        signal.signal(signal.SIGINT, self._ask)

    def _ask(self, number: int, _frame: FrameType | None) -> None:
        self._asked = True
        signal.signal(number, signal.SIG_DFL)


def run(
    recipe: Recipe,
    places: Places,
    checkpoint_minutes: float = 4.0,
    stop: StopRequest | None = None,
    report: Callable[[Progress], None] | None = None,
) -> Trainer:
    """Train to the end of the recipe, from the last checkpoint if there is one.

    Args:
        recipe: what to do; may differ from the checkpoint's in lengths, rates and weights.
        places: where data and checkpoints are.
        checkpoint_minutes: how much work an interruption may cost.
        stop: asked after each step; None never stops.
        report: told every 20 steps how the run goes; None writes that to the log.
    """
    stop = stop or StopRequest()
    report = report or (lambda progress: logger.info("%s", progress.to_text()))
    sets = read_sets(recipe, places)
    before = _before(places)
    stage = recipe.stage_at(before.seen)
    data = load_stage(recipe, places, sets, stage or recipe.stages[-1])
    trainer = Trainer(recipe, data, starter_of(recipe, places))
    before.go_on(trainer)
    if stage is None:
        save_checkpoint(trainer, places.out, places.keep)  # of a finished run, perhaps only its small state was here
    while stage is not None and not stop.asked:
        logger.info("stage %s: %d pictures, %d people", stage, len(data.labels), data.classes)
        trainer.enter(stage)
        _run_stage(trainer, data, stage, places, checkpoint_minutes, stop, report)
        following = recipe.stage_at(trainer.seen)
        if following is not None and following is not stage:
            data = load_stage(recipe, places, sets, following)
        stage = following
    return trainer


@dataclass(frozen=True, slots=True)
class _Before:
    """What there is to go on from: pictures seen, and what puts a trainer there."""

    seen: int
    go_on: Callable[[Trainer], None]


def _before(places: Places) -> _Before:
    checkpoint = places.out / CHECKPOINT
    if checkpoint.exists():
        return _from_state(checkpoint, Trainer.restore, "seen", "recipe", "network", "optimizer", "averaged", "head")
    if places.resume is not None:
        return _from_state(places.resume, Trainer.resume, "seen", "averaged", "head")
    if places.state is not None:
        return dataclasses.replace(_from_state(places.state, Trainer.adopt, "seen", "averaged", "head"), seen=0)
    return _Before(0, lambda _trainer: None)


def _from_state(file: Path, put: Callable[[Trainer, dict[str, Any]], None], *parts: str) -> _Before:
    state = load(file, *parts)
    logger.info("going on from %s, of %d pictures", file, state["seen"])

    def go_on(trainer: Trainer) -> None:
        with fitting(file):
            put(trainer, state)

    return _Before(int(state["seen"]), go_on)


def _run_stage(
    trainer: Trainer,
    data: TrainingSet,
    stage: StageRecipe,
    places: Places,
    checkpoint_minutes: float,
    stop: StopRequest,
    report: Callable[[Progress], None],
) -> None:
    started, saved, begun = time.monotonic(), time.monotonic(), trainer.seen
    sums: dict[str, Tensor] = {}
    steps = 0
    while trainer.recipe.stage_at(trainer.seen) is stage and not stop.asked:
        for name, value in trainer.step(data).items():
            sums[name] = sums[name] + value if name in sums else value
        steps += 1
        if steps % REPORT_STEPS == 0:
            rate = (trainer.seen - begun) / (time.monotonic() - started)
            losses = {name: float(value) / REPORT_STEPS for name, value in sums.items()}
            trainer.check(losses)
            height, width = stage.size_hw
            minutes = trainer.recipe.pixels_left(trainer.seen) / (height * width * rate * 60)
            report(Progress(trainer.seen, trainer.recipe.pictures, rate, minutes, losses))
            sums.clear()
        if time.monotonic() - saved > checkpoint_minutes * 60:
            trainer.check({name: float(value) for name, value in sums.items()})
            save_checkpoint(trainer, places.out, places.keep)
            saved = time.monotonic()
    trainer.check({name: float(value) for name, value in sums.items()})
    save_checkpoint(trainer, places.out, places.keep)

"""How a run shows how it goes: a bar where somebody watches, else lines in the log; TensorBoard where asked for."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import nan
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from reid_tracker.errors import ConfigError
from reid_tracker.training.recipe import Recipe
from reid_tracker.training.train import Progress as TrainingProgress

logger = logging.getLogger(__name__)


@contextmanager
def reporting(
    recipe: Recipe, tensorboard: Path | None, console: Console
) -> Iterator[Callable[[TrainingProgress], None]]:
    """What ``run`` is to call with its progress.

    Args:
        recipe: says how long the run is.
        tensorboard: folder for event files, or None.
        console: where a bar is shown if it is a terminal.

    Raises:
        ConfigError: TensorBoard is asked for and not installed.
    """
    writer = _writer(tensorboard)
    with _bar(recipe, console) as show:

        def report(progress: TrainingProgress) -> None:
            show(progress)
            if writer is not None:
                for name, value in progress.losses.items():
                    writer.add_scalar(f"loss/{name}", value, progress.seen)
                writer.add_scalar("pictures a second", progress.rate, progress.seen)

        try:
            yield report
        finally:
            if writer is not None:
                writer.close()


def _writer(folder: Path | None) -> Any:
    if folder is None:
        return None
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ConfigError("--tensorboard: the package is not installed; run: pip install tensorboard") from error
    return SummaryWriter(str(folder))


@contextmanager
def _bar(recipe: Recipe, console: Console) -> Iterator[Callable[[TrainingProgress], None]]:
    if not console.is_terminal:
        yield lambda progress: logger.info("%s", progress.to_text())
        return
    columns = (
        TextColumn("training {task.fields[name]}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("pictures, {task.fields[rate]:.0f}/s, loss {task.fields[loss]:.3f}"),
        TextColumn("{task.fields[left]:.0f} min left"),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("training", total=recipe.pictures, name=recipe.name, rate=0.0, loss=nan, left=nan)
        yield lambda progress: bar.update(
            task,
            completed=progress.seen,
            rate=progress.rate,
            loss=sum(progress.losses.values()),
            left=progress.minutes_left,
        )

"""What a run says of itself: a line in a log, a bar on a terminal, event files where they are asked for."""

import io
import logging
import sys
import types

import pytest
from rich.console import Console

pytest.importorskip("torch", reason="training needs torch")

from reid_tracker.errors import ConfigError
from reid_tracker.training.recipe import Recipe
from reid_tracker.training.reporting import reporting
from reid_tracker.training.train import Progress

RECIPE = Recipe.model_validate(
    {
        "name": "mine",
        "sets": [{"name": "a", "folder": "a", "people": 2}],
        "stages": [{"pictures": 1000, "size_hw": [32, 32]}],
    }
)
PROGRESS = Progress(400, 1000, 10.0, 1.2, {"identity": 2.5, "trihard_local": 0.25})


def test_a_log_gets_a_line_with_the_time_left(caplog):
    with caplog.at_level(logging.INFO), reporting(RECIPE, None, Console(file=io.StringIO())) as report:
        report(PROGRESS)
    assert "400 pictures, 10.0/s, 1 min left at this rate: identity 2.500 trihard_local 0.250" in caplog.text


def test_a_terminal_gets_a_bar(caplog):
    screen = Console(file=io.StringIO(), force_terminal=True, width=120)
    with caplog.at_level(logging.INFO), reporting(RECIPE, None, screen) as report:
        report(PROGRESS)
    assert "training mine" in screen.file.getvalue()
    assert "400/1000" in screen.file.getvalue()
    assert "1 min left" in screen.file.getvalue()
    assert caplog.text == ""


def test_event_files_get_every_loss(tmp_path, monkeypatch):
    written, closed = [], []

    class Writer:
        def __init__(self, folder: str) -> None:
            self.folder = folder

        def add_scalar(self, name: str, value: float, step: int) -> None:
            written.append((name, value, step))

        def close(self) -> None:
            closed.append(self.folder)

    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", types.SimpleNamespace(SummaryWriter=Writer))
    with reporting(RECIPE, tmp_path, Console(file=io.StringIO())) as report:
        report(PROGRESS)
    assert written == [("loss/identity", 2.5, 400), ("loss/trihard_local", 0.25, 400), ("pictures a second", 10.0, 400)]
    assert closed == [str(tmp_path)]


def test_without_the_package_one_line_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with (
        pytest.raises(ConfigError, match="pip install tensorboard"),
        reporting(RECIPE, tmp_path, Console(file=io.StringIO())),
    ):
        pytest.fail("it must not begin")

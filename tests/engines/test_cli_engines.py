"""The commands, from a terminal's point of view."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from reid_tracker.cli import app
from reid_tracker.errors import ConfigError
from reid_tracker.runtime.tensorrt.cache import EngineCache
from tests.engines.networks import embedder
from tests.engines.test_cache import PLAN, record

runner = CliRunner()


def test_listing_shows_what_is_built_and_for_what(tmp_path: Path) -> None:
    assert "no engines in" in runner.invoke(app, ["engines", "list", "--cache", str(tmp_path)]).output
    EngineCache(tmp_path).store(record(), PLAN)
    shown = runner.invoke(app, ["engines", "list", "--cache", str(tmp_path)]).output
    assert record().name in shown.replace("\n", "")
    assert "8.6" in shown


def test_removing_by_the_name_that_is_listed(tmp_path: Path) -> None:
    folder = EngineCache(tmp_path).store(record(), PLAN)
    assert runner.invoke(app, ["engines", "remove", folder.name, "--cache", str(tmp_path)]).exit_code == 0
    assert not folder.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--precision", "fp12"], "expected fp32, fp16"),
        (["--batch", "64,16,1"], "expected least, best, most"),
        (["--batch", "1,2"], "least,best,most"),
        (["--size", "100"], "least,best,most"),
        (["--flavour", "other"], "expected tensorrt, tensorrt_rtx"),
    ],
)
def test_wrong_options_are_named(arguments: list[str], message: str, tmp_path: Path) -> None:
    pytest.importorskip("tensorrt_rtx")
    result = runner.invoke(app, ["engines", "build", "alignedreid_small", *arguments, "--cache", str(tmp_path)])
    assert isinstance(result.exception, ConfigError)
    assert message in str(result.exception)


@pytest.mark.slow
def test_building_a_network_of_ones_own_on_the_clips_people(tmp_path: Path) -> None:
    pytest.importorskip("tensorrt_rtx")
    path = embedder(tmp_path / "own.onnx")
    command = ["engines", "build", str(path), "--batch", "1,4,8", "--cache", str(tmp_path / "cache")]
    first = runner.invoke(app, command)
    assert first.exit_code == 0, first.output
    assert "least cosine with float32 on" in first.output
    assert "already built" in runner.invoke(app, command).output

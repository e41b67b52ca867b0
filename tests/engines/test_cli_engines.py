"""The commands, from a terminal's point of view."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from reid_tracker.cli import app
from reid_tracker.errors import ConfigError
from reid_tracker.runtime import cuda
from reid_tracker.runtime.tensorrt import opening
from reid_tracker.runtime.tensorrt.cache import ENGINE, EngineCache
from reid_tracker.runtime.tensorrt.records import record_of
from tests.engines.networks import embedder
from tests.engines.test_cache import PLAN, key, record
from tests.engines.test_opening import CARD

runner = CliRunner()


def test_listing_shows_what_is_built_and_for_what(tmp_path: Path) -> None:
    assert "no engines in" in runner.invoke(app, ["engines", "list", "--cache", str(tmp_path)]).output
    EngineCache(tmp_path).store(record(), PLAN)
    shown = runner.invoke(app, ["engines", "list", "--cache", str(tmp_path)]).output
    assert record().name in shown.replace("\n", "")
    assert "8.6" in shown


def test_listing_says_which_engine_would_be_taken_and_why_not_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cuda, "probe", lambda: cuda.Probe(CARD, ""))
    monkeypatch.setattr(opening, "versions_here", lambda: {"tensorrt_rtx": "1.7.1"})
    cache = EngineCache(tmp_path)

    def stored(day: int, **changes: object) -> Path:
        built = record_of("small", key(**changes), PLAN, 1, built=datetime(2026, 1, day, tzinfo=UTC))
        return cache.store(built, PLAN)

    older, newer = stored(1, capabilities=()), stored(2)
    foreign, damaged = stored(3, capabilities=("8.9",)), stored(4, capabilities=("8.6", "8.9"))
    (damaged / ENGINE).write_bytes(PLAN[:50])
    shown = runner.invoke(app, ["engines", "list", "--cache", str(tmp_path)], env={"COLUMNS": "500"}).output
    lines = {line.split()[0]: line.rstrip() for line in shown.splitlines() if line.startswith("small-")}
    assert lines[newer.name].endswith("taken")
    assert lines[older.name].endswith(f"runs, but {newer.name} is newer")
    assert "built for tensorrt_rtx 1.7.1, compute capability 8.9" in lines[foreign.name]
    assert "truncated" in lines[damaged.name]


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

"""What is built before a run starts, and what happens where that fails."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from reid_tracker.compilation import build, prepare_engines
from reid_tracker.compilation.build import EngineOptions
from reid_tracker.config import Config
from reid_tracker.errors import ModelError
from reid_tracker.runtime import cuda
from reid_tracker.runtime.registry import shipped_model
from reid_tracker.runtime.tensorrt import opening
from reid_tracker.runtime.tensorrt.cache import EngineCache
from reid_tracker.runtime.tensorrt.records import record_of
from tests.engines.test_cache import PLAN, key
from tests.engines.test_opening import CARD

Asked = list[tuple[str, EngineOptions]]


@pytest.fixture(autouse=True)
def a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda, "probe", lambda: cuda.Probe(CARD, ""))
    monkeypatch.setattr(opening, "versions_here", lambda: {"tensorrt_rtx": "1.7.1"})


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """What was to be built; each build fails."""
    builds: Asked = []

    def failing(name: str, options: EngineOptions, *_: object) -> None:
        builds.append((name, options))
        raise ModelError(f"model {name} at fp16: differs from float32")

    monkeypatch.setattr(build, "build_engines", failing)
    return builds


@pytest.fixture
def settings(tmp_path: Path) -> Callable[..., Config]:
    def with_values(**values: object) -> Config:
        runtime = {"backend": "tensorrt", "precision": "fp16", "engine_cache": str(tmp_path), **values}
        return Config().with_values({f"runtime.{name}": value for name, value in runtime.items()})

    return with_values


def test_a_build_that_fails_ends_a_run_that_nothing_may_stand_in_for(
    settings: Callable[..., Config], asked: Asked
) -> None:
    with pytest.raises(ModelError, match="nanodet_g at fp16"):
        prepare_engines(settings())
    assert [name for name, _ in asked] == ["nanodet_g"]


def test_a_build_that_fails_is_told_where_something_may_stand_in(
    settings: Callable[..., Config], asked: Asked, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        prepare_engines(settings(fallback=["onnxruntime"]))
    assert [name for name, _ in asked] == ["nanodet_g", "alignedreid_small"]
    assert "differs from float32; going on with what runtime.fallback names (onnxruntime)" in caplog.text


@pytest.mark.parametrize(
    ("batch", "detectors"), [((1, 16, 64), (1, 4, 8)), ((16, 16, 16), (1, 4, 8)), ((1, 2, 4), (1, 2, 4))]
)
def test_a_detectors_engine_takes_no_more_frames_than_come_at_once(
    settings: Callable[..., Config], asked: Asked, batch: tuple[int, ...], detectors: tuple[int, ...]
) -> None:
    prepare_engines(settings(fallback=["onnxruntime"], engine_batch=list(batch)))
    assert [options.batch for _, options in asked] == [detectors, batch]


def test_where_engines_fit_the_tools_to_build_need_not_be_installed(
    settings: Callable[..., Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = settings()
    for name in ("nanodet_g", "alignedreid_small"):
        built = record_of(name, key(model_sha256=shipped_model(name).sha256), PLAN, 1)
        EngineCache(Path(config.runtime.engine_cache)).store(built, PLAN)
    monkeypatch.setattr(build, "must_be_able_to_build", lambda: pytest.fail("asked for tools"))
    prepare_engines(config)


def test_the_parts_that_build_are_imported_without_onnx() -> None:
    code = "import sys; sys.modules['onnx'] = None; import reid_tracker.compilation"
    subprocess.run([sys.executable, "-c", code], check=True)

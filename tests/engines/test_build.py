"""Engines built for real by TensorRT for RTX, which needs no GPU for it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorrt_rtx", reason="needs tensorrt-rtx-cu13, which builds engines without a GPU")

from reid_tracker.compilation.parity import compare
from reid_tracker.errors import ConfigError, ModelError
from reid_tracker.runtime import cuda
from reid_tracker.runtime.tensorrt.building import build_engine, shapes_for
from reid_tracker.runtime.tensorrt.cache import ENGINE, EngineCache
from reid_tracker.runtime.tensorrt.flavours import Flavour, Interrupted, Progress
from tests.engines.networks import embedder
from tests.engines.requests import SIZES, request


@pytest.fixture(scope="module")
def flavour() -> Flavour:
    return Flavour("tensorrt_rtx")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return embedder(tmp_path_factory.mktemp("networks") / "small.onnx")


@pytest.fixture
def cache(tmp_path: Path) -> EngineCache:
    return EngineCache(tmp_path / "cache")


@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16", "int8", "fp8"])
def test_every_precision_builds_and_is_kept_with_its_papers(
    flavour: Flavour, cache: EngineCache, path: Path, precision: str
) -> None:
    built = build_engine(request(path, precision), flavour, cache)
    (entry,) = cache.entries()
    assert entry.record == built.record
    assert cache.read(entry)[:4] == b"vtrt"
    papers = json.loads((built.folder / "build.json").read_text())
    assert papers["key"]["precision"] == precision
    assert papers["key"]["shapes"] == {"crops": [[1, 32, 16, 3], [4, 32, 16, 3], [8, 32, 16, 3]]}
    assert papers["key"]["version"] == flavour.version
    assert papers["metadata"] == {"made by": "a test"}
    assert papers["parity"]["network"]["outputs"]["stripes"]["least_cosine"] > 0.9
    if cuda.probe().device is None:
        assert papers["parity"]["engine"] is None
        assert papers["gpu"] == ""


def test_half_weights_make_a_smaller_engine(flavour: Flavour, tmp_path: Path, cache: EngineCache) -> None:
    """The sign that the network's types reach the engine: nothing else tells without a GPU."""
    path = embedder(tmp_path / "wide.onnx", width=16384)
    sizes = {
        precision: build_engine(request(path, precision), flavour, cache).record.engine_bytes
        for precision in ("fp32", "fp16")
    }
    assert sizes["fp16"] < 0.8 * sizes["fp32"]


def test_the_second_build_is_the_first(flavour: Flavour, cache: EngineCache, path: Path) -> None:
    told: list[Progress] = []

    def watch(progress: Progress) -> bool:
        told.append(progress)
        return True

    first = build_engine(request(path), flavour, cache, watch)
    assert told
    assert told[0].path[0] == "Building engine"
    assert any(len(progress.path) > 1 for progress in told)
    told.clear()
    second = build_engine(request(path), flavour, cache, watch)
    assert (first.already_there, second.already_there) == (False, True)
    assert told == []
    assert build_engine(request(path), flavour, cache, watch, again=True).already_there is False


@pytest.mark.parametrize(
    "change",
    [
        {"capabilities": ("8.6",)},
        {"capabilities": ("8.6", "8.9")},
        {"shapes": {"crops": ((1, 32, 16, 3), (2, 32, 16, 3), (2, 32, 16, 3))}},
    ],
)
def test_other_cards_and_other_shapes_are_other_engines(
    flavour: Flavour, cache: EngineCache, path: Path, change: dict[str, Any]
) -> None:
    build_engine(request(path), flavour, cache)
    assert build_engine(request(path, **change), flavour, cache).already_there is False
    assert len(cache.entries()) == 2


def test_a_damaged_engine_is_built_anew(
    flavour: Flavour, cache: EngineCache, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = build_engine(request(path), flavour, cache).folder
    whole = (folder / ENGINE).read_bytes()
    (folder / ENGINE).write_bytes(whole[: len(whole) // 2])
    assert build_engine(request(path), flavour, cache).already_there is False
    assert "truncated" in caplog.text
    assert len((folder / ENGINE).read_bytes()) > len(whole) // 2


def test_a_build_can_be_stopped_and_leaves_nothing(flavour: Flavour, cache: EngineCache, path: Path) -> None:
    with pytest.raises(Interrupted):
        build_engine(request(path), flavour, cache, watch=lambda _progress: False)
    assert cache.entries() == []


def test_control_c_inside_the_library_stops_the_build(flavour: Flavour, cache: EngineCache, path: Path) -> None:
    """An exception cannot cross the library; it must be carried around it."""

    def interrupted(_progress: Progress) -> bool:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_engine(request(path), flavour, cache, watch=interrupted)
    assert cache.entries() == []
    assert build_engine(request(path), flavour, cache).already_there is False


def spoilt(
    judge: Callable[[Mapping[str, Any], Mapping[str, Any]], Any], truth: Mapping[str, Any], answers: Mapping[str, Any]
) -> Any:
    return judge(truth, {name: np.roll(values, 1, axis=0) for name, values in answers.items()})


def test_an_engine_that_says_something_else_is_refused_unless_forced(
    flavour: Flavour, cache: EngineCache, path: Path
) -> None:
    judge = partial(spoilt, partial(compare, precision="fp16", embedder=True))
    with pytest.raises(ModelError, match=r"differs from float32.*--force"):
        build_engine(request(path, compare=judge), flavour, cache)
    assert cache.entries() == []
    assert build_engine(request(path, compare=judge, force=True), flavour, cache).record.forced


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shapes": {}}, "input 'crops' .* has free sizes; give its shapes"),
        ({"capabilities": ("9.0",)}, "cannot build for compute capability 9.0"),
        ({"shapes": {"crops": ((8, 32, 16, 3), (4, 32, 16, 3), (2, 32, 16, 3))}}, "least <= best <= most"),
    ],
)
def test_what_the_library_cannot_do_is_said_in_words(
    flavour: Flavour, cache: EngineCache, path: Path, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        build_engine(request(path, **change), flavour, cache)


def test_a_fixed_batch_needs_no_shapes(flavour: Flavour, cache: EngineCache, tmp_path: Path) -> None:
    fixed = embedder(tmp_path / "fixed.onnx", batch=8)
    assert shapes_for(fixed, (1, 4, 8), SIZES) == {}
    assert build_engine(request(fixed), flavour, cache).record.key.shapes == {}


def test_what_is_no_network_is_refused(flavour: Flavour) -> None:
    with pytest.raises(ModelError, match="cannot read the network"):
        flavour.build(b"no network", {})


@pytest.mark.skipif(cuda.probe().device is not None, reason="a GPU is here")
def test_loading_without_a_driver_is_refused_before_the_library_is_asked(flavour: Flavour) -> None:
    """The library hands out a null object then, and using it ends the process."""
    with pytest.raises(ModelError, match="an engine needs a GPU"):
        flavour.load(b"vtrt" + bytes(100))

"""What a build decides and writes down, with a library that compiles nothing. test_build.py has a real one."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from reid_tracker import compilation
from reid_tracker.cli import app
from reid_tracker.compilation import EngineOptions
from reid_tracker.errors import ModelError
from reid_tracker.runtime import cuda
from reid_tracker.runtime.graphs import convert, run_on_processor
from reid_tracker.runtime.tensorrt import building
from reid_tracker.runtime.tensorrt.building import Built, build_engine
from reid_tracker.runtime.tensorrt.cache import EngineCache
from reid_tracker.runtime.tensorrt.flavours import Flavour
from reid_tracker.runtime.tensorrt.records import rebuild, record_of
from tests.engines.networks import crops, embedder
from tests.engines.requests import request
from tests.engines.test_cache import key

CARD = cuda.Device(0, "NVIDIA A10", (8, 6), 24 << 30)


class PaperFlavour(Flavour):
    """Builds at once, without a GPU, an engine that is its own ONNX network."""

    name, version, builds_without_gpu = "tensorrt_rtx", "1.7.1", True  # type: ignore[assignment]

    def __init__(self) -> None:
        self.builds = 0

    def build(self, network: bytes, *_: object) -> tuple[bytes, bytes]:  # type: ignore[override]
        self.builds += 1
        return network, b""


@pytest.fixture
def cache(tmp_path: Path) -> EngineCache:
    return EngineCache(tmp_path / "cache")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return embedder(tmp_path_factory.mktemp("networks") / "small.onnx")


@pytest.fixture
def engines_run(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Compute capabilities that engines were built for which a GPU was asked to run."""
    ran: list[str] = []

    def answers(_flavour: Flavour, engine: bytes, record: Any, batches: Any) -> Mapping[str, np.ndarray]:
        ran.append(",".join(record.key.capabilities))
        return run_on_processor(engine, batches)

    monkeypatch.setattr(building, "_answers", answers)
    return ran


def gpu(monkeypatch: pytest.MonkeyPatch, device: cuda.Device | None) -> None:
    monkeypatch.setattr(cuda, "probe", lambda: cuda.Probe(device, "" if device else "no NVIDIA driver"))


@pytest.mark.parametrize(
    ("capabilities", "compared"), [((), True), (("8.6",), True), (("8.6", "8.9"), True), (("8.9",), False)]
)
def test_only_an_engine_for_this_gpu_is_run_to_compare(
    cache: EngineCache,
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    engines_run: list[str],
    capabilities: tuple[str, ...],
    compared: bool,
) -> None:
    """A build with ``--compute`` for other machines ended when this one's GPU refused the engine."""
    gpu(monkeypatch, CARD)
    built = build_engine(request(path, "fp32", capabilities=capabilities), PaperFlavour(), cache)
    assert bool(engines_run) is compared
    assert built.record.parity is not None
    assert (built.record.parity["engine"] is not None) is compared


@pytest.mark.usefixtures("engines_run")
def test_an_engine_built_without_a_gpu_is_compared_when_one_is_there(
    cache: EngineCache, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu(monkeypatch, None)
    first = build_engine(request(path, "fp32"), PaperFlavour(), cache)
    gpu(monkeypatch, CARD)
    second = build_engine(request(path, "fp32"), PaperFlavour(), cache)
    assert (second.already_there, second.folder) == (True, first.folder)
    (entry,) = cache.entries()
    assert entry.record == second.record
    assert second.record.parity is not None
    assert second.record.parity["engine"]["gpu"] == "NVIDIA A10"
    cache.read(entry)


def test_an_engine_is_compared_on_a_gpu_once(
    cache: EngineCache, path: Path, monkeypatch: pytest.MonkeyPatch, engines_run: list[str]
) -> None:
    gpu(monkeypatch, CARD)
    for _ in range(2):
        build_engine(request(path, "fp32"), PaperFlavour(), cache)
    assert len(engines_run) == 1


def test_an_engine_that_fails_when_a_gpu_first_runs_it_is_kept_no_longer(
    cache: EngineCache, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu(monkeypatch, None)
    build_engine(request(path, "fp32"), PaperFlavour(), cache)
    gpu(monkeypatch, CARD)
    truth = run_on_processor(convert(path, "fp32").network, crops(16))
    monkeypatch.setattr(building, "_answers", lambda *_: {name: -values for name, values in truth.items()})
    with pytest.raises(ModelError, match=r"on NVIDIA A10, the engine differs from float32.*--force"):
        build_engine(request(path, "fp32"), PaperFlavour(), cache)
    assert cache.entries() == []


@pytest.mark.parametrize(("precision", "again"), [("int8", True), ("fp16", False)])
def test_other_pictures_make_another_engine_where_it_is_calibrated_on_them(
    cache: EngineCache, path: Path, monkeypatch: pytest.MonkeyPatch, precision: str, again: bool
) -> None:
    gpu(monkeypatch, None)
    build_engine(request(path, precision), PaperFlavour(), cache)
    assert build_engine(request(path, precision), PaperFlavour(), cache).already_there
    others = [{"crops": 255 - batch["crops"]} for batch in crops(16)]
    assert build_engine(request(path, precision, batches=others), PaperFlavour(), cache).already_there is not again


def test_another_converter_makes_another_engine(
    cache: EngineCache, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu(monkeypatch, None)
    build_engine(request(path, "fp32"), PaperFlavour(), cache)
    monkeypatch.setattr(sys.modules[convert.__module__], "CONVERTER", 2)
    assert not build_engine(request(path, "fp32"), PaperFlavour(), cache).already_there
    assert len(cache.entries()) == 2


@pytest.mark.parametrize(
    ("shapes", "capabilities"),
    [
        (((1, 32, 16, 3), (4, 32, 16, 3), (8, 32, 16, 3)), ()),
        (((1, 192, 256, 3), (4, 480, 640, 3), (8, 1088, 1920, 3)), ("8.6", "8.9")),
        (((1, 3, 192, 256), (4, 3, 480, 640), (8, 3, 1088, 1920)), ()),
    ],
)
def test_the_command_that_is_advised_builds_the_same(
    shapes: tuple[tuple[int, ...], ...], capabilities: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It named the precision alone, and so built for another batch, size, library or GPU than had been asked for."""
    record = record_of("own.onnx", key(shapes={"crops": shapes}, capabilities=capabilities), b"plan", 1)
    asked: list[EngineOptions] = []

    def building_nothing(_name: str, options: EngineOptions, *_: object) -> Built:
        asked.append(options)
        return Built(record, Path(), already_there=False)

    monkeypatch.setattr(compilation, "build_engines", building_nothing)
    command = rebuild(record).removeprefix("run: reid-tracker ").split()
    assert CliRunner().invoke(app, command).exit_code == 0
    (options,) = asked
    assert (options.precision, options.flavour, options.capabilities) == ("fp16", "tensorrt_rtx", capabilities)
    assert options.batch == (shapes[0][0], shapes[1][0], shapes[2][0])
    height = 1 if shapes[0][3] == 3 else 2
    assert [tuple(shape[height : height + 2]) for shape in shapes] == list(options.sizes_hw)

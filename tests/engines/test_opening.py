"""What a configuration gets on a machine with or without a GPU, and what it is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reid_tracker.config import RuntimeConfig
from reid_tracker.errors import ConfigError
from reid_tracker.runtime import cuda, open_session
from reid_tracker.runtime.registry import checksum
from reid_tracker.runtime.tensorrt import opening
from reid_tracker.runtime.tensorrt.cache import ENGINE, EngineCache
from reid_tracker.runtime.tensorrt.flavours import cuda_of
from reid_tracker.runtime.tensorrt.opening import EngineUnavailable, find_engine
from reid_tracker.runtime.tensorrt.records import record_of
from tests.engines.networks import embedder
from tests.engines.test_cache import PLAN, key

CARD = cuda.Device(0, "NVIDIA A10", (8, 6), 24 << 30)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return embedder(tmp_path_factory.mktemp("networks") / "small.onnx")


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda, "probe", lambda: cuda.Probe(None, "no NVIDIA driver"))


@pytest.fixture
def a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda, "probe", lambda: cuda.Probe(CARD, ""))
    monkeypatch.setattr(opening, "versions_here", lambda: {"tensorrt_rtx": "1.7.1"})


def settings(tmp_path: Path, **values: Any) -> RuntimeConfig:
    return RuntimeConfig(engine_cache=str(tmp_path / "cache"), threads=1, **values)


@pytest.mark.usefixtures("no_gpu")
def test_without_a_gpu_auto_takes_a_processor(path: Path, tmp_path: Path) -> None:
    assert open_session(path, settings(tmp_path)).describe().device == "CPU"


@pytest.mark.usefixtures("no_gpu")
def test_without_a_gpu_tensorrt_is_refused_and_the_way_out_named(path: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no NVIDIA driver; runtime.fallback names"):
        open_session(path, settings(tmp_path, backend="tensorrt"))


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize(
    ("fallback", "backend"),
    [
        (["openvino"], "OpenVINO"),
        (["onnxruntime"], "ONNX Runtime"),
        (["onnxruntime", "openvino"], "ONNX Runtime"),  # in this order
    ],
)
def test_what_stands_in_says_for_what_and_why(path: Path, tmp_path: Path, fallback: list[str], backend: str) -> None:
    if backend == "OpenVINO":
        pytest.importorskip("openvino")
    described = open_session(
        path, settings(tmp_path, backend="tensorrt", precision="fp16", fallback=fallback)
    ).describe()
    assert described.backend.startswith(backend)
    assert described.precision == "fp32"
    assert described.reason == "in place of TensorRT: no NVIDIA driver"


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize("precision", ["fp16", "int8", "fp8"])
def test_a_processor_is_not_said_to_compute_what_it_does_not(path: Path, tmp_path: Path, precision: str) -> None:
    with pytest.raises(ConfigError, match="needs a TensorRT engine"):
        open_session(path, settings(tmp_path, precision=precision))


@pytest.mark.usefixtures("a_gpu")
def test_a_missing_engine_is_named_with_the_command_that_builds_it(path: Path, tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"no engine at fp16 in .*cache; run: reid-tracker engines build .*small.onnx"
    ):
        open_session(path, settings(tmp_path, backend="tensorrt", precision="fp16"))


@pytest.mark.usefixtures("a_gpu")
def test_an_engine_for_another_card_is_named(path: Path, tmp_path: Path) -> None:
    record = record_of("small", key(model_sha256=checksum(path), capabilities=("8.9",)), PLAN, 1)
    EngineCache(tmp_path / "cache").store(record, PLAN)
    with pytest.raises(ConfigError, match=r"compute capability 8.9; here: .*8.6 .NVIDIA A10.; run: "):
        open_session(path, settings(tmp_path, backend="tensorrt", precision="fp16"))


@pytest.mark.usefixtures("a_gpu")
def test_a_damaged_engine_is_refused_and_auto_goes_on_without_it(
    path: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    damaged(path, tmp_path)
    with pytest.raises(ConfigError, match="truncated"):
        open_session(path, settings(tmp_path, backend="tensorrt"))
    assert open_session(path, settings(tmp_path)).describe().device == "CPU"
    assert "truncated" in caplog.text


def damaged(path: Path, tmp_path: Path, **changes: Any) -> Path:
    """An engine that would be the best if it were whole."""
    record = record_of("small", key(model_sha256=checksum(path), precision="fp32", **changes), PLAN, 1)
    folder = EngineCache(tmp_path / "cache").store(record, PLAN)
    (folder / ENGINE).write_bytes(PLAN[:50])
    return folder


@pytest.mark.usefixtures("a_gpu")
def test_where_the_best_engine_is_damaged_the_next_that_fits_is_taken(
    path: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = record_of("small", key(model_sha256=checksum(path), precision="fp32"), PLAN, 1)
    EngineCache(tmp_path / "cache").store(whole, PLAN)
    folder = damaged(path, tmp_path, capabilities=())
    record, engine = find_engine(path, settings(tmp_path))
    assert (record.name, engine) == (whole.name, PLAN)
    assert f"engine {folder}: truncated" in caplog.text


@pytest.mark.usefixtures("a_gpu")
def test_where_the_only_engine_is_damaged_another_may_be_built(path: Path, tmp_path: Path) -> None:
    damaged(path, tmp_path)
    with pytest.raises(EngineUnavailable, match="truncated") as caught:
        find_engine(path, settings(tmp_path, backend="tensorrt"))
    assert caught.value.buildable


@pytest.mark.usefixtures("a_gpu")
def test_stubs_of_the_library_count_as_absent(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "versions_here", dict)
    with pytest.raises(ConfigError, match="no TensorRT is installed"):
        open_session(path, settings(tmp_path, backend="tensorrt"))


@pytest.mark.parametrize(("newest", "runs"), [((12, 8), False), ((13, 0), True), ((0, 0), True)])
def test_a_driver_too_old_for_the_library_is_named(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, newest: tuple[int, int], runs: bool
) -> None:
    """Such a driver starts, and the library fails later with a number."""
    monkeypatch.setattr(cuda, "probe", lambda: cuda.Probe(CARD, "", newest))
    monkeypatch.setattr(opening, "versions_here", lambda: {"tensorrt_rtx": "1.7.1"})
    monkeypatch.setattr(opening, "cuda_of", lambda _name: 13)
    message = "no engine at" if runs else r"tensorrt_rtx needs CUDA 13, and the NVIDIA driver knows 12\.8"
    with pytest.raises(ConfigError, match=message):
        open_session(path, settings(tmp_path, backend="tensorrt"))


def test_packages_say_which_cuda_they_need() -> None:
    pytest.importorskip("tensorrt_rtx")
    assert cuda_of("tensorrt_rtx") in (12, 13)
    assert cuda_of("no_such_library") == 0

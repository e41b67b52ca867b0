"""Both engines give the same numbers, say how they run, and fail in one line."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import onnxruntime
import pytest

from reid_tracker.config import RuntimeConfig
from reid_tracker.errors import ConfigError, ModelError
from reid_tracker.runtime import open_session
from reid_tracker.runtime.onnxruntime_session import OnnxRuntimeSession
from tests.runtime.networks import convolution

BACKENDS = ("onnxruntime", "openvino")


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return convolution(tmp_path_factory.mktemp("networks") / "network.onnx")


def pictures(*shape: int) -> dict[str, np.ndarray]:
    return {"picture": np.random.default_rng(1).normal(size=shape).astype(np.float32)}


def test_engines_agree_at_any_batch_and_size(network: Path) -> None:
    sessions = [open_session(network, RuntimeConfig(backend=backend)) for backend in BACKENDS]
    for shape in ((1, 3, 8, 8), (5, 3, 8, 8), (2, 3, 17, 5)):
        ours, theirs = (session.run(pictures(*shape))["features"] for session in sessions)
        assert ours.shape == (shape[0], 4, *shape[2:])
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize("backend", BACKENDS)
def test_outputs_are_the_callers_own(network: Path, backend: str) -> None:
    """An engine that hands out its own buffers would change the first answer with the second call."""
    session = open_session(network, RuntimeConfig(backend=backend))
    first = session.run(pictures(1, 3, 8, 8))["features"]
    kept = first.copy()
    session.run({"picture": np.zeros((1, 3, 8, 8), np.float32)})
    np.testing.assert_array_equal(first, kept)


@pytest.mark.parametrize("backend", BACKENDS)
def test_says_what_it_takes_gives_and_how_it_runs(network: Path, backend: str) -> None:
    session = open_session(network, RuntimeConfig(backend=backend, threads=1))
    assert [(tensor.name, tensor.shape, tensor.dtype) for tensor in session.inputs] == [
        ("picture", (None, 3, None, None), np.float32)
    ]
    assert [tensor.name for tensor in session.outputs] == ["features"]
    assert session.metadata["made by"] == "a test"
    described = session.describe()
    assert (described.model, described.precision, described.device, described.threads) == (
        "network.onnx",
        "fp32",
        "CPU",
        1,
    )
    assert "runtime.backend" in described.reason
    assert described.backend in described.to_text()


@pytest.mark.parametrize("backend", BACKENDS)
def test_input_that_does_not_fit_names_the_model(network: Path, backend: str) -> None:
    session = open_session(network, RuntimeConfig(backend=backend))
    with pytest.raises(ModelError, match=r"network\.onnx"):
        session.run(pictures(1, 4, 8, 8))


@pytest.mark.parametrize("backend", BACKENDS)
def test_damaged_file_names_itself(network: Path, tmp_path: Path, backend: str) -> None:
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(network.read_bytes()[:-40])
    with pytest.raises(ModelError, match=r"damaged\.onnx.*cannot load"):
        open_session(damaged, RuntimeConfig(backend=backend))


@pytest.mark.parametrize("content", [b"", b"not a network at all", bytes(range(255, 0, -1))])
def test_what_is_no_onnx_file_never_reaches_the_engines(
    tmp_path: Path, content: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    """OpenVINO would try its TensorFlow reader on it, which writes to stderr."""
    other = tmp_path / "other.onnx"
    other.write_bytes(content)
    with pytest.raises(ModelError, match=r"other\.onnx: not an ONNX network; give the right file"):
        open_session(other, RuntimeConfig())
    assert capfd.readouterr().err == ""


def test_missing_file_names_itself(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"absent\.onnx: no such file"):
        open_session(tmp_path / "absent.onnx", RuntimeConfig())


def test_missing_engine_says_what_to_install(network: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "openvino" else name)
    with pytest.raises(ConfigError, match="pip install openvino"):
        open_session(network, RuntimeConfig(backend="openvino"))
    assert "not installed" in open_session(network, RuntimeConfig(backend="auto")).describe().reason


def test_openvino_file_needs_openvino(tmp_path: Path) -> None:
    model = tmp_path / "model.xml"
    model.write_text("<net/>")
    with pytest.raises(ConfigError, match=r"model\.xml: an OpenVINO file"):
        open_session(model, RuntimeConfig(backend="onnxruntime"))


def test_bf16_is_refused_where_it_would_be_ignored(network: Path) -> None:
    """Asking for a precision and silently getting another one would make figures lie."""
    with pytest.raises(ConfigError, match="fp32"):
        open_session(network, RuntimeConfig(backend="onnxruntime", precision="bf16"))
    import openvino

    if "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        session = open_session(network, RuntimeConfig(precision="bf16"))
        assert session.describe().precision == "bf16"
    else:
        with pytest.raises(ConfigError, match="no bf16"):
            open_session(network, RuntimeConfig(precision="bf16"))


def test_fp32_is_asked_for_by_name(network: Path) -> None:
    """Left alone, OpenVINO computes in bf16 on CPUs that can, and says nothing."""
    session = open_session(network, RuntimeConfig(backend="openvino"))
    assert session.describe().precision == "fp32"


def test_fixed_batch_is_freed_on_request(tmp_path: Path) -> None:
    fixed = convolution(tmp_path / "fixed.onnx", batch=1)
    session = open_session(fixed, RuntimeConfig(backend="openvino"), free_batch=True)
    assert session.inputs[0].shape[0] is None
    assert session.run(pictures(3, 3, 8, 8))["features"].shape == (3, 4, 8, 8)


class CudaSession:
    """As ONNX Runtime's; remembers what it was asked for."""

    asked: ClassVar[list[object]] = []

    def __init__(self, _path: Path, _options: object, providers: list[tuple[str, dict[str, str]]]) -> None:
        self.asked += providers

    def get_providers(self) -> list[str]:
        return ["CUDAExecutionProvider"]

    def get_inputs(self) -> list[object]:
        return []

    get_outputs = get_inputs

    def get_modelmeta(self) -> SimpleNamespace:
        return SimpleNamespace(custom_metadata_map={})


def test_fp32_on_cuda_is_fp32(network: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Left alone, ONNX Runtime multiplies in TF32 there; its libraries must be found before the session is made."""
    asked: list[object] = []
    monkeypatch.setattr(CudaSession, "asked", asked)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: asked.append("libraries"), raising=False)
    monkeypatch.setattr(onnxruntime, "InferenceSession", CudaSession)
    session = OnnxRuntimeSession(network, "fp32", 1, "a test", cuda=True)
    assert session.describe().device == "CUDA"
    assert asked == [
        "libraries",
        ("CUDAExecutionProvider", {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"}),
    ]

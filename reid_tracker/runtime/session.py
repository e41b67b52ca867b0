"""One call over the inference engines, and the choice among them (docs/decisions/0004-inference-runtime.md)."""

from __future__ import annotations

import importlib.util
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from reid_tracker.config import RuntimeConfig
from reid_tracker.errors import ConfigError, ModelError

logger = logging.getLogger(__name__)

_PROCESSOR_PRECISIONS = ("fp32", "bf16")


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """An input or output of a network.

    Attributes:
        name: of the tensor.
        shape: sizes; None where a size is free.
        dtype: of its numbers.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: np.dtype[Any]


@dataclass(frozen=True, slots=True)
class RuntimeDescription:
    """How a network runs.

    Attributes:
        model: file name.
        backend: engine and version.
        precision: of the arithmetic, e.g. ``fp32``.
        device: e.g. ``CPU``.
        threads: CPU threads; 0 where a GPU computes.
        reason: why this engine was taken.
    """

    model: str
    backend: str
    precision: str
    device: str
    threads: int
    reason: str

    def to_text(self) -> str:
        """One line."""
        threads = f", {self.threads} threads" if self.threads else ""
        return f"{self.model}: {self.backend}, {self.precision}, {self.device}{threads} ({self.reason})"


class Session(Protocol):
    """A network that is ready to run. Same inputs, same outputs; not thread-safe."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    metadata: Mapping[str, str]

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """All outputs by name, as arrays of the caller's own.

        Raises:
            ModelError: the network does not take these inputs.
        """
        ...

    def describe(self) -> RuntimeDescription:
        """How this network runs."""
        ...


def open_session(path: Path, config: RuntimeConfig, free_batch: bool = False) -> Session:
    """Load a network into the engine that the configuration names, or the better one for it.

    Nothing is built here: TensorRT engines come from the cache (``reid-tracker engines build``, or the start of a run).

    Args:
        path: ``.onnx`` (every engine) or ``.xml`` (OpenVINO).
        config: engine, precision, threads.
        free_batch: let any batch in where the file fixes one and the engine can change that (OpenVINO; networks
            whose layers allow it).

    Raises:
        ConfigError: the engine is not installed, or cannot do what is asked.
        ModelError: the file is missing, damaged or not a network.
    """
    if not path.is_file():
        raise ModelError(f"model {path}: no such file")
    if path.suffix.lower() == ".onnx" and not _begins_like_onnx(path):
        raise ModelError(f"model {path}: not an ONNX network; give the right file, or export it again if it is damaged")
    if config.backend == "tensorrt" or (config.backend == "auto" and path.suffix.lower() == ".onnx"):
        engine = _open_engine(path, config, free_batch)
        if engine is not None:
            return engine
    if config.precision not in _PROCESSOR_PRECISIONS:
        raise ConfigError(
            f"runtime.precision {config.precision!r}: needs a TensorRT engine, and none runs here (runtime.backend "
            "tensorrt says why); set it to fp32"
        )
    backend, reason = _choose(path, config)
    return _open_on(backend, path, config, config.precision, reason, free_batch)


def _open_on(backend: str, path: Path, config: RuntimeConfig, precision: str, reason: str, free_batch: bool) -> Session:
    threads = config.threads or available_cores()
    if backend == "openvino":
        from reid_tracker.runtime.openvino_session import OpenVinoSession

        return OpenVinoSession(path, precision, threads, reason, free_batch)
    from reid_tracker.runtime.onnxruntime_session import OnnxRuntimeSession

    return OnnxRuntimeSession(path, precision, threads, reason, cuda=backend == "onnxruntime-cuda")


def _open_engine(path: Path, config: RuntimeConfig, free_batch: bool) -> Session | None:
    """On TensorRT, or on what may stand in for it; None where ``auto`` should go on."""
    from reid_tracker.runtime.tensorrt.opening import EngineUnavailable, open_engine

    automatic = config.backend == "auto"
    try:
        return open_engine(path, config, "auto: built for this GPU" if automatic else "set by runtime.backend")
    except EngineUnavailable as error:
        if automatic:
            logger.info("no TensorRT engine: %s", error)
            return None
        missing = str(error)
    except ModelError as error:
        if not automatic and not config.fallback:
            raise
        logger.warning("%s", error)
        if automatic:
            return None
        missing = str(error)
    precision = config.precision if config.precision in _PROCESSOR_PRECISIONS else "fp32"
    for backend in config.fallback:
        if backend == "onnxruntime-cuda" or (backend == "onnxruntime" and precision == "bf16"):
            precision = "fp32"
        try:
            _must_have("onnxruntime" if backend == "onnxruntime-cuda" else backend)
            return _open_on(backend, path, config, precision, f"in place of TensorRT: {missing}", free_batch)
        except ConfigError as error:
            missing = f"{missing}; nor {backend}: {error}"
    raise ConfigError(
        f"runtime.backend 'tensorrt': {missing}"
        + ("" if config.fallback else "; runtime.fallback names what may stand in")
    )


def _begins_like_onnx(path: Path) -> bool:
    """Whether the first field is the format's version, as every exporter writes it (onnx.proto: ModelProto, 1: int64).

    Asked first because OpenVINO tries each of its readers on anything else, and those complain on stderr.
    """
    with path.open("rb") as file:
        return file.read(1) == b"\x08"


def available_cores() -> int:
    """CPU cores that this process may use (its affinity, not the machine's number)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _choose(path: Path, config: RuntimeConfig) -> tuple[str, str]:
    """(engine, why)."""
    openvino_only = path.suffix.lower() == ".xml"
    if config.backend == "onnxruntime" and openvino_only:
        raise ConfigError(f"model {path}: an OpenVINO file; runtime.backend must be openvino or auto")
    if config.backend != "auto":
        _must_have(config.backend)
        return config.backend, "set by runtime.backend"
    if openvino_only:
        _must_have("openvino")
        return "openvino", "the file is OpenVINO's"
    if config.precision != "fp32":
        _must_have("openvino")
        return "openvino", f"{config.precision} needs it"
    if _installed("openvino"):
        return "openvino", "auto: on a CPU the faster one for people in view"
    _must_have("onnxruntime")
    return "onnxruntime", "auto: openvino is not installed"


def _installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def _must_have(package: str) -> None:
    if not _installed(package):
        raise ConfigError(f"runtime: {package} is needed and not installed; run: pip install {package}")

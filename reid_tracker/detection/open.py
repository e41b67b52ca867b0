"""The detector that a configuration names."""

from __future__ import annotations

import platform
from importlib.util import find_spec
from pathlib import Path

from reid_tracker.config import DetectionConfig, RuntimeConfig
from reid_tracker.detection.network import NetworkDetector, open_network
from reid_tracker.errors import ConfigError, ModelError
from reid_tracker.runtime import find_model, shipped_model
from reid_tracker.runtime.tensorrt.opening import EngineUnavailable, find_engine

AUTO = "auto"
_EXACT, _EIGHT_BITS = "nanodet_g", "nanodet_g_int8"
_QUICK_ON = "x86_64", "AMD64"  # processors on which eight bits were measured to be quicker


def detector_name(config: DetectionConfig, runtime: RuntimeConfig) -> str:
    """The model that a configuration stands for here: its own, and for ``auto`` the quickest that ships.

    That is ``nanodet_g`` on TensorRT (asked for, or an engine of it was built for this GPU), on ONNX Runtime and on
    processors other than x86; else ``nanodet_g_int8`` on OpenVINO (docs/decisions/0004-inference-runtime.md).

    Raises:
        ModelError: the installation is incomplete.
    """
    if config.model != AUTO:
        return config.model
    eight_bits_run = runtime.backend in ("auto", "openvino") and runtime.precision in ("fp32", "bf16")
    if not eight_bits_run or platform.machine() not in _QUICK_ON or find_spec("openvino") is None:
        return _EXACT
    if runtime.backend == "auto" and _has_engine(runtime):
        return _EXACT
    return _EIGHT_BITS


def _has_engine(runtime: RuntimeConfig) -> bool:
    try:
        find_engine(shipped_model(_EXACT).path, runtime)
    except (EngineUnavailable, ModelError):  # opening the network would go on without one as well, and says so
        return False
    return True


def open_detector(config: DetectionConfig, runtime: RuntimeConfig) -> NetworkDetector:
    """A shipped model by name or ``auto``, an ``.onnx`` or ``.xml`` file, or a ``.pt`` file with ``trust_model``.

    Raises:
        ConfigError: no such model; a ``.pt`` file without ``trust_model`` or without ultralytics.
        ModelError: the file is damaged, or no detection network that is known here.
    """
    name = detector_name(config, runtime)
    path = Path(name).expanduser()
    if path.suffix.lower() == ".pt":
        if not config.trust_model:
            raise ConfigError(
                f"model {path}: .pt files can run code when loaded; if you trust this one, add --trust-model "
                "(detection.trust_model = true), else give an .onnx file"
            )
        from reid_tracker.detection.ultralytics_model import exported

        return open_network(exported(path), None, config, runtime)
    model = find_model(name, "detector")
    return open_network(model.path, model.manifest, config, runtime)

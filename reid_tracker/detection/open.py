"""The detector that a configuration names."""

from __future__ import annotations

from pathlib import Path

from reid_tracker.config import DetectionConfig, RuntimeConfig
from reid_tracker.detection.network import NetworkDetector, open_network
from reid_tracker.errors import ConfigError
from reid_tracker.runtime import find_model


def open_detector(config: DetectionConfig, runtime: RuntimeConfig) -> NetworkDetector:
    """A shipped model by name, an ``.onnx`` or ``.xml`` file, or a ``.pt`` file with ``trust_model``.

    Raises:
        ConfigError: no such model; a ``.pt`` file without ``trust_model`` or without ultralytics.
        ModelError: the file is damaged, or no detection network that is known here.
    """
    path = Path(config.model).expanduser()
    if path.suffix.lower() == ".pt":
        if not config.trust_model:
            raise ConfigError(
                f"model {path}: .pt files can run code when loaded; if you trust this one, add --trust-model "
                "(detection.trust_model = true), else give an .onnx file"
            )
        from reid_tracker.detection.ultralytics_model import exported

        return open_network(exported(path), None, config, runtime)
    model = find_model(config.model, "detector")
    return open_network(model.path, model.manifest, config, runtime)

"""Running networks: the models that ship, and one call over the inference engines. Knows no people."""

from reid_tracker.runtime.manifest import InputSpec, Manifest, OutputSpec
from reid_tracker.runtime.registry import ShippedModel, find_model, shipped_model, shipped_models
from reid_tracker.runtime.session import RuntimeDescription, Session, TensorSpec, open_session

__all__ = [
    "InputSpec",
    "Manifest",
    "OutputSpec",
    "RuntimeDescription",
    "Session",
    "ShippedModel",
    "TensorSpec",
    "find_model",
    "open_session",
    "shipped_model",
    "shipped_models",
]

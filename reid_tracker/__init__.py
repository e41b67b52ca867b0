"""Follow people across cameras: frames of many cameras in, one id per person over all of them out.

>>> from reid_tracker import Pipeline, open_source
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reid_tracker.config import Config as Config
    from reid_tracker.config import load_config as load_config
    from reid_tracker.errors import ReidTrackerError as ReidTrackerError
    from reid_tracker.pipeline import Pipeline as Pipeline
    from reid_tracker.results import JsonLinesSink as JsonLinesSink
    from reid_tracker.results import read_tracks as read_tracks
    from reid_tracker.sources import open_source as open_source
    from reid_tracker.types import Appearance as Appearance
    from reid_tracker.types import Detections as Detections
    from reid_tracker.types import Frame as Frame
    from reid_tracker.types import IdentityEvent as IdentityEvent
    from reid_tracker.types import TrackedFrame as TrackedFrame
    from reid_tracker.types import TrackedPerson as TrackedPerson
    from reid_tracker.types import Tracklet as Tracklet

__version__ = "0.1.0"

# Looked up on first use, so that `import reid_tracker` costs numpy and nothing else.
_HOME_OF = {
    "Config": "config",
    "load_config": "config",
    "ReidTrackerError": "errors",
    "Pipeline": "pipeline",
    "JsonLinesSink": "results",
    "read_tracks": "results",
    "open_source": "sources",
    "Appearance": "types",
    "Detections": "types",
    "Frame": "types",
    "IdentityEvent": "types",
    "TrackedFrame": "types",
    "TrackedPerson": "types",
    "Tracklet": "types",
}

__all__ = ["__version__", *_HOME_OF]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)

"""What a site taught, as a file: ``association.calibration`` of a configuration (docs/output-format.md)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from reid_tracker.association.calibration import Start
from reid_tracker.errors import ConfigError
from reid_tracker.types import FloatArray

FORMAT, VERSION = "reid_tracker calibration", 1
_WORTH = 4.0  # times the worth of start values for any site: soon outweighed where the site has changed
_MOST_PASSAGES = 100.0  # that the mean of a camera is worth, so that a new season is followed
_DIGITS = 6


def start_to_json(start: Start) -> dict[str, Any]:
    """The part of the file that a later run begins with."""
    return {
        "person": round(start.person, _DIGITS),
        "look": round(start.look, _DIGITS),
        "stranger": round(start.stranger, _DIGITS),
        "dimensions": round(start.dimensions, 3),
        "quality": round(start.quality, _DIGITS),
        "centre": _numbers(start.centre),
        "cameras": {
            name: {"passages": round(start.passages[name]), "mean": _numbers(mean)}
            for name, mean in sorted(start.cameras.items())
        },
    }


def read_start(path: str | Path, embedder: Mapping[str, Any] | None = None) -> Start:
    """What to begin with, from the calibration file of a site.

    Args:
        embedder: name and sha256 of the embedder in use, where known; the file must be of the same.

    Raises:
        ConfigError: no such file, not this format, of a newer version, damaged, or of another embedder.
    """
    path = Path(path)
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        found = (value["format"], value["version"])
    except OSError as error:
        raise ConfigError(f"association.calibration {path}: cannot be read ({error.strerror})") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"association.calibration {path}: not a file of reid-tracker calibrate ({error})") from error
    if found != (FORMAT, VERSION):
        raise ConfigError(
            f"association.calibration {path}: format {found[0]!r} version {found[1]!r}; this release reads {VERSION}"
        )
    try:
        made, start = value["embedder"].get("sha256"), _start_from_json(value["start"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ConfigError(f"association.calibration {path}: damaged ({error}); run calibrate again") from error
    used = (embedder or {}).get("sha256")
    if made and used and made != used:
        raise ConfigError(
            f"association.calibration {path}: learned with embedder {value['embedder'].get('name')} ({made[:12]}), and "
            f"this run uses {(embedder or {}).get('name')} ({used[:12]}); what distances mean differs: calibrate anew"
        )
    return start


def _start_from_json(value: Mapping[str, Any]) -> Start:
    centre = _vector(value["centre"])
    cameras = {str(name): _vector(camera["mean"]) for name, camera in value["cameras"].items()}
    if any(mean.shape != centre.shape for mean in cameras.values()):
        raise ValueError("means of different lengths")
    person, look, dimensions = float(value["person"]), float(value["look"]), float(value["dimensions"])
    if not (person > 0 and look > 0 and person + look < 1 and dimensions > 0):
        raise ValueError("shares that leave nothing, or no dimensions")
    return Start(
        person=person,
        look=look,
        stranger=float(value["stranger"]),
        dimensions=dimensions,
        worth=_WORTH,
        centre=centre,
        cameras=cameras,
        passages={
            str(name): min(float(camera["passages"]), _MOST_PASSAGES) for name, camera in value["cameras"].items()
        },
        quality=float(value["quality"]),
    )


def _vector(values: Any) -> FloatArray:
    vector = np.asarray(values, np.float32)
    if vector.ndim != 1 or not np.isfinite(vector).all():
        raise ValueError("a mean that is no row of finite numbers")
    return vector


def _numbers(vector: FloatArray) -> list[float]:
    return [round(float(number), _DIGITS) for number in vector]

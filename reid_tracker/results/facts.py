"""run.json: what a run was (docs/output-format.md)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from reid_tracker.errors import InputError
from reid_tracker.results.files import without_credentials
from reid_tracker.results.jsonl import plain, run_folder_of

VERSION = 1
RUN_FILE = "run.json"

RunStatus = Literal["running", "finished", "interrupted", "failed"]


@dataclass(frozen=True, slots=True)
class CameraFacts:
    """One camera of a run. What is not known beforehand (None) is filled in from its frames.

    Attributes:
        source: file, pattern, folder or address; user names and passwords in it are never written.
        size: (width, height) in pixels.
        fps: frames a second, as the source declares or as measured.
        start: capture time of the first frame, UTC seconds (or seconds of the run, see RunFacts.time_base).
    """

    id: str
    source: str = ""
    size: tuple[int, int] | None = None
    fps: float | None = None
    start: float | None = None


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """One network of a run.

    Attributes:
        sha256: of the model file.
        runtime: what ``describe()`` of its runtime says (engine, precision, threads, ...).
        terms: licence and terms of the weights.
    """

    name: str
    sha256: str | None = None
    runtime: Mapping[str, Any] = field(default_factory=dict)
    terms: str | None = None


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What is known of a run when it starts.

    Attributes:
        time_base: ``utc`` where every camera's start is known; ``relative`` where all cameras were taken to begin
            together at 0.
        cameras: in the order to show them.
        models: by part, e.g. ``{"detector": ..., "embedder": ...}``.
    """

    time_base: Literal["relative", "utc"] = "relative"
    cameras: tuple[CameraFacts, ...] = ()
    models: Mapping[str, ModelFacts] = field(default_factory=dict)


def read_run(path: str | Path) -> dict[str, Any]:
    """The value of run.json.

    Args:
        path: the folder of a run, or a file in it.

    Raises:
        InputError: there is none, it is damaged, or of a newer version.
    """
    file = run_folder_of(path) / RUN_FILE
    try:
        run: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        version = run["version"]
    except FileNotFoundError as error:
        raise InputError(f"{file}: no such file; give the output folder of a run") from error
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{file}: not the {RUN_FILE} of a run ({error})") from error
    if version != VERSION:
        raise InputError(f"{file}: format version {version!r}; this release reads {VERSION}")
    return run


def models_to_json(models: Mapping[str, ModelFacts]) -> dict[str, Any]:
    """Models as they stand in run.json."""
    return {
        part: {
            "name": model.name,
            "sha256": model.sha256,
            "runtime": plain(model.runtime),
            "terms": model.terms,
        }
        for part, model in models.items()
    }


def hide_credentials(value: Any) -> Any:
    """``value`` with user names and passwords taken out of every address in it, however deep."""
    if isinstance(value, str):
        return without_credentials(value)
    if isinstance(value, Mapping):
        return {key: hide_credentials(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [hide_credentials(inner) for inner in value]
    return value

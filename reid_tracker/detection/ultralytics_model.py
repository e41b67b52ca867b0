"""``.pt`` files through ultralytics: exported to ONNX once, then like any other network."""

from __future__ import annotations

import importlib.util
import os
import shutil
import tempfile
from pathlib import Path

from reid_tracker.errors import ConfigError, ModelError
from reid_tracker.runtime.registry import checksum


def cache_folder(environment: dict[str, str] | None = None) -> Path:
    """Where exports are kept: ``$XDG_CACHE_HOME/reid_tracker``, by default ``~/.cache/reid_tracker``."""
    variables = os.environ if environment is None else environment
    return Path(variables.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "reid_tracker"


def exported(path: Path, cache: Path | None = None) -> Path:
    """The ONNX form of a ``.pt`` file, from the cache or exported now.

    The cache is keyed by the file's content: a renamed file is found, a retrained one is exported anew. Loading a
    ``.pt`` file can run code in it: call this only for files that the user trusts.

    Args:
        path: the ``.pt`` file.
        cache: folder of exports; by default the user's.

    Raises:
        ConfigError: no such file, or ultralytics is not installed.
        ModelError: the export fails.
    """
    if not path.is_file():
        raise ConfigError(f"model {path}: no such file")
    target = (cache or cache_folder()) / "detectors" / f"{checksum(path)}.onnx"
    if target.is_file():
        return target
    if importlib.util.find_spec("ultralytics") is None:
        raise ConfigError(
            f"model {path}: .pt files need ultralytics (AGPL-3.0); run: pip install 'reid_tracker[ultralytics]', "
            "or export the model to .onnx elsewhere"
        )
    from ultralytics import YOLO

    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        copy = Path(shutil.copy(path, Path(scratch) / "model.pt"))  # the export is written beside its source
        try:
            # dynamic: batch and picture size stay free, so that the input can follow the frames
            written = YOLO(copy, task="detect").export(format="onnx", dynamic=True, simplify=False, verbose=False)
            Path(written).replace(target)  # whole or not at all, should two runs export at once
        except Exception as error:  # whatever a foreign model and its loader come up with
            raise ModelError(f"model {path}: ultralytics cannot export it ({error})") from error
    return target

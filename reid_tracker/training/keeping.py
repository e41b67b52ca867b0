"""What is computed once and kept: keys that change with the network, files that are whole or not there."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def network_digest(file: Path) -> str:
    """SHA-256 (hex) of a network: of an OpenVINO IR its weights count, which lie beside the ``.xml``."""
    digest = hashlib.sha256(file.read_bytes())
    weights = file.with_suffix(".bin")
    if file.suffix == ".xml" and weights.is_file():
        digest.update(weights.read_bytes())
    return digest.hexdigest()


def save_array(file: Path, values: NDArray[Any]) -> None:
    """Write a ``.npy`` file so that an interruption leaves none, and never half of one."""
    young = file.with_name(f"{file.name}.{os.getpid()}.new")
    with young.open("wb") as target:
        np.save(target, values)
    young.replace(file)

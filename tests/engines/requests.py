"""What the tests ask the builder for: an engine of a small embedder, judged on noise."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from reid_tracker.compilation.parity import compare
from reid_tracker.runtime.tensorrt.building import BuildRequest, shapes_for
from tests.engines.networks import crops

SIZES = ((32, 16), (32, 16), (32, 16))


def request(path: Path, precision: str = "fp16", **changes: Any) -> BuildRequest:
    values = {
        "path": path,
        "model": str(path),
        "precision": precision,
        "shapes": shapes_for(path, (1, 4, 8), SIZES),
        "batches": crops(16),
        "compare": partial(compare, precision=precision, embedder=True),
        "force": precision in ("bf16", "fp8"),  # of drawn weights; whether they pass is another question
    }
    return BuildRequest(**{**values, **changes})

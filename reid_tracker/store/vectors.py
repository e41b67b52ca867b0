"""Looks as bytes and as one vector: how the store keeps them and what the index searches by."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from reid_tracker.types import Appearance, FloatArray


def mean_look(looks: Appearance) -> FloatArray:
    """(D,) quality-weighted mean of the global vectors, of unit length: what the index searches by."""
    mean = np.asarray((looks.quality[:, None] + 1e-3) * looks.global_, np.float32).sum(axis=0)
    return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-12), np.float32)


def looks_from_blobs(layout: str | None, quality: bytes, vectors: bytes, stripes: bytes) -> Appearance | None:
    """Looks from the bytes that the store keeps; None where it keeps none (``layout`` None)."""
    if layout is None:
        return None
    count, dimension, parts, part_dimension = json.loads(layout)
    return Appearance(
        _unit(np.frombuffer(vectors, np.float16).reshape(count, dimension)),
        _unit(np.frombuffer(stripes, np.float16).reshape(count, parts, part_dimension)),
        np.frombuffer(quality, np.float16).astype(np.float32),
        np.ones(count, np.bool_),
    )


def _unit(halves: np.ndarray[Any, np.dtype[np.float16]]) -> FloatArray:
    exact = halves.astype(np.float32)
    unit: FloatArray = exact / np.maximum(np.linalg.norm(exact, axis=-1, keepdims=True), 1e-12)
    return unit

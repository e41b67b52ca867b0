"""Finding the sightings most like a look among a million: a coarse search over all, then the exact distance.

All mean looks lie in one half-precision matrix. Beside it lie their shadows on the few directions in which looks
differ most (principal components, found in the looks themselves): 64 numbers instead of 256, single precision, so that
one matrix product over everybody takes tens of milliseconds. The best few hundred by shadow are measured exactly.
Adding is immediate; removing frees the row.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from reid_tracker.types import FloatArray

_SHADOW = 64  # directions
_EXACT = 512  # candidates measured exactly, at least four times what was asked for
_SAMPLE = 20_000  # looks from which the directions are found
_FIRST_CAPACITY = 1024


class LookIndex:
    """Mean looks by tracklet, searchable. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows: dict[int, int] = {}
        self._keys = np.zeros(0, np.int64)
        self._looks: NDArray[np.float16] = np.zeros((0, 0), np.float16)
        self._shadows: FloatArray = np.zeros((0, 0), np.float32)
        self._directions: FloatArray | None = None
        self._found_at = 0

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, looks: Iterable[tuple[int, FloatArray]]) -> None:
        """Take in or replace mean looks: (tracklet, (D,) unit vector)."""
        with self._lock:
            for tracklet, look in looks:
                self._put(tracklet, look)
            if len(self._rows) >= 2 * max(self._found_at, _SHADOW):
                self._find_directions()

    def remove(self, tracklets: Iterable[int]) -> None:
        """Forget tracklets; those that are not there are passed over."""
        with self._lock:
            for tracklet in tracklets:
                row = self._rows.pop(tracklet, None)
                if row is None:
                    continue
                last = len(self._rows)
                if row != last:
                    for array in (self._keys, self._looks, self._shadows):
                        array[row] = array[last]
                    self._rows[int(self._keys[row])] = row
                self._looks[last] = 0  # what was erased leaves no copy
                self._shadows[last] = 0

    def search(self, look: FloatArray, count: int) -> list[tuple[int, float]]:
        """The tracklets most like a (D,) unit vector and their cosine distances (0..2), the nearest first."""
        with self._lock:
            size = len(self._rows)
            if size == 0 or look.shape[0] != self._looks.shape[1]:
                return []
            wanted = min(size, max(_EXACT, 4 * count))
            if size > wanted:
                directions = self._directions
                assert directions is not None  # found when there were few
                coarse = self._shadows[:size] @ (look @ directions)
                rows = np.argpartition(-coarse, wanted - 1)[:wanted]
            else:
                rows = np.arange(size)
            distances = 1 - self._looks[rows].astype(np.float32) @ look
            order = np.argsort(distances, kind="stable")[:count]
            return [(int(self._keys[rows[place]]), float(distances[place])) for place in order]

    def _put(self, tracklet: int, look: FloatArray) -> None:
        if self._looks.shape[1] != look.shape[0]:
            if self._rows:
                return  # of another embedder; the store refuses to mix them
            self._looks = np.zeros((_FIRST_CAPACITY, look.shape[0]), np.float16)
            self._shadows = np.zeros((_FIRST_CAPACITY, min(_SHADOW, look.shape[0])), np.float32)
            self._keys = np.zeros(_FIRST_CAPACITY, np.int64)
        row = self._rows.get(tracklet)
        if row is None:
            row = self._rows[tracklet] = len(self._rows)
            if row == len(self._keys):
                self._grow()
            self._keys[row] = tracklet
        self._looks[row] = look
        if self._directions is not None:
            self._shadows[row] = look @ self._directions

    def _grow(self) -> None:
        capacity = 2 * len(self._keys)
        self._keys = np.concatenate([self._keys, np.zeros_like(self._keys)])
        for name in ("_looks", "_shadows"):
            longer = np.zeros((capacity, getattr(self, name).shape[1]), getattr(self, name).dtype)
            longer[: capacity // 2] = getattr(self, name)
            setattr(self, name, longer)

    def _find_directions(self) -> None:
        """The directions of the largest variance about the origin, as cosines need them; then every shadow anew."""
        size = len(self._rows)
        self._found_at = size
        sample = np.linspace(0, size - 1, min(size, _SAMPLE)).astype(np.intp)
        looks = self._looks[sample].astype(np.float32)
        _, vectors = np.linalg.eigh(looks.T @ looks)
        self._directions = np.ascontiguousarray(vectors[:, ::-1][:, : self._shadows.shape[1]])
        for start in range(0, size, _SAMPLE):
            part = slice(start, min(start + _SAMPLE, size))
            self._shadows[part] = self._looks[part].astype(np.float32) @ self._directions

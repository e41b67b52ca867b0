"""Finding the sightings most like a look among a million: a coarse search over all, then the exact distance.

All mean looks lie in one half-precision matrix. Beside it lie their shadows on the few directions in which looks
differ most (principal components, found in the looks themselves): 64 numbers instead of 256, single precision, so that
one matrix product over everybody takes tens of milliseconds. The best few hundred by shadow are measured exactly. Where
and when each was seen lies there too, so that the best of those are taken that were asked for. Adding is immediate;
removing frees the row.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from reid_tracker.types import BoolArray, FloatArray

_SHADOW = 64  # directions
_EXACT = 512  # candidates measured exactly, at least four times what was asked for
_SAMPLE = 20_000  # looks from which the directions are found
_FIRST_CAPACITY = 1024


class IndexedLook(NamedTuple):
    """A sighting as the index takes it: (D,) mean look, None where it is as it was; times in UTC seconds."""

    tracklet: int
    look: FloatArray | None
    camera_id: str
    started: float
    ended: float


class LookIndex:
    """Mean looks by tracklet, searchable. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows: dict[int, int] = {}
        self._cameras: dict[str, int] = {}
        self._keys = np.zeros(0, np.int64)
        self._seen_by = np.zeros(0, np.int32)
        self._started, self._ended = np.zeros(0), np.zeros(0)
        self._looks: NDArray[np.float16] = np.zeros((0, 0), np.float16)
        self._shadows: FloatArray = np.zeros((0, 0), np.float32)
        self._directions: FloatArray | None = None
        self._found_at = 0

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, sightings: Iterable[IndexedLook]) -> None:
        """Take in sightings, or what is new of them; those that never had looks are passed over."""
        with self._lock:
            for sighting in sightings:
                self._put(sighting)
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
                    for array in self._columns():
                        array[row] = array[last]
                    self._rows[int(self._keys[row])] = row
                self._looks[last] = 0  # what was erased leaves no copy
                self._shadows[last] = 0

    def search(
        self,
        look: FloatArray,
        count: int,
        camera_id: str | None = None,
        since: float | None = None,
        until: float | None = None,
    ) -> list[tuple[int, float]]:
        """The tracklets most like a (D,) unit vector and their cosine distances (0..2), the nearest first.

        Args:
            count: at most.
            camera_id, since, until: only of this camera, ended after, begun before (UTC seconds).
        """
        with self._lock:
            size = len(self._rows)
            if size == 0 or look.shape[0] != self._looks.shape[1]:
                return []
            fitting = self._fitting(size, camera_id, since, until)
            rows, wanted = np.flatnonzero(fitting), max(_EXACT, 4 * count)
            if len(rows) > wanted:
                directions = self._directions
                assert directions is not None  # found when there were few
                coarse = self._shadows[:size] @ (look @ directions)
                coarse[~fitting] = -np.inf
                rows = np.argpartition(-coarse, wanted - 1)[:wanted]
            distances = 1 - self._looks[rows].astype(np.float32) @ look
            order = np.argsort(distances, kind="stable")[:count]
            return [(int(self._keys[rows[place]]), float(distances[place])) for place in order]

    def _fitting(self, size: int, camera_id: str | None, since: float | None, until: float | None) -> BoolArray:
        """(size,): which rows are asked for."""
        fitting = np.ones(size, np.bool_)
        if camera_id is not None:
            fitting &= self._seen_by[:size] == self._cameras.get(camera_id, -1)
        if since is not None:
            fitting &= self._ended[:size] >= since
        if until is not None:
            fitting &= self._started[:size] <= until
        return fitting

    def _columns(self) -> tuple[NDArray[Any], ...]:
        return self._keys, self._seen_by, self._started, self._ended, self._looks, self._shadows

    def _put(self, sighting: IndexedLook) -> None:
        row = self._rows.get(sighting.tracklet)
        if sighting.look is not None:
            row = self._put_look(sighting.tracklet, sighting.look, row)
        if row is not None:
            self._seen_by[row] = self._cameras.setdefault(sighting.camera_id, len(self._cameras))
            self._started[row], self._ended[row] = sighting.started, sighting.ended

    def _put_look(self, tracklet: int, look: FloatArray, row: int | None) -> int | None:
        """Put a look where it belongs, or in a new row; None where it does not fit."""
        if self._looks.shape[1] != look.shape[0]:
            if self._rows:
                return None  # of another embedder; the store refuses to mix them
            self._looks = np.zeros((_FIRST_CAPACITY, look.shape[0]), np.float16)
            self._shadows = np.zeros((_FIRST_CAPACITY, min(_SHADOW, look.shape[0])), np.float32)
            self._keys, self._seen_by = np.zeros(_FIRST_CAPACITY, np.int64), np.zeros(_FIRST_CAPACITY, np.int32)
            self._started, self._ended = np.zeros(_FIRST_CAPACITY), np.zeros(_FIRST_CAPACITY)
        if row is None:
            row = self._rows[tracklet] = len(self._rows)
            if row == len(self._keys):
                self._grow()
            self._keys[row] = tracklet
        self._looks[row] = look
        if self._directions is not None:
            self._shadows[row] = look @ self._directions
        return row

    def _grow(self) -> None:
        for name in ("_keys", "_seen_by", "_started", "_ended", "_looks", "_shadows"):
            shorter = getattr(self, name)
            longer = np.zeros((2 * len(shorter), *shorter.shape[1:]), shorter.dtype)
            longer[: len(shorter)] = shorter
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

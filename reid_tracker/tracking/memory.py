"""What tracks look like: a small set of good, varied looks per track, and what a distance means here.

A look is one crop's appearance. A moving average of looks describes nobody (front and back of a person average to
neither), so a track keeps several looks apart and a detection is compared with the nearest of them. Letters: L
looks, D global dimension, N detections, T tracks.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reid_tracker.types import Appearance, FloatArray


class LookMemory:
    """At most ``capacity`` looks of one track. Owned by the track; not thread-safe.

    A look that resembles one that is kept (closer than ``variety``) replaces it only when it is of better quality.
    Another one takes a free place or, where none is free, the place of the look that is missed least: of the two
    most alike (the new one counts too) the one of lower quality.
    """

    def __init__(self, capacity: int, variety: float) -> None:
        self.version = 0
        self._capacity = capacity
        self._variety = variety
        self._looks = Appearance.empty()
        self._times = np.zeros(0, np.float64)
        self._boxes = np.zeros((0, 4), np.float32)

    def __len__(self) -> int:
        return len(self._looks)

    @property
    def looks(self) -> Appearance:
        """The looks kept; replaced, never changed in place, so it may be handed on."""
        return self._looks

    @property
    def times(self) -> NDArray[np.float64]:
        """(L,) UTC seconds of the looks."""
        return self._times

    @property
    def boxes(self) -> FloatArray:
        """(L, 4) boxes of the looks."""
        return self._boxes

    def add(self, look: Appearance, time: float, box: FloatArray) -> None:
        """Consider one look (an ``Appearance`` of one valid row) for the memory."""
        if len(self._looks) == 0:
            self._store(look, np.array([time]), box[None])
            return
        distances = 1 - self._looks.global_ @ look.global_[0]
        nearest = int(distances.argmin())
        if distances[nearest] < self._variety:
            if look.quality[0] > self._looks.quality[nearest]:
                self._replace(nearest, look, time, box)
        elif len(self._looks) < self._capacity:
            self._replace(len(self._looks), look, time, box)
        else:
            self._replace(self._most_redundant(look), look, time, box)

    def _most_redundant(self, look: Appearance) -> int:
        """Row to give up for ``look``; the row after the last one stands for ``look`` itself."""
        vectors = np.concatenate([self._looks.global_, look.global_])
        alike = vectors @ vectors.T
        np.fill_diagonal(alike, -np.inf)
        first, second = np.unravel_index(int(alike.argmax()), alike.shape)
        quality = np.concatenate([self._looks.quality, look.quality])
        return int(first if quality[first] <= quality[second] else second)

    def _replace(self, row: int, look: Appearance, time: float, box: FloatArray) -> None:
        """Put ``look`` last and drop ``row``; oldest stay first."""
        if row == self._capacity:
            return
        kept = np.flatnonzero(np.arange(len(self._looks)) != row)
        old = self._looks
        self._store(
            Appearance(
                np.concatenate([old.global_[kept], look.global_]),
                np.concatenate([old.stripes[kept], look.stripes]),
                np.concatenate([old.quality[kept], look.quality]),
                np.concatenate([old.valid[kept], look.valid]),
            ),
            np.append(self._times[kept], time),
            np.concatenate([self._boxes[kept], box[None]]),
        )

    def _store(self, looks: Appearance, times: NDArray[np.float64], boxes: FloatArray) -> None:
        self._looks, self._times, self._boxes = looks, times, boxes
        self.version += 1


def look_distances(memories: list[LookMemory], vectors: FloatArray) -> FloatArray:
    """Cosine distance of each detection to the nearest look of each track.

    Args:
        memories: T memories.
        vectors: (N, D) unit vectors.

    Returns:
        (T, N) in 0..2; NaN in the rows of tracks without a look.
    """
    distances = np.full((len(memories), len(vectors)), np.nan, np.float32)
    filled = [row for row, memory in enumerate(memories) if len(memory)]
    if not filled or len(vectors) == 0:
        return distances
    stacked = np.concatenate([memories[row].looks.global_ for row in filled])
    similarity = stacked @ vectors.T
    starts = np.cumsum([0] + [len(memories[row]) for row in filled[:-1]])
    distances[filled] = 1 - np.maximum.reduceat(similarity, starts, axis=0)
    return distances


class AppearanceScale:
    """What a distance between looks means with this embedder, on this camera: learned while tracking.

    Embedders differ: 0.4 is the same person to one and a stranger to another. People seen at once are certainly
    different and an undisputed match by place is certainly the same person, so the tracker collects both kinds of
    distance and keeps their running means. Between them lies the distance that says nothing.

    Args:
        same, different: expected means before anything was seen; they weigh as much as ``weight`` observations.
        weight: observations.
    """

    _LEAST_CONTRAST = 0.05  # cosine distance; an embedder that separates less than this says next to nothing
    _MEMORY = 2000  # observations; older ones fade, so that a change of light is followed

    def __init__(self, same: float, different: float, weight: float = 30.0) -> None:
        self._same, self._same_weight = same, weight
        self._different, self._different_weight = different, weight

    def observe(self, same: NDArray[np.floating], different: NDArray[np.floating]) -> None:
        """Distances of pairs that are certainly the same and certainly different people."""
        self._same, self._same_weight = self._blend(self._same, self._same_weight, same)
        self._different, self._different_weight = self._blend(self._different, self._different_weight, different)

    def evidence(self, distances: FloatArray) -> FloatArray:
        """How far distances speak for the same person: 1 as typical of the same, -1 of different people, 0 for NaN."""
        neutral = (self._same + self._different) / 2
        half = max((self._different - self._same) / 2, self._LEAST_CONTRAST)
        spoken: FloatArray = np.clip((neutral - distances) / half, -1, 1).astype(np.float32)
        return np.nan_to_num(spoken, nan=0.0)

    def _blend(self, mean: float, weight: float, values: NDArray[np.floating]) -> tuple[float, float]:
        if len(values) == 0:
            return mean, weight
        total = weight + len(values)
        return (mean * weight + float(values.sum())) / total, min(total, self._MEMORY)

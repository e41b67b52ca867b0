"""What is usually done: one mean look a tracklet, one threshold on cosine likeness.

Both methods know what the associator knows for certain: two tracklets that are in one camera at one time are two
people. Thresholds are chosen in hindsight, on the very case that is scored, which no real system can do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from reid_tracker.types import FloatArray, Tracklet

THRESHOLDS = np.arange(0.10, 0.961, 0.02)
_NEVER = 100.0  # distance of two tracklets that cannot be one person; no mean over a cluster hides it
Guess = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Alike:
    """T tracklets in the order of their ends.

    Attributes:
        likeness: (T, T) float32, cosine of their mean looks; 0 where one has no look.
        apart: (T, T) bool, in one camera at one time.
    """

    likeness: FloatArray
    apart: NDArray[np.bool_]

    @staticmethod
    def of(tracklets: Sequence[Tracklet]) -> Alike:
        """Of tracklets, in their order."""
        dimension = max((one.looks.global_.shape[1] for one in tracklets), default=0)
        means = np.zeros((len(tracklets), dimension), np.float32)
        for mean, one in zip(means, tracklets, strict=True):
            if len(one.looks):
                mean[:] = one.looks.global_.mean(axis=0)
        means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-9)
        starts, ends = np.array([one.started for one in tracklets]), np.array([one.updated for one in tracklets])
        _, camera = np.unique([one.camera_id for one in tracklets], return_inverse=True)
        together = (starts[:, None] <= ends[None]) & (starts[None] <= ends[:, None])
        apart = together & (camera[:, None] == camera[None]) & ~np.eye(len(tracklets), dtype=bool)
        return Alike(means @ means.T, apart)


def nearest_mean(alike: Alike, threshold: float) -> Guess:
    """Each tracklet, as it ends, joins the person that is most alike on average, or is new below the threshold."""
    people = np.zeros(len(alike.likeness), np.int64)
    known = 0
    for row in range(len(people)):
        before = people[:row]
        sums = np.bincount(before, weights=alike.likeness[row, :row], minlength=max(known, 1))
        means = sums / np.maximum(np.bincount(before, minlength=max(known, 1)), 1)
        means[before[alike.apart[row, :row]]] = -np.inf
        best = int(means.argmax())
        if known and means[best] > threshold:
            people[row] = best
        else:
            people[row], known = known, known + 1
    return people


def average_linkage(alike: Alike) -> Callable[[float], Guess]:
    """Offline agglomerative clustering by mean cosine distance; it knows the whole recording."""
    if len(alike.likeness) < 2:
        return lambda _: np.zeros(len(alike.likeness), np.int64)
    distance = np.maximum(1 - alike.likeness, 0)  # the same look twice is a rounding error below 0
    distance[alike.apart] = _NEVER
    np.fill_diagonal(distance, 0)
    tree = linkage(squareform(distance, checks=False), method="average")
    return lambda threshold: fcluster(tree, 1 - threshold, criterion="distance").astype(np.int64)

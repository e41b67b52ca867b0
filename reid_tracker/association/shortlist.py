"""Products of mean looks with everybody's prototype, and who is left worth a closer look when thousands are known.

All passages that a step has news of are multiplied with the gallery in one go: one product of many rows costs a third
of as many products of few, because the prototypes go through the cache once. Decisions are made camera by camera and
change prototypes in between; the few that changed are multiplied again, so that the answer is as if nothing had been
done ahead.

Up to ``WIDE`` people all are weighed exactly, by looks and time. Beyond, only those whose looks are among the most
like, and those seen last, whom time may speak for: what a stranger of long ago would need to win is out of reach.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from reid_tracker.association.calibration import PassageLooks
from reid_tracker.association.identities import Passage
from reid_tracker.association.memory import Gallery
from reid_tracker.types import BoolArray, FloatArray

WIDE = 512  # people up to whom all are weighed
_LIKEST, _LATEST = 256, 256  # beyond: about so many by looks, and so many by when they were seen
_SAMPLE = 16  # every so manieth person shows where the likest begin
_MOST_AHEAD = 1 << 24  # products kept ahead, 64 MB


class Products:
    """Products of passages' mean looks with the gallery's prototypes. One per site, not thread-safe."""

    def __init__(self, gallery: Gallery) -> None:
        self._gallery = gallery
        self._ahead: dict[int, tuple[int, PassageLooks]] = {}
        self._products: FloatArray = np.zeros((0, 0), np.float32)
        self._centre: FloatArray | None = None
        self._beside: FloatArray = np.zeros(0, np.float32)

    def look_ahead(self, passages: Sequence[Passage], centre: FloatArray) -> None:
        """Multiply the passages that will be asked about at this moment, and what is common to all looks."""
        described = [(passage.tracklet, passage.looks) for passage in passages if passage.looks is not None]
        described = described[: _MOST_AHEAD // max(1, len(self._gallery))]
        self._ahead = {tracklet: (row, looks) for row, (tracklet, looks) in enumerate(described)}
        self._products = _product([looks.mean for _, looks in described] + [centre], self._gallery.means)
        self._centre, self._beside = centre, self._products[-1]
        self._gallery.touched.clear()

    def __call__(self, looks: Sequence[tuple[int, PassageLooks]]) -> FloatArray:
        """(T, N) products of the mean looks of some tracklets with everybody's prototype as it is now."""
        rows = [self._ahead.get(tracklet, (-1, None)) for tracklet, _ in looks]
        means = [one.mean for _, one in looks]
        if any(known is not one for (_, known), (_, one) in zip(rows, looks, strict=True)):
            return _product(means, self._gallery.means)
        return self._up_to_date(self._products[[row for row, _ in rows]], np.stack(means))

    def beside(self, centre: FloatArray) -> FloatArray:
        """(N,) products of what is common to all looks with the prototypes."""
        if centre is not self._centre:
            self._centre, self._beside = centre, self._gallery.means @ centre
        beside: FloatArray = self._up_to_date(self._beside[None], centre[None])[0]
        return beside

    def _up_to_date(self, products: FloatArray, means: FloatArray) -> FloatArray:
        """Products (T, then) of ``means`` (T, D), where prototypes changed since then taken again."""
        count = len(self._gallery)
        stale = sorted(row for row in self._gallery.touched if row < count)
        if products.shape[1] != count:
            whole = np.empty((len(products), count), np.float32)
            shared = min(count, products.shape[1])
            whole[:, :shared] = products[:, :shared]
            products = whole  # rows beyond are new, thus touched
        if stale:
            products[:, stale] = means @ self._gallery.means[stale].T
        return products


def likest_and_latest(likeness: FloatArray, seen: NDArray[np.float64]) -> NDArray[np.intp]:
    """Who is worth a closer look beside some passages where many are known.

    Args:
        likeness: (T, N) of the passages with everybody, in any unit.
        seen: (N,) seconds when each person was last seen.

    Returns:
        (K,) people, ascending: those who are among the likest of any of the passages, and those seen last.
    """
    count = len(seen)
    sample = likeness[:, ::_SAMPLE]
    rank = max(0, sample.shape[1] - _LIKEST * sample.shape[1] // count)
    worth: BoolArray = np.logical_or.reduce(likeness >= np.partition(sample, rank, axis=1)[:, rank, None], axis=0)
    worth[np.argpartition(seen, count - _LATEST)[-_LATEST:]] = True
    return np.flatnonzero(worth)


def _product(means: Sequence[FloatArray], prototypes: FloatArray) -> FloatArray:
    product: FloatArray = np.stack(means) @ prototypes.T
    return product

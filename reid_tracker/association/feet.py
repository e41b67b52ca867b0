"""Where a passage's feet were in its camera's picture, thinned out as it gets longer, readable at any moment."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from reid_tracker.types import FloatArray

_POINTS = 64  # kept of a passage; when there are more, every other one goes and half as many come
_SAME_MOMENT = 0.25  # seconds between two boxes that count as simultaneous
_BRIDGED = 1.0  # seconds between two points of a path over which a walk is a straight line
_EDGE = 0.01  # share of the picture: nearer to its sides or lower edge than this, a box may be cut

Floats = NDArray[np.float64]


@dataclass(slots=True)
class FootPath:
    """Foot points of one passage.

    Attributes:
        camera_id: the camera whose pixels they are in.
        rows: (K, 4): UTC seconds, x and y of the lower middle of the box, height of the box.
    """

    camera_id: str
    rows: Floats = field(default_factory=lambda: np.zeros((0, 4)))
    _spacing: float = 0.0

    def add(self, time: float, box: FloatArray, size: tuple[int, int] | None = None) -> None:
        """A box (4,) of the passage; left out where the edge of the picture, ``size`` (width, height), cuts it."""
        if size is not None and _is_cut(box, size):
            return
        if len(self.rows) and time - self.rows[-1, 0] < self._spacing:
            return
        row = [time, (box[0] + box[2]) / 2, box[3], box[3] - box[1]]
        self.rows = np.concatenate([self.rows, [row]])
        if len(self.rows) > _POINTS:
            self.rows = self.rows[::2]
            self._spacing = float(np.median(np.diff(self.rows[:, 0]))) * 0.9

    def at(self, times: Floats) -> tuple[Floats, NDArray[np.bool_]]:
        """The feet at some moments.

        Args:
            times: (N,) UTC seconds.

        Returns:
            (N, 3) x, y and height, and (N,) whether the passage was seen at that moment.
        """
        own = self.rows[:, 0]
        if not len(own):
            return np.zeros((len(times), 3)), np.zeros(len(times), np.bool_)
        after = np.clip(np.searchsorted(own, times), 0, len(own) - 1)
        before = np.maximum(after - 1, 0)
        near = np.minimum(np.abs(own[after] - times), np.abs(own[before] - times)) <= _SAME_MOMENT
        inside = (own[before] <= times) & (times <= own[after]) & (own[after] - own[before] <= _bridged(self._spacing))
        feet = np.stack([np.interp(times, own, self.rows[:, column]) for column in (1, 2, 3)], axis=1)
        return feet, near | inside


def together(first: FootPath, second: FootPath, offset: float = 0.0) -> tuple[Floats, Floats]:
    """Both paths at the moments when both were seen.

    Args:
        offset: seconds by which the second camera's clock is ahead of the first one's.

    Returns:
        Two (N, 3): x, y, height of each, in its own pixels.
    """
    if len(first.rows) > len(second.rows):
        theirs, mine = together(second, first, -offset)
        return mine, theirs
    moments = first.rows[:, 0]
    others, seen = second.at(moments + offset)
    return first.rows[seen, 1:], others[seen]


def _bridged(spacing: float) -> float:
    return max(_BRIDGED, 3 * spacing)


def _is_cut(box: FloatArray, size: tuple[int, int]) -> bool:
    width, height = size
    aside, below = _EDGE * width, _EDGE * height
    return bool(box[0] <= aside or box[2] >= width - aside or box[3] >= height - below)

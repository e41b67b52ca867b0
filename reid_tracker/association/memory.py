"""The gallery: one prototype an identity for the wide search, bounded by count and age.

Prototypes lie in one matrix, so that the search is one product however many people are remembered. Looks themselves
stay with the passages (identities.py), a few per passage and a bounded number of passages per identity and camera. Of
the others stays where they were, for nobody else who was there can be the same person.
"""

from __future__ import annotations

from collections import Counter
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from reid_tracker.association.calibration import Calibration
from reid_tracker.association.evidence import combine
from reid_tracker.association.identities import Identity, Passage
from reid_tracker.types import Appearance, FloatArray

_FIRST_CAPACITY = 64

_Number = TypeVar("_Number", bound=np.generic)


class Gallery:
    """Prototypes of the remembered identities. One per site, not thread-safe.

    Attributes:
        dropped: what was left out so far, by reason.
        touched: rows whose prototype changed since whoever keeps products of them last cleared it.
    """

    def __init__(self, passages_per_camera: int) -> None:
        self.dropped: Counter[str] = Counter()
        self.touched: set[int] = set()
        self._passages_per_camera = passages_per_camera
        self._rows: dict[int, int] = {}
        self._numbers = np.zeros(0, np.int64)
        self._means: FloatArray = np.zeros((0, 0), np.float32)
        self._squares: FloatArray = np.zeros(0, np.float32)
        self._precisions = np.zeros(0)
        self._seen = np.zeros(0)
        self._cameras = np.zeros(0, np.intp)

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def numbers(self) -> NDArray[np.int64]:
        """(N,) identities, one a row."""
        return self._numbers[: len(self)]

    @property
    def means(self) -> FloatArray:
        """(N, D) prototypes."""
        return self._means[: len(self)]

    @property
    def squares(self) -> FloatArray:
        """(N,) squared lengths of the prototypes."""
        return self._squares[: len(self)]

    @property
    def precisions(self) -> NDArray[np.float64]:
        """(N,) how sure each prototype is; 0 where an identity has no look."""
        return self._precisions[: len(self)]

    @property
    def seen(self) -> NDArray[np.float64]:
        """(N,) UTC seconds when each was last seen."""
        return self._seen[: len(self)]

    @property
    def cameras(self) -> NDArray[np.intp]:
        """(N,) number of the camera where each was last seen."""
        return self._cameras[: len(self)]

    def update(self, identity: Identity, calibration: Calibration) -> None:
        """Take in an identity's passages as they are now."""
        self._bound(identity)
        described = identity.described()
        row = self._rows.get(identity.number)
        if row is None:
            row = self._new_row(identity.number)
        self.touched.add(row)
        if described:
            mean, precision = combine(described, calibration.spread_of(len(described[0].mean)))
            self._grow_dimension(len(mean))
            self._means[row], self._precisions[row], self._squares[row] = mean, precision, mean @ mean
        else:
            self._means[row], self._precisions[row], self._squares[row] = 0, 0, 0
        self.saw(identity)

    def saw(self, identity: Identity) -> None:
        """Take in where and when it was last seen, its looks being the same."""
        row, last = self._rows[identity.number], identity.last
        self._seen[row], self._cameras[row] = last.end, last.camera

    def row(self, identity: int) -> int:
        """The row of an identity."""
        return self._rows[identity]

    def remove(self, identity: int) -> None:
        """Free an identity's row; the last row takes its place."""
        row, last = self._rows.pop(identity), len(self._rows)
        if row != last:
            for array in (self._numbers, self._means, self._squares, self._precisions, self._seen, self._cameras):
                array[row] = array[last]
            self._rows[int(self._numbers[row])] = row
            self.touched.add(row)

    def overdue(self, time: float, memory_seconds: float, most: int) -> list[tuple[int, str]]:
        """Those not seen for longer than ``memory_seconds``, then the longest unseen beyond ``most``; and why."""
        found = []
        rows = np.argsort(self.seen, kind="stable")
        for place, row in enumerate(rows.tolist()):
            too_old = bool(time - self._seen[row] > memory_seconds)
            if not too_old and place >= len(self) - most:
                break
            found.append((int(self._numbers[row]), "too old" if too_old else "too many"))
        return found

    def _bound(self, identity: Identity) -> None:
        """Let go of the passages that say least: per camera the ended ones with the fewest good looks."""
        by_camera: dict[int, list[Passage]] = {}
        for passage in identity.passages:
            by_camera.setdefault(passage.camera, []).append(passage)
        for passages in by_camera.values():
            ended = [passage for passage in passages if not passage.open]
            excess = len(ended) - self._passages_per_camera
            if excess > 0:
                ended.pop()  # the newest one says where the person was last
                ended.sort(key=lambda passage: (passage.looks.weight if passage.looks else 0, passage.end))
                for passage in ended[:excess]:
                    identity.let_go(passage)
                    self.dropped["passages"] += 1

    def _new_row(self, number: int) -> int:
        row = len(self._rows)
        if row == len(self._numbers):
            capacity = max(_FIRST_CAPACITY, 2 * row)
            self._numbers = _longer(self._numbers, capacity)
            self._precisions = _longer(self._precisions, capacity)
            self._seen = _longer(self._seen, capacity)
            self._cameras = _longer(self._cameras, capacity)
            self._means = _longer(self._means, capacity)
            self._squares = _longer(self._squares, capacity)
        self._rows[number] = row
        self._numbers[row] = number
        return row

    def _grow_dimension(self, dimension: int) -> None:
        if self._means.shape[1] == 0:
            self._means = np.zeros((len(self._numbers), dimension), np.float32)


def varied(looks: Appearance, count: int) -> Appearance:
    """At most ``count`` looks: the best one, then those least like what was already taken, good ones first."""
    if len(looks) <= count:
        return looks
    taken = [int(np.argmax(looks.quality))]
    novelty = np.full(len(looks), np.inf)
    for _ in range(count - 1):
        novelty = np.minimum(novelty, 1 - looks.global_ @ looks.global_[taken[-1]])
        score = np.clip(novelty, 0, None) * looks.quality
        score[taken] = -1
        taken.append(int(np.argmax(score)))
    return looks.select(sorted(taken))


def _longer(array: NDArray[_Number], capacity: int) -> NDArray[_Number]:
    longer = np.zeros((capacity, *array.shape[1:]), array.dtype)
    longer[: len(array)] = array
    return longer

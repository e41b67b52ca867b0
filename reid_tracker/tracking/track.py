"""One track as the tracker keeps it: state, bounded history, looks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reid_tracker.tracking.memory import LookMemory
from reid_tracker.types import FloatArray, Tracklet, TrackletState


class History:
    """The newest boxes and times of a track; reading is a view, adding is cheap, memory is bounded.

    Rows are appended to a buffer of twice the length; when it is full the newest half moves to a new buffer, so a
    view that was handed out never changes.
    """

    def __init__(self, length: int) -> None:
        self._length = length
        self._boxes = np.empty((2 * length, 4), np.float32)
        self._times = np.empty(2 * length, np.float64)
        self._end = 0

    def add(self, box: FloatArray, time: float) -> None:
        """Append one box (4,) at ``time``, UTC seconds."""
        if self._end == 2 * self._length:
            boxes, times = np.empty_like(self._boxes), np.empty_like(self._times)
            boxes[: self._length] = self._boxes[self._length :]
            times[: self._length] = self._times[self._length :]
            self._boxes, self._times, self._end = boxes, times, self._length
        self._boxes[self._end] = box
        self._times[self._end] = time
        self._end += 1

    @property
    def boxes(self) -> FloatArray:
        """(K, 4) newest boxes, oldest first."""
        return self._boxes[max(0, self._end - self._length) : self._end]

    @property
    def times(self) -> NDArray[np.float64]:
        """(K,) UTC seconds of ``boxes``."""
        return self._times[max(0, self._end - self._length) : self._end]


class Track:
    """What the tracker knows of one person in one camera, apart from motion (kept batched beside it).

    Attributes:
        id: None until the track is believed.
        state: see TrackletState.
        hits: frames in which it was seen.
        missed: whether it had no detection in the newest frame.
        started, seen, embedded: UTC seconds of the first box, the newest box, the newest valid look.
    """

    def __init__(self, history_length: int, looks: int, variety: float, time: float) -> None:
        self.id: int | None = None
        self.state = TrackletState.TENTATIVE
        self.hits = 0
        self.missed = False
        self.started = time
        self.seen = time
        self.embedded = -np.inf
        self.score = 0.0
        self.quality = 0.0
        self.memory = LookMemory(looks, variety)
        self._history = History(history_length)

    @property
    def believed(self) -> bool:
        """Whether it was ever confirmed."""
        return self.id is not None

    def see(self, box: FloatArray, score: float, time: float) -> None:
        """Take the box (4,) found for this track at ``time``."""
        self._history.add(box, time)
        self.hits += 1
        self.missed = False
        self.seen = time
        self.score = score
        self.quality = 0.0

    def snapshot(self, camera_id: str) -> Tracklet:
        """The track as others see it; only for believed tracks."""
        if self.id is None:
            raise RuntimeError("a tentative track has no tracklet yet")
        looks = self.memory
        return Tracklet(
            id=self.id,
            camera_id=camera_id,
            state=self.state,
            boxes=self._history.boxes,
            times=self._history.times,
            score=self.score,
            quality=self.quality,
            started=self.started,
            looks=looks.looks,
            look_times=looks.times,
            look_boxes=looks.boxes,
            looks_version=looks.version,
        )

"""A tracker that makes no mistakes of its own, for boxes whose people are known: what it gets wrong is in the boxes.

A tracklet ends when its person was not detected for PATIENCE seconds; the next box begins another one. A look is taken
at once and then every second, of somebody who is in full view, and kept where it is none that is kept already, as
``reid_tracker.tracking`` does.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from benchmarks.association.wardrobe import Look
from reid_tracker.config import TrackingConfig
from reid_tracker.types import Appearance, CameraTracks, FloatArray, Tracklet, TrackletState

PATIENCE = 2.0  # seconds
LOOK_EVERY = 1.0  # seconds
_FULL_VIEW, _FIRST_VIEW = 0.3, 0.6  # most that others may cover for a look, and for the first one
_VARIETY = TrackingConfig().look_variety
_BOXES, _LOOKS = 4, 8  # newest ones that a tracklet carries


@dataclass(frozen=True, slots=True)
class Seen:
    """One box.

    Attributes:
        key: whoever it is; the tracker never takes two for one.
        box: (4,) float32.
        covered: share that nearer people hide.
    """

    key: int
    box: FloatArray
    covered: float


Describe = Callable[[Seen], tuple[Look, float]]  # a look and its quality


@dataclass
class _Track:
    number: int
    started: float
    updated: float
    boxes: list[FloatArray] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    vectors: list[FloatArray] = field(default_factory=list)
    stripes: list[FloatArray] = field(default_factory=list)
    qualities: list[float] = field(default_factory=list)
    look_times: list[float] = field(default_factory=list)
    look_boxes: list[FloatArray] = field(default_factory=list)
    version: int = 0
    looks: Appearance = field(default_factory=Appearance.empty)
    fresh: float = 0.0  # quality of the look in the newest frame
    asked: float = -np.inf  # when a look was taken last, kept or not

    def wants(self, time: float, covered: float) -> bool:
        if not self.look_times:
            return covered <= _FIRST_VIEW
        return covered <= _FULL_VIEW and time - self.asked >= LOOK_EVERY

    def take(self, look: Look, quality: float, time: float, box: FloatArray) -> None:
        self.fresh, self.asked = quality, time
        if any(float(look[0] @ kept) > 1 - _VARIETY for kept in self.vectors):
            return
        for kept, new in (
            (self.vectors, look[0]),
            (self.stripes, look[1]),
            (self.qualities, quality),
            (self.look_times, time),
            (self.look_boxes, box),
        ):
            kept.append(new)  # type: ignore[arg-type]
            del kept[:-_LOOKS]
        self.version += 1
        self.looks = Appearance(
            np.stack(self.vectors),
            np.stack(self.stripes),
            np.array(self.qualities, np.float32),
            np.ones(len(self.vectors), np.bool_),
        )

    def tracklet(self, camera_id: str, state: TrackletState) -> Tracklet:
        return Tracklet(
            id=self.number,
            camera_id=camera_id,
            state=state,
            boxes=np.stack(self.boxes),
            times=np.array(self.times),
            score=1.0,
            quality=self.fresh,
            started=self.started,
            looks=self.looks,
            look_times=np.array(self.look_times),
            look_boxes=np.array(self.look_boxes, np.float32).reshape(-1, 4),
            looks_version=self.version,
        )


class StandInTracker:
    """One camera.

    Args:
        camera_id, size: of the camera; (width, height) in pixels.
        describe: takes the look of a box.
        numbers: gives out tracklet numbers, shared by the cameras of a site.
    """

    def __init__(self, camera_id: str, size: tuple[int, int], describe: Describe, numbers: Iterator[int]) -> None:
        self.camera_id = camera_id
        self._size = size
        self._describe = describe
        self._numbers = numbers
        self._tracks: dict[int, _Track] = {}
        self._frames = itertools.count()

    def __call__(self, time: float, seen: Sequence[Seen]) -> CameraTracks:
        """One frame at ``time`` by the camera's own clock."""
        over = [key for key, track in self._tracks.items() if time - track.updated > PATIENCE]
        ended = tuple(self._tracks.pop(key).tracklet(self.camera_id, TrackletState.ENDED) for key in over)
        for one in seen:
            self._follow(one, time)
        here = {one.key for one in seen}
        return CameraTracks(
            camera_id=self.camera_id,
            index=next(self._frames),
            time=time,
            size=self._size,
            tracklets=tuple(self._tracks[one.key].tracklet(self.camera_id, TrackletState.CONFIRMED) for one in seen),
            lost=tuple(
                track.tracklet(self.camera_id, TrackletState.LOST)
                for key, track in self._tracks.items()
                if key not in here
            ),
            ended=ended,
        )

    def number_of(self, key: int) -> int:
        """The tracklet that somebody in view has now."""
        return self._tracks[key].number

    def finish(self) -> tuple[Tracklet, ...]:
        """The run is over."""
        return tuple(track.tracklet(self.camera_id, TrackletState.ENDED) for track in self._tracks.values())

    def _follow(self, one: Seen, time: float) -> None:
        track = self._tracks.get(one.key)
        if track is None:
            track = self._tracks[one.key] = _Track(next(self._numbers), time, time)
        track.updated, track.fresh = time, 0.0
        track.boxes.append(one.box)
        track.times.append(time)
        del track.boxes[:-_BOXES], track.times[:-_BOXES]
        if track.wants(time, one.covered):
            look, quality = self._describe(one)
            track.take(look, quality, time, one.box)

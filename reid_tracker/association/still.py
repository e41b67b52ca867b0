"""Things that look like people and never move: posters, mannequins, reflections.

A tracklet that has stood on one spot since it began, for two minutes and to within what a detector's boxes shake by,
is taken for one until it moves. Where such a thing was, whatever is found there next is the same thing from the start,
for people who walk past hide it now and then. Somebody who walked up before they sat down has moved.
"""

from __future__ import annotations

import logging

from reid_tracker.boxes import overlap
from reid_tracker.types import FloatArray

_SECONDS = 120.0  # without moving from which something is still
_SHAKES = 0.06  # of its height, that its sides may be off from where they were at first
_SAME_SPOT = 0.7  # intersection over union with a still thing of the same camera
_SPOTS = 32  # still things remembered a camera

_log = logging.getLogger(__name__)


class StillWatch:
    """Watches for what never moves. One per site, not thread-safe."""

    def __init__(self) -> None:
        self._first: dict[int, tuple[float, FloatArray]] = {}
        self._moved: set[int] = set()
        self._spots: dict[str, list[FloatArray]] = {}

    def __call__(self, tracklet: int, camera_id: str, time: float, box: FloatArray) -> bool:
        """Whether a tracklet, whose box (4,) at ``time`` this is, has never moved for so long that it is a thing."""
        if tracklet in self._moved:
            return False
        if tracklet not in self._first:
            self._first[tracklet] = (-float("inf") if self._is_spot(camera_id, box) else time), box
        since, first = self._first[tracklet]
        if float(abs(box - first).max()) > _SHAKES * float(first[3] - first[1]):
            self._moved.add(tracklet)
            return False
        if time - since < _SECONDS:
            return False
        if not self._is_spot(camera_id, box):
            self._spots[camera_id] = [*self._spots.get(camera_id, []), first][-_SPOTS:]
            _log.info(
                "camera %s: tracklet %d has not moved in the %.0f s since it was first seen: a picture or a figure",
                camera_id,
                tracklet,
                time - since,
            )
        return True

    def forget_camera(self, camera_id: str) -> None:
        """A camera looks elsewhere."""
        self._spots.pop(camera_id, None)

    def forget(self, tracklet: int) -> None:
        """A tracklet has ended."""
        self._first.pop(tracklet, None)
        self._moved.discard(tracklet)

    @property
    def things(self) -> int:
        """How many spots are known where something never moves."""
        return sum(map(len, self._spots.values()))

    def _is_spot(self, camera_id: str, box: FloatArray) -> bool:
        return any(float(overlap(spot[None], box[None])[0, 0]) > _SAME_SPOT for spot in self._spots.get(camera_id, ()))

"""Boxes of known people become a case: each camera has a tracker, and everybody wears somebody's real looks.

Of somebody who is partly hidden, as much of the look as is hidden is the nearer person's, and its quality is what is
left. False boxes have negative keys and look like distractors.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.association.cases import Case, Sightings, Step
from benchmarks.association.stand_in import Describe, Seen, StandInTracker
from benchmarks.association.wardrobe import Look, Wardrobe, mixed
from reid_tracker.boxes import area, intersection
from reid_tracker.config import CameraConfig
from reid_tracker.evaluation.linking import NOBODY
from reid_tracker.types import BoolArray, CameraTracks, FloatArray, Image, Tracklet


class Stage:
    """The cameras of a site.

    Args:
        cameras: their names.
        size: (width, height) of their frames in pixels.
        wardrobe: looks by key of the person and number of the camera.
    """

    def __init__(self, cameras: Sequence[str], size: tuple[int, int], wardrobe: Wardrobe) -> None:
        numbers = itertools.count(1)
        self._wardrobe = wardrobe
        self._trackers = {
            camera: StandInTracker(camera, size, self._describing(place, camera), numbers)
            for place, camera in enumerate(cameras)
        }
        self._coverers: dict[tuple[str, int], int] = {}
        self._rows: list[tuple[float, int, int]] = []
        self._missed = 0
        self._place = {camera: place for place, camera in enumerate(cameras)}
        self._worn_by: dict[int, tuple[int, int]] = {}

    def see(
        self,
        camera: str,
        clock: float,
        time: float,
        keys: NDArray[np.int64],
        boxes: NDArray[np.floating],
        detected: BoolArray | None = None,
    ) -> CameraTracks:
        """One frame.

        Args:
            camera: which one.
            clock: seconds by the camera's own clock.
            time: seconds by the true clock.
            keys: (N,) who is in view, from 0; negative for false boxes.
            boxes: (N, 4) corners in pixels.
            detected: (N,) whom the detector finds; all where None.
        """
        tracker = self._trackers[camera]
        corners = boxes.astype(np.float32)
        shares, nearer = covered_by(corners)
        found = np.ones(len(keys), np.bool_) if detected is None else detected
        seen = []
        for row in np.flatnonzero(found):
            key = int(keys[row])
            self._coverers[camera, key] = int(keys[nearer[row]])
            seen.append(Seen(key, corners[row], float(shares[row])))
        moment = tracker(clock, seen)
        self._rows += [(time, tracker.number_of(one.key), max(one.key, NOBODY)) for one in seen]
        self._worn_by |= {tracker.number_of(one.key): (one.key, self._place[camera]) for one in seen}
        self._missed += int((keys[~found] >= 0).sum())
        return moment

    def case(self, name: str, steps: Sequence[Step], cameras: tuple[CameraConfig, ...] = (), deep: bool = True) -> Case:
        """What was seen, once everything was."""
        ended = tuple(one for tracker in self._trackers.values() for one in tracker.finish())
        return Case(
            name,
            steps,
            ended,
            Sightings.of(self._rows),
            self._missed,
            cameras,
            self._wardrobe.uses(),
            deep,
            self._pictures,
        )

    def _pictures(self, one: Tracklet) -> Sequence[Image]:
        key, place = self._worn_by[one.id]
        return self._wardrobe.pictures(key, place) if key >= 0 else ()

    def _describing(self, place: int, camera: str) -> Describe:
        def describe(one: Seen) -> tuple[Look, float]:
            look = self._look(one.key, place)
            if one.covered > 0:
                look = mixed(look, self._look(self._coverers[camera, one.key], place), one.covered)
            return look, 1 - one.covered

        return describe

    def _look(self, key: int, place: int) -> Look:
        return self._wardrobe.look(key, place) if key >= 0 else self._wardrobe.stranger(-key)


def covered_by(boxes: FloatArray) -> tuple[FloatArray, NDArray[np.intp]]:
    """(N, 4) corners to the share of each that one nearer person hides, and the place of that one."""
    if len(boxes) == 0:
        return np.zeros(0, np.float32), np.zeros(0, np.intp)
    shared = intersection(boxes, boxes) / np.maximum(area(boxes), 1e-9)[:, None]
    shared = np.where(boxes[None, :, 3] > boxes[:, None, 3], shared, 0)
    return shared.max(axis=1).astype(np.float32), shared.argmax(axis=1)

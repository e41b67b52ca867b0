"""Hand-made scenes: people who walk on straight lines, with a look each, seen at any frame rate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from reid_tracker.config import TrackingConfig
from reid_tracker.ids import IdAllocator
from reid_tracker.tracking import PersonTracker
from reid_tracker.types import Appearance, CameraTracks, Detections, Frame

LEVELS = (0.3, 0.5)
SIZE = (640, 480)
_IMAGE = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)


@dataclass(frozen=True)
class Walker:
    """Somebody 100 pixels high who walks from ``start`` (centre) at ``speed`` pixels a second, while ``seen``."""

    number: int
    start: tuple[float, float]
    speed: tuple[float, float]
    seen: Callable[[float], bool] = lambda _: True
    score: float = 0.9

    def box(self, time: float) -> list[float]:
        x, y = self.start[0] + self.speed[0] * time, self.start[1] + self.speed[1] * time
        return [x - 20, y - 50, x + 20, y + 50]


def look(number: int, dimension: int = 16) -> np.ndarray:
    """A unit vector of one's own, the same at each call."""
    vector = np.zeros(dimension, np.float32)
    vector[number] = 1
    return vector


def observe(people: Sequence[Walker], time: float) -> tuple[Detections, Appearance]:
    """What detector and embedder give at a moment: people in the scene, each with its own look."""
    present = [person for person in people if person.seen(time)]
    boxes = np.array([person.box(time) for person in present], np.float32).reshape(-1, 4)
    scores = np.array([person.score for person in present], np.float32)
    vectors = np.array([look(person.number) for person in present], np.float32).reshape(-1, 16)
    return Detections(boxes, scores), appearance(vectors)


def appearance(vectors: np.ndarray, valid: np.ndarray | None = None) -> Appearance:
    """Looks of full quality without stripes."""
    count = len(vectors)
    keep = np.ones(count, np.bool_) if valid is None else valid
    return Appearance(vectors * keep[:, None], np.zeros((count, 0, 0), np.float32), keep.astype(np.float32), keep)


def frame_at(index: int, time: float, camera_id: str = "hall") -> Frame:
    return Frame(camera_id, index, time, _IMAGE)


def new_tracker(camera_id: str = "hall", ids: IdAllocator | None = None, **settings: float) -> PersonTracker:
    return PersonTracker(camera_id, TrackingConfig(**settings), LEVELS, ids or IdAllocator())


def play(tracker: PersonTracker, people: Sequence[Walker], times: Sequence[float]) -> list[CameraTracks]:
    """Run a scene as the pipeline does: only wanted looks are given."""
    results = []
    for index, time in enumerate(times):
        frame = frame_at(index, float(time), tracker.camera_id)
        detections, looks = observe(people, float(time))
        wanted = tracker.wanted(frame, detections)
        results.append(tracker(frame, detections, appearance(looks.global_, looks.valid & wanted)))
    return results


def ids_by_person(results: Sequence[CameraTracks], people: Sequence[Walker]) -> dict[int, list[int]]:
    """Number of a person -> the tracklet ids that its box carried, in order, without repeats."""
    carried: dict[int, list[int]] = {person.number: [] for person in people}
    for result in results:
        for tracklet in result.tracklets:
            middle = (tracklet.box[:2] + tracklet.box[2:]) / 2
            present = [person for person in people if person.seen(result.time)]
            gaps = [np.abs(np.array(p.box(result.time)).reshape(2, 2).mean(0) - middle).max() for p in present]
            nearest = present[int(np.argmin(gaps))]
            if not carried[nearest.number] or carried[nearest.number][-1] != tracklet.id:
                carried[nearest.number].append(tracklet.id)
    return carried

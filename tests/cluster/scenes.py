"""Recordings of people in plain colours, and a pipeline that sees the same in the same picture wherever it runs."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from reid_tracker.cluster.engine import Outcome
from reid_tracker.cluster.pieces import Piece
from reid_tracker.config import Config
from reid_tracker.errors import ReidTrackerError
from reid_tracker.pipeline import Pipeline
from reid_tracker.types import Appearance, Detections
from tests.service.site import PEOPLE, ColourDetector, ColourEmbedder, colour_pipeline, picture

FPS = 10

# who is in view when, as (name, first second, last second)
Visits = Sequence[tuple[str, float, float]]


def write_visits(path: Path, visits: Visits, seconds: float) -> Path:
    """A recording in which people come, walk to and fro, and go."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), FPS, (320, 240))
    places = {name: 20 + 90 * place for place, name in enumerate(("red", "green", "blue"))}
    for number in range(round(seconds * FPS)):
        here = {name for name, first, last in visits if first <= number / FPS < last}
        writer.write(picture(*((name, places[name] + abs(number % 60 - 30)) for name in sorted(here))))
    writer.release()
    return path


class RowDetector(ColourDetector):
    """Finds the rectangles by one row of pixels that crosses all of them: quick."""

    def _found(self, image: np.ndarray) -> Detections:
        row = image[120].astype(int)
        boxes = []
        for colour in PEOPLE.values():
            columns = np.flatnonzero(np.abs(row - colour).max(axis=1) < 40)
            if len(columns) > 5:
                boxes.append([columns[0], 60, columns[-1] + 1, 180])
        return Detections(np.array(boxes, np.float32).reshape(-1, 4), np.full(len(boxes), 0.9, np.float32))


class SteadyEmbedder(ColourEmbedder):
    """Its noise comes from the picture, not from how many were described before."""

    def _described(self, image: np.ndarray, found: Detections) -> Appearance:
        self._noise = np.random.default_rng(zlib.crc32(image.tobytes()))
        return super()._described(image, found)


def steady_pipeline(config: Config, _piece: Piece | None = None, first_tracklet: int = 1) -> Pipeline:
    """A real pipeline around stand-ins for the networks."""
    pipeline = colour_pipeline(config, first_tracklet)
    pipeline.detector, pipeline.embedder = RowDetector(), SteadyEmbedder()
    return pipeline


class TasksHere:
    """Tasks in this process, one after the other: what Ray does with them without Ray."""

    def __init__(self) -> None:
        self.started: list[tuple[Hashable, str]] = []
        self._waiting: list[tuple[Any, Callable[..., Any], tuple[Any, ...]]] = []

    @property
    def running(self) -> int:
        return len(self._waiting)

    def submit(self, key: Any, function: Callable[..., Any], *arguments: Any) -> None:
        self._waiting.append((key, function, arguments))

    def ended(self, _seconds: float) -> list[Outcome[Any]]:
        if not self._waiting:
            return []
        key, function, arguments = self._waiting.pop(0)
        self.started.append((key, function.__name__))
        try:
            return [Outcome(key, function(*arguments))]
        except ReidTrackerError as error:
            return [Outcome(key, error=str(error))]

    def cancel(self) -> None:
        self._waiting.clear()

    def tracked(self) -> list[Hashable]:
        """The pieces that were tracked."""
        return [key for key, name in self.started if name == "track_piece"]

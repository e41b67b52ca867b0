"""A service over recordings with a scripted detector and embedder: quick, and everybody's looks are known."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from reid_tracker.association import CrossCameraAssociator
from reid_tracker.config import Config
from reid_tracker.ids import IdAllocator
from reid_tracker.pipeline import Pipeline
from reid_tracker.tracking import PersonTracker
from reid_tracker.types import Appearance, BoolArray, Detections, Frame

PEOPLE = {"red": (40, 40, 220), "green": (60, 200, 60), "blue": (220, 80, 40)}
DIMENSION, STRIPES = 32, 8


def picture(*people: tuple[str, int], size: tuple[int, int] = (320, 240)) -> np.ndarray:
    """A grey place with people of plain colours standing at places (pixels from the left)."""
    image = np.full((size[1], size[0], 3), 110, np.uint8)
    for name, left in people:
        cv2.rectangle(image, (left, 60), (left + 40, 180), PEOPLE[name], -1)
    return image


def write_scene(path: Path, people: Sequence[str], seconds: float = 6.0, fps: int = 10) -> Path:
    """A recording in which people of plain colours walk to and fro; its end fits its beginning."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), fps, (320, 240))
    for number in range(round(seconds * fps)):
        writer.write(picture(*((name, 20 + 90 * place + abs(number % 60 - 30)) for place, name in enumerate(people))))
    writer.release()
    return path


class ColourDetector:
    """Finds rectangles of the three colours; a stand-in for a network, slow where it is told to be."""

    def __init__(self) -> None:
        self.fail = False
        self.pause = 0.0

    def __call__(self, frames: Sequence[Frame]) -> list[Detections]:
        if self.fail:
            raise RuntimeError("the detector broke")
        if self.pause:
            threading.Event().wait(self.pause)
        return [self._found(frame.image) for frame in frames]

    def _found(self, image: np.ndarray) -> Detections:
        boxes = []
        for colour in PEOPLE.values():
            near = np.abs(image.astype(int) - colour).max(axis=2) < 40
            if near.sum() > 800:
                rows, columns = np.flatnonzero(near.any(axis=1)), np.flatnonzero(near.any(axis=0))
                boxes.append([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
        return Detections(np.array(boxes, np.float32).reshape(-1, 4), np.full(len(boxes), 0.9, np.float32))


class ColourEmbedder:
    """Describes a box by the colour in its middle, with a little noise."""

    def __init__(self) -> None:
        self._noise = np.random.default_rng(0)

    def __call__(
        self, frames: Sequence[Frame], detections: Sequence[Detections], wanted: Sequence[BoolArray] | None = None
    ) -> list[Appearance]:
        del wanted  # describing everybody costs nothing here
        return [self._described(frame.image, found) for frame, found in zip(frames, detections, strict=True)]

    def _described(self, image: np.ndarray, found: Detections) -> Appearance:
        count = len(found)
        vectors = np.zeros((count, 1 + STRIPES, DIMENSION), np.float32)
        for row, box in enumerate(found.boxes):
            x, y = int((box[0] + box[2]) / 2), int((box[1] + box[3]) / 2)
            pixel = image[min(y, image.shape[0] - 1), min(x, image.shape[1] - 1)].astype(int)
            name = min(PEOPLE, key=lambda each: int(np.abs(pixel - PEOPLE[each]).sum()))
            own = np.random.default_rng(list(PEOPLE).index(name)).standard_normal((1 + STRIPES, DIMENSION))
            vectors[row] = own + 0.2 * self._noise.standard_normal((1 + STRIPES, DIMENSION))
        vectors /= np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)
        ones = np.ones(count, np.float32)
        return Appearance(vectors[:, 0], vectors[:, 1:], 0.8 * ones, np.ones(count, np.bool_))


def colour_pipeline(config: Config, first_tracklet: int) -> Pipeline:
    """A real pipeline around the stand-ins."""
    numbers = IdAllocator(first_tracklet)
    return Pipeline(
        ColourDetector(),
        ColourEmbedder(),
        lambda camera: PersonTracker(camera, config.tracking, (0.0, 0.5), numbers),
        CrossCameraAssociator(config.association, config.cameras),
    )

"""A few people, really seen from four sides: pose2sim's laboratory video and EPFL's "6p" room at one instant.

Published or hand-drawn boxes (MOTChallenge text, ids the same in every camera), crops through the embedder as the
pipeline cuts them. Tracklets are the boxes of one id in one camera: what is asked is whether the same people are found
in all views. Few people: a smoke test, no measure.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.association.cases import Case, Sightings, Step
from benchmarks.association.material import Material
from benchmarks.association.stand_in import Seen, StandInTracker
from benchmarks.association.wardrobe import Look
from reid_tracker.boxes import xywh_to_xyxy
from reid_tracker.errors import InputError
from reid_tracker.types import Appearance, Detections, FloatArray, Frame, Image

_EVERY = 6  # frames of pose2sim, which has 60 a second
_RATE = 10.0


def pose2sim(material: Material, _quick: bool) -> Iterator[Case]:
    """Three people, four synchronised cameras, 1.6 seconds."""
    folder = _folder(material, "pose2sim_4cam")
    cameras = sorted(path.name for path in folder.iterdir() if (path / "gt").is_dir())
    videos = {camera: _frames(folder / camera / f"{camera}.mp4") for camera in cameras}
    yield _case("pose2sim, 4 views", material, folder, videos)


def epfl(material: Material, _quick: bool) -> Iterator[Case]:
    """Six people, four views of one instant: one look of each in each view."""
    folder = _folder(material, "epfl6p_4view_still")
    cameras = sorted(path.name for path in folder.iterdir() if (path / "gt").is_dir())
    stills = {camera: {1: _picture(next(iter(sorted((folder / camera / "img1").iterdir()))))} for camera in cameras}
    yield _case("epfl 6p, 4 views of one instant", material, folder, stills)


def _case(name: str, material: Material, folder: Path, pictures: Mapping[str, Mapping[int, Image]]) -> Case:
    """Pictures by camera and by frame number from 1."""
    numbers = itertools.count(1)
    looks: dict[tuple[str, int], tuple[Look, float]] = {}
    trackers = {
        camera: StandInTracker(camera, _size(frames), lambda one, camera=camera: looks[camera, one.key], numbers)  # type: ignore[misc]
        for camera, frames in pictures.items()
    }
    truth = {camera: np.loadtxt(folder / camera / "gt" / "gt.txt", delimiter=",", ndmin=2) for camera in pictures}
    steps: list[Step] = []
    rows: list[tuple[float, int, int]] = []
    crops: defaultdict[int, list[Image]] = defaultdict(list)
    for number in sorted(next(iter(pictures.values()))):
        time = (number - 1) / _EVERY / _RATE
        moments = []
        for camera, tracker in trackers.items():
            here = truth[camera][truth[camera][:, 0] == number]
            boxes, people = xywh_to_xyxy(here[:, 2:6]).astype(np.float32), here[:, 1].astype(np.int64).tolist()
            said = _looked_at(material, Frame(camera, number - 1, time, pictures[camera][number]), boxes)
            for row, person in enumerate(people):
                looks[camera, person] = (said.global_[row], said.stripes[row]), float(said.quality[row])
            moments.append(tracker(time, [Seen(person, box, 0.0) for person, box in zip(people, boxes, strict=True)]))
            for person, box in zip(people, boxes, strict=True):
                crops[tracker.number_of(person)].append(cropped(pictures[camera][number], box))
            rows += [(time, tracker.number_of(person), person) for person in people]
        steps.append(Step(time, tuple(moments)))
    ended = tuple(one for tracker in trackers.values() for one in tracker.finish())
    return Case(name, steps, ended, Sightings.of(rows), pictures=lambda one: crops[one.id])


def cropped(picture: Image, box: FloatArray) -> Image:
    """What of a (4,) box, in pixels, lies in the picture; at least one pixel."""
    height, width = picture.shape[:2]
    x1, y1, x2, y2 = (int(side) for side in box)
    x1, y1 = min(max(x1, 0), width - 1), min(max(y1, 0), height - 1)
    return picture[y1 : max(y2, y1 + 1), x1 : max(x2, x1 + 1)].copy()


def _looked_at(material: Material, frame: Frame, boxes: NDArray[np.float32]) -> Appearance:
    return material.judged.embedder([frame], [Detections(boxes, np.ones(len(boxes), np.float32))])[0]


def _folder(material: Material, name: str) -> Path:
    if material.tracking is None or not (material.tracking / name).is_dir():
        raise InputError(f"{name} is not there; REID_TRACKER_SHARED names the folder of tracking material")
    return material.tracking / name


def _frames(video: Path) -> dict[int, Image]:
    """Every few frames of a video, by number from 1."""
    reader = cv2.VideoCapture(str(video))
    frames: dict[int, Image] = {}
    for number in itertools.count(1):
        read, picture = reader.read()
        if not read:
            break
        if (number - 1) % _EVERY == 0:
            frames[number] = picture.astype(np.uint8)
    if not frames:
        raise InputError(f"{video}: no frame can be read")
    return frames


def _picture(path: Path) -> Image:
    picture = cv2.imread(str(path))
    if picture is None:
        raise InputError(f"{path}: not a picture")
    return picture.astype(np.uint8)


def _size(frames: Mapping[int, Image]) -> tuple[int, int]:
    height, width = next(iter(frames.values())).shape[:2]
    return width, height

"""WILDTRACK: seven cameras around one square, 272 people, published boxes and positions; their looks are borrowed.

Boxes are the published ones, two a second. A tracklet is one person's unbroken presence in a camera (``stand_in.py``),
so what is asked is the associator's part alone. Looks come from ``wardrobe.py``; of somebody who is partly hidden, as
much of the look as is hidden is the nearer person's (``stage.py``). Two cases: the published calibration given as
homographies, and nothing given.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.association.cases import Case, Step
from benchmarks.association.material import Material
from benchmarks.association.stage import Stage
from benchmarks.association.wardrobe import Wardrobe
from reid_tracker.boxes import xywh_to_xyxy
from reid_tracker.config import CameraConfig
from reid_tracker.errors import InputError

RATE = 2.0  # frames a second
SIZE = (1920, 1080)
_FOLDER = "wildtrack_boxes"
_CALIBRATED = ("CVLab1", "CVLab2", "CVLab3", "CVLab4", "IDIAP1", "IDIAP2", "IDIAP3")
_CENTIMETRES = 0.01
_QUICK_FRAMES = 40


def wildtrack(material: Material, quick: bool) -> Iterator[Case]:
    """With homographies and without; twenty seconds of it where quick."""
    if material.tracking is None or not (material.tracking / _FOLDER).is_dir():
        raise InputError(f"{_FOLDER} is not there; REID_TRACKER_SHARED names the folder of tracking material")
    folder = material.tracking / _FOLDER
    boxes = {f"C{number}": np.loadtxt(folder / f"C{number}/gt/gt.txt", delimiter=",") for number in range(1, 8)}
    if quick:
        boxes = {camera: rows[rows[:, 0] <= _QUICK_FRAMES] for camera, rows in boxes.items()}
    given = tuple(
        CameraConfig(id=f"C{number}", source="-", homography=homography(folder / "calibrations", name))
        for number, name in enumerate(_CALIBRATED, start=1)
    )
    yield _case("wildtrack, homographies given", boxes, material, given)
    yield replace(_case("wildtrack, none given", boxes, material, ()), deep=not quick)


def homography(calibrations: Path, name: str) -> tuple[tuple[float, float, float], ...]:
    """Pixels of a WILDTRACK camera to metres on the ground."""
    intrinsic = cv2.FileStorage(str(calibrations / f"intrinsic_zero/intr_{name}.xml"), cv2.FILE_STORAGE_READ)
    extrinsic = cv2.FileStorage(str(calibrations / f"extrinsic/extr_{name}.xml"), cv2.FILE_STORAGE_READ)
    matrix = intrinsic.getNode("camera_matrix").mat()
    rotation, _ = cv2.Rodrigues(_numbers(extrinsic.getNode("rvec")))
    ground_to_pixels = matrix @ np.column_stack([rotation[:, :2], _numbers(extrinsic.getNode("tvec"))])
    pixels_to_ground = np.diag([_CENTIMETRES, _CENTIMETRES, 1.0]) @ np.linalg.inv(ground_to_pixels)
    first, second, third = (pixels_to_ground / np.abs(pixels_to_ground).max()).tolist()
    return tuple(first), tuple(second), tuple(third)


def _numbers(node: cv2.FileNode) -> NDArray[np.float64]:
    if node.isSeq():
        return np.array([node.at(place).real() for place in range(node.size())])
    return np.array(node.mat(), np.float64).reshape(-1)


def _case(
    name: str, boxes: dict[str, NDArray[np.float64]], material: Material, cameras: tuple[CameraConfig, ...]
) -> Case:
    people = {int(person): place for place, person in enumerate(np.unique(np.concatenate(list(boxes.values()))[:, 1]))}
    stage = Stage(list(boxes), SIZE, Wardrobe(material.market, len(people)))
    by_frame = {camera: _by_frame(rows) for camera, rows in boxes.items()}
    steps = []
    for frame in sorted(set().union(*by_frame.values())):
        moments = []
        for camera, of_camera in by_frame.items():
            rows = of_camera.get(frame, np.zeros((0, 12)))
            keys = np.array([people[int(person)] for person in rows[:, 1]], np.int64)
            moments.append(stage.see(camera, frame / RATE, frame / RATE, keys, xywh_to_xyxy(rows[:, 2:6])))
        steps.append(Step(frame / RATE, tuple(moments)))
    return stage.case(name, steps, cameras)


def _by_frame(rows: NDArray[np.float64]) -> dict[int, NDArray[np.float64]]:
    found: defaultdict[int, list[NDArray[np.float64]]] = defaultdict(list)
    for row in rows:
        found[int(row[0])].append(row)
    return {frame: np.stack(here) for frame, here in found.items()}

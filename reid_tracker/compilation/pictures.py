"""Real pictures to calibrate on and to compare with: of a folder, or of the clip that ships."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from itertools import cycle, islice
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from reid_tracker.config import DetectionConfig, RuntimeConfig
from reid_tracker.detection import open_detector
from reid_tracker.detection.letterbox import Letterbox
from reid_tracker.embedding.crops import crop_people, resize_crop
from reid_tracker.errors import InputError
from reid_tracker.runtime import InputSpec
from reid_tracker.runtime.pictures import to_network_input
from reid_tracker.sources import open_source
from reid_tracker.types import Frame, Image

PICTURES = 48
_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp"}
_PER_FRAME = 3  # people cut from one frame of the clip: the same few walk through all of it
_BATCH = 8
_FRAMES = 12  # whole frames compared for a detector: each says as much as fifty crops, and takes as long


def picture_batches(
    spec: InputSpec,
    embedder: bool,
    size_hw: tuple[int, int],
    folder: Path | None = None,
    count: int = PICTURES,
    fixed_batch: int | None = None,
) -> list[dict[str, NDArray[Any]]]:
    """Network inputs of real pictures, in batches of eight, or of as many as the network fixes.

    Args:
        spec: of the input.
        embedder: crops of people; else whole frames, letterboxed.
        size_hw: of the input.
        folder: pictures to take, searched with its subfolders (for an embedder: each is one person's crop); None takes
            the clip that ships.
        count: of pictures, at most (and 12 whole frames); evenly spread over what there is.
        fixed_batch: of a network that takes no other. What fills no batch is left out; what would fill not even one is
            repeated.

    Raises:
        InputError: there are none that can be read.
    """
    count = count if embedder else min(count, _FRAMES)
    if folder is not None:
        pictures = list(_from_folder(folder, count))
    else:
        frames = _clip_frames(-(-count // _PER_FRAME) if embedder else count)
        pictures = list(_people(frames, size_hw, count)) if embedder else [frame.image for frame in frames]
    fitted = [resize_crop(picture, size_hw) if embedder else _boxed(picture, size_hw, spec) for picture in pictures]
    if not fitted:
        raise InputError(f"pictures: none in {folder or 'the clip that ships'} that can be used")
    if fixed_batch is not None:
        fitted = list(islice(cycle(fitted), max(fixed_batch, len(fitted) // fixed_batch * fixed_batch)))
    batch = fixed_batch or _BATCH
    return [
        {spec.name: to_network_input(np.stack(fitted[start : start + batch]), spec)}
        for start in range(0, len(fitted), batch)
    ]


def _from_folder(folder: Path, count: int) -> Iterator[Image]:
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES)
    if not files:
        raise InputError(f"pictures: no {', '.join(sorted(_SUFFIXES))} in {folder}")
    for path in files[:: max(1, len(files) // count)][:count]:
        picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if picture is not None:
            yield np.asarray(picture, np.uint8)


def _clip_frames(count: int) -> list[Frame]:
    """Evenly spread over the cameras of the clip."""
    from reid_tracker.recording import demo_config  # which builds pipelines, and those may need engines built

    cameras = demo_config().cameras
    chosen: list[Frame] = []
    for camera in cameras:
        source = open_source(camera.source, camera.id)
        share = -(-count // len(cameras))
        step = max(1, (getattr(source, "frame_count", None) or share) // share)
        chosen += [frame for index, frame in enumerate(source) if index % step == step // 2][:share]
    return chosen


def _people(frames: Sequence[Frame], size_hw: tuple[int, int], count: int) -> Iterator[Image]:
    """Crops of the surest people, found by the detector that ships, on a processor."""
    backend: Literal["openvino", "onnxruntime"] = "openvino" if find_spec("openvino") else "onnxruntime"
    detector = open_detector(DetectionConfig(), RuntimeConfig(backend=backend, threads=1))
    left = count
    for frame in frames:
        (found,) = detector([frame])
        crops, valid = crop_people(frame.image, found.boxes[: min(left, _PER_FRAME)], size_hw)
        left -= int(valid.sum())
        yield from crops[valid]


def _boxed(picture: Image, size_hw: tuple[int, int], spec: InputSpec) -> Image:
    canvas = np.full((*size_hw, 3), spec.pad_value, np.uint8)
    height, width = picture.shape[:2]
    Letterbox.fit((height, width), size_hw, spec.placement).draw(picture, canvas)
    return canvas

"""A detector from a network: letterbox, run, decode, suppress, back to the frame."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from reid_tracker.config import DetectionConfig, RuntimeConfig
from reid_tracker.detection.choose import equivalent_side, input_size, levels_at
from reid_tracker.detection.heads import Candidates, Head, recognise_head
from reid_tracker.detection.letterbox import Letterbox
from reid_tracker.detection.nms import suppress
from reid_tracker.errors import ModelError
from reid_tracker.runtime import InputSpec, Manifest, Session, open_session
from reid_tracker.runtime.pictures import to_network_input
from reid_tracker.types import Detections, Frame, Image

MOST_CANDIDATES = 1000  # per frame before suppression, best first: a crowd many times over
MOST_FRAMES = 8  # per call of a network with a free batch: bounds memory, and larger batches are no faster on a CPU
_FAMILY_INPUT = {  # how each family is trained and exported, for files without a manifest
    "nanodet": InputSpec(
        name="", colour="bgr", dtype="float32", mean=(103.53, 116.28, 123.675), std=(57.375, 57.12, 58.395)
    ),
    "yolox": InputSpec(name="", colour="bgr", dtype="float32"),
    "yolo": InputSpec(name="", colour="rgb", dtype="float32", mean=(0, 0, 0), std=(255, 255, 255), placement="centre"),
}


class NetworkDetector:
    """See ``reid_tracker.parts.Detector``. Keeps the input size of each camera; not thread-safe.

    Args:
        session: the network.
        head: reads its outputs.
        spec: its input; ``size_hw`` None where the size is free.
        score_levels: longer side of the input -> (weak, confident); empty where not calibrated.
        config: of the detection part.
    """

    def __init__(
        self,
        session: Session,
        head: Head,
        spec: InputSpec,
        score_levels: Mapping[int, tuple[float, float]],
        config: DetectionConfig,
    ) -> None:
        self._session = session
        self._head = head
        self._spec = spec
        self._calibrated = score_levels
        self._config = config
        self._input_of: dict[str, tuple[int, int]] = {}

    @property
    def score_levels(self) -> tuple[float, float]:
        """(weak, confident) of the largest input in use, before the first frame that of a 640-pixel input.

        From ``weak`` on a box may continue a track, from ``confident`` on it may begin one; both follow model and
        input size unless the configuration sets them. Boxes that score less than ``weak`` are not reported.
        """
        inputs = [*self._input_of.values()] or [self._spec.size_hw or (480, 640)]
        return self._levels(max(inputs, key=equivalent_side))

    def score_levels_of(self, camera_id: str) -> tuple[float, float]:
        """(weak, confident) of one camera, whose first frame has been through the detector; else ``score_levels``."""
        known = self._input_of.get(camera_id)
        return self._levels(known) if known else self.score_levels

    def _levels(self, input_hw: tuple[int, int]) -> tuple[float, float]:
        weak, confident = levels_at(self._calibrated, equivalent_side(input_hw))
        if self._config.score_threshold != "auto":
            weak = self._config.score_threshold
        if self._config.confident_score != "auto":
            confident = self._config.confident_score
        return weak, max(weak, confident)

    def describe(self) -> str:
        """Model, head, input sizes in use, score levels, and how it runs."""
        sizes = ", ".join(f"{name} {width}x{height}" for name, (height, width) in self._input_of.items())
        weak, confident = self.score_levels
        return (
            f"{self._session.describe().to_text()}; head {self._head.name}; scores {weak:.2f} / {confident:.2f}"
            f"; input {sizes or 'chosen from the first frames'}"
        )

    def __call__(self, frames: Sequence[Frame]) -> list[Detections]:
        """People in each frame, best score first.

        Raises:
            ModelError: the network gives numbers that are not finite.
        """
        groups: dict[tuple[int, int], list[int]] = defaultdict(list)
        for index, frame in enumerate(frames):
            groups[self._input_hw(frame)].append(index)
        found: list[Detections] = [Detections.empty()] * len(frames)
        for input_hw, members in groups.items():
            for batch in self._batches(members):
                detected = self._detect([frames[index].image for index in batch], input_hw)
                for index, people in zip(batch, detected, strict=True):
                    found[index] = people
        return found

    def _input_hw(self, frame: Frame) -> tuple[int, int]:
        if frame.camera_id not in self._input_of:
            side = None if self._config.input_size == "auto" else self._config.input_size
            height, width = frame.image.shape[:2]
            self._input_of[frame.camera_id] = self._spec.size_hw or input_size(
                (height, width), side, self._spec.multiple_of
            )
        return self._input_of[frame.camera_id]

    def _batches(self, members: list[int]) -> list[list[int]]:
        size = self._session.inputs[0].shape[0] or MOST_FRAMES
        return [members[start : start + size] for start in range(0, len(members), size)]

    def _detect(self, images: list[Image], input_hw: tuple[int, int]) -> list[Detections]:
        # A network with a fixed batch gets grey pictures in the places that are left over.
        places = self._session.inputs[0].shape[0] or len(images)
        canvas = np.full((places, *input_hw, 3), self._spec.pad_value, np.uint8)
        letterboxes = []
        for image, picture in zip(images, canvas, strict=False):
            height, width = image.shape[:2]
            letterboxes.append(Letterbox.fit((height, width), input_hw, self._spec.placement))
            letterboxes[-1].draw(image, picture)
        outputs = self._session.run({self._spec.name: to_network_input(canvas, self._spec)})
        candidates = self._head(outputs, input_hw, self._levels(input_hw)[0])
        return [self._people(found, place) for found, place in zip(candidates, letterboxes, strict=False)]

    def _people(self, candidates: Candidates, letterbox: Letterbox) -> Detections:
        boxes, scores = candidates
        if not (np.isfinite(boxes).all() and np.isfinite(scores).all()):
            model = self._session.describe().model
            raise ModelError(f"model {model}: its boxes or scores are not finite; the file is damaged or half-precise")
        solid = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
        boxes, scores = boxes[solid], scores[solid]
        best = np.argsort(-scores, kind="stable")[:MOST_CANDIDATES]
        boxes, scores = boxes[best], scores[best]
        if not self._head.suppressed:
            stay = suppress(boxes, scores, self._config.nms_overlap)
            boxes, scores = boxes[stay], scores[stay]
        return Detections(letterbox.to_frame(boxes), np.clip(scores, 0, 1))


def open_network(
    path: Path, manifest: Manifest | None, config: DetectionConfig, runtime: RuntimeConfig
) -> NetworkDetector:
    """The detector in a network file; its head is recognised by running one grey picture.

    Args:
        path: ``.onnx`` or ``.xml``.
        manifest: its papers, where it has any; else input conventions are those of the head's family.

    Raises:
        ModelError: the file is damaged, or no detection network that is known here.
    """
    session = open_session(path, runtime)
    if len(session.inputs) != 1 or len(session.inputs[0].shape) != 4:
        taken = ", ".join(f"{tensor.name} {tensor.shape}" for tensor in session.inputs)
        raise ModelError(f"model {path}: takes {taken}, where one batch of pictures is expected")
    tensor = session.inputs[0]
    layout = "NHWC" if tensor.shape[3] == 3 else "NCHW"
    height, width = tensor.shape[1:3] if layout == "NHWC" else tensor.shape[2:4]
    size_hw = None if height is None or width is None else (height, width)
    probe_hw = size_hw or (256, 320)
    grey = np.full((tensor.shape[0] or 1, *probe_hw, 3), 114, np.uint8)
    raw = InputSpec(name=tensor.name, dtype="uint8" if tensor.dtype == np.uint8 else "float32", layout=layout)
    outputs = session.run({tensor.name: to_network_input(grey, raw)})
    head = recognise_head(outputs, probe_hw, session.metadata, str(path))
    if manifest is not None:
        spec = manifest.input
    else:
        spec = _FAMILY_INPUT.get(head.name, _FAMILY_INPUT["yolo"]).model_copy(
            update={"name": tensor.name, "layout": layout, "size_hw": size_hw, "multiple_of": 32}
        )
        if tensor.dtype == np.uint8:  # bytes cannot be normalised outside, so the graph must do it
            spec = spec.model_copy(update={"dtype": "uint8", "mean": None, "std": None})
    return NetworkDetector(session, head, spec, manifest.score_levels if manifest else {}, config)

"""What detection networks put out, and how it becomes boxes.

A head is recognised from the shapes (and, where shapes leave two readings, the values) of the outputs for one grey
picture, and from the metadata in the file; never from a file name.

    head          outputs                             boxes
    nanodet       (N, A) and (N, 4 B, A)              distributions over B bins of distances, in strides
    nanodet       (N, A, C + 4 B)                     the same in one output, as upstream exports it
    yolox         (N, A, 5 + C)                       centre and size, decoded or relative to the cell
    yolo-v5       (N, 3 A, 5 + C)                     centre and size; score = objectness x class
    yolo-v8       (N, 4 + C, A)                       centre and size (v8, 9, 11, 12 and the like)
    yolo-end2end  (N, K, 6)                           corners, score, class; already suppressed (v10, v26)

A is the number of cells: the sum over strides 8, 16, 32 (and 64) of height / stride x width / stride.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from reid_tracker.boxes import cxcywh_to_xyxy
from reid_tracker.errors import ModelError
from reid_tracker.types import FloatArray

Outputs = Mapping[str, NDArray[Any]]
Candidates = tuple[FloatArray, FloatArray]
"""(K, 4) corners in pixels of the network's input and (K,) scores, of one picture."""

PERSON = "person"
KNOWN = "nanodet, yolox, yolo-v5, yolo-v8, yolo-end2end"
_STRIDES = ((8, 16, 32), (8, 16, 32, 64))


class Head(Protocol):
    """Turns a network's outputs into candidate people."""

    @property
    def name(self) -> str:
        """One of the names above."""
        ...

    @property
    def suppressed(self) -> bool:
        """Boxes that show one person are already one box."""
        ...

    def __call__(self, outputs: Outputs, input_hw: tuple[int, int], least_score: float) -> list[Candidates]:
        """Per picture of the batch, the people that score ``least_score`` or more."""
        ...


def cells_of(input_hw: tuple[int, int], strides: Sequence[int]) -> tuple[FloatArray, FloatArray]:
    """Top left corners (A, 2) as x, y in pixels, and strides (A,), of all cells, row by row, finest stride first."""
    corners, sizes = [], []
    for stride in strides:
        rows, columns = (-(-side // stride) for side in input_hw)
        y, x = np.mgrid[:rows, :columns]
        corners.append(np.stack([x.ravel(), y.ravel()], axis=1) * stride)
        sizes.append(np.full(rows * columns, stride))
    return np.concatenate(corners).astype(np.float32), np.concatenate(sizes).astype(np.float32)


class _Cells:
    """The cells of each input size, made once."""

    def __init__(self, strides: Sequence[int]) -> None:
        self._strides = strides
        self._known: dict[tuple[int, int], tuple[FloatArray, FloatArray]] = {}

    def __call__(self, input_hw: tuple[int, int]) -> tuple[FloatArray, FloatArray]:
        if input_hw not in self._known:
            self._known[input_hw] = cells_of(input_hw, self._strides)
        return self._known[input_hw]


class NanoDetHead:
    """Distances from a cell's centre to the four sides, each a distribution over ``bins`` (Generalized Focal Loss,
    Li et al. 2020, eq. 5-6): softmax, expectation, times the stride.

    Args:
        scores: name of the (N, A) output; or of the (N, A, C + 4 B) one, with ``person`` as its column.
        distances: name of the (N, 4 B, A) output; None where ``scores`` holds all.
        bins: B.
        strides: of the cells.
        person: column of the person class.
    """

    name = "nanodet"
    suppressed = False

    def __init__(self, scores: str, distances: str | None, bins: int, strides: Sequence[int], person: int = 0) -> None:
        self._scores = scores
        self._distances = distances
        self._bins = bins
        self._person = person
        self._cells = _Cells(strides)

    def __call__(self, outputs: Outputs, input_hw: tuple[int, int], least_score: float) -> list[Candidates]:
        """See ``Head``. Only cells that score enough are decoded: a few of thousands."""
        corners, strides = self._cells(input_hw)
        if self._distances is None:
            everything = outputs[self._scores]
            scores = everything[..., self._person]
            distances = everything[..., -4 * self._bins :].transpose(0, 2, 1)
        else:
            scores, distances = outputs[self._scores], outputs[self._distances]
        found = []
        for picture_scores, picture_distances in zip(scores, distances, strict=True):
            good = np.flatnonzero(picture_scores >= least_score)
            sides = self._expected(picture_distances[:, good]) * strides[good]  # (4, K): left, top, right, bottom
            centres = (corners[good] + strides[good, None] / 2).T
            boxes = np.concatenate([centres - sides[:2], centres + sides[2:]]).T
            found.append((boxes.astype(np.float32), picture_scores[good].astype(np.float32)))
        return found

    def _expected(self, logits: NDArray[np.floating]) -> FloatArray:
        """(4 B, K) logits to (4, K) expected bins."""
        logits = logits.reshape(4, self._bins, -1)
        weights = np.exp(logits - logits.max(axis=1, keepdims=True, initial=-np.inf))
        weights /= weights.sum(axis=1, keepdims=True)
        expected: FloatArray = np.einsum("sbk,b->sk", weights, np.arange(self._bins, dtype=np.float32))
        return expected


@dataclass(frozen=True, slots=True)
class YoloHead:
    """Centre, size and class scores per cell: v5 (three anchors a cell, objectness), v8 and its kin.

    Attributes:
        output: tensor name.
        name: ``yolo-v5`` or ``yolo-v8``.
        person: index of the person class.
        objectness: column 4 multiplies the class scores.
        cells_last: (N, 4 + C, A) instead of (N, A, ...).
    """

    output: str
    name: str
    person: int
    objectness: bool
    cells_last: bool
    suppressed: bool = False

    def __call__(self, outputs: Outputs, input_hw: tuple[int, int], least_score: float) -> list[Candidates]:
        """See ``Head``. A cell counts as a person only where that is its best class, as the family has it."""
        del input_hw  # boxes come in pixels of the input
        first_class = 5 if self.objectness else 4
        found = []
        for picture in outputs[self.output]:
            cells = picture if self.cells_last else picture.T  # (4 + .. + C, A)
            scores = cells[first_class + self.person]
            if self.objectness:
                scores = scores * cells[4]
            good = np.flatnonzero(scores >= least_score)
            good = good[cells[first_class:, good].argmax(axis=0) == self.person]
            found.append((cxcywh_to_xyxy(cells[:4, good].T).astype(np.float32), scores[good].astype(np.float32)))
        return found


class YoloxHead:
    """One anchor a cell with objectness; boxes decoded, or as offset in strides and logarithm of the size.

    Args:
        output: tensor name.
        person: index of the person class.
        decoded: boxes are in pixels.
        strides: of the cells.
    """

    name = "yolox"
    suppressed = False

    def __init__(self, output: str, person: int, decoded: bool, strides: Sequence[int]) -> None:
        self._output = output
        self._person = person
        self._decoded = decoded
        self._cells = _Cells(strides)

    def __call__(self, outputs: Outputs, input_hw: tuple[int, int], least_score: float) -> list[Candidates]:
        """See ``Head``."""
        corners, strides = self._cells(input_hw)
        found = []
        for picture in outputs[self._output]:
            scores = picture[:, 4] * picture[:, 5 + self._person]
            good = np.flatnonzero(scores >= least_score)
            good = good[picture[good, 5:].argmax(axis=1) == self._person]
            boxes = picture[good, :4]
            if not self._decoded:
                centres = boxes[:, :2] * strides[good, None] + corners[good]
                boxes = np.concatenate([centres, np.exp(boxes[:, 2:]) * strides[good, None]], axis=1)
            found.append((cxcywh_to_xyxy(boxes).astype(np.float32), scores[good].astype(np.float32)))
        return found


@dataclass(frozen=True, slots=True)
class EndToEndHead:
    """Rows of corners, score and class, which the network itself has suppressed.

    Attributes:
        output: tensor name.
        person: index of the person class.
    """

    output: str
    person: int
    name: str = "yolo-end2end"
    suppressed: bool = True

    def __call__(self, outputs: Outputs, input_hw: tuple[int, int], least_score: float) -> list[Candidates]:
        """See ``Head``."""
        del input_hw  # boxes come in pixels of the input
        found = []
        for rows in outputs[self.output]:
            good = rows[(rows[:, 4] >= least_score) & (rows[:, 5] == self.person)]
            found.append((good[:, :4].astype(np.float32), good[:, 4].astype(np.float32)))
        return found


def recognise_head(outputs: Outputs, input_hw: tuple[int, int], metadata: Mapping[str, str], model: str) -> Head:
    """The head of a network, from its outputs for one grey picture of ``input_hw``.

    Args:
        outputs: by name, batch of 1 or more.
        input_hw: height and width of the picture.
        metadata: of the model file (``names``, ``task``, ``bins``).
        model: for messages.

    Raises:
        ModelError: no known head puts out such arrays, or the network does not find people.
    """
    task = metadata.get("task", "detect")
    if task != "detect":
        raise ModelError(f"model {model}: made for the task {task!r}, but a detection network ('detect') is needed")
    head = None
    if len(outputs) == 2:
        head = _nanodet_of_two(outputs, input_hw)
    elif len(outputs) == 1:
        (name, values), *_ = outputs.items()
        if values.ndim == 3:
            head = _of_one(name, values, input_hw, metadata, model)
    if head is None:
        shapes = ", ".join(f"{name} {values.shape}" for name, values in outputs.items())
        raise ModelError(
            f"model {model}: for a picture of {input_hw[0]} x {input_hw[1]} it puts out {shapes}, which is no head "
            f"known here ({KNOWN}); export the network with its detection head alone"
        )
    return head


def _nanodet_of_two(outputs: Outputs, input_hw: tuple[int, int]) -> Head | None:
    (scores, score_values), (distances, distance_values) = sorted(outputs.items(), key=lambda item: item[1].ndim)
    if score_values.ndim != 2 or distance_values.ndim != 3:
        return None
    for strides in _STRIDES:
        cells = len(cells_of(input_hw, strides)[1])
        if score_values.shape[1] == cells == distance_values.shape[2] and distance_values.shape[1] % 4 == 0:
            return NanoDetHead(scores, distances, distance_values.shape[1] // 4, strides)
    return None


def _of_one(
    name: str, values: NDArray[Any], input_hw: tuple[int, int], metadata: Mapping[str, str], model: str
) -> Head | None:
    rows, columns = values.shape[1:]
    for strides in _STRIDES:
        cells = len(cells_of(input_hw, strides)[1])
        if columns == cells and rows > 4:
            return YoloHead(name, "yolo-v8", _person(metadata, rows - 4, model), objectness=False, cells_last=True)
        if rows == 3 * cells and columns > 5:
            return YoloHead(name, "yolo-v5", _person(metadata, columns - 5, model), objectness=True, cells_last=False)
        if rows == cells and columns > 5:
            return _one_per_cell(name, values, input_hw, strides, metadata, model)
    if columns == 6:
        return EndToEndHead(name, _person(metadata, None, model))
    return None


def _one_per_cell(
    name: str,
    values: NDArray[Any],
    input_hw: tuple[int, int],
    strides: Sequence[int],
    metadata: Mapping[str, str],
    model: str,
) -> Head | None:
    """YOLOX and upstream's NanoDet share a shape; probabilities end in different columns."""
    columns = values.shape[2]
    beyond = values[0, :, 4:]
    if beyond.min() >= 0 and beyond.max() <= 1:
        # Decoded centres lie in or near their cells, all over the picture; raw ones are offsets of a cell or so.
        corners, sizes = cells_of(input_hw, strides)
        distance = np.abs(values[0, :, :2] - (corners + sizes[:, None] / 2)) / sizes[:, None]
        decoded = bool(np.median(distance) < 2 and (values[0, :, 2:4] > 0).all())
        return YoloxHead(name, _person(metadata, columns - 5, model), decoded, strides)
    classes = len(_names(metadata)) or 80
    if columns > classes and (columns - classes) % 4 == 0:
        bins = (columns - classes) // 4
        return NanoDetHead(name, None, bins, strides, _person(metadata, classes, model))
    return None


def _names(metadata: Mapping[str, str]) -> dict[int, str]:
    """Class names that ultralytics and others store, ``{0: 'person', ...}``; empty where there are none."""
    try:
        names = ast.literal_eval(metadata.get("names", "{}"))
    except (ValueError, SyntaxError):
        return {}
    if isinstance(names, (list, tuple)):
        names = dict(enumerate(names))
    if not isinstance(names, dict) or all(str(name).isdigit() for name in names.values()):
        return {}  # numbers in place of names say nothing
    return {int(key): str(value) for key, value in names.items()}


def _person(metadata: Mapping[str, str], classes: int | None, model: str) -> int:
    """Index of the person class: by name where the file has names, else 0, as COCO and one-class networks have it."""
    names = _names(metadata)
    for index, name in names.items():
        if name.strip().lower() in (PERSON, "pedestrian", "people"):
            return index
    if names and classes != 1:
        known = ", ".join(list(names.values())[:8])
        raise ModelError(f"model {model}: none of its classes is a person ({known}, ...)")
    return 0

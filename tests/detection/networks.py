"""Networks that find bright squares: the score of a cell is its brightness, its box is four strides wide and high.

They have no drawn weights, so that letterbox, colours, decoding and the way back to the frame can be checked against
the picture itself, for every head.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

from reid_tracker.detection.heads import cells_of
from tests.runtime.networks import save

STRIDES = (8, 16, 32)
SPAN = 4  # strides: width and height of every box
INPUT_HW = (128, 160)
CLASSES = 3
BINS = 4
WHITE = {"yolox": 255.0, "nanodet": 2.2}  # what the family's normalisation makes of white; 1 for the others
HEADS = ("yolo-v5", "yolo-v8", "yolo-end2end", "yolox", "yolox raw", "nanodet", "nanodet in one")


def bright(path: Path, head: str, batch: int | str = "N", metadata: dict[str, str] | None = None) -> Path:
    """Write a network of that head; input (N, 3, 128, 160) float32, in the head's own scale of brightness."""
    builder = _Builder(WHITE.get(head.split()[0], 1.0))
    scores = builder.scores()  # (N, A)
    corners, strides = cells_of(INPUT_HW, STRIDES)
    count = len(strides)
    centres = corners + strides[:, None] / 2
    boxes = np.concatenate([centres, np.repeat(SPAN * strides[:, None], 2, axis=1)], axis=1)  # (A, 4) cx cy w h
    outputs: dict[str, list[int | str]]
    match head:
        case "yolo-v8":
            rows = [builder.repeated("boxes", boxes.T), builder.row(scores, 1), *builder.zero_rows(scores, CLASSES - 1)]
            builder.node("Concat", rows, "output0", axis=1)
            outputs = {"output0": [batch, 4 + CLASSES, count]}
        case "yolo-v5":
            # the first of three anchors sees; its class scores are 1 for a person
            columns = [
                builder.repeated("boxes", np.tile(boxes, (3, 1))),
                builder.column(builder.thrice(scores)),
                builder.repeated("classes", np.tile([[1.0] + [0.0] * (CLASSES - 1)], (3 * count, 1))),
            ]
            builder.node("Concat", columns, "output0", axis=2)
            outputs = {"output0": [batch, 3 * count, 5 + CLASSES]}
        case "yolox" | "yolox raw":
            raw = np.concatenate([np.full((count, 2), 0.5), np.full((count, 2), np.log(SPAN))], axis=1)
            columns = [
                builder.repeated("boxes", raw if head.endswith("raw") else boxes),
                builder.column(scores),
                builder.repeated("classes", np.tile([[1.0] + [0.0] * (CLASSES - 1)], (count, 1))),
            ]
            builder.node("Concat", columns, "output", axis=2)
            outputs = {"output": [batch, count, 5 + CLASSES]}
        case "yolo-end2end":
            builder.end_to_end(scores, boxes)
            outputs = {"output0": [batch, 10, 6]}
        case "nanodet" | "nanodet in one":
            # all weight on bin SPAN / 2: half of the span to each side
            logits = np.full((4, BINS), -30.0)
            logits[:, SPAN // 2] = 30.0
            distances = np.repeat(logits.reshape(-1, 1), count, axis=1)  # (4 B, A)
            if head == "nanodet":
                builder.node("Identity", [scores], "person")
                builder.node("Identity", [builder.repeated("logits", distances)], "distances")
                outputs = {"person": [batch, count], "distances": [batch, 4 * BINS, count]}
            else:
                columns = [
                    builder.column(scores),
                    builder.repeated("others", np.zeros((count, CLASSES - 1))),
                    builder.repeated("logits", distances.T),
                ]
                builder.node("Concat", columns, "output", axis=2)
                outputs = {"output": [batch, count, CLASSES + 4 * BINS]}
    names = {"names": "{0: 'person', 1: 'bicycle', 2: 'car'}"}
    return save(
        path,
        builder.nodes,
        {"images": (TensorProto.FLOAT, [batch, 3, *INPUT_HW])},
        outputs,
        builder.constants,
        {**names, **(metadata or {})},
    )


class _Builder:
    def __init__(self, white: float) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, np.ndarray] = {}
        self._white = white

    def node(self, op: str, inputs: list[str], output: str, **attributes: object) -> str:
        self.nodes.append(helper.make_node(op, inputs, [output], **attributes))
        return output

    def constant(self, name: str, values: np.ndarray) -> str:
        self.constants[name] = values if values.dtype == np.int64 else values.astype(np.float32)
        return name

    def scores(self) -> str:
        """Brightness of every cell, 0..1: (N, A). NanoDet's input is normalised, so its black lies below 0."""
        flat = self.constant("flat", np.array([0, -1], np.int64))
        levels = []
        for stride in STRIDES:
            pooled = self.node(
                "AveragePool", ["images"], f"pool{stride}", kernel_shape=[stride] * 2, strides=[stride] * 2
            )
            grey = self.node("ReduceMean", [pooled], f"grey{stride}", axes=[1], keepdims=0)
            levels.append(self.node("Reshape", [grey, flat], f"level{stride}"))
        everything = self.node("Concat", levels, "brightness", axis=1)
        scaled = self.node("Div", [everything, self.constant("white", np.array(self._white))], "scaled")
        bounds = [self.constant("zero", np.array(0.0)), self.constant("one", np.array(1.0))]
        return self.node("Clip", [scaled, *bounds], "scores")

    def repeated(self, name: str, values: np.ndarray) -> str:
        """A constant once per picture: (N, ...)."""
        zero = self.node("ReduceMean", ["images"], f"{name}_mean", axes=[1, 2, 3], keepdims=0)
        shape = self.constant(f"{name}_shape", np.array([-1, 1, 1], np.int64))
        column = self.node("Reshape", [zero, shape], f"{name}_column")
        nothing = self.node("Mul", [column, self.constant(f"{name}_zero", np.array(0.0))], f"{name}_nothing")
        return self.node("Add", [nothing, self.constant(name, values[None])], f"{name}_repeated")

    def row(self, scores: str, axis: int) -> str:
        name = f"{scores}_axis{axis}"
        if name not in {node.output[0] for node in self.nodes}:
            self.node("Unsqueeze", [scores, self.constant(f"{name}_axes", np.array([axis], np.int64))], name)
        return name

    def column(self, scores: str) -> str:
        return self.row(scores, 2)

    def zero_rows(self, scores: str, count: int) -> list[str]:
        nothing = self.node("Mul", [self.row(scores, 1), self.constant("nothing", np.array(0.0))], "no_class")
        return [nothing] * count

    def thrice(self, scores: str) -> str:
        nothing = self.node("Mul", [scores, self.constant("nothing", np.array(0.0))], "no_object")
        return self.node("Concat", [scores, nothing, nothing], "objectness", axis=1)

    def end_to_end(self, scores: str, boxes: np.ndarray) -> None:
        half = boxes[:, 2:] / 2
        corners = np.concatenate([boxes[:, :2] - half, boxes[:, :2] + half], axis=1)
        count = self.constant("count", np.array([10], np.int64))
        self.nodes.append(helper.make_node("TopK", [scores, count], ["best", "best_rows"]))
        picked = self.node("Gather", [self.constant("corners", corners), "best_rows"], "picked", axis=0)
        column = self.column("best")
        person = self.node("Mul", [column, self.constant("nothing", np.array(0.0))], "class")
        self.node("Concat", [picked, column, person], "output0", axis=2)

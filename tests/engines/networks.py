"""A small embedder that has everything an engine's builder meets in a large one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HEIGHT, WIDTH = 32, 16
LARGE = 1e6  # no half-precision number


def embedder(path: Path, batch: int | str = "N", large_weight: bool = False, width: int = 16) -> Path:
    """(N, 32, 16, 3) uint8 -> global (N, 12) and stripes (N, 4, 8), of unit length.

    Four convolutions (one depthwise), two products, a mean, norms and divisions; one weight is stored in half.
    """
    draw = np.random.default_rng(0)

    def weights(*shape: int) -> np.ndarray:
        return (draw.normal(size=shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)

    constants = {
        "mean": np.full((1, 3, 1, 1), 127, np.float32),
        "deviation": np.full((1, 3, 1, 1), 64, np.float32),
        "stem": weights(8, 3, 3, 3),
        "depthwise": weights(8, 1, 3, 3),
        "middle_half": weights(16, 8, 1, 1).astype(np.float16),
        "last": weights(8, 16, 1, 1),
        "widening": weights(16, width),
        "product": weights(width, 12),
        "axes": np.array([3], np.int64),
    }
    if large_weight:
        constants["depthwise"] *= LARGE
    nodes = [
        helper.make_node("Cast", ["crops"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["numbers"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Sub", ["planes", "mean"], ["centred"]),
        helper.make_node("Div", ["centred", "deviation"], ["scaled"]),
        helper.make_node("Conv", ["scaled", "stem"], ["a"], "stem", pads=[1] * 4, strides=[2, 2]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Conv", ["b", "depthwise"], ["c"], "depthwise", pads=[1] * 4, strides=[2, 2], group=8),
        helper.make_node("Cast", ["middle_half"], ["middle"], to=TensorProto.FLOAT),
        helper.make_node("Conv", ["c", "middle"], ["d"], "middle", strides=[2, 2]),
        helper.make_node("Relu", ["d"], ["map"]),
        helper.make_node("ReduceMean", ["map"], ["pooled"], "pool", axes=[2, 3], keepdims=0),
        helper.make_node("MatMul", ["pooled", "widening"], ["wide"], "widening"),
        helper.make_node("MatMul", ["wide", "product"], ["vector"], "product"),
        helper.make_node("ReduceL2", ["vector"], ["length"], axes=[1], keepdims=1),
        helper.make_node("Div", ["vector", "length"], ["global"], "unit"),
        helper.make_node("ReduceMean", ["map"], ["rows"], axes=[3], keepdims=1),
        helper.make_node("Conv", ["rows", "last"], ["parts"], "last"),
        helper.make_node("Squeeze", ["parts", "axes"], ["flat"]),
        helper.make_node("Transpose", ["flat"], ["turned"], perm=[0, 2, 1]),
        helper.make_node("ReduceL2", ["turned"], ["lengths"], axes=[2], keepdims=1),
        helper.make_node("Div", ["turned", "lengths"], ["stripes"]),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("crops", TensorProto.UINT8, [batch, HEIGHT, WIDTH, 3])],
        [
            helper.make_tensor_value_info("global", TensorProto.FLOAT, [batch, 12]),
            helper.make_tensor_value_info("stripes", TensorProto.FLOAT, [batch, 4, 8]),
        ],
        [numpy_helper.from_array(values, name) for name, values in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {"made by": "a test"})
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)
    return path


def crops(count: int = 24) -> list[dict[str, np.ndarray]]:
    """Batches of eight smooth pictures, no two alike."""
    draw = np.random.default_rng(1)
    rough = draw.integers(0, 256, (count, 8, 4, 3), np.uint8)
    pictures = rough.repeat(4, axis=1).repeat(4, axis=2)
    return [{"crops": pictures[start : start + 8]} for start in range(0, count, 8)]

"""Small networks that do something one can check by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def save(
    path: Path,
    nodes: list[onnx.NodeProto],
    inputs: dict[str, tuple[int, list[int | str]]],
    outputs: dict[str, list[int | str]],
    constants: dict[str, np.ndarray],
    metadata: dict[str, str] | None = None,
) -> Path:
    """Write a network; inputs are (element type, shape), outputs float32."""
    graph = helper.make_graph(
        nodes,
        path.stem,
        [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in inputs.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
        [numpy_helper.from_array(values, name) for name, values in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, metadata or {})
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)
    return path


def convolution(path: Path, batch: int | str = "N") -> Path:
    """(N, 3, H, W) float32 -> (N, 4, H, W): a 3 x 3 convolution with drawn weights."""
    weights = np.random.default_rng(0).normal(size=(4, 3, 3, 3)).astype(np.float32)
    node = helper.make_node("Conv", ["picture", "weights"], ["features"], pads=[1, 1, 1, 1])
    return save(
        path,
        [node],
        {"picture": (TensorProto.FLOAT, [batch, 3, "H", "W"])},
        {"features": [batch, 4, "H", "W"]},
        {"weights": weights},
        {"made by": "a test"},
    )


def embedder(
    path: Path, size_hw: tuple[int, int] = (64, 32), stripes: bool = True, scale: float = 1.0, batch: int | str = "N"
) -> Path:
    """(N, H, W, 3) uint8 -> mean colour of the crop (N, 3), and of each of 8 stripes (N, 8, 3); times ``scale``."""
    height, width = size_hw
    nodes = [
        helper.make_node("Cast", ["crops"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["floats", "scale"], ["scaled"]),
        helper.make_node("ReduceMean", ["scaled"], ["global"], axes=[1, 2], keepdims=0),
        helper.make_node("Reshape", ["scaled", "bands"], ["banded"]),
        helper.make_node("ReduceMean", ["banded"], ["stripes"], axes=[2], keepdims=0),
    ]
    outputs: dict[str, list[int | str]] = {"global": [batch, 3], "stripes": [batch, 8, 3]}
    if not stripes:
        nodes, outputs = nodes[:3], {"global": [batch, 3]}
    return save(
        path,
        nodes,
        {"crops": (TensorProto.UINT8, [batch, height, width, 3])},
        outputs,
        {
            "scale": np.array(scale, np.float32),
            **({"bands": np.array([0, 8, height // 8 * width, 3], np.int64)} if stripes else {}),
        },
    )

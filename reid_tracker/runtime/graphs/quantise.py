"""int8 and fp8 networks: quantise and dequantise nodes around the products, symmetric, weights per output channel.

Left as they are: the first product (it sees raw pixels), and the last ones on each way out (a few per mille of the
arithmetic; their rounding would go straight into the vectors); depthwise convolutions, which are bound by memory and
whose few weights per channel suffer most.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import ml_dtypes
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from reid_tracker.errors import ModelError
from reid_tracker.runtime.graphs.prepare import (
    PRODUCTS,
    constants,
    replace_nodes,
    typed,
)

Eight = Literal["int8", "fp8"]
LEVELS = {"int8": 127, "fp8": 448}
"""Largest magnitude of each type: steps of int8, largest number of float8 e4m3."""
_TYPES: dict[str, tuple[int, np.dtype[np.generic]]] = {
    "int8": (TensorProto.INT8, np.dtype(np.int8)),
    "fp8": (TensorProto.FLOAT8E4M3FN, np.dtype(ml_dtypes.float8_e4m3fn)),
}
_LEAST_SCALE = 2.0**-14  # the smallest normal half-precision number: scales are stored in half where the rest is


@dataclass(frozen=True, slots=True)
class Quantised:
    """A product that gets eight-bit inputs.

    Attributes:
        index: of the node in the graph.
        values: name of its first input.
        weights: name of its constant second input.
        axis: of the weights' output channels.
    """

    index: int
    values: str
    weights: str
    axis: int


def quantised_nodes(model: onnx.ModelProto) -> list[Quantised]:
    """The products of a network that eight bits are used for."""
    graph = model.graph
    fixed = constants(graph)
    last = _last_products(graph)
    chosen: list[Quantised] = []
    first = True
    for index, node in enumerate(graph.node):
        if node.op_type not in PRODUCTS:
            continue
        if first or index in last or node.op_type == "ConvTranspose" or node.input[1] not in fixed:
            first = False
            continue
        weights = fixed[node.input[1]]
        depthwise = node.op_type == "Conv" and weights.shape[1] == 1
        if not depthwise and weights.ndim >= 2:
            chosen.append(Quantised(index, node.input[0], node.input[1], _channel_axis(node, weights.ndim)))
    return chosen


def to_quantised(model: onnx.ModelProto, kind: Eight, ranges: Mapping[str, float]) -> onnx.ModelProto:
    """The network with eight-bit inputs to its products; what lies between is float32, and may go to half after.

    Args:
        model: as ``load_network`` gives it, in an operator set with typed quantisation; not changed.
        kind: ``int8`` or ``fp8`` (float8 e4m3).
        ranges: clipping point by name, for the values that ``quantised_nodes`` names.

    Raises:
        ModelError: it has no product to quantise.
    """
    chosen = {entry.index: entry for entry in quantised_nodes(model)}
    if not chosen:
        raise ModelError(f"model {model.graph.name}: has no product to quantise; build fp16")
    eight = onnx.ModelProto()
    eight.CopyFrom(model)
    fixed = constants(model.graph)
    added: dict[str, onnx.TensorProto] = {}
    nodes, done = [], set()
    for index, node in enumerate(model.graph.node):
        entry = chosen.get(index)
        if entry is None:
            nodes.append(node)
            continue
        for name, scale, axis in (
            (entry.values, np.asarray(_scale(ranges[entry.values], kind)), None),
            (entry.weights, _weight_scales(fixed[entry.weights], entry.axis, kind), entry.axis),
        ):
            if name not in done:
                done.add(name)
                nodes += _pair(name, scale, axis, kind, fixed.get(name), added)
        new = onnx.NodeProto()
        new.CopyFrom(node)
        new.input[0], new.input[1] = f"{entry.values}_dequantised", f"{entry.weights}_dequantised"
        nodes.append(new)
    replace_nodes(eight.graph, nodes)
    needed = {name for node in nodes for name in node.input}
    kept = [tensor for tensor in eight.graph.initializer if tensor.name in needed]
    del eight.graph.initializer[:]
    eight.graph.initializer.extend([*kept, *added.values()])
    del eight.graph.value_info[:]
    return typed(eight)


def _pair(
    name: str,
    scale: NDArray[np.floating],
    axis: int | None,
    kind: Eight,
    weights: NDArray[np.generic] | None,
    added: dict[str, onnx.TensorProto],
) -> list[onnx.NodeProto]:
    """Quantise (for weights: done here) and dequantise one tensor."""
    onnx_type, dtype = _TYPES[kind]
    scales = scale.astype(np.float32)
    added[f"{name}_scale"] = onnx.numpy_helper.from_array(scales, f"{name}_scale")
    zero = np.zeros(scales.shape, np.float32).astype(dtype)
    added[f"{name}_zero"] = _tensor(f"{name}_zero", zero, onnx_type)
    extra: dict[str, Any] = {} if axis is None else {"axis": axis}
    quantise = []
    if weights is None:
        quantise = [
            helper.make_node(
                "QuantizeLinear", [name, f"{name}_scale", f"{name}_zero"], [f"{name}_eight"], f"{name}_quantise"
            )
        ]
    else:
        shape = [1] * weights.ndim
        shape[0 if axis is None else axis] = -1
        values = _to_eight(weights.astype(np.float32) / scales.reshape(shape), kind)
        added[f"{name}_eight"] = _tensor(f"{name}_eight", values, onnx_type)
    dequantise = helper.make_node(
        "DequantizeLinear",
        [f"{name}_eight", f"{name}_scale", f"{name}_zero"],
        [f"{name}_dequantised"],
        f"{name}_dequantise",
        **extra,
    )
    return [*quantise, dequantise]


def _tensor(name: str, values: NDArray[np.generic], onnx_type: int) -> onnx.TensorProto:
    return helper.make_tensor(name, onnx_type, values.shape, values.tobytes(), raw=True)


def _to_eight(scaled: NDArray[np.floating], kind: Eight) -> NDArray[np.generic]:
    limit = LEVELS[kind]
    clipped = np.clip(scaled, -limit, limit)
    eight: NDArray[np.generic] = (np.rint(clipped) if kind == "int8" else clipped).astype(_TYPES[kind][1])
    return eight


def _scale(largest: float, kind: Eight) -> float:
    """Rounded as it will be stored, so that weights are divided by what they are multiplied with."""
    return float(np.float16(max(largest / LEVELS[kind], _LEAST_SCALE)))


def _weight_scales(weights: NDArray[np.generic], axis: int, kind: Eight) -> NDArray[np.floating]:
    others = tuple(place for place in range(weights.ndim) if place != axis)
    largest = np.abs(weights.astype(np.float32)).max(axis=others)
    scales: NDArray[np.floating] = np.maximum(largest / LEVELS[kind], _LEAST_SCALE).astype(np.float16)
    return scales.astype(np.float32)


def _channel_axis(node: onnx.NodeProto, dimensions: int) -> int:
    if node.op_type == "Conv":
        return 0
    transposed = any(attribute.name == "transB" and attribute.i for attribute in node.attribute)
    return 0 if transposed else dimensions - 1


def _last_products(graph: onnx.GraphProto) -> set[int]:
    """Products from which no further product is reached."""
    leads: set[str] = set()
    last = set()
    for index in range(len(graph.node) - 1, -1, -1):
        node = graph.node[index]
        reaches = any(name in leads for name in node.output)
        if node.op_type in PRODUCTS and not reaches:
            last.add(index)
        if node.op_type in PRODUCTS or reaches:
            leads.update(node.input)
    return last

"""A network as the rewriting steps want it: constants as initializers, weights in float32, every type known."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper, shape_inference, version_converter

from reid_tracker.errors import ModelError

PRODUCTS = frozenset({"Conv", "ConvTranspose", "MatMul", "Gemm"})
"""Layers in which the arithmetic of a network lies."""
TYPED_QUANTISATION_OPSET = 19
"""The first operator set whose QuantizeLinear takes half-precision scales and fp8 values."""
BFLOAT16_OPSET = 22
"""The first whose convolution and pooling take bfloat16."""


@dataclass(frozen=True, slots=True)
class Regions:
    """Which nodes lie before the first product, and which after the last, by index in the graph."""

    before: frozenset[int]
    after: frozenset[int]


def load_network(path: Path) -> onnx.ModelProto:
    """A network with its constants folded into float32 initializers and the types of all tensors inferred.

    Raises:
        ModelError: it is no ONNX network, or its types cannot be worked out.
    """
    try:
        model = onnx.load(str(path))
        onnx.checker.check_model(model)
    except (DecodeError, onnx.checker.ValidationError) as error:
        raise ModelError(f"model {path}: not an ONNX network ({str(error).splitlines()[0]})") from error
    _fold_constants(model.graph)
    return typed(model)


def typed(model: onnx.ModelProto) -> onnx.ModelProto:
    """The network with inferred types.

    Raises:
        ModelError: its types contradict one another.
    """
    try:
        return shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    except (shape_inference.InferenceError, RuntimeError) as error:
        raise ModelError(f"model {model.graph.name}: its types do not fit ({str(error).splitlines()[0]})") from error


def with_opset(model: onnx.ModelProto, version: int) -> onnx.ModelProto:
    """The network in operator set ``version`` at least.

    Raises:
        ModelError: onnx cannot convert one of its operators.
    """
    if opset(model) >= version:
        return model
    try:
        converted = version_converter.convert_version(model, version)
    except RuntimeError as error:
        raise ModelError(
            f"model {model.graph.name}: cannot be brought to operator set {version} "
            f"({str(error).splitlines()[0]}); export it again with that one, or build fp16"
        ) from error
    _fold_constants(converted.graph)
    return typed(converted)


def opset(model: onnx.ModelProto) -> int:
    """Version of the standard operators that the network uses."""
    return next(int(entry.version) for entry in model.opset_import if entry.domain in ("", "ai.onnx"))


def element_types(graph: onnx.GraphProto) -> dict[str, int]:
    """Tensor name -> onnx element type, for inputs, outputs, constants and everything between."""
    types = {
        value.name: int(value.type.tensor_type.elem_type)
        for value in (*graph.value_info, *graph.input, *graph.output)
        if value.type.HasField("tensor_type")
    }
    types.update({constant.name: int(constant.data_type) for constant in graph.initializer})
    return types


def constants(graph: onnx.GraphProto) -> dict[str, NDArray[np.generic]]:
    """Name -> values of the graph's initializers."""
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}


def regions(graph: onnx.GraphProto) -> Regions:
    """Which nodes no product precedes (they handle pixels), and which none follows (they make the answer)."""
    after_product: set[str] = set()
    before = set()
    for index, node in enumerate(graph.node):
        if node.op_type in PRODUCTS or any(name in after_product for name in node.input):
            after_product.update(node.output)
        else:
            before.add(index)
    leads_to_product: set[str] = set()
    after = set()
    for index in range(len(graph.node) - 1, -1, -1):
        node = graph.node[index]
        if node.op_type in PRODUCTS or any(name in leads_to_product for name in node.output):
            leads_to_product.update(node.input)
        else:
            after.add(index)
    return Regions(frozenset(before), frozenset(after))


def replace_nodes(graph: onnx.GraphProto, nodes: list[onnx.NodeProto]) -> None:
    """Put other nodes in place of the graph's."""
    del graph.node[:]
    graph.node.extend(nodes)


def _fold_constants(graph: onnx.GraphProto) -> None:
    """Constant nodes, and casts of constants (weights stored in half), become initializers."""
    known = {tensor.name: tensor for tensor in graph.initializer}
    kept = []
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            folded = onnx.TensorProto()
            folded.CopyFrom(node.attribute[0].t)
        elif node.op_type == "Cast" and node.input[0] in known:
            target = helper.tensor_dtype_to_np_dtype(node.attribute[0].i)
            folded = numpy_helper.from_array(numpy_helper.to_array(known[node.input[0]]).astype(target))
        else:
            kept.append(node)
            continue
        folded.name = node.output[0]
        known[folded.name] = folded
    needed = {name for node in kept for name in node.input} | {value.name for value in graph.output}
    replace_nodes(graph, kept)
    del graph.initializer[:]
    graph.initializer.extend(tensor for name, tensor in known.items() if name in needed)


def is_float(kind: int | None) -> bool:
    """Whether an element type is float32."""
    return bool(kind == TensorProto.FLOAT)

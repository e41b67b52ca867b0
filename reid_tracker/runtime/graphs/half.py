"""A float32 network in half precision, except for what half precision spoils.

Kept in float32: everything before the first product (pixel arithmetic) and after the last (the division that makes
unit vectors, a detector's scores); normalisations, softmax, norms, powers, exponentials, divisions and means, whose
sums and quotients leave the range or the resolution of eleven bits; and any layer whose weights do not fit.
"""

from __future__ import annotations

from typing import Literal

import ml_dtypes
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from reid_tracker.errors import ModelError
from reid_tracker.runtime.graphs.prepare import (
    BFLOAT16_OPSET,
    constants,
    element_types,
    is_float,
    regions,
    replace_nodes,
    typed,
    with_opset,
)

Half = Literal["fp16", "bf16"]
_KINDS: dict[str, tuple[int, np.dtype[np.generic], float]] = {  # onnx type, numpy type, largest number
    "fp16": (TensorProto.FLOAT16, np.dtype(np.float16), 65504.0),
    "bf16": (TensorProto.BFLOAT16, np.dtype(ml_dtypes.bfloat16), 3.3895314e38),
}
# Layers whose result is a product, a choice or a rearrangement of their inputs. Whatever is not named stays float32.
_SAFE = {
    *("Add", "AveragePool", "Clip", "Concat", "Conv", "ConvTranspose", "DepthToSpace", "DequantizeLinear", "Expand"),
    *("Flatten", "Gather", "Gemm", "HardSigmoid", "HardSwish", "Identity", "LeakyRelu", "MatMul", "Max", "MaxPool"),
    *("Min", "Mul", "PRelu", "Pad", "QuantizeLinear", "Relu", "Reshape", "Resize", "Sigmoid", "Slice"),
    *("SpaceToDepth", "Split", "Squeeze", "Sub", "Tanh", "Transpose", "Unsqueeze"),
}
# Inputs that the operator's definition fixes to float32 whatever the others are.
_FLOAT_ONLY_INPUTS = {"Resize": frozenset({1, 2})}


def to_half(model: onnx.ModelProto, kind: Half, emulate: bool = False) -> onnx.ModelProto:
    """The network with its products, and what lies between them, in half precision; inputs and outputs unchanged.

    Args:
        model: as ``load_network`` gives it; not changed.
        kind: ``fp16`` or ``bf16``.
        emulate: compute in float32 and round every value that would be stored in half precision. A processor without
            half-precision kernels can run that, and sees the same rounding as tensor cores, which accumulate in
            float32.

    Raises:
        ModelError: nothing in it could be converted.
    """
    if kind == "bf16" and not emulate:
        model = with_opset(model, BFLOAT16_OPSET)
    half = onnx.ModelProto()
    half.CopyFrom(model)
    rewriting = _Rewriting(half.graph, kind, emulate)
    nodes = []
    for index, node in enumerate(model.graph.node):
        nodes += rewriting.converted(node) if index in rewriting.chosen else rewriting.kept(node)
    nodes += rewriting.outputs()
    replace_nodes(half.graph, nodes)
    rewriting.store_constants()
    del half.graph.value_info[:]
    half = typed(half)
    onnx.checker.check_model(half)
    return half


class _Rewriting:
    """One pass through a graph: which tensors exist in which precision, and the casts between.

    A float32 tensor ``x`` that a converted node reads or makes has a second name, ``x_half``.
    """

    def __init__(self, graph: onnx.GraphProto, kind: Half, emulate: bool) -> None:
        self._graph = graph
        self._onnx_type, self._dtype, self._limit = _KINDS[kind]
        self._emulate = emulate
        self._types = element_types(graph)
        self._constants = constants(graph)
        self._full = set(self._types) - {name for node in graph.node for name in node.output}
        self._half: set[str] = set()
        self._new_constants: dict[str, NDArray[np.generic]] = {}
        self.chosen = self._choose()
        if not self.chosen:
            raise ModelError(f"model {graph.name}: has no layer that half precision could speed up; build fp32")

    def _choose(self) -> frozenset[int]:
        ends = regions(self._graph)
        return frozenset(
            index
            for index, node in enumerate(self._graph.node)
            if node.op_type in _SAFE
            and index not in ends.before
            and index not in ends.after
            and any(is_float(self._types.get(name)) for name in (*node.output, *node.input))
            and all(self._fits(node, name) for name in node.input)
        )

    def _fits(self, node: onnx.NodeProto, name: str) -> bool:
        """Bounds of a clip may saturate; weights may not."""
        values = self._constants.get(name)
        if values is None or values.dtype != np.float32 or node.op_type == "Clip":
            return True
        return bool(np.abs(values).max(initial=0) <= self._limit)

    def converted(self, node: onnx.NodeProto) -> list[onnx.NodeProto]:
        """The node in half precision, after whatever casts its inputs need."""
        new, casts, tail = onnx.NodeProto(), [], []
        new.CopyFrom(node)
        fixed = _FLOAT_ONLY_INPUTS.get(node.op_type, frozenset())
        for place, name in enumerate(node.input):
            if place in fixed:
                casts += self._in_full(name)
            elif is_float(self._types.get(name)):
                casts += self._in_half(name)
                new.input[place] = f"{name}_half"
        for place, name in enumerate(node.output):
            if not is_float(self._types.get(name)):
                self._full.add(name)
                continue
            self._half.add(name)
            new.output[place] = f"{name}_half"
            if self._emulate:
                new.output[place] = f"{name}_unrounded"
                tail += self._round(f"{name}_unrounded", f"{name}_half")
        return [*casts, new, *tail]

    def kept(self, node: onnx.NodeProto) -> list[onnx.NodeProto]:
        """The node as it is, after whatever casts its inputs need."""
        casts = [cast for name in node.input for cast in self._in_full(name)]
        self._full.update(node.output)
        return [*casts, node]

    def outputs(self) -> list[onnx.NodeProto]:
        """Casts that the graph's outputs still need."""
        return [cast for value in self._graph.output for cast in self._in_full(value.name)]

    def store_constants(self) -> None:
        """Put the rounded weights in, and leave out what nothing reads any more."""
        needed = {name for node in self._graph.node for name in node.input}
        kept = [tensor for tensor in self._graph.initializer if tensor.name in needed]
        del self._graph.initializer[:]
        self._graph.initializer.extend(kept)
        self._graph.initializer.extend(onnx.numpy_helper.from_array(v, n) for n, v in self._new_constants.items())

    def _in_half(self, name: str) -> list[onnx.NodeProto]:
        if name in self._half:
            return []
        self._half.add(name)
        if name in self._constants:
            self._new_constants[f"{name}_half"] = self._rounded(self._constants[name])
            return []
        if self._emulate:
            return self._round(name, f"{name}_half")
        return [helper.make_node("Cast", [name], [f"{name}_half"], f"{name}_to_half", to=self._onnx_type)]

    def _in_full(self, name: str) -> list[onnx.NodeProto]:
        if not name or name in self._full:
            return []
        self._full.add(name)
        return [helper.make_node("Cast", [f"{name}_half"], [name], f"{name}_to_float", to=TensorProto.FLOAT)]

    def _rounded(self, values: NDArray[np.generic]) -> NDArray[np.generic]:
        half = np.clip(values.astype(np.float32), -self._limit, self._limit).astype(self._dtype)
        return half.astype(np.float32) if self._emulate else half

    def _round(self, name: str, rounded: str) -> list[onnx.NodeProto]:
        return [
            helper.make_node("Cast", [name], [f"{rounded}_stored"], f"{rounded}_store", to=self._onnx_type),
            helper.make_node("Cast", [f"{rounded}_stored"], [rounded], f"{rounded}_load", to=TensorProto.FLOAT),
        ]

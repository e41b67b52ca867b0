"""From a float32 network to the one that an engine of a given precision is built from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from reid_tracker.errors import ConfigError, ModelError
from reid_tracker.runtime.graphs.half import to_half
from reid_tracker.runtime.graphs.prepare import TYPED_QUANTISATION_OPSET, load_network, with_opset
from reid_tracker.runtime.graphs.quantise import LEVELS, Eight, quantised_nodes, to_quantised
from reid_tracker.runtime.graphs.ranges import activation_ranges

CONVERTER = 1
"""Raised whenever the same file becomes another network than before, so that engines are built again."""
CALIBRATED = ("int8", "fp8")
"""Precisions whose scales come from real inputs."""
Batches = Sequence[Mapping[str, NDArray[Any]]]
_FP8_HEADROOM_LEVELS = 1 << 20  # floating point: clipping gains nothing, so ranges are the largest values
_ONLY_FATAL = 4


@dataclass(frozen=True, slots=True)
class Converted:
    """A network in some precision.

    Attributes:
        network: for the engine's builder.
        on_processor: computes the same on a processor, with the same rounding of stored values where the processor
            has no kernels of that type.
        metadata: the network's own notes.
    """

    network: bytes
    on_processor: bytes
    metadata: dict[str, str]


def convert(path: Path, precision: str, batches: Batches = ()) -> Converted:
    """The network of a file in a precision.

    Args:
        path: ``.onnx``, float32.
        precision: fp32, fp16, bf16, int8 or fp8.
        batches: real inputs, which int8 and fp8 are calibrated on.

    Raises:
        ModelError: the file is no network, or cannot be converted.
        ConfigError: no such precision.
        InputError: nothing to calibrate on.
    """
    model = load_network(path)
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    if precision == "fp32":
        network = on_processor = model
    elif precision in ("fp16", "bf16"):
        network = to_half(model, "fp16" if precision == "fp16" else "bf16")
        on_processor = to_half(model, "fp16" if precision == "fp16" else "bf16", emulate=True)
    elif precision in CALIBRATED:
        kind: Eight = "int8" if precision == "int8" else "fp8"
        model = with_opset(model, TYPED_QUANTISATION_OPSET)
        names = sorted({entry.values for entry in quantised_nodes(model)})
        levels = LEVELS["int8"] if kind == "int8" else _FP8_HEADROOM_LEVELS
        eight = to_quantised(model, kind, activation_ranges(model, names, batches, levels) if names else {})
        network, on_processor = to_half(eight, "fp16"), to_half(eight, "fp16", emulate=True)
    else:
        raise ConfigError(f"precision {precision!r}: expected fp32, fp16, bf16, int8 or fp8")
    return Converted(_bytes(network), _bytes(on_processor), metadata)


def run_on_processor(network: bytes, batches: Batches) -> dict[str, NDArray[np.float32]]:
    """All outputs, batches joined, by ONNX Runtime on one thread without rewriting (which would undo rounding).

    Raises:
        ModelError: it cannot run there.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ONLY_FATAL
    options.intra_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session = onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]
        answers = [session.run(names, dict(batch)) for batch in batches]
    except Exception as error:  # the library raises a class per status code, with no common base of its own
        raise ModelError(f"network: ONNX Runtime cannot run it ({str(error).splitlines()[0]})") from error
    return {name: np.concatenate([answer[row] for answer in answers]) for row, name in enumerate(names)}


def free_inputs(path: Path) -> dict[str, tuple[int | None, ...]]:
    """Shapes of the network's inputs, None where a size is free.

    Raises:
        ModelError: it is no network.
    """
    model = load_network(path)
    fixed = {constant.name for constant in model.graph.initializer}
    return {
        value.name: tuple(size.dim_value or None for size in value.type.tensor_type.shape.dim)
        for value in model.graph.input
        if value.name not in fixed
    }


def _bytes(model: onnx.ModelProto) -> bytes:
    return bytes(model.SerializeToString())

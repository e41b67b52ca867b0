"""How large a network's values become on real pictures: the calibration of quantised networks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper

from reid_tracker.errors import InputError

_BINS = 2048
_SHARES = np.linspace(0.25, 1.0, 76)  # of the largest value, tried as the clipping point
_ONLY_FATAL = 4


def activation_ranges(
    model: onnx.ModelProto, tensors: Iterable[str], batches: Iterable[Mapping[str, NDArray[Any]]], levels: int
) -> dict[str, float]:
    """For each tensor the absolute value to clip at, so that ``levels`` steps to it cost the least squared error.

    The largest value alone would give all steps to one odd picture. Two passes over the batches: largest values, then
    histograms up to them; the clipping point is the best of 76 on the histogram.

    Args:
        model: float32 network.
        tensors: names inside it.
        batches: inputs by name; gone through twice, so no generator.
        levels: steps on each side of zero; 127 for int8.

    Raises:
        InputError: no batch, or a tensor that is zero throughout.
    """
    names, batches = list(tensors), list(batches)
    if not batches:
        raise InputError("calibration: no pictures to calibrate on; give some with --pictures")
    session = _with_outputs(model, names)
    largest = np.zeros(len(names))
    for batch in batches:
        largest = np.maximum(largest, [np.abs(values).max(initial=0.0) for values in session.run(names, dict(batch))])
    if (largest == 0).any():
        raise InputError(f"calibration: {names[int(np.argmin(largest))]} is zero on all pictures; give others")
    counts = np.zeros((len(names), _BINS))
    for batch in batches:
        for row, values in enumerate(session.run(names, dict(batch))):
            counts[row] += np.histogram(np.abs(values), bins=_BINS, range=(0, largest[row]))[0]
    return {
        name: float(top * best_share(histogram, levels))
        for name, top, histogram in zip(names, largest, counts, strict=True)
    }


def best_share(histogram: NDArray[np.floating], levels: int) -> float:
    """Share of a histogram's width to clip at, for the least squared error of ``levels`` even steps.

    Args:
        histogram: (B,) counts of absolute values, even bins from 0.
    """
    centres = (np.arange(len(histogram)) + 0.5) / len(histogram)
    steps = _SHARES[:, None] / levels
    quantised = np.minimum(np.round(centres / steps), levels) * steps
    errors = ((quantised - centres) ** 2 * histogram).sum(axis=1)
    return float(_SHARES[np.argmin(errors)])


def _with_outputs(model: onnx.ModelProto, names: list[str]) -> onnxruntime.InferenceSession:
    opened = onnx.ModelProto()
    opened.CopyFrom(model)
    shown = {value.name for value in opened.graph.output}
    opened.graph.output.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names if name not in shown
    )
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ONLY_FATAL
    return onnxruntime.InferenceSession(opened.SerializeToString(), options, providers=["CPUExecutionProvider"])

"""Networks on OpenVINO's CPU plugin."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import openvino
from numpy.typing import NDArray

from reid_tracker.errors import ConfigError, ModelError
from reid_tracker.runtime.session import RuntimeDescription, TensorSpec

_PRECISIONS = {"fp32": "f32", "bf16": "bf16"}
_METADATA_FRAMEWORK = "framework"  # where the ONNX reader keeps metadata_props


class OpenVinoSession:
    """See ``Session``.

    Args:
        path: ``.onnx`` or ``.xml`` file.
        precision: ``fp32``, or ``bf16`` on CPUs that have it. Always set: left alone the plugin computes in bf16
            wherever the CPU can, without saying so.
        threads: CPU threads.
        reason: why this engine was taken, for ``describe``.
        free_batch: let any batch in, where the network's layers allow it.
    """

    def __init__(self, path: Path, precision: str, threads: int, reason: str, free_batch: bool = False) -> None:
        core = openvino.Core()
        if precision == "bf16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise ConfigError("runtime.precision 'bf16': this CPU has no bf16 arithmetic; set it to fp32")
        try:
            model = core.read_model(path)
            if free_batch and _batch_can_be_free(model):
                model.reshape(_with_free_batch(model))
            self._compiled = core.compile_model(
                model,
                "CPU",
                {
                    "INFERENCE_PRECISION_HINT": _PRECISIONS[precision],
                    "INFERENCE_NUM_THREADS": threads,
                    # One request at a time, all threads on it: we wait for each answer.
                    "PERFORMANCE_HINT": "LATENCY",
                    # Pinned threads of two networks would meet on the same cores.
                    "ENABLE_CPU_PINNING": False,
                },
            )
        except RuntimeError as error:
            raise ModelError(f"model {path}: OpenVINO cannot load it ({_last_line(error)})") from error
        self._request = self._compiled.create_infer_request()
        self._path = path
        self._threads = threads
        self._reason = reason
        # Names come from the file: compiling may give a port the name of a neighbour that it was fused with.
        self.inputs = tuple(_spec(port) for port in model.inputs)
        self.outputs = tuple(_spec(port) for port in model.outputs)
        self.metadata: Mapping[str, str] = _metadata(model)
        self._eight_bit = any(layer.get_type_name() == "FakeQuantize" for layer in model.get_ops())

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """See ``Session.run``."""
        try:
            values = self._request.infer(dict(inputs), share_inputs=True)
        except RuntimeError as error:
            raise ModelError(f"model {self._path}: {_last_line(error)}") from error
        return {tensor.name: values[index] for index, tensor in enumerate(self.outputs)}

    def describe(self) -> RuntimeDescription:
        """See ``Session.describe``. Precision and threads are asked of the engine, not repeated from the settings."""
        hint = self._compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
        precision = {theirs: ours for ours, theirs in _PRECISIONS.items()}[hint]
        return RuntimeDescription(
            model=self._path.name,
            backend=f"OpenVINO {openvino.__version__.split('-')[0]}",
            precision=f"int8 where quantised, else {precision}" if self._eight_bit else precision,
            device="CPU",
            threads=int(self._compiled.get_property("INFERENCE_NUM_THREADS")),
            reason=self._reason,
        )


def _spec(port: Any) -> TensorSpec:
    shape = tuple(size.get_length() if size.is_static else None for size in port.get_partial_shape())
    return TensorSpec(port.get_any_name(), shape, np.dtype(port.get_element_type().to_dtype()))


def _with_free_batch(model: openvino.Model) -> dict[Any, openvino.PartialShape]:
    return {port: openvino.PartialShape([-1, *list(port.get_partial_shape())[1:]]) for port in model.inputs}


def _batch_can_be_free(model: openvino.Model) -> bool:
    """Layers that reshape to fixed sizes fail here, or keep a fixed batch at an output."""
    trial = model.clone()
    try:
        trial.reshape(_with_free_batch(trial))
    except RuntimeError:
        return False
    return all(port.get_partial_shape()[0].is_dynamic for port in trial.outputs)


def _metadata(model: openvino.Model) -> dict[str, str]:
    if not model.has_rt_info([_METADATA_FRAMEWORK]):
        return {}
    return {str(key): str(value) for key, value in model.get_rt_info([_METADATA_FRAMEWORK]).value.items()}


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__

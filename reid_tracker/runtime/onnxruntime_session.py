"""Networks on ONNX Runtime: float32 on its CPU provider, the reference for the other engines; or on CUDA."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from reid_tracker.errors import ConfigError, ModelError
from reid_tracker.runtime.session import RuntimeDescription, TensorSpec

_DTYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(uint8)": np.uint8,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
    "tensor(bool)": np.bool_,
}
_ONLY_FATAL = 4
_CUDA = "CUDAExecutionProvider"
# Left alone it multiplies with ten bits of fraction, and tries all algorithms for each new size of a batch.
_CUDA_OPTIONS = {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"}


class OnnxRuntimeSession:
    """See ``Session``.

    Args:
        path: ``.onnx`` file.
        precision: must be ``fp32``.
        threads: CPU threads.
        reason: why this engine was taken, for ``describe``.
        cuda: run on the GPU. That the GPU was really taken is checked: left alone the library falls back in silence.
    """

    def __init__(self, path: Path, precision: str, threads: int, reason: str, cuda: bool = False) -> None:
        if precision != "fp32":
            raise ConfigError(
                f"runtime.precision {precision!r}: ONNX Runtime computes in fp32 on a CPU; "
                "set runtime.backend to openvino or runtime.precision to fp32"
            )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = _ONLY_FATAL  # failures are raised; the library's own stream stays quiet
        options.use_deterministic_compute = True
        # Idle threads that spin take the core away from the other network and from decoding.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        if cuda:
            _prepare_cuda()
        providers = [(_CUDA, _CUDA_OPTIONS)] if cuda else ["CPUExecutionProvider"]
        try:
            self._session = onnxruntime.InferenceSession(path, options, providers=providers)
        except Exception as error:  # the library raises a class per status code, with no common base of its own
            raise ModelError(f"model {path}: ONNX Runtime cannot load it ({_first_line(error)})") from error
        if cuda and self._session.get_providers()[0] != _CUDA:
            raise ConfigError(
                "runtime: ONNX Runtime could not start CUDA; see nvidia-smi and its list of CUDA versions"
            )
        self._device = "CUDA" if cuda else "CPU"
        self._path = path
        self._threads = 0 if cuda else threads
        self._reason = reason
        self.inputs = tuple(_spec(tensor) for tensor in self._session.get_inputs())
        self.outputs = tuple(_spec(tensor) for tensor in self._session.get_outputs())
        self.metadata: Mapping[str, str] = dict(self._session.get_modelmeta().custom_metadata_map)
        self._names = [tensor.name for tensor in self.outputs]

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """See ``Session.run``."""
        try:
            values = self._session.run(self._names, dict(inputs))
        except Exception as error:  # as above
            raise ModelError(f"model {self._path}: {_first_line(error)}") from error
        return dict(zip(self._names, values, strict=True))

    def describe(self) -> RuntimeDescription:
        """See ``Session.describe``."""
        return RuntimeDescription(
            model=self._path.name,
            backend=f"ONNX Runtime {onnxruntime.__version__}",
            precision="fp32",
            device=self._device,
            threads=self._threads,
            reason=self._reason,
        )


def _prepare_cuda() -> None:
    if _CUDA not in onnxruntime.get_available_providers():
        raise ConfigError("runtime: this ONNX Runtime has no CUDA; run: pip install onnxruntime-gpu")
    if hasattr(onnxruntime, "preload_dlls"):  # from 1.21: finds CUDA among Python's packages too
        onnxruntime.preload_dlls()


def _spec(tensor: Any) -> TensorSpec:
    shape = tuple(size if isinstance(size, int) else None for size in tensor.shape)
    return TensorSpec(tensor.name, shape, np.dtype(_DTYPES.get(tensor.type, np.object_)))


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]

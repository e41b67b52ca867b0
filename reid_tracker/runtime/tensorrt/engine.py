"""The interfaces that the run path is written against, and their real form over a TensorRT engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from reid_tracker.errors import ModelError
from reid_tracker.runtime.tensorrt.planning import EngineTensor


class Gpu(Protocol):
    """Memory, streams and graphs; see ``reid_tracker.runtime.cuda.Cuda``."""

    def make_current(self) -> None:
        """Have the calling thread use this GPU."""
        ...

    def allocate(self, size: int) -> int:
        """Memory on the GPU, bytes; its address."""
        ...

    def free(self, pointer: int) -> None:
        """Give it back."""
        ...

    def pinned(self, size: int) -> NDArray[np.uint8]:
        """Memory of the host that the GPU copies from and to directly, bytes."""
        ...

    def free_pinned(self, memory: NDArray[np.uint8]) -> None:
        """Give it back."""
        ...

    def stream(self) -> int:
        """A new queue of work, in no order with any other."""
        ...

    def destroy_stream(self, stream: int) -> None:
        """End it."""
        ...

    def synchronise(self, stream: int) -> None:
        """Wait until all work in a stream is done."""
        ...

    def wait_for(self, stream: int, other: int) -> None:
        """Have further work in a stream wait for what is queued in another one now."""
        ...

    def copy_in(self, target: int, source: NDArray[Any], stream: int) -> None:
        """Queue a copy from the host to the GPU."""
        ...

    def copy_out(self, target: NDArray[Any], source: int, stream: int) -> None:
        """Queue a copy from the GPU to the host."""
        ...

    def copy_within(self, target: int, source: int, size: int, stream: int) -> None:
        """Queue a copy of bytes from one place on the GPU to another."""
        ...

    def capture(self, stream: int, work: Callable[[], None]) -> int:
        """What ``work`` queues on a stream, as a graph to be launched whole."""
        ...

    def launch(self, executable: int, stream: int) -> None:
        """Queue a graph."""
        ...

    def destroy_graph(self, executable: int) -> None:
        """Let go of a graph."""
        ...


class Context(Protocol):
    """One run of an engine at a time."""

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> None:
        """Say how large an input is now."""
        ...

    def shape(self, name: str) -> tuple[int, ...]:
        """Of a tensor, once all inputs have theirs."""
        ...

    def set_address(self, name: str, pointer: int) -> None:
        """Where on the GPU a tensor lies; a multiple of 256."""
        ...

    def enqueue(self, stream: int) -> None:
        """Queue the network on a stream."""
        ...


class Engine(Protocol):
    """A loaded engine.

    Attributes:
        tensors: inputs and outputs.
        captures_itself: repeats runs as CUDA graphs without being told.
    """

    tensors: tuple[EngineTensor, ...]
    captures_itself: bool

    def context(self) -> Context:
        """A new one."""
        ...


class TensorRtEngine:
    """See ``Engine``.

    Args:
        trt: the library.
        engine: its ``ICudaEngine``.
    """

    def __init__(self, trt: Any, engine: Any) -> None:
        self._trt = trt
        self._engine = engine
        self.captures_itself = hasattr(trt, "CudaGraphStrategy")
        names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
        self.tensors = tuple(self._tensor(name) for name in names)

    def context(self) -> Context:
        """See ``Engine.context``."""
        if self.captures_itself:
            config = self._engine.create_runtime_config()
            config.cuda_graph_strategy = self._trt.CudaGraphStrategy.WHOLE_GRAPH_CAPTURE
            specialisation = getattr(self._trt, "DynamicShapesKernelSpecializationStrategy", None)
            if specialisation is not None:
                # Left alone the library compiles kernels for the shapes that it sees and moves to them when they are
                # ready, so that the same picture gives other numbers in mid-run. Compiling them first would halt a run
                # at each new number of people.
                config.dynamic_shapes_kernel_specialization_strategy = specialisation.NONE
            made = self._engine.create_execution_context(config)
        else:
            made = self._engine.create_execution_context()
        if made is None:
            raise ModelError("engine: the GPU has no room for it; see nvidia-smi, or build with a smaller --batch")
        return _TensorRtContext(made)

    def _tensor(self, name: str) -> EngineTensor:
        shape = tuple(None if size < 0 else int(size) for size in self._engine.get_tensor_shape(name))
        is_input = self._engine.get_tensor_mode(name) == self._trt.TensorIOMode.INPUT
        dtype = np.dtype(self._trt.nptype(self._engine.get_tensor_dtype(name)))
        if not is_input:
            return EngineTensor(name, False, dtype, shape)
        if None not in shape:
            fixed = tuple(size or 0 for size in shape)
            return EngineTensor(name, True, dtype, shape, fixed, fixed)
        least, _, most = (tuple(map(int, sizes)) for sizes in self._engine.get_tensor_profile_shape(name, 0))
        return EngineTensor(name, True, dtype, shape, least, most)


class _TensorRtContext:
    def __init__(self, context: Any) -> None:
        self._context = context

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> None:
        if not self._context.set_input_shape(name, shape):
            raise ModelError(f"engine: refuses the shape {shape} for input {name!r}")

    def shape(self, name: str) -> tuple[int, ...]:
        return tuple(int(size) for size in self._context.get_tensor_shape(name))

    def set_address(self, name: str, pointer: int) -> None:
        if not self._context.set_tensor_address(name, pointer):
            raise ModelError(f"engine: refuses the address {pointer:#x} for {name!r}; see the log at --verbose")

    def enqueue(self, stream: int) -> None:
        if not self._context.execute_async_v3(stream):
            raise ModelError("engine: could not be queued on the GPU; see the log at --verbose")

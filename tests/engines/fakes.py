"""A GPU and an engine that live in a process's memory.

Work on a stream happens when somebody waits for it, and no earlier: a session that reuses a buffer too soon, or reads
an answer before it is there, gets wrong numbers here as it would on a GPU.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakSet, ref

import numpy as np
from numpy.typing import NDArray

from reid_tracker.errors import ModelError
from reid_tracker.runtime.tensorrt.planning import EngineTensor


class FakeGpu:
    """See ``reid_tracker.runtime.tensorrt.engine.Gpu``."""

    def __init__(self) -> None:
        self.memory: dict[int, NDArray[np.uint8]] = {}
        self.host: list[NDArray[np.uint8]] = []
        self.queues: dict[int, list[Callable[[], None]]] = {1: []}  # the default stream
        self.graphs: dict[int, list[Callable[[], None]]] = {}
        self.launches = 0
        self.capturable = True
        self._next = 1 << 12
        self._captures = 0
        self._capturing: list[Callable[[], None]] | None = None

    def make_current(self) -> None:
        pass

    def allocate(self, size: int) -> int:
        pointer = self._next
        self._next += -(-size // 256) * 256 + (1 << 12)
        self.memory[pointer] = np.full(size, 0xAA, np.uint8)
        return pointer

    def free(self, pointer: int) -> None:
        del self.memory[pointer]

    def pinned(self, size: int) -> NDArray[np.uint8]:
        self.host.append(np.full(size, 0xAA, np.uint8))
        return self.host[-1]

    def free_pinned(self, memory: NDArray[np.uint8]) -> None:
        self.host = [kept for kept in self.host if kept is not memory]

    def stream(self) -> int:
        self.queues[len(self.queues) + 1] = []
        return len(self.queues)

    def destroy_stream(self, stream: int) -> None:
        del self.queues[stream]

    @property
    def capturing(self) -> bool:
        """Whether what is queued now is recorded and not run."""
        return self._capturing is not None

    def queue(self, stream: int, work: Callable[[], None]) -> None:
        (self.queues[stream] if self._capturing is None else self._capturing).append(work)

    def synchronise(self, stream: int) -> None:
        for work in self.queues[stream]:
            work()
        self.queues[stream].clear()

    def wait_for(self, stream: int, other: int) -> None:
        self.queue(stream, lambda: self.synchronise(other))

    def bytes_at(self, pointer: int, size: int) -> NDArray[np.uint8]:
        start = max(known for known in self.memory if known <= pointer)
        return self.memory[start][pointer - start : pointer - start + size]

    def copy_in(self, target: int, source: NDArray[Any], stream: int) -> None:
        def copy() -> None:
            self.bytes_at(target, source.nbytes)[:] = source.reshape(-1).view(np.uint8)

        self.queue(stream, copy)

    def copy_out(self, target: NDArray[Any], source: int, stream: int) -> None:
        def copy() -> None:
            target.reshape(-1).view(np.uint8)[:] = self.bytes_at(source, target.nbytes)

        self.queue(stream, copy)

    def copy_within(self, target: int, source: int, size: int, stream: int) -> None:
        def copy() -> None:
            self.bytes_at(target, size)[:] = self.bytes_at(source, size)

        self.queue(stream, copy)

    def capture(self, stream: int, work: Callable[[], None]) -> int:
        if not self.capturable:
            raise ModelError("GPU: cuStreamEndCapture failed with CUDA_ERROR_STREAM_CAPTURE_INVALIDATED")
        assert stream in self.queues
        self._capturing = []
        work()
        self._captures += 1
        self.graphs[self._captures], self._capturing = self._capturing, None
        return self._captures

    def launch(self, executable: int, stream: int) -> None:
        self.launches += 1
        self.queues[stream].extend(self.graphs[executable])

    def destroy_graph(self, executable: int) -> None:
        del self.graphs[executable]


class FakeEngine:
    """See ``reid_tracker.runtime.tensorrt.engine.Engine``: (N, 3) float32 "x" -> "sum" (N,) and "double" (N, 3)."""

    captures_itself = False

    def __init__(self, gpu: FakeGpu, least: int = 1, most: int = 4) -> None:
        self.gpu = gpu
        self.batches: list[int] = []
        self.contexts: WeakSet[FakeContext] = WeakSet()
        self.tensors = (
            EngineTensor("x", True, np.dtype(np.float32), (None, 3), (least, 3), (most, 3)),
            EngineTensor("sum", False, np.dtype(np.float32), (None,)),
            EngineTensor("double", False, np.dtype(np.float32), (None, 3)),
        )

    def context(self) -> FakeContext:
        made = FakeContext(self)
        self.contexts.add(made)
        return made


class FakeContext:
    """See ``reid_tracker.runtime.tensorrt.engine.Context``.

    As TensorRT has it, a run can be captured only after one since the last change of shape, and replayed only while
    nothing of the context has changed since, nor the context ended.
    """

    def __init__(self, engine: FakeEngine) -> None:
        self._engine = engine
        self._rows = 0
        self._addresses: dict[str, int] = {}
        self._settled = False

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> None:
        tensor = self._engine.tensors[0]
        assert name == "x"
        assert tensor.least[0] <= shape[0] <= tensor.most[0]
        self._settled = self._settled and self._rows == shape[0]
        self._rows = shape[0]

    def shape(self, name: str) -> tuple[int, ...]:
        return {"x": (self._rows, 3), "sum": (self._rows,), "double": (self._rows, 3)}[name]

    def set_address(self, name: str, pointer: int) -> None:
        assert pointer % 256 == 0, "TensorRT refuses such an address"
        self._addresses[name] = pointer

    def enqueue(self, stream: int) -> None:
        gpu, rows, at = self._engine.gpu, self._rows, dict(self._addresses)
        captured = gpu.capturing
        assert self._settled or not captured
        self._settled = True
        alive = ref(self)

        def compute() -> None:
            context = alive()
            assert context is not None
            assert not captured or (context._rows, context._addresses) == (rows, at)
            context._engine.batches.append(rows)
            x = gpu.bytes_at(at["x"], rows * 12).view(np.float32).reshape(rows, 3)
            gpu.bytes_at(at["sum"], rows * 4).view(np.float32)[:] = x.sum(axis=1)
            gpu.bytes_at(at["double"], rows * 12).view(np.float32)[:] = 2 * x.reshape(-1)

        gpu.queue(stream, compute)

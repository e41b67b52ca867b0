"""A network on a TensorRT engine: buffers once, two batches in flight, any number of rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reid_tracker.errors import ModelError
from reid_tracker.runtime.session import RuntimeDescription, TensorSpec
from reid_tracker.runtime.tensorrt.captured import CapturedRuns
from reid_tracker.runtime.tensorrt.engine import Engine, Gpu
from reid_tracker.runtime.tensorrt.planning import ALIGNMENT, EngineTensor, batch_of, buffer_bytes, padded, pieces

_SLOTS = 2  # one batch is copied while the other computes
_NAMES_STREAMS = 3  # version of __cuda_array_interface__ from which on arrays say which stream fills them
_DEFAULT_STREAM = 1  # its number there, and the driver's (CU_STREAM_LEGACY)


class TensorRtSession:
    """See ``reid_tracker.runtime.Session``. Holds memory of the GPU until ``close``.

    Inputs may be numpy arrays, or arrays that lie on the GPU already and say so (``__cuda_array_interface__``, as
    torch tensors do): those are read where they are (or copied on the GPU, where their address is no multiple of 256),
    after the work that fills them. That is what was queued on the
    stream that the array names (version 3 of the interface; naming none says that it is filled), or on the default
    stream where the version is older and cannot name one, as torch's is: with torch, work on its default stream or
    synchronise.

    Args:
        engine: loaded.
        gpu: where it runs.
        metadata: the network's own notes.
        description: for ``describe``.
    """

    def __init__(self, engine: Engine, gpu: Gpu, metadata: Mapping[str, str], description: RuntimeDescription) -> None:
        self._gpu = gpu
        self._description = description
        self._takes = tuple(tensor for tensor in engine.tensors if tensor.is_input)
        self._gives = tuple(tensor for tensor in engine.tensors if not tensor.is_input)
        if not self._takes or not self._gives:
            raise ModelError(f"engine {description.model}: has no input or no output")
        self.inputs = tuple(TensorSpec(tensor.name, tensor.shape, tensor.dtype) for tensor in self._takes)
        self.outputs = tuple(TensorSpec(tensor.name, tensor.shape, tensor.dtype) for tensor in self._gives)
        self.metadata = metadata
        self._most = min(tensor.most[0] for tensor in self._takes)
        self._slots = [_Slot(engine, gpu, self._takes, self._gives) for _ in range(_SLOTS)]

    def run(self, inputs: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
        """See ``Session.run``; batches larger than the engine's are run in pieces."""
        self._gpu.make_current()
        given = {tensor.name: _input(inputs, tensor) for tensor in self._takes if tensor.name in inputs}
        rows = batch_of(self._takes, {name: tuple(array.shape) for name, array in given.items()})
        parts = pieces(rows, self._most)
        if not parts:
            return self._nothing(given)
        try:
            return self._in_pieces(given, parts)
        except BaseException:
            for slot in self._slots:  # nothing may still copy to or from buffers that the next call fills
                with suppress(ModelError):  # which would hide what went wrong
                    slot.settle()
            raise

    def describe(self) -> RuntimeDescription:
        """See ``Session.describe``."""
        return self._description

    def close(self) -> None:
        """Give the GPU's memory back; the session cannot be used after."""
        self._gpu.make_current()
        for slot in self._slots:
            slot.close()
        self._slots = []

    def _in_pieces(self, given: Mapping[str, Any], parts: Sequence[slice]) -> dict[str, NDArray[Any]]:
        rows = parts[-1].stop
        results: dict[str, NDArray[Any]] = {}
        waiting: list[tuple[slice, _Slot]] = []
        for number, part in enumerate(parts):
            slot = self._slots[number % _SLOTS]
            if len(waiting) == _SLOTS:
                self._collect(*waiting.pop(0), rows, results)
            slot.submit({name: array[part] for name, array in given.items()}, part.stop - part.start)
            waiting.append((part, slot))
        for part, slot in waiting:
            self._collect(part, slot, rows, results)
        return results

    def _collect(self, part: slice, slot: _Slot, rows: int, results: dict[str, NDArray[Any]]) -> None:
        for name, values in slot.collect(part.stop - part.start).items():
            if name not in results:
                results[name] = np.empty((rows, *values.shape[1:]), values.dtype)
            results[name][part] = values

    def _nothing(self, given: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
        shapes = self._slots[0].output_shapes(
            {tensor.name: (tensor.least[0], *given[tensor.name].shape[1:]) for tensor in self._takes}
        )
        return {tensor.name: np.empty((0, *shapes[tensor.name][1:]), tensor.dtype) for tensor in self._gives}


class _Slot:
    """Buffers, a stream and a context for one batch, and what is captured of it."""

    def __init__(
        self, engine: Engine, gpu: Gpu, takes: tuple[EngineTensor, ...], gives: tuple[EngineTensor, ...]
    ) -> None:
        self._gpu = gpu
        self._takes, self._gives = takes, gives
        self._context = engine.context()
        self._stream = gpu.stream()
        most = self.output_shapes({tensor.name: tensor.most for tensor in takes})
        sizes = {
            tensor.name: buffer_bytes(tensor.dtype, tensor.most or most[tensor.name]) for tensor in (*takes, *gives)
        }
        self._device = {name: gpu.allocate(size) for name, size in sizes.items()}
        self._host = {name: gpu.pinned(size) for name, size in sizes.items()}
        self._captured = None if engine.captures_itself else CapturedRuns(engine, gpu, self._stream, self._device)
        for tensor in gives:
            self._context.set_address(tensor.name, self._device[tensor.name])

    def output_shapes(self, inputs: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
        """Shapes of the outputs for inputs of these shapes."""
        for name, shape in inputs.items():
            self._context.set_input_shape(name, shape)
        return {tensor.name: self._context.shape(tensor.name) for tensor in self._gives}

    def submit(self, inputs: Mapping[str, Any], rows: int) -> None:
        """Queue copy in, network and copy out. ``collect`` must follow before the next."""
        places = padded(rows, self._takes)
        own = [self._bring(tensor, inputs[tensor.name], rows, places) for tensor in self._takes]
        shapes = {tensor.name: (places, *inputs[tensor.name].shape[1:]) for tensor in self._takes}
        given = self.output_shapes(shapes)
        if not all(own) or self._captured is None or not self._captured.run(tuple(shapes.items())):
            self._context.enqueue(self._stream)
        self._out = {tensor.name: self._staged(tensor, given[tensor.name]) for tensor in self._gives}
        for name, target in self._out.items():
            self._gpu.copy_out(target, self._device[name], self._stream)

    def collect(self, rows: int) -> dict[str, NDArray[Any]]:
        """Wait for what ``submit`` queued; views that the next ``submit`` overwrites."""
        self.settle()
        return {name: values[:rows] for name, values in self._out.items()}

    def settle(self) -> None:
        """Wait until nothing is queued."""
        self._gpu.synchronise(self._stream)

    def close(self) -> None:
        """Give everything back."""
        self.settle()
        if self._captured is not None:
            self._captured.close()
        for pointer in self._device.values():
            self._gpu.free(pointer)
        self._out = {}
        for memory in self._host.values():
            self._gpu.free_pinned(memory)
        self._gpu.destroy_stream(self._stream)

    def _bring(self, tensor: EngineTensor, source: NDArray[Any] | _OnGpu, rows: int, places: int) -> bool:
        """Have the context find an input's rows, and whether that is in the slot's own buffer."""
        buffer = self._device[tensor.name]
        if isinstance(source, _OnGpu):
            if places != rows:
                raise ModelError(
                    f"engine: {rows} rows that lie on the GPU are fewer than its least batch ({places}); "
                    "fill them up, or build with --batch 1,..."
                )
            if source.stream is not None:
                self._gpu.wait_for(self._stream, source.stream)
            if source.pointer % ALIGNMENT == 0:
                self._context.set_address(tensor.name, source.pointer)
                return False
            self._gpu.copy_within(buffer, source.pointer, source.size, self._stream)
        else:
            staged = self._staged(tensor, (places, *source.shape[1:]))
            staged[:rows] = source
            staged[rows:] = 0
            self._gpu.copy_in(buffer, staged, self._stream)
        self._context.set_address(tensor.name, buffer)
        return True

    def _staged(self, tensor: EngineTensor, shape: tuple[int, ...]) -> NDArray[Any]:
        count = int(np.prod(shape))
        return self._host[tensor.name][: count * tensor.dtype.itemsize].view(tensor.dtype).reshape(shape)


@dataclass(frozen=True, slots=True)
class _OnGpu:
    """A contiguous array on the GPU, and the stream whose work fills it; None where nothing does any more."""

    pointer: int
    shape: tuple[int, ...]
    itemsize: int
    stream: int | None

    @property
    def size(self) -> int:
        """Bytes."""
        return int(np.prod(self.shape)) * self.itemsize

    def __getitem__(self, rows: slice) -> _OnGpu:
        row_bytes = int(np.prod(self.shape[1:])) * self.itemsize
        shape = (rows.stop - rows.start, *self.shape[1:])
        return replace(self, pointer=self.pointer + rows.start * row_bytes, shape=shape)


def _input(inputs: Mapping[str, Any], tensor: EngineTensor) -> NDArray[Any] | _OnGpu:
    value = inputs[tensor.name]
    described = getattr(value, "__cuda_array_interface__", None)
    if described is None:
        array = np.asarray(value)
        if array.dtype != tensor.dtype:
            raise ModelError(f"engine: input {tensor.name!r} takes {tensor.dtype}, got {array.dtype}")
        return array
    dtype = np.dtype(described["typestr"])
    if dtype != tensor.dtype or described.get("strides") is not None:
        raise ModelError(f"engine: input {tensor.name!r} takes contiguous {tensor.dtype}, got {dtype} on the GPU")
    stream = described.get("stream") if described["version"] >= _NAMES_STREAMS else _DEFAULT_STREAM
    return _OnGpu(int(described["data"][0]), tuple(described["shape"]), dtype.itemsize, stream)

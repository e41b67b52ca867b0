"""The few calls of the CUDA driver that running an engine takes, over ctypes.

The driver's own library is used and not the CUDA runtime: every machine with a working GPU has it, in one version,
under one name. Contexts are the device's primary one, which the CUDA runtime, torch and TensorRT share.

Nothing here is loaded by importing. ``probe`` must come before any TensorRT runtime object: without a driver those
return null objects, and using one ends the process.
"""

from __future__ import annotations

import ctypes
import ctypes.util
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reid_tracker.errors import ModelError

_LIBRARY = "libcuda.so.1"
_CAPABILITY_MAJOR, _CAPABILITY_MINOR = 75, 76  # CUdevice_attribute
_CAPTURE_RELAXED = 2  # CUstreamCaptureMode: other threads may allocate meanwhile
_NON_BLOCKING = 1  # CUstream_flags
_NO_TIMING = 2  # CUevent_flags


@dataclass(frozen=True, slots=True)
class Device:
    """A GPU.

    Attributes:
        index: as the driver numbers it.
        name: of the product.
        compute_capability: e.g. (9, 0).
        memory: bytes.
    """

    index: int
    name: str
    compute_capability: tuple[int, int]
    memory: int

    @property
    def capability_text(self) -> str:
        """E.g. ``9.0``."""
        return "{}.{}".format(*self.compute_capability)


@dataclass(frozen=True, slots=True)
class Probe:
    """What the driver says.

    Attributes:
        device: the first GPU; None where there is none to use.
        reason: why there is none; empty where there is one.
        newest_cuda: major and minor version of the newest CUDA that the driver knows; (0, 0) where it was not asked.
    """

    device: Device | None
    reason: str
    newest_cuda: tuple[int, int] = (0, 0)


@cache
def probe() -> Probe:
    """Whether there is a GPU to use, asked once a process; never raises."""
    try:
        library = ctypes.CDLL(_LIBRARY)
    except OSError:
        return Probe(None, "no NVIDIA driver (libcuda.so.1 is not there)")
    code = library.cuInit(0)
    if code:
        return Probe(None, f"the NVIDIA driver does not start ({_name_of(library, code)})")
    count = ctypes.c_int()
    code = library.cuDeviceGetCount(ctypes.byref(count))
    if code or not count.value:
        return Probe(None, "the NVIDIA driver shows no GPU (is CUDA_VISIBLE_DEVICES empty?)")
    version = ctypes.c_int()
    _must(library, library.cuDriverGetVersion(ctypes.byref(version)), "cuDriverGetVersion")
    return Probe(_device(library, 0), "", (version.value // 1000, version.value % 1000 // 10))


def _device(library: Any, index: int) -> Device:
    handle, name, memory = ctypes.c_int(), ctypes.create_string_buffer(256), ctypes.c_size_t()
    _must(library, library.cuDeviceGet(ctypes.byref(handle), index), "cuDeviceGet")
    _must(library, library.cuDeviceGetName(name, len(name), handle), "cuDeviceGetName")
    _must(library, library.cuDeviceTotalMem_v2(ctypes.byref(memory), handle), "cuDeviceTotalMem")
    capability = []
    for attribute in (_CAPABILITY_MAJOR, _CAPABILITY_MINOR):
        value = ctypes.c_int()
        _must(library, library.cuDeviceGetAttribute(ctypes.byref(value), attribute, handle), "cuDeviceGetAttribute")
        capability.append(value.value)
    return Device(index, name.value.decode(errors="replace"), (capability[0], capability[1]), memory.value)


class Cuda:
    """Memory, streams and graphs of one GPU. Belongs to whoever made it; not thread-safe.

    Raises:
        ModelError: there is no GPU to use, or a call of the driver fails.
    """

    def __init__(self) -> None:
        found = probe()
        if found.device is None:
            raise ModelError(f"GPU: {found.reason}; install the driver, or set runtime.backend to auto")
        self.device = found.device
        self._library = ctypes.CDLL(_LIBRARY)
        self._context = ctypes.c_void_p()
        self._call("cuDevicePrimaryCtxRetain", ctypes.byref(self._context), ctypes.c_int(self.device.index))
        self.make_current()

    def make_current(self) -> None:
        """Bind the GPU's context to this thread."""
        self._call("cuCtxSetCurrent", self._context)

    def allocate(self, size: int) -> int:
        """Address of ``size`` bytes on the GPU."""
        pointer = ctypes.c_uint64()
        self._call("cuMemAlloc_v2", ctypes.byref(pointer), ctypes.c_size_t(max(1, size)))
        return pointer.value

    def free(self, pointer: int) -> None:
        """Give back what ``allocate`` gave."""
        self._call("cuMemFree_v2", ctypes.c_uint64(pointer))

    def pinned(self, size: int) -> NDArray[np.uint8]:
        """(size,) bytes of host memory that the GPU copies to and from without a detour; never freed before exit."""
        pointer = ctypes.c_void_p()
        self._call("cuMemHostAlloc", ctypes.byref(pointer), ctypes.c_size_t(max(1, size)), ctypes.c_uint(0))
        return np.ctypeslib.as_array(ctypes.cast(pointer, ctypes.POINTER(ctypes.c_uint8)), (max(1, size),))

    def free_pinned(self, memory: NDArray[np.uint8]) -> None:
        """Give back what ``pinned`` gave; no view of it may be used after."""
        self._call("cuMemFreeHost", ctypes.c_void_p(memory.ctypes.data))

    def stream(self) -> int:
        """A stream that neither waits for the default stream nor makes it wait; ``wait_for`` orders them."""
        handle = ctypes.c_void_p()
        self._call("cuStreamCreate", ctypes.byref(handle), ctypes.c_uint(_NON_BLOCKING))
        return handle.value or 0

    def destroy_stream(self, stream: int) -> None:
        """Give a stream back."""
        self._call("cuStreamDestroy_v2", ctypes.c_void_p(stream))

    def synchronise(self, stream: int) -> None:
        """Wait until everything queued on the stream is done."""
        self._call("cuStreamSynchronize", ctypes.c_void_p(stream))

    def wait_for(self, stream: int, other: int) -> None:
        """Have what is queued on ``stream`` from now on wait for what is queued on ``other`` so far."""
        event = ctypes.c_void_p()
        self._call("cuEventCreate", ctypes.byref(event), ctypes.c_uint(_NO_TIMING))
        try:
            self._call("cuEventRecord", event, ctypes.c_void_p(other))
            self._call("cuStreamWaitEvent", ctypes.c_void_p(stream), event, ctypes.c_uint(0))
        finally:
            self._call("cuEventDestroy_v2", event)  # the driver keeps it until nobody waits any more

    def copy_in(self, target: int, source: NDArray[Any], stream: int) -> None:
        """Queue a copy of a contiguous host array to the GPU."""
        self._call(
            "cuMemcpyHtoDAsync_v2",
            ctypes.c_uint64(target),
            ctypes.c_void_p(source.ctypes.data),
            ctypes.c_size_t(source.nbytes),
            ctypes.c_void_p(stream),
        )

    def copy_out(self, target: NDArray[Any], source: int, stream: int) -> None:
        """Queue a copy from the GPU into a contiguous host array."""
        self._call(
            "cuMemcpyDtoHAsync_v2",
            ctypes.c_void_p(target.ctypes.data),
            ctypes.c_uint64(source),
            ctypes.c_size_t(target.nbytes),
            ctypes.c_void_p(stream),
        )

    def copy_within(self, target: int, source: int, size: int, stream: int) -> None:
        """Queue a copy of ``size`` bytes from one place on the GPU to another."""
        self._call(
            "cuMemcpyDtoDAsync_v2",
            ctypes.c_uint64(target),
            ctypes.c_uint64(source),
            ctypes.c_size_t(size),
            ctypes.c_void_p(stream),
        )

    def capture(self, stream: int, work: Callable[[], None]) -> int:
        """Record what ``work`` queues on the stream; ``launch`` repeats it in one call."""
        graph, executable = ctypes.c_void_p(), ctypes.c_void_p()
        self._call("cuStreamBeginCapture_v2", ctypes.c_void_p(stream), ctypes.c_int(_CAPTURE_RELAXED))
        try:
            work()
        finally:
            self._call("cuStreamEndCapture", ctypes.c_void_p(stream), ctypes.byref(graph))
        try:
            self._call("cuGraphInstantiateWithFlags", ctypes.byref(executable), graph, ctypes.c_ulonglong(0))
        finally:
            self._call("cuGraphDestroy", graph)
        return executable.value or 0

    def launch(self, executable: int, stream: int) -> None:
        """Queue a captured graph."""
        self._call("cuGraphLaunch", ctypes.c_void_p(executable), ctypes.c_void_p(stream))

    def destroy_graph(self, executable: int) -> None:
        """Give a captured graph back."""
        self._call("cuGraphExecDestroy", ctypes.c_void_p(executable))

    def _call(self, function: str, *arguments: object) -> None:
        _must(self._library, getattr(self._library, function)(*arguments), function)


def _must(library: Any, code: int, what: str) -> None:
    if code:
        raise ModelError(f"GPU: {what} failed with {_name_of(library, code)}; see nvidia-smi for its state and memory")


def _name_of(library: Any, code: int) -> str:
    name = ctypes.c_char_p()
    library.cuGetErrorName(ctypes.c_int(code), ctypes.byref(name))
    return name.value.decode() if name.value else f"CUDA error {code}"

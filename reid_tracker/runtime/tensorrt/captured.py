"""Runs that repeat, as CUDA graphs: one call of the driver in place of one for each kernel."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

from reid_tracker.errors import ModelError
from reid_tracker.runtime.tensorrt.engine import Context, Engine, Gpu

logger = logging.getLogger(__name__)

_MOST = 4  # shapes kept at once: each has a context, and with it scratch memory of its own on the GPU

Shapes = tuple[tuple[str, tuple[int, ...]], ...]


@dataclass(slots=True)
class _Captured:
    """A graph, and the context that it was captured from, which must outlive it and never change again."""

    context: Context
    executable: int
    used: int


class CapturedRuns:
    """The captured runs of one stream, over buffers that stay where they are. Not thread-safe.

    TensorRT replays a graph rightly only while its context is as it was at the capture, so that each has one to
    itself; and it must run once after a change of shapes before it can be captured.

    Args:
        engine: to make contexts of.
        gpu: where it runs.
        stream: that everything is queued on; earlier runs are done when ``run`` is called.
        addresses: of all inputs and outputs.
    """

    def __init__(self, engine: Engine, gpu: Gpu, stream: int, addresses: Mapping[str, int]) -> None:
        self._engine = engine
        self._gpu = gpu
        self._stream = stream
        self._addresses = addresses
        self._kept: OrderedDict[Shapes, _Captured] = OrderedDict()  # least recently used first
        self._seen: dict[Shapes, int] = {}  # the run in which shapes came last
        self._runs = 0
        self._works = True

    def run(self, shapes: Shapes) -> bool:
        """Queue the network for inputs of these shapes; False where the caller must, with a context of its own.

        Shapes are captured when they come again: where the most are kept, when they have come twice since the least
        recently used one was used, which then goes.
        """
        if not self._works:
            return False
        self._runs += 1
        before, self._seen[shapes] = self._seen.get(shapes), self._runs
        if shapes in self._kept:
            self._kept.move_to_end(shapes)
            self._kept[shapes].used = self._runs
            self._gpu.launch(self._kept[shapes].executable, self._stream)
            return True
        if before is None:
            return False
        if len(self._kept) == _MOST:
            oldest = next(iter(self._kept))
            if self._kept[oldest].used > before:
                return False
            self._gpu.destroy_graph(self._kept.pop(oldest).executable)
        return self._run_and_capture(shapes)

    def close(self) -> None:
        """Give all graphs and contexts back; nothing may be queued any more."""
        for captured in self._kept.values():
            self._gpu.destroy_graph(captured.executable)
        self._kept.clear()

    def _run_and_capture(self, shapes: Shapes) -> bool:
        queued = False
        try:
            context = self._context(shapes)
            context.enqueue(self._stream)
            queued = True
            executable = self._gpu.capture(self._stream, lambda: context.enqueue(self._stream))
        except ModelError as error:  # no room for another context, or steps on the host, which no graph can hold
            logger.warning("engine: goes on without CUDA graphs (%s)", error)
            self._works = False
            self._gpu.synchronise(self._stream)  # contexts and graphs may not end before their work does
            self.close()
            return queued
        self._kept[shapes] = _Captured(context, executable, self._runs)
        return True

    def _context(self, shapes: Shapes) -> Context:
        context = self._engine.context()
        for name, shape in shapes:
            context.set_input_shape(name, shape)
        for name, pointer in self._addresses.items():
            context.set_address(name, pointer)
        return context

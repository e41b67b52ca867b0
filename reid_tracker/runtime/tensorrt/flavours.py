"""The two TensorRT libraries behind one small adapter: ``tensorrt`` for data-centre GPUs, ``tensorrt_rtx`` for RTX.

Both have the same Python interface. Networks are strongly typed in both, so that precision lies in the network and
there are no builder flags for it; what differs is found by asking for the feature, not the version:

* RTX builds without a GPU, for the compute capabilities that it is told, and finishes compiling when it loads;
* ``tensorrt`` builds on the GPU that will run it, and keeps timings of kernels for the next build.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

from reid_tracker.errors import ConfigError, ModelError
from reid_tracker.runtime import cuda

logger = logging.getLogger(__name__)

FlavourName = Literal["tensorrt", "tensorrt_rtx"]
FLAVOURS: tuple[FlavourName, ...] = ("tensorrt", "tensorrt_rtx")
Shape = tuple[int, ...]
_CUDA_MAJORS = (13, 12)  # that packages of the libraries exist for


@dataclass(frozen=True, slots=True)
class InputShapes:
    """Shapes that an engine accepts for one input: the least, the one it is tuned for, the most."""

    least: Shape
    best: Shape
    most: Shape


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a build is: phases lie within one another, the outermost first in ``path``.

    Attributes:
        path: names of the phases.
        done: steps of the innermost.
        steps: it has.
    """

    path: tuple[str, ...]
    done: int
    steps: int


class Interrupted(KeyboardInterrupt):
    """Whoever watched a build asked it to stop."""


class Flavour:
    """One installed TensorRT library.

    Raises:
        ConfigError: it is not installed, or its package is only a stub that could not fetch the library.
    """

    def __init__(self, name: FlavourName) -> None:
        self.name = name
        try:
            self.module: Any = importlib.import_module(name)
        except ImportError as error:
            extra = name.replace("_", "-")
            raise ConfigError(
                f"runtime: {name} cannot be imported ({error}); run: pip install 'reid_tracker[{extra}]'"
            ) from error
        self.version = str(self.module.__version__)
        self._logger = _logger_of(self.module)

    @property
    def builds_without_gpu(self) -> bool:
        """Whether engines can be built for GPUs that are elsewhere."""
        return hasattr(self.module, "ComputeCapability")

    def capabilities(self) -> tuple[str, ...]:
        """Compute capabilities that can be built for without the GPU, e.g. ``8.6``."""
        if not self.builds_without_gpu:
            return ()
        names = [name for name in dir(self.module.ComputeCapability) if name.startswith("SM") and name[2:].isdigit()]
        numbers = sorted(int(name[2:]) for name in names)
        return tuple(f"{number // 10}.{number % 10}" for number in numbers)

    def build(
        self,
        network: bytes,
        shapes: dict[str, InputShapes],
        capabilities: tuple[str, ...] = (),
        workspace: int | None = None,
        timing_cache: bytes = b"",
        watch: Callable[[Progress], bool] = lambda _progress: True,
    ) -> tuple[bytes, bytes]:
        """Compile an ONNX network.

        Args:
            network: serialised ONNX.
            shapes: by input, for those with free sizes.
            capabilities: compute capabilities to compile for; empty leaves it to the library (RTX), or takes the GPU
                that is here.
            workspace: bytes that layers may use for scratch.
            timing_cache: of an earlier build, where the library keeps one.
            watch: told of each step; False stops the build.

        Returns:
            The engine, and the timing cache for the next build (empty where there is none).

        Raises:
            Interrupted: ``watch`` returned False.
            ModelError: the library cannot compile this network.
            ConfigError: no GPU where the library needs one, or capabilities that it does not know.
        """
        if not self.builds_without_gpu and cuda.probe().device is None:
            raise ConfigError(
                f"runtime: {self.name} builds on the GPU that will run the engine, and there is none here: "
                f"{cuda.probe().reason}; build there, or use tensorrt_rtx"
            )
        trt = self.module
        builder = trt.Builder(self._logger)
        graph = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
        parser = trt.OnnxParser(graph, self._logger)
        if not parser.parse(network):
            raise ModelError(f"{self.name} {self.version} cannot read the network: {_first_error(parser)}")
        config = builder.create_builder_config()
        if hasattr(trt.BuilderFlag, "TF32"):
            config.clear_flag(trt.BuilderFlag.TF32)  # ten bits of fraction where the network says float32
        if workspace is not None:
            config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, workspace)
        self._set_shapes(builder, config, graph, shapes)
        self._set_capabilities(config, capabilities)
        timings = self._set_timings(config, timing_cache)
        monitor = _monitor_of(trt, watch)
        config.progress_monitor = monitor
        self._logger.errors.clear()
        plan = builder.build_serialized_network(graph, config)
        if monitor.stopped:
            raise Interrupted
        if plan is None:
            said = "; ".join(self._logger.errors) or "no reason given"
            raise ModelError(f"{self.name} {self.version} cannot build the engine: {said}")
        return bytes(plan), bytes(timings.serialize()) if timings is not None else b""

    def load(self, plan: bytes) -> Any:
        """An ``ICudaEngine`` from the bytes of an engine that was checked before.

        Raises:
            ModelError: no GPU, or the library refuses the engine.
        """
        found = cuda.probe()
        if found.device is None:  # a runtime object without a driver is null, and using it ends the process
            raise ModelError(f"{self.name}: an engine needs a GPU to be loaded: {found.reason}")
        self._logger.errors.clear()
        engine = self.module.Runtime(self._logger).deserialize_cuda_engine(plan)
        if engine is None:
            said = "; ".join(self._logger.errors) or "no reason given"
            raise ModelError(f"{self.name} {self.version} refuses the engine on {found.device.name}: {said}")
        return engine

    def _set_shapes(self, builder: Any, config: Any, graph: Any, shapes: dict[str, InputShapes]) -> None:
        profile, free = builder.create_optimization_profile(), False
        for place in range(graph.num_inputs):
            tensor = graph.get_input(place)
            if -1 not in tuple(tensor.shape):
                continue
            if tensor.name not in shapes:
                raise ConfigError(
                    f"engine: input {tensor.name!r} {tuple(tensor.shape)} has free sizes; give its shapes"
                )
            wanted = shapes[tensor.name]
            profile.set_shape(tensor.name, wanted.least, wanted.best, wanted.most)
            free = True
        if free and config.add_optimization_profile(profile) < 0:
            raise ConfigError(f"engine: {self.name} refuses the shapes {shapes}; least <= best <= most must hold")

    def _set_capabilities(self, config: Any, capabilities: tuple[str, ...]) -> None:
        if not capabilities:
            return
        known = self.capabilities()
        for wanted in capabilities:
            if wanted not in known:
                raise ConfigError(
                    f"engine: {self.name} {self.version} cannot build for compute capability {wanted} "
                    f"(it can for {', '.join(known) or 'the GPU that is here'})"
                )
        config.num_compute_capabilities = len(capabilities)
        for place, wanted in enumerate(capabilities):
            config.set_compute_capability(getattr(self.module.ComputeCapability, f"SM{wanted.replace('.', '')}"), place)

    def _set_timings(self, config: Any, earlier: bytes) -> Any:
        if self.builds_without_gpu:  # nothing is timed where there is nothing to time on
            return None
        timings = config.create_timing_cache(earlier)
        config.set_timing_cache(timings, ignore_mismatch=False)
        return timings


def must_be_able_to_build() -> None:
    """Whether the tools that rewrite networks are installed.

    Raises:
        ConfigError: one is missing.
    """
    for package in ("onnx", "ml_dtypes"):
        if importlib.util.find_spec(package) is None:
            raise ConfigError(
                f"engine: building needs {package}, which is not installed; run: pip install 'reid_tracker[tensorrt]' "
                "or 'reid_tracker[tensorrt-rtx]'"
            )


def installed_flavours() -> list[FlavourName]:
    """Names of the libraries that look installed, the data-centre one first."""
    return [name for name in FLAVOURS if importlib.util.find_spec(name) is not None]


def cuda_of(name: str) -> int:
    """Major version of CUDA that an installed library was built for, as its package's name has it; 0 where none has."""
    for major in _CUDA_MAJORS:
        with suppress(importlib.metadata.PackageNotFoundError):
            importlib.metadata.version(f"{name}_cu{major}")
            return major
    return 0


def open_flavour(name: FlavourName | None = None) -> Flavour:
    """A library by name, or the first that can be imported.

    Raises:
        ConfigError: there is none.
    """
    if name is not None:
        return Flavour(name)
    problems = []
    for candidate in installed_flavours():
        try:
            return Flavour(candidate)
        except ConfigError as error:
            problems.append(str(error))
    raise ConfigError(
        "; ".join(problems)
        or "runtime: no TensorRT is installed; run: pip install 'reid_tracker[tensorrt-rtx]' (RTX GPUs; builds without "
        "one) or 'reid_tracker[tensorrt]' (data-centre GPUs)"
    )


def _first_error(parser: Any) -> str:
    if not parser.num_errors:
        return "no reason given"
    error = parser.get_error(0)
    return f"{error.desc()} (node {error.node_name() or error.node()})"


def _logger_of(trt: Any) -> Any:
    """The library's messages in ours; errors are also kept, because its calls return None and say no more."""

    class Logger(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.errors: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            if severity in (trt.ILogger.Severity.INTERNAL_ERROR, trt.ILogger.Severity.ERROR):
                self.errors.append(" ".join(message.split()))
                logger.info("%s", message)
            else:
                logger.debug("%s", message)

    return Logger()


def _monitor_of(trt: Any, watch: Callable[[Progress], bool]) -> Any:
    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self.stopped = False
            self._open: dict[str, tuple[tuple[str, ...], int]] = {}

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            above = self._open[parent_phase][0] if parent_phase in self._open else ()
            self._open[phase_name] = ((*above, phase_name), num_steps)
            self._tell(phase_name, 0)

        def step_complete(self, phase_name: str, step: int) -> bool:
            return self._tell(phase_name, step + 1)

        def phase_finish(self, phase_name: str) -> None:
            self._open.pop(phase_name, None)

        def _tell(self, phase: str, done: int) -> bool:
            path, steps = self._open.get(phase, ((phase,), 0))
            try:
                go_on = watch(Progress(path, done, steps))
            except KeyboardInterrupt:  # an exception cannot cross the library; the builder hears of it, then stops
                go_on = False
            self.stopped = self.stopped or not go_on
            return not self.stopped

    return Monitor()

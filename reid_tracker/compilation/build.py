"""Engines of networks by name: what ``reid-tracker engines build`` and the start of a run do."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from reid_tracker.compilation.parity import compare
from reid_tracker.compilation.pictures import picture_batches
from reid_tracker.config import Config, RuntimeConfig
from reid_tracker.detection import detector_name
from reid_tracker.detection.network import MOST_FRAMES
from reid_tracker.errors import ConfigError, ModelError, ReidTrackerError
from reid_tracker.parts import registered_names
from reid_tracker.runtime import InputSpec, Manifest, find_model, open_session, shipped_models
from reid_tracker.runtime.manifest import read_manifest
from reid_tracker.runtime.session import TensorSpec
from reid_tracker.runtime.tensorrt.building import BuildRequest, Built, build_engine, shapes_for
from reid_tracker.runtime.tensorrt.cache import EngineCache
from reid_tracker.runtime.tensorrt.flavours import FlavourName, Progress, must_be_able_to_build, open_flavour
from reid_tracker.runtime.tensorrt.opening import EngineUnavailable, cache_of, find_engine
from reid_tracker.runtime.tensorrt.records import Precision

logger = logging.getLogger(__name__)

Sizes = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]
DETECTOR_SIZES: Sizes = ((192, 256), (480, 640), (1088, 1920))
"""Least, best and most height and width of a detector's free input."""
_DETECTOR_BATCH = (1, MOST_FRAMES // 2, MOST_FRAMES)  # a detector calls with no more, and memory grows with the most
_LARGEST_COMPARED = (480, 640)  # pictures to compare on: larger ones take minutes on a processor and show no more


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """How to build.

    Attributes:
        precision: of the arithmetic.
        batch: least, best and most pictures at once.
        sizes_hw: the same of height and width, for networks that leave them free.
        flavour: TensorRT library; None takes the first that can be loaded.
        capabilities: compute capabilities to build for; empty leaves it to the library.
        workspace: bytes of scratch; None for the library's limit.
        pictures: folder of real pictures; None takes the clip that ships.
        force: keep an engine that differs too much from float32.
        again: build although it is in the cache.
    """

    precision: Precision = "fp16"
    batch: tuple[int, int, int] = (1, 16, 64)
    sizes_hw: Sizes = DETECTOR_SIZES
    flavour: FlavourName | None = None
    capabilities: tuple[str, ...] = ()
    workspace: int | None = None
    pictures: Path | None = None
    force: bool = False
    again: bool = False


def build_engines(
    name: str,
    options: EngineOptions,
    cache: EngineCache,
    watch: Callable[[Progress], bool] = lambda _progress: True,
) -> Built:
    """The engine of a shipped model or an ``.onnx`` file.

    Raises:
        ConfigError: no such model, it and the options do not fit, or the tools to build are not installed.
        ModelError: it cannot be built, or differs too much from float32.
        Interrupted: ``watch`` asked to stop.
    """
    must_be_able_to_build()
    path, manifest, embedder = network_of(name)
    flavour = open_flavour(options.flavour)
    spec = manifest.input if manifest else _spec_of(path)
    shapes = shapes_for(path, options.batch, options.sizes_hw)
    best = (min(options.sizes_hw[1][0], _LARGEST_COMPARED[0]), min(options.sizes_hw[1][1], _LARGEST_COMPARED[1]))
    fixed_batch = _tensors(path)[0][0].shape[0]
    batches = picture_batches(spec, embedder, spec.size_hw or best, options.pictures, fixed_batch=fixed_batch)
    request = BuildRequest(
        path=path,
        model=name,
        precision=options.precision,
        shapes=shapes,
        batches=batches,
        compare=partial(compare, precision=options.precision, embedder=embedder),
        capabilities=options.capabilities,
        workspace=options.workspace,
        force=options.force,
    )
    return build_engine(request, flavour, cache, watch, options.again)


def prepare_engines(
    config: Config,
    watch: Callable[[Progress], bool] = lambda _progress: True,
    detector: bool = True,
    embedder: bool = True,
) -> None:
    """Build what a run with ``runtime.backend = "tensorrt"`` needs and the cache lacks.

    Does nothing for other backends, where ``runtime.build`` is off, and where no engine could run anyway (no GPU):
    opening the network then says what is missing, or takes what may stand in. Where ``runtime.fallback`` names that,
    a build that fails is logged, and the run goes on with it.

    Args:
        watch: told of each build's progress; False stops it.
        detector, embedder: whether the run will load the configuration's.

    Raises:
        ReidTrackerError: as ``build_engines``, where nothing may stand in.
        Interrupted: ``watch`` asked to stop.
    """
    if config.runtime.backend != "tensorrt" or not config.runtime.build:
        return
    for wanted, kind, name in (
        (detector, "detectors", detector_name(config.detection, config.runtime)),
        (embedder, "embedders", config.embedding.model),
    ):
        if not wanted or name in registered_names(kind) or name.endswith((".pt", ".xml")):
            continue
        path, _, _ = network_of(name)
        try:
            find_engine(path, config.runtime)
        except EngineUnavailable as error:
            if not error.buildable:
                return
            logger.warning("%s; building it now", error)
            _build_for_run(name, config.runtime, watch, kind == "embedders")


def _build_for_run(name: str, runtime: RuntimeConfig, watch: Callable[[Progress], bool], embedder: bool) -> None:
    try:
        build_engines(name, options_of(runtime, embedder), cache_of(runtime), watch)
    except ReidTrackerError as error:
        if not runtime.fallback:
            raise
        logger.warning("%s; going on with what runtime.fallback names (%s)", error, ", ".join(runtime.fallback))


def options_of(runtime: RuntimeConfig, embedder: bool = True) -> EngineOptions:
    """How a run builds; a detector's engine for no more frames than it is called with."""
    least, best, most = runtime.engine_batch
    if not embedder:
        least, best, most = map(min, runtime.engine_batch, _DETECTOR_BATCH)
    return EngineOptions(precision=runtime.precision, batch=(least, best, most))


def network_of(name: str) -> tuple[Path, Manifest | None, bool]:
    """File, papers, and whether it is an embedder."""
    path = Path(name).expanduser()
    if path.suffix.lower() not in (".onnx", ".xml"):
        tasks = {model.name: model.task for model in shipped_models()}
        model = find_model(name, tasks.get(name, "embedder"))
    else:
        papers = path.with_suffix(".json")
        task = "embedder"
        if papers.is_file():
            task = read_manifest(papers).task
        model = find_model(name, task)
    if model.path.suffix.lower() != ".onnx":
        raise ConfigError(f"model {name!r}: {model.path.name} is OpenVINO's; engines are built from .onnx files")
    if model.manifest is not None:
        return model.path, model.manifest, model.manifest.task == "embedder"
    return model.path, None, _gives_vectors(model.path)


def _gives_vectors(path: Path) -> bool:
    """An embedder's first output is (N, D); no detector's is the only one of that form."""
    outputs = _tensors(path)[1]
    return sum(len(tensor.shape) == 2 for tensor in outputs) == 1 and len(outputs) <= 2


def _spec_of(path: Path) -> InputSpec:
    inputs = _tensors(path)[0]
    if len(inputs) != 1 or len(inputs[0].shape) != 4 or 3 not in inputs[0].shape[1::2]:
        raise ModelError(f"model {path}: takes no batch of colour pictures; describe its input in a {path.stem}.json")
    tensor = inputs[0]
    layout = "NHWC" if tensor.shape[3] == 3 else "NCHW"
    height, width = tensor.shape[1:3] if layout == "NHWC" else tensor.shape[2:4]
    size_hw = None if height is None or width is None else (height, width)
    dtype = "uint8" if tensor.dtype.name == "uint8" else "float32"
    return InputSpec(name=tensor.name, size_hw=size_hw, layout=layout, dtype=dtype)


def _tensors(path: Path) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    session = open_session(path, RuntimeConfig(backend="onnxruntime", threads=1))
    return session.inputs, session.outputs

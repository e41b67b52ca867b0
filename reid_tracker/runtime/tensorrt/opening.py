"""From a network and a configuration to a session on the engine that fits this machine."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from reid_tracker.config import RuntimeConfig
from reid_tracker.errors import ConfigError, ModelError
from reid_tracker.runtime import cuda
from reid_tracker.runtime.registry import checksum
from reid_tracker.runtime.session import RuntimeDescription
from reid_tracker.runtime.tensorrt.cache import EngineCache
from reid_tracker.runtime.tensorrt.choice import Wanted, choose
from reid_tracker.runtime.tensorrt.engine import TensorRtEngine
from reid_tracker.runtime.tensorrt.flavours import Flavour, cuda_of, installed_flavours
from reid_tracker.runtime.tensorrt.records import BuildRecord
from reid_tracker.runtime.tensorrt.session import TensorRtSession

logger = logging.getLogger(__name__)

_TITLES = {"tensorrt": "TensorRT", "tensorrt_rtx": "TensorRT for RTX"}


class EngineUnavailable(ConfigError):
    """No TensorRT engine can run a network here; the message says why and what to do.

    Attributes:
        buildable: all it takes is to build one.
    """

    def __init__(self, message: str, buildable: bool = False) -> None:
        super().__init__(message)
        self.buildable = buildable


def open_engine(path: Path, config: RuntimeConfig, why: str) -> TensorRtSession:
    """The engine built of a network for this machine, ready to run. Builds nothing.

    Args:
        path: ``.onnx`` file.
        config: precision, and the cache's folder.
        why: TensorRT was asked for, for ``describe``.

    Raises:
        EngineUnavailable: no GPU, no TensorRT, or no whole engine in the cache that fits.
        ModelError: the cache is not the user's own, or the library refuses the engine.
    """
    record, engine = find_engine(path, config)
    return session_of(Flavour(record.key.flavour), engine, record, f"{why}; {record.name}")


def find_engine(path: Path, config: RuntimeConfig) -> tuple[BuildRecord, bytes]:
    """The built engine that fits a network, the settings and this machine, compared with its papers; nothing is loaded.

    One that is damaged or not the user's own is passed over with a warning.

    Raises:
        EngineUnavailable: no GPU, no TensorRT, or no whole one in the cache that fits.
        ModelError: the cache is not the user's own.
    """
    if path.suffix.lower() != ".onnx":
        raise EngineUnavailable(f"model {path}: TensorRT engines are built from .onnx files")
    device = cuda.probe().device
    if device is None:
        raise EngineUnavailable(cuda.probe().reason)
    versions = _runnable(versions_here())
    cache = cache_of(config)
    found = choose(cache.entries(), Wanted(checksum(path), config.precision, versions, device))
    problems = list(found.passed_over.values())
    for entry in found.fitting:
        try:
            engine = cache.read(entry)
        except ModelError as error:
            logger.warning("%s", error)
            problems.append(str(error))
            continue
        assert entry.record is not None  # such entries are no candidates
        return entry.record, engine
    raise EngineUnavailable(
        "; ".join(problems)
        or f"model {path}: no engine at {config.precision} in {cache.folder}; "
        f"run: reid-tracker engines build {path} --precision {config.precision}",
        buildable=True,
    )


def _runnable(installed: Mapping[str, str]) -> Mapping[str, str]:
    """The libraries that the driver is new enough for: asked first, because one that is not ends in a riddle.

    Raises:
        EngineUnavailable: there are none.
    """
    if not installed:
        raise EngineUnavailable("no TensorRT is installed (pip install 'reid_tracker[tensorrt]' or '[tensorrt-rtx]')")
    major, minor = cuda.probe().newest_cuda
    too_new = {name: needed for name in installed if major and (needed := cuda_of(name)) > major}
    if len(too_new) == len(installed):
        needs = ", ".join(f"{name} needs CUDA {needed}" for name, needed in too_new.items())
        raise EngineUnavailable(f"{needs}, and the NVIDIA driver knows {major}.{minor}; install a newer driver")
    return {name: version for name, version in installed.items() if name not in too_new}


def session_of(flavour: Flavour, engine: bytes, record: BuildRecord, reason: str) -> TensorRtSession:
    """A session on an engine that was checked against its papers.

    Raises:
        ModelError: the GPU or the library refuses it.
    """
    loaded = TensorRtEngine(flavour.module, flavour.load(engine))
    gpu = cuda.Cuda()
    description = RuntimeDescription(
        model=Path(record.model).name,
        backend=f"{_TITLES[flavour.name]} {flavour.version}",
        precision=record.key.precision,
        device=gpu.device.name,
        threads=0,
        reason=reason,
    )
    return TensorRtSession(loaded, gpu, record.metadata, description)


def cache_of(config: RuntimeConfig) -> EngineCache:
    """The cache that a configuration names."""
    return EngineCache(Path(config.engine_cache).expanduser() if config.engine_cache else None)


def versions_here() -> Mapping[str, str]:
    """TensorRT libraries that can be loaded, name -> version; a package that is only a stub does not count."""
    versions: dict[str, str] = {}
    for name in installed_flavours():
        try:
            versions[name] = Flavour(name).version
        except ConfigError as error:
            logger.info("%s", error)
    return versions

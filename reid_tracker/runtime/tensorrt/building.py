"""One engine from one network: convert, compile, compare, keep.

What rewrites networks (``runtime.graphs``) is imported when something is built: it needs onnx, and a run whose engines
are there does not.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from reid_tracker.errors import ConfigError, ModelError
from reid_tracker.runtime import cuda
from reid_tracker.runtime.registry import checksum
from reid_tracker.runtime.tensorrt.cache import EngineCache
from reid_tracker.runtime.tensorrt.flavours import Flavour, Progress
from reid_tracker.runtime.tensorrt.opening import session_of
from reid_tracker.runtime.tensorrt.records import (
    KEY_DIGITS,
    PICTURE_AXES,
    BuildKey,
    BuildRecord,
    Precision,
    check_engine,
    height_axis,
    record_of,
)

if TYPE_CHECKING:
    from reid_tracker.runtime.graphs.convert import Batches

logger = logging.getLogger(__name__)

Answers = Mapping[str, NDArray[Any]]


class Refused(ModelError):
    """An engine that differs too much from float32."""


class Verdict(Protocol):
    """How two answers to the same inputs compare."""

    @property
    def fault(self) -> str:
        """What is wrong, in words that follow "the network"; empty where nothing is."""
        ...

    def to_json(self) -> dict[str, Any]:
        """For ``build.json``."""
        ...


@dataclass(frozen=True, slots=True)
class BuildRequest:
    """What to build.

    Attributes:
        path: ``.onnx`` file.
        model: name or path that a user would build it again by.
        precision: of the arithmetic.
        shapes: least, best and most shape for each input with free sizes.
        capabilities: compute capabilities to compile for (RTX); empty leaves it to the library.
        workspace: bytes of scratch; None for the library's own limit.
        batches: real inputs, to calibrate on and to compare with.
        compare: (float32 answers, the engine's) -> verdict.
        force: keep it although the comparison fails.
    """

    path: Path
    model: str
    precision: Precision
    shapes: Mapping[str, tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]]
    batches: Batches
    compare: Callable[[Answers, Answers], Verdict]
    capabilities: tuple[str, ...] = ()
    workspace: int | None = None
    force: bool = False


@dataclass(frozen=True, slots=True)
class Built:
    """What came of it.

    Attributes:
        record: its papers.
        folder: in the cache.
        already_there: nothing had to be done.
    """

    record: BuildRecord
    folder: Path
    already_there: bool


def key_of(request: BuildRequest, flavour: Flavour) -> BuildKey:
    """The key under which an engine of this request is kept."""
    from reid_tracker.runtime.graphs.convert import CALIBRATED, CONVERTER

    capabilities = request.capabilities
    device = cuda.probe().device
    if not flavour.builds_without_gpu and device is not None:
        if capabilities not in ((), (device.capability_text,)):
            raise ConfigError(
                f"engine: {flavour.name} builds for the GPU that is here ({device.capability_text}), "
                f"not for {', '.join(capabilities)}"
            )
        capabilities = (device.capability_text,)
    return BuildKey(
        model_sha256=checksum(request.path),
        flavour=flavour.name,
        version=flavour.version,
        capabilities=tuple(sorted(capabilities)),
        precision=request.precision,
        shapes=dict(request.shapes),
        converter=CONVERTER,
        calibration=_digest(request.batches) if request.precision in CALIBRATED else "",
    )


def build_engine(
    request: BuildRequest,
    flavour: Flavour,
    cache: EngineCache,
    watch: Callable[[Progress], bool] = lambda _progress: True,
    again: bool = False,
) -> Built:
    """The engine of a request, from the cache or newly built.

    The network that it is compiled from is compared with the float32 one on a processor first, which costs seconds
    and needs no GPU; where the GPU that is here is one that the engine was built for, it is run and compared as well.
    Nothing is kept, and nothing that was kept is touched, unless all of it went well. An engine from the cache that no
    GPU has run yet is compared when one is here; it goes where that fails.

    Args:
        watch: told of the library's progress; False stops the build.
        again: build although it is in the cache.

    Raises:
        Refused: it differs too much from float32 (``force`` keeps it).
        ModelError: it cannot be built.
        ConfigError: the request does not fit the library or the machine.
        Interrupted: ``watch`` asked to stop.
    """
    key = key_of(request, flavour)
    if not again and (found := _kept(request, flavour, cache, key)) is not None:
        return found
    from reid_tracker.runtime.graphs import convert, run_on_processor

    started = time.monotonic()
    converted = convert(request.path, request.precision, request.batches)
    truth = _truth(request)
    network = request.compare(truth, run_on_processor(converted.on_processor, request.batches))
    _refuse_if_bad(request, network, "the network that it is compiled from")
    timings = f"{flavour.name}-{flavour.version}-{'-'.join(key.capabilities) or 'any'}"
    engine, measured = flavour.build(
        converted.network,
        key.profile(),
        request.capabilities if flavour.builds_without_gpu else (),
        request.workspace,
        cache.timings(timings),
        watch,
    )
    device = cuda.probe().device
    record = record_of(
        request.model,
        key,
        engine,
        time.monotonic() - started,
        metadata=converted.metadata,
        gpu=device.name if device else "",
        parity={"network": network.to_json(), "engine": None},
        forced=bool(network.fault),
    )
    if device is not None and key.runs_on(device.capability_text):
        record = _compared(request, flavour, engine, record, truth, device)
    folder = cache.store(record, engine)
    cache.keep_timings(timings, measured)
    return Built(record, folder, already_there=False)


def shapes_for(
    path: Path, batch: tuple[int, int, int], sizes_hw: tuple[tuple[int, int], tuple[int, int], tuple[int, int]]
) -> dict[str, tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]]:
    """Least, best and most shape of each input with free sizes.

    Args:
        batch: least, best and most pictures at once.
        sizes_hw: the same of height and width, for networks that leave these free.

    Raises:
        ConfigError: least <= best <= most does not hold, or free sizes other than of pictures.
    """
    from reid_tracker.runtime.graphs import free_inputs

    if not 1 <= batch[0] <= batch[1] <= batch[2]:
        raise ConfigError(f"--batch {','.join(map(str, batch))}: expected least, best, most, each at least 1")
    for axis in (0, 1):
        sides = [size[axis] for size in sizes_hw]
        if not 1 <= sides[0] <= sides[1] <= sides[2]:
            raise ConfigError(f"--size: expected least, best and most size, got {sizes_hw}")
    shapes = {}
    for name, shape in free_inputs(path).items():
        if None not in shape:
            continue
        if len(shape) != PICTURE_AXES:
            raise ConfigError(f"model {path}: input {name!r} {shape} is no batch of pictures; cannot say its sizes")
        sides = [height_axis(shape), height_axis(shape) + 1]
        variants = []
        for count, size in zip(batch, sizes_hw, strict=True):
            filled = [count if shape[0] is None else shape[0], *shape[1:]]
            for place, side in zip(sides, size, strict=True):
                filled[place] = side if filled[place] is None else filled[place]
            variants.append(tuple(int(value or 0) for value in filled))
        shapes[name] = (variants[0], variants[1], variants[2])
    return shapes


def _digest(batches: Batches) -> str:
    """First digits of the inputs' checksum."""
    found = hashlib.sha256()
    for batch in batches:
        for name, values in sorted(batch.items()):
            found.update(f"{name} {values.dtype.str} {values.shape}".encode())
            found.update(np.ascontiguousarray(values).data)
    return found.hexdigest()[:KEY_DIGITS]


def _kept(request: BuildRequest, flavour: Flavour, cache: EngineCache, key: BuildKey) -> Built | None:
    """The engine in the cache; compared now if none of the GPUs that it was built for was there when it was built."""
    for entry in cache.entries():
        record = entry.record
        if record is None or record.key != key:
            continue
        try:
            engine = cache.read(entry)
        except ModelError as error:
            logger.warning("%s: building it anew", error)
            return None
        device, compared = cuda.probe().device, (record.parity or {}).get("engine")
        if compared is not None or device is None or not key.runs_on(device.capability_text):
            return Built(record, entry.folder, already_there=True)
        try:
            record = _compared(request, flavour, engine, record, _truth(request), device)
        except Refused:
            cache.remove(entry.folder.name)  # runs would take it
            raise
        return Built(record, cache.store(record, engine), already_there=True)
    return None


def _truth(request: BuildRequest) -> dict[str, NDArray[Any]]:
    """The float32 network's answers."""
    from reid_tracker.runtime.graphs import convert, run_on_processor

    return dict(run_on_processor(convert(request.path, "fp32").network, request.batches))


def _compared(
    request: BuildRequest, flavour: Flavour, engine: bytes, record: BuildRecord, truth: Answers, device: cuda.Device
) -> BuildRecord:
    """The record, with how the engine itself compares on the GPU that is here.

    Raises:
        Refused: it differs too much, and nobody forces it.
        ModelError: the GPU or the library refuses it.
    """
    verdict = request.compare(truth, _answers(flavour, engine, record, request.batches))
    _refuse_if_bad(request, verdict, f"on {device.name}, the engine")
    parity = {**(record.parity or {}), "engine": {"gpu": device.name, **verdict.to_json()}}
    return record.model_copy(update={"parity": parity, "forced": record.forced or bool(verdict.fault)})


def _answers(flavour: Flavour, engine: bytes, record: BuildRecord, batches: Batches) -> dict[str, NDArray[Any]]:
    check_engine(engine, record, Path(record.name))
    session = session_of(flavour, engine, record, "to compare")
    try:
        answers = [session.run(batch) for batch in batches]
    finally:
        session.close()
    return {name: np.concatenate([answer[name] for answer in answers]) for name in answers[0]}


def _refuse_if_bad(request: BuildRequest, verdict: Verdict, what: str) -> None:
    if not verdict.fault:
        return
    if request.force:
        logger.warning(
            "model %s at %s: %s %s; kept because forced", request.model, request.precision, what, verdict.fault
        )
        return
    raise Refused(
        f"model {request.model} at {request.precision}: {what} {verdict.fault}; build another precision, or keep this "
        "one knowingly with --force"
    )

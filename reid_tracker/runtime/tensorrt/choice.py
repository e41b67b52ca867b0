"""Which of the built engines to load here, and a reason for each that was passed over. No GPU is touched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reid_tracker.runtime.cuda import Device
from reid_tracker.runtime.tensorrt.cache import Entry
from reid_tracker.runtime.tensorrt.records import BuildRecord, Precision, rebuild


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to run, and where.

    Attributes:
        model_sha256: of the ONNX file.
        precision: asked for.
        versions: installed TensorRT libraries: name -> version.
        device: the GPU that is here.
        shapes: preferred least, best and most shape by input; None for whatever is there.
    """

    model_sha256: str
    precision: Precision
    versions: Mapping[str, str]
    device: Device
    shapes: Mapping[str, tuple[tuple[int, ...], ...]] | None = None

    def here(self) -> str:
        """Libraries and GPU, for messages."""
        libraries = ", ".join(f"{name} {version}" for name, version in self.versions.items()) or "no TensorRT"
        return f"{libraries}, compute capability {self.device.capability_text} ({self.device.name})"


@dataclass(frozen=True, slots=True)
class Choice:
    """What was decided.

    Attributes:
        fitting: to load, the best first.
        passed_over: folder's name -> a line, for each build of this network and precision that does not fit.
    """

    fitting: tuple[Entry, ...]
    passed_over: Mapping[str, str]


def choose(entries: Sequence[Entry], wanted: Wanted) -> Choice:
    """The builds that fit, the newest first; those with the preferred shapes before others, whose batches are split."""
    fitting: list[tuple[bool, float, Entry]] = []
    passed_over = {}
    for entry in entries:
        record = entry.record
        if record is None or record.key.model_sha256 != wanted.model_sha256:
            continue
        if record.key.precision != wanted.precision:
            continue
        if (fault := mismatch(record, wanted)) is not None:
            passed_over[entry.folder.name] = fault
            continue
        preferred = wanted.shapes is None or dict(record.key.shapes) == dict(wanted.shapes)
        fitting.append((preferred, record.built.timestamp(), entry))
    fitting.sort(key=lambda found: found[:2], reverse=True)
    return Choice(tuple(entry for _, _, entry in fitting), passed_over)


def mismatch(record: BuildRecord, wanted: Wanted) -> str | None:
    """Why a build of the right network and precision does not run here; None where it does."""
    key = record.key
    fits_library = wanted.versions.get(key.flavour) == key.version
    if fits_library and key.runs_on(wanted.device.capability_text):
        return None
    return f"engine {record.name}: built for {key.built_for()}; here: {wanted.here()}; {rebuild(record, here=True)}"

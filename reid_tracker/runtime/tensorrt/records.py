"""``build.json``: what one engine was built from and for, and how it compared. Its folder is the cache's entry."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from reid_tracker.errors import ModelError
from reid_tracker.runtime.tensorrt.flavours import FlavourName, InputShapes

Precision = Literal["fp32", "fp16", "bf16", "int8", "fp8"]
HEADER_BYTES = 32
KEY_DIGITS = 16
PICTURE_AXES = 4  # of a batch of pictures


class BuildKey(BaseModel):
    """What makes two builds the same; anything else in it differing means another engine.

    Attributes:
        model_sha256: of the ONNX file.
        flavour, version: of the TensorRT library.
        capabilities: compute capabilities compiled for; empty where the library chose (RTX).
        precision: of the arithmetic.
        shapes: by input: least, best and most shape.
        converter: version of what rewrites networks for a precision.
        calibration: first digits of the checksum of the inputs that int8 and fp8 were calibrated on; else empty.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model_sha256: str = Field(pattern="^[0-9a-f]{64}$")
    flavour: FlavourName
    version: str
    capabilities: tuple[str, ...]
    precision: Precision
    shapes: dict[str, tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]]
    converter: int = 1
    calibration: str = ""

    @property
    def digest(self) -> str:
        """First digits of the key's checksum, the same on every machine."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:KEY_DIGITS]

    def profile(self) -> dict[str, InputShapes]:
        """The shapes as a builder takes them."""
        return {name: InputShapes(*shapes) for name, shapes in self.shapes.items()}

    def runs_on(self, capability: str) -> bool:
        """Whether the engine fits a GPU of a compute capability, e.g. ``8.6``."""
        # An RTX engine without a list was left to the library, which compiles for the GPU when it loads.
        return not self.capabilities or capability in self.capabilities

    def built_for(self) -> str:
        """Library and GPUs, for messages."""
        where = f"compute capability {', '.join(self.capabilities)}" if self.capabilities else "any GPU it supports"
        return f"{self.flavour} {self.version}, {where}"


class BuildRecord(BaseModel):
    """One build's papers.

    Attributes:
        format: version of this description.
        model: name or file name of the network.
        key: what it was built from and for.
        engine_sha256, engine_bytes, header: of the engine file; the first bytes in hexadecimal.
        metadata: the network's own notes, which its user may need (heads of detectors).
        gpu: that was present; empty where none was.
        built: when.
        seconds: it took.
        parity: how it compared with float32, and of what: the engine itself, or the network it was built from.
        forced: kept although the comparison failed.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = 1
    model: str
    key: BuildKey
    engine_sha256: str = Field(pattern="^[0-9a-f]{64}$")
    engine_bytes: int = Field(ge=1)
    header: str
    metadata: dict[str, str] = Field(default_factory=dict)
    gpu: str = ""
    built: datetime = Field(default_factory=lambda: datetime.now(UTC))
    seconds: float = Field(ge=0)
    parity: dict[str, Any] | None = None
    forced: bool = False

    @property
    def name(self) -> str:
        """Of the entry in the cache."""
        return f"{Path(self.model).stem}-{self.key.precision}-{self.key.digest}"


def record_of(model: str, key: BuildKey, engine: bytes, seconds: float, **further: Any) -> BuildRecord:
    """The papers of an engine just built."""
    return BuildRecord(
        model=model,
        key=key,
        engine_sha256=hashlib.sha256(engine).hexdigest(),
        engine_bytes=len(engine),
        header=engine[:HEADER_BYTES].hex(),
        seconds=seconds,
        **further,
    )


def read_record(path: Path) -> BuildRecord:
    """The papers in a file.

    Raises:
        ModelError: they cannot be read, or say something else than they should.
    """
    try:
        return BuildRecord.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ModelError(f"engine {path.parent}: {path.name} cannot be read ({error.strerror})") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ModelError(f"engine {path.parent}: {path.name} is no JSON ({error})") from error
    except ValidationError as failure:
        fault = failure.errors()[0]
        where = ".".join(map(str, fault["loc"]))
        raise ModelError(f"engine {path.parent}: {path.name}: {where}: {fault['msg']}") from failure


def check_engine(engine: bytes, record: BuildRecord, where: Path) -> None:
    """Compare an engine with its papers before anything interprets it.

    Raises:
        ModelError: it is shorter, longer or other than what was built.
    """
    if len(engine) != record.engine_bytes:
        kind = "truncated" if len(engine) < record.engine_bytes else "not the one that was built"
        raise ModelError(
            f"engine {where}: {kind} ({len(engine)} bytes, built {record.engine_bytes}); {rebuild(record)}"
        )
    if engine[:HEADER_BYTES].hex() != record.header:
        raise ModelError(f"engine {where}: does not begin like an engine of {record.key.flavour}; {rebuild(record)}")
    found = hashlib.sha256(engine).hexdigest()
    if found != record.engine_sha256:
        raise ModelError(
            f"engine {where}: damaged (sha256 {found[:16]}..., built {record.engine_sha256[:16]}...); {rebuild(record)}"
        )


def rebuild(record: BuildRecord, here: bool = False) -> str:
    """What to do about an engine that cannot be used: the command that builds the same.

    Args:
        here: with the library and for the GPU that are here, whatever it was built with and for.
    """
    key = record.key
    options = [f"--precision {key.precision}"]
    if key.shapes:
        options += _shape_options(next(iter(key.shapes.values())))
    if not here:
        options.append(f"--flavour {key.flavour}")
        if key.capabilities:
            options.append(f"--compute {','.join(key.capabilities)}")
    return f"run: reid-tracker engines build {record.model} {' '.join(options)}"


def _shape_options(shapes: tuple[tuple[int, ...], ...]) -> list[str]:
    """``--batch`` and, for pictures, ``--size`` that give these least, best and most shapes."""
    options = [f"--batch {','.join(str(shape[0]) for shape in shapes)}"]
    if len(shapes[0]) == PICTURE_AXES:
        height = height_axis(shapes[0])
        options.append(f"--size {','.join(f'{shape[height]}x{shape[height + 1]}' for shape in shapes)}")
    return options


def height_axis(shape: Sequence[int | None]) -> int:
    """Which axis of a batch of pictures is their height: (N, H, W, C) or (N, C, H, W)."""
    return 1 if shape[3] in (1, 3) else 2

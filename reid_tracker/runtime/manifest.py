"""``model.json``: what a network file is, what it takes and gives, and on what terms.

The manifest lies beside the network (``engines/<name>/model.json``) and travels with it; a user's own network may
have one too (``<stem>.json`` beside ``<stem>.onnx``). Nothing is inferred from a file name.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from reid_tracker.errors import ModelError

Colours = Annotated[tuple[float, float, float], Field(description="one number per channel, in the input's order")]
Fraction = Annotated[float, Field(ge=0, le=1)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class InputSpec(_Part):
    """The picture that a network takes.

    Attributes:
        name: of the input tensor.
        size_hw: height and width in pixels; None where both are free.
        multiple_of: a free height and width must be multiples of this.
        colour: order of the channels.
        dtype: of the numbers, always 0..255 before ``mean`` and ``std``.
        layout: NHWC or NCHW.
        mean, std: subtracted, then divided by; None where the graph does it.
        pad_value: grey level around a letterboxed picture.
        placement: where a letterboxed picture lies in the input.
    """

    name: str
    size_hw: tuple[int, int] | None = None
    multiple_of: int = Field(1, ge=1)
    colour: Literal["bgr", "rgb"] = "bgr"
    dtype: Literal["uint8", "float32"] = "uint8"
    layout: Literal["NHWC", "NCHW"] = "NHWC"
    mean: Colours | None = None
    std: Colours | None = None
    pad_value: int = Field(114, ge=0, le=255)
    placement: Literal["top-left", "centre"] = "top-left"

    @model_validator(mode="after")
    def _arithmetic(self) -> InputSpec:
        if (self.mean is None) != (self.std is None):
            raise ValueError("give both mean and std, or neither where the graph normalises")
        if self.std is not None and min(self.std) <= 0:
            raise ValueError("std must be above 0")
        if self.mean is not None and self.dtype == "uint8":
            raise ValueError("mean and std need dtype float32")
        return self

    def to_text(self) -> str:
        """E.g. ``256 x 128 bgr uint8``."""
        size = "x".join(map(str, self.size_hw)) if self.size_hw else f"any size, multiple of {self.multiple_of}"
        return f"{size} {self.colour} {self.dtype}"


class OutputSpec(_Part):
    """What a network gives.

    Attributes:
        shape: numbers, or letters for what is free, e.g. ``["N", 256]``.
        unit_length: vectors along the last axis have length 1.
        meaning: one line.
    """

    shape: tuple[int | str, ...]
    unit_length: bool = False
    meaning: str = ""


class Manifest(_Part):
    """A network's papers.

    Attributes:
        format: version of this description.
        name: what users call it.
        task: detector or embedder.
        file: of the network, beside the manifest.
        sha256: of that file; may be left out for a file of one's own, which is then not checked.
        companions: further files that the network consists of -> their sha256 (OpenVINO keeps weights apart).
        input: what it takes.
        outputs: what it gives, by tensor name.
        crop_rule: version of the crop function it was trained with (embedders).
        score_levels: for detectors: longer input side in pixels -> (weak, confident) scores.
        licence: of the weights (SPDX where there is one).
        terms: one line that a user must know before use.
        training_data: what it learned from.
        provenance: where the weights come from and how they were made.
        figures: what it reaches, with the command that measured it.
    """

    format: Literal[1]
    name: str = Field(min_length=1)
    task: Literal["detector", "embedder"]
    file: str
    sha256: str | None = Field(None, pattern="^[0-9a-f]{64}$")
    companions: dict[str, str] = Field(default_factory=dict)
    input: InputSpec
    outputs: dict[str, OutputSpec] = Field(default_factory=dict)
    crop_rule: int | None = None
    score_levels: dict[int, tuple[Fraction, Fraction]] = Field(default_factory=dict)
    licence: str = ""
    terms: str = ""
    training_data: str = ""
    provenance: str = ""
    figures: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _levels(self) -> Manifest:
        for side, (weak, confident) in self.score_levels.items():
            if weak > confident:
                raise ValueError(f"score_levels at {side}: weak {weak} is above confident {confident}")
        return self


def read_manifest(path: Path) -> Manifest:
    """The manifest in a file.

    Raises:
        ModelError: it cannot be read, is no JSON, or lacks or misstates a field.
    """
    try:
        return Manifest.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ModelError(f"manifest {path}: cannot be read ({error.strerror}); reinstall the model") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ModelError(f"manifest {path}: not valid JSON ({error})") from error
    except ValidationError as failure:
        faults = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in failure.errors())
        raise ModelError(f"manifest {path}: {faults}") from failure

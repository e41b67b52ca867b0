"""What running an engine decides without a GPU: pieces of a batch, sizes of buffers, shapes that are allowed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from reid_tracker.errors import ModelError

ALIGNMENT = 256  # bytes; what TensorRT asks of addresses, and the driver's own allocations begin at


@dataclass(frozen=True, slots=True)
class EngineTensor:
    """An input or output of an engine.

    Attributes:
        name: of the tensor.
        is_input: else an output.
        dtype: of its numbers.
        shape: sizes; None where free.
        least, most: of an input's shape, as the engine was built; for outputs empty.
    """

    name: str
    is_input: bool
    dtype: np.dtype[Any]
    shape: tuple[int | None, ...]
    least: tuple[int, ...] = ()
    most: tuple[int, ...] = ()


def pieces(count: int, most: int) -> list[slice]:
    """A batch in pieces of at most ``most`` rows, as few as possible and as even as possible.

    Even, because a full piece and a rest of one row take longer than two halves.
    """
    parts = math.ceil(count / most)
    ends = [count * part // parts for part in range(parts + 1)] if parts else [0]
    return [slice(start, end) for start, end in pairwise(ends)]


def buffer_bytes(dtype: np.dtype[Any], shape: Sequence[int]) -> int:
    """Bytes to reserve for a tensor, rounded up to what alignment asks for."""
    size = math.prod(shape) * dtype.itemsize
    return -(-size // ALIGNMENT) * ALIGNMENT


def batch_of(inputs: Sequence[EngineTensor], shapes: Mapping[str, tuple[int, ...]]) -> int:
    """Rows that all inputs bring.

    Raises:
        ModelError: an input is missing, has another number of dimensions, sizes outside the engine's range, or brings
            another number of rows than the first.
    """
    rows: int | None = None
    for tensor in inputs:
        if tensor.name not in shapes:
            raise ModelError(f"engine: input {tensor.name!r} is missing (given: {', '.join(shapes) or 'none'})")
        shape = shapes[tensor.name]
        if len(shape) != len(tensor.shape):
            raise ModelError(f"engine: input {tensor.name!r} has shape {tensor.shape}, got {shape}")
        for size, least, most in zip(shape[1:], tensor.least[1:], tensor.most[1:], strict=True):
            if not least <= size <= most:
                raise ModelError(
                    f"engine: input {tensor.name!r} was built for {tensor.least} to {tensor.most}, got {shape}; "
                    "build another with reid-tracker engines build --size"
                )
        if rows is not None and shape[0] != rows:
            raise ModelError(f"engine: inputs of {rows} and {shape[0]} rows; give equal numbers")
        rows = shape[0]
    return rows or 0


def padded(rows: int, inputs: Sequence[EngineTensor]) -> int:
    """Rows to run for a piece of ``rows``: engines have a least batch, and the places left over are dropped after."""
    return max(rows, *(tensor.least[0] for tensor in inputs))

"""How far a network in short arithmetic says the same of real people as in float32.

A cosine alone hides what matters: whether the nearest person stays the nearest, and how far the aligned distance, whose
settings were calibrated in float32, moves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reid_tracker.distance import aligned_distance, global_distance
from reid_tracker.errors import InputError
from reid_tracker.types import FloatArray

# Least cosine of any vector with its float32 self. Eleven bits keep 0.9999 in a sound network, so a half-precision one
# below 0.999 has overflowed or lost small numbers somewhere; eight bits are bought with accuracy, knowingly.
LEAST_COSINE = {"fp32": 0.9999, "fp16": 0.999, "bf16": 0.999, "int8": 0.97, "fp8": 0.97}
_RANKS = 5


@dataclass(frozen=True, slots=True)
class OutputParity:
    """One output.

    Attributes:
        least_cosine, mean_cosine: of each vector with its float32 self; for an output that is no set of vectors, of
            what it says of each picture.
        largest_change: of any number.
    """

    least_cosine: float
    mean_cosine: float
    largest_change: float


@dataclass(frozen=True, slots=True)
class Parity:
    """A comparison with float32.

    Attributes:
        pictures: compared.
        outputs: by name.
        same_nearest: share of people whose nearest other stays the same, by the global distance; None for detectors.
        same_first: mean share of the five nearest that stay among the five nearest.
        aligned_change: largest change of the aligned distance of any pair; None without stripes.
        fault: what is wrong with it, in words that follow "the network"; empty where nothing is.
    """

    pictures: int
    outputs: dict[str, OutputParity]
    same_nearest: float | None
    same_first: float | None
    aligned_change: float | None
    fault: str

    def to_json(self) -> dict[str, Any]:
        """As ``build.json`` has it."""
        return asdict(self)

    def to_text(self) -> str:
        """One line."""
        parts = [
            f"{name} cosine {output.least_cosine:.5f} least, {output.mean_cosine:.5f} mean"
            for name, output in self.outputs.items()
        ]
        if self.same_nearest is not None and self.same_first is not None:
            parts.append(f"same nearest {self.same_nearest:.1%}, of the first {_RANKS} {self.same_first:.1%}")
        if self.aligned_change is not None:
            parts.append(f"aligned distance within {self.aligned_change:.4f}")
        return f"{self.pictures} pictures: " + "; ".join(parts)


def compare(
    truth: Mapping[str, NDArray[Any]], answers: Mapping[str, NDArray[Any]], precision: str, embedder: bool
) -> Parity:
    """Compare answers to the same pictures.

    Args:
        truth: float32 outputs by name, (N, ...).
        answers: the other network's.
        precision: whose limit on the cosine counts.
        embedder: outputs are vectors of people: (N, D), and (N, S, d) where there are stripes.

    Raises:
        InputError: outputs or shapes differ, or there are no pictures.
    """
    if set(truth) != set(answers):
        raise InputError(f"parity: outputs {sorted(answers)} where {sorted(truth)} were expected")
    for name in truth:
        if truth[name].shape != answers[name].shape or not len(truth[name]):
            raise InputError(f"parity: output {name!r} {answers[name].shape} where {truth[name].shape} was expected")
    outputs = {name: _output(truth[name], answers[name], embedder) for name in truth}
    count = len(next(iter(truth.values())))
    same_nearest = same_first = aligned_change = None
    finite = all(np.isfinite(values).all() for values in answers.values())
    if embedder and finite:
        vectors = next((name for name in truth if truth[name].ndim == 2), None)
        stripes = next((name for name in truth if truth[name].ndim == 3), None)
        if vectors is not None and count > _RANKS:
            same_nearest, same_first = _ranks(_unit(truth[vectors]), _unit(answers[vectors]))
        if stripes is not None:
            aligned_change = _aligned_change(_unit(truth[stripes]), _unit(answers[stripes]))
    return Parity(count, outputs, same_nearest, same_first, aligned_change, _fault(outputs, precision, finite))


def _output(truth: NDArray[Any], answers: NDArray[Any], vectors: bool) -> OutputParity:
    length = truth.shape[-1] if vectors else int(np.prod(truth.shape[1:]))
    first, second = (values.astype(np.float64).reshape(-1, length) for values in (truth, answers))
    lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    with np.errstate(invalid="ignore"):
        cosines = (first * second).sum(axis=1) / np.maximum(lengths, np.finfo(np.float64).tiny)
        change = np.abs(first - second).max()
    cosines = np.where(np.isfinite(cosines), np.minimum(cosines, 1.0), -1.0)
    largest = float(change) if np.isfinite(change) else float(np.finfo(np.float32).max)
    return OutputParity(float(cosines.min()), float(cosines.mean()), largest)


def _fault(outputs: Mapping[str, OutputParity], precision: str, finite: bool) -> str:
    if not finite:
        return "gives numbers that are not finite"
    limit = LEAST_COSINE[precision]
    worst = min(outputs, key=lambda name: outputs[name].least_cosine)
    found = outputs[worst].least_cosine
    if found >= limit:
        return ""
    return f"differs from float32: output {worst!r} has a cosine of {found:.5f} on some picture, {limit} is expected"


def _ranks(truth: FloatArray, answers: FloatArray) -> tuple[float, float]:
    first, second = _nearest(truth), _nearest(answers)
    shared = [len(set(a) & set(b)) / _RANKS for a, b in zip(first.tolist(), second.tolist(), strict=True)]
    return float((first[:, 0] == second[:, 0]).mean()), float(np.mean(shared))


def _nearest(vectors: FloatArray) -> NDArray[np.intp]:
    distances = global_distance(vectors, vectors)
    np.fill_diagonal(distances, np.inf)
    return np.argsort(distances, axis=1, kind="stable")[:, :_RANKS]


def _aligned_change(truth: FloatArray, answers: FloatArray) -> float:
    before, after = aligned_distance(truth, truth, threads=1), aligned_distance(answers, answers, threads=1)
    return float(np.abs(before - after).max())


def _unit(vectors: NDArray[Any]) -> FloatArray:
    wide = vectors.astype(np.float32)
    lengths: FloatArray = np.maximum(np.linalg.norm(wide, axis=-1, keepdims=True), np.float32(1e-12))
    unit: FloatArray = wide / lengths
    return unit

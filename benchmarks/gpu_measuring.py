"""Rows of ``benchmarks.gpu``: one piece of work timed, or the reason why it was left out."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Bench:
    """What is measured on, and until when.

    Attributes:
        device: ``cuda`` or ``cpu``.
        small: small sizes, to try the program on a processor.
        ends: ``time.monotonic()`` after which nothing more is begun.
        ceilings: TFLOP/s of products by precision, and ``copy_gb_s``; filled by the first part.
    """

    device: str
    small: bool
    ends: float
    ceilings: dict[str, float] = field(default_factory=dict)

    @property
    def over(self) -> bool:
        """Nothing more may be begun."""
        return time.monotonic() > self.ends

    def seconds(self, work: Callable[[], object]) -> list[float]:
        """Seconds of each call, after three unmeasured, for about a second and five calls at least."""
        least = 0.1 if self.small else 1.0
        for _ in range(3):
            work()
        self._wait()
        taken: list[float] = []
        while sum(taken) < least or len(taken) < 5:
            started = time.perf_counter()
            work()
            self._wait()
            taken.append(time.perf_counter() - started)
        return taken

    def row(
        self, name: str, work: Callable[[], object], crops: int = 0, gflop: float = 0, precision: str = "fp32"
    ) -> Row:
        """Times of some work.

        Args:
            name: of the row.
            work: one call of it, which may raise what it likes: one form that fails must not lose the others.
            crops: in one call; 0 where the work is not about crops.
            gflop: arithmetic of one crop.
            precision: of the ceiling that it is compared with.
        """
        if self.over:
            return left_out(name, "the time is up")
        try:
            taken = self.seconds(work)
        except Exception as error:
            return left_out(name, error)
        p50, p99 = (float(value) for value in np.percentile(taken, (50, 99)))
        row: Row = {"name": name, "p50_ms": round(p50 * 1e3, 3), "p99_ms": round(p99 * 1e3, 3)}
        if crops:
            row["crops_s"] = round(crops / p50, 1)
        if gflop and self.ceilings.get(precision):
            row["share_of_ceiling"] = round(crops / p50 * gflop / 1e3 / self.ceilings[precision], 3)
        return row

    def _wait(self) -> None:
        if self.device == "cuda":
            import torch

            torch.cuda.synchronize()


def left_out(name: str, why: object) -> Row:
    """The row of what was not measured."""
    return {"name": name, "left_out": (str(why).strip() or type(why).__name__).splitlines()[0]}


def use_tf32(allowed: bool) -> None:
    """Whether float32 products and convolutions may round their factors to 10 bits.

    Left alone torch does so in convolutions and not in products, and the two could not be compared.
    """
    import torch

    torch.backends.cuda.matmul.allow_tf32 = allowed
    torch.backends.cudnn.allow_tf32 = allowed

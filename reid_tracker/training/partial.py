"""Partial bodies: whole pictures of people cut as a counter, a car or a bad box cuts them (as in Partial-Market).

The rule: a picture keeps a band of its height. How much it keeps is uniform in ``least``..1, and where the band begins
is uniform over what is left; the width stays. The band is then brought to the network's size like any other crop. Both
numbers come from a checksum of the seed and the file's name, so that they depend on neither order nor machine, and the
same picture is always cut alike.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from reid_tracker.errors import ConfigError
from reid_tracker.types import Image


@dataclass(frozen=True, slots=True)
class PartialBody:
    """Which band of a picture is left.

    Attributes:
        least: the smallest part of the height that is left, 0..1.
        seed: another seed cuts other bands.
    """

    least: float = 0.5
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.least <= 1:
            raise ConfigError(f"partial bodies: expected a least share in 0..1, got {self.least}")

    def band(self, name: str) -> tuple[float, float]:
        """Top and bottom of what is left of the picture called ``name``, in parts of its height."""
        drawn = np.frombuffer(hashlib.sha256(f"{self.seed}\0{name}".encode()).digest()[:16], dtype="<u8")
        share, place = (float(number) / 2**64 for number in drawn)
        kept = self.least + (1 - self.least) * share
        top = (1 - kept) * place
        return top, top + kept

    def cut(self, picture: Image, name: str) -> Image:
        """The band (h, w, 3) of a picture (H, w, 3); at least one row."""
        top, bottom = self.band(name)
        height = len(picture)
        first = min(round(top * height), height - 1)
        return picture[first : max(first + 1, round(bottom * height))]

    @property
    def key(self) -> str:
        """Tells apart caches of differently cut pictures."""
        return f"partial-{self.least:g}-{self.seed}"

"""From a training set to batches on the device that computes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reid_tracker.errors import ConfigError
from reid_tracker.training.data import TrainingSet
from reid_tracker.training.recipe import ComputeRecipe

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def choose_device(compute: ComputeRecipe) -> torch.device:
    """The device that a recipe asks for.

    Raises:
        ConfigError: an accelerator is asked for and there is none.
    """
    there = torch.cuda.is_available()
    if compute.device == "cuda" and not there:
        raise ConfigError("compute.device 'cuda': torch finds no such device; set it to auto or cpu")
    return torch.device("cuda" if there and compute.device != "cpu" else "cpu")


def use_threads(threads: int) -> None:
    """Let torch compute with so many threads of the CPU; 0 leaves the choice to it."""
    if threads:
        torch.set_num_threads(threads)


def dtype_of(compute: ComputeRecipe) -> torch.dtype:
    """The numbers that the network computes in."""
    return _DTYPES[compute.precision]


@dataclass(frozen=True, slots=True)
class Batch:
    """What one step needs, on its device.

    Attributes:
        pixels: (B, h, w, 3) uint8 BGR.
        labels: (B,) int64.
        teacher: (B, D) float32, NaN where the teacher was not asked; None if never.
        teacher_stripes: (B, S, d) float32 likewise.
    """

    pixels: Tensor
    labels: Tensor
    teacher: Tensor | None
    teacher_stripes: Tensor | None = None


class Feed:
    """Hands out batches of a training set.

    On an accelerator all pictures are moved there once (20,000 of 256 x 128 are 2 GB) and no batch waits for the host;
    on a CPU they stay in their memory-mapped files.

    Args:
        data: the set.
        device: where batches are wanted.
        resident: keep all pictures on the device; None decides by the device.
    """

    def __init__(self, data: TrainingSet, device: torch.device, resident: bool | None = None) -> None:
        self._data = data
        self._device = device
        self._labels = torch.from_numpy(data.labels)
        self._teacher = None if data.teacher is None else torch.from_numpy(data.teacher)
        self.bank = None if data.teacher is None else torch.from_numpy(data.bank).to(device)
        self._pixels: Tensor | None = None
        if resident if resident is not None else device.type != "cpu":
            everything = data.gather(np.arange(len(data.labels)))
            self._pixels = torch.from_numpy(everything).to(device)

    def batch(self, picks: NDArray[np.int64]) -> Batch:
        """The pictures at ``picks`` (B,)."""
        rows = torch.from_numpy(picks)
        if self._pixels is None:
            pixels = torch.from_numpy(self._data.gather(picks)).to(self._device)
        else:
            pixels = self._pixels[rows.to(self._device)]
        teacher = None if self._teacher is None else self._teacher[rows].to(self._device)
        told = self._data.teacher_stripes
        stripes = None if told is None else torch.from_numpy(told[picks].astype(np.float32)).to(self._device)
        return Batch(pixels, self._labels[rows].to(self._device), teacher, stripes)

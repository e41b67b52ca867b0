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
from reid_tracker.training.sending import sent
from reid_tracker.types import BoolArray

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


def use_device(device: torch.device) -> None:
    """Say how an accelerator computes, for the whole process; nothing on a CPU.

    Pictures of a stage are of one size, so that the fastest convolution is worth looking for; matrix products stay in
    whole float32, which the distances of the losses need.
    """
    if device.type == "cuda":
        torch.backends.cudnn.benchmark = True
        torch.backends.cuda.matmul.allow_tf32 = False


def use_threads(threads: int) -> None:
    """Let torch compute with so many threads of the CPU; 0 leaves the choice to it."""
    if threads:
        torch.set_num_threads(threads)


def dtype_of(compute: ComputeRecipe) -> torch.dtype:
    """The numbers that the network computes in."""
    return _DTYPES[compute.precision]


@dataclass(frozen=True, slots=True)
class Told:
    """A teacher's answers about those pictures of a batch that it was asked about.

    Attributes:
        rows: (T,) int64, the pictures' places in the batch.
        vectors: (T, D) float32.
        stripes: (T, S, d) float32, or None.
    """

    rows: Tensor
    vectors: Tensor
    stripes: Tensor | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """What one step needs, on its device.

    Attributes:
        pixels: (B, h, w, 3) uint8 BGR.
        labels: (B,) int64.
        told: what a teacher says; None if there is none.
    """

    pixels: Tensor
    labels: Tensor
    told: Told | None


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
        self._asked: BoolArray | None = None
        if data.teacher is not None:
            self._asked = np.asarray(np.isfinite(data.teacher).all(axis=1))
        self.bank = None if data.teacher is None else torch.from_numpy(data.bank).to(device)
        self._pixels: Tensor | None = None
        if resident if resident is not None else device.type != "cpu":
            everything = data.gather(np.arange(len(data.labels)))
            self._pixels = torch.from_numpy(everything).to(device)

    def batch(self, picks: NDArray[np.int64]) -> Batch:
        """The pictures at ``picks`` (B,)."""
        rows = torch.from_numpy(picks)
        if self._pixels is None:
            pixels = sent(torch.from_numpy(self._data.gather(picks)), self._device)
        else:
            pixels = self._pixels[sent(rows, self._device)]
        return Batch(pixels, sent(self._labels[rows], self._device), self._told(picks))

    def _told(self, picks: NDArray[np.int64]) -> Told | None:
        teacher, stripes = self._data.teacher, self._data.teacher_stripes
        if teacher is None or self._asked is None:
            return None
        # Chosen here, where the answers are: a device would have to say first how many rows it found.
        rows = np.flatnonzero(self._asked[picks])

        def answers(known: NDArray[np.float32] | NDArray[np.float16]) -> Tensor:
            return sent(torch.from_numpy(known[picks[rows]].astype(np.float32)), self._device)

        return Told(
            sent(torch.from_numpy(rows), self._device),
            answers(teacher),
            None if stripes is None else answers(stripes),
        )

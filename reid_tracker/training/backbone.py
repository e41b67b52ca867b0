"""What every backbone can do besides its forward: freeze first blocks, fix statistics, change its last stride."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)


class Backbone(nn.Module, ABC):
    """A stem, blocks one after the other, and a tail.

    Input (B, 3, H, W) RGB in -1..1; output (B, channels, H / s, W / s). Subclasses keep the names that published
    weights have, so that those load strictly.
    """

    channels: int

    def __init__(self) -> None:
        super().__init__()
        self.frozen_blocks = 0
        self.fixed_statistics = False

    @abstractmethod
    def stem(self, x: Tensor) -> Tensor:
        """What comes before the first block."""

    @abstractmethod
    def stem_parts(self) -> Sequence[nn.Module]:
        """The modules of the stem."""

    @abstractmethod
    def block_list(self) -> Sequence[nn.Module]:
        """The blocks, in order."""

    def tail(self, y: Tensor) -> Tensor:
        """What comes after the last block."""
        return y

    @abstractmethod
    def set_last_stride(self, last_stride: int) -> None:
        """Change the stride of the last strided stage; weights do not depend on it. 1 gives a map of twice the size."""

    def forward(self, x: Tensor) -> Tensor:
        """The map (B, C, h, w) of (B, 3, H, W) pictures; nothing is learned in blocks that are frozen."""
        blocks = self.block_list()
        if self.frozen_blocks:
            with torch.no_grad():
                y = _through(blocks[: self.frozen_blocks], self.stem(x))
        else:
            y = self.stem(x)
        return self.tail(_through(blocks[self.frozen_blocks :], y))

    def freeze(self, blocks: int) -> None:
        """Keep the stem and the first ``blocks`` blocks as they are (0 frees all).

        Edges and textures of ImageNet serve people as they are, and these layers, on the largest maps, cost the most.
        """
        self.frozen_blocks = blocks
        for part in self._first_parts(len(self.block_list())):
            part.requires_grad_(True)
        for part in self._first_parts(blocks) if blocks else ():
            part.requires_grad_(False)
        self.train(self.training)

    def fix_statistics(self, fixed: bool) -> None:
        """Normalise by the statistics known so far instead of each batch's; scales and biases still learn."""
        self.fixed_statistics = fixed
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        """As usual, but batch normalisation of what is frozen or fixed keeps its statistics."""
        super().train(mode)
        for part in self._first_parts(self.frozen_blocks) if self.frozen_blocks else ():
            part.eval()
        if self.fixed_statistics:
            for part in self.modules():
                if isinstance(part, _BatchNorm):
                    part.eval()
        return self

    def _first_parts(self, blocks: int) -> list[nn.Module]:
        return [*self.stem_parts(), *self.block_list()[:blocks]]


def imagenet_input(x: Tensor) -> Tensor:
    """RGB in -1..1 to the mean and deviation that most published ImageNet weights want."""
    mean, std = (x.new_tensor(values)[:, None, None] for values in (_IMAGENET_MEAN, _IMAGENET_STD))
    return (x * 0.5 + 0.5 - mean) / std


def _through(blocks: Sequence[nn.Module], x: Tensor) -> Tensor:
    for block in blocks:
        x = block(x)
    return x

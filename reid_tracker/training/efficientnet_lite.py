"""EfficientNet-lite: EfficientNet without squeeze-and-excitation and with ReLU6 (Apache-2.0 weights exist)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from reid_tracker.training.backbone import Backbone
from reid_tracker.training.depthwise import depthwise_conv2d, quick_in_bfloat16

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
            return self._convolve(x, weight, bias, kernel // 2)
        # int(): an exporter that traces hands out tensors here; what is exported has one size.
        height, width = (_same_padding(int(size), kernel, stride) for size in x.shape[2:])
        padded = functional.pad(x, (width // 2, width - width // 2, height // 2, height - height // 2))
        return self._convolve(padded, weight, bias, 0)

    def _convolve(self, x: Tensor, weight: Tensor, bias: Tensor | None, padding: int) -> Tensor:
        stride = self.stride[0]
        if self.groups > 1 and quick_in_bfloat16(x):
            return depthwise_conv2d(x, weight, bias, stride, padding)
        return functional.conv2d(x, weight, bias, stride, padding, 1, self.groups)


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


class EfficientNetLite(Backbone):
    """EfficientNet-lite0 or a larger one up to its last feature map.

    Input (B, 3, H, W) RGB in -1..1; output (B, 1280, H / s, W / s) with s = 32, or 16 where ``last_stride`` is 1:
    the same weights then serve a picture of half the size with the same 8 rows of features.
    """

    channels = 1280

    def __init__(self, stages: Stages = LITE0_STAGES, last_stride: int = 2) -> None:
        super().__init__()
        self._first_of_last_stage = sum(stage[4] for stage in stages[:_LAST_STRIDED_STAGE])
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

    def stem(self, x: Tensor) -> Tensor:
        """See ``Backbone``."""
        return _relu6(convolve_and_normalize(self.conv_stem, self.bn0, x))

    def stem_parts(self) -> Sequence[nn.Module]:
        """See ``Backbone``."""
        return self.conv_stem, self.bn0

    def block_list(self) -> Sequence[nn.Module]:
        """See ``Backbone``."""
        return list(self.blocks)

    def tail(self, y: Tensor) -> Tensor:
        """See ``Backbone``."""
        return _relu6(convolve_and_normalize(self.conv_head, self.bn1, y))

    def set_last_stride(self, last_stride: int) -> None:
        """See ``Backbone``."""
        block = self.blocks[self._first_of_last_stage]
        assert isinstance(block, LiteBlock)
        block.depthwise_conv.stride = (last_stride, last_stride)

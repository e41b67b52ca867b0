"""ResNet (He et al., arXiv 1512.03385) with torchvision's names, so that its weights load strictly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional

from reid_tracker.training.backbone import Backbone, imagenet_input


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut; the first one strides."""

    expansion: ClassVar[int] = 1

    def __init__(self, inputs: int, middle: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, middle, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(middle)
        self.conv2 = nn.Conv2d(middle, middle, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(middle)
        self.downsample = _shortcut(inputs, middle, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return functional.relu(y + (x if self.downsample is None else self.downsample(x)))

    def strided(self) -> nn.Conv2d:
        """The convolution that strides."""
        return self.conv1


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 beside a shortcut; the 3x3 one strides."""

    expansion: ClassVar[int] = 4

    def __init__(self, inputs: int, middle: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, middle, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(middle)
        self.conv2 = nn.Conv2d(middle, middle, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(middle)
        self.conv3 = nn.Conv2d(middle, middle * self.expansion, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(middle * self.expansion)
        self.downsample = _shortcut(inputs, middle * self.expansion, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.bn1(self.conv1(x)))
        y = functional.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return functional.relu(y + (x if self.downsample is None else self.downsample(x)))

    def strided(self) -> nn.Conv2d:
        """The convolution that strides."""
        return self.conv2


class ResNet(Backbone):
    """ResNet-18 or -50 up to its last feature map, of stride 32, or 16 where ``last_stride`` is 1."""

    def __init__(
        self, block: type[BasicBlock | Bottleneck], depths: tuple[int, int, int, int], last_stride: int = 2
    ) -> None:
        super().__init__()
        self.channels = 512 * block.expansion
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        inputs = 64
        layers = []
        for depth, middle, stride in zip(depths, (64, 128, 256, 512), (1, 2, 2, last_stride), strict=True):
            blocks = []
            for number in range(depth):
                blocks.append(block(inputs, middle, stride if number == 0 else 1))
                inputs = middle * block.expansion
            layers.append(nn.Sequential(*blocks))
        self.layer1, self.layer2, self.layer3, self.layer4 = layers

    def stem(self, x: Tensor) -> Tensor:
        """See ``Backbone``."""
        return functional.max_pool2d(functional.relu(self.bn1(self.conv1(imagenet_input(x)))), 3, 2, 1)

    def stem_parts(self) -> Sequence[nn.Module]:
        """See ``Backbone``."""
        return self.conv1, self.bn1

    def block_list(self) -> Sequence[nn.Module]:
        """See ``Backbone``."""
        return [*self.layer1, *self.layer2, *self.layer3, *self.layer4]

    def set_last_stride(self, last_stride: int) -> None:
        """See ``Backbone``."""
        first = self.layer4[0]
        assert isinstance(first, BasicBlock | Bottleneck)
        assert first.downsample is not None
        shortcut = first.downsample[0]
        assert isinstance(shortcut, nn.Conv2d)
        first.strided().stride = shortcut.stride = (last_stride, last_stride)


def _shortcut(inputs: int, outputs: int, stride: int) -> nn.Sequential | None:
    if stride == 1 and inputs == outputs:
        return None
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

"""OSNet (Zhou et al., arXiv 1905.00953) with torchreid's names, so that its weights load strictly."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional

from reid_tracker.training.backbone import Backbone, imagenet_input

_CHANNELS = (64, 256, 384, 512)  # of x1.0
_STREAMS = 4  # of 1 to 4 light 3x3 convolutions: scales from 3x3 to 9x9
_REDUCTION = 4
_GATE_REDUCTION = 16


class ConvNorm(nn.Module):
    """Convolution, batch normalisation, ReLU unless it is the last before a sum."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, linear: bool = False) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(outputs)
        self.linear = linear

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.bn(self.conv(x))
        return y if self.linear else functional.relu(y)


class LightConv3x3(nn.Module):
    """1x1 then depthwise 3x3."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 1, bias=False)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.bn = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.bn(self.conv2(self.conv1(x))))


class ChannelGate(nn.Module):
    """How much each channel of a stream counts, from the whole picture; one gate for all streams."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, channels // _GATE_REDUCTION, 1)
        self.fc2 = nn.Conv2d(channels // _GATE_REDUCTION, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        weights: Tensor = self.fc2(functional.relu(self.fc1(x.mean(dim=(2, 3), keepdim=True))))
        return x * weights.sigmoid()


class OSBlock(nn.Module):
    """Streams of several scales, weighed by a gate, summed and added to the shortcut."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        middle = outputs // _REDUCTION
        self.conv1 = ConvNorm(inputs, middle)
        self.conv2a = LightConv3x3(middle)
        self.conv2b = nn.Sequential(*(LightConv3x3(middle) for _ in range(2)))
        self.conv2c = nn.Sequential(*(LightConv3x3(middle) for _ in range(3)))
        self.conv2d = nn.Sequential(*(LightConv3x3(middle) for _ in range(_STREAMS)))
        self.gate = ChannelGate(middle)
        self.conv3 = ConvNorm(middle, outputs, linear=True)
        self.downsample = ConvNorm(inputs, outputs, linear=True) if inputs != outputs else None

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(x)
        streams = (self.conv2a(y), self.conv2b(y), self.conv2c(y), self.conv2d(y))
        y = self.conv3(sum(self.gate(stream) for stream in streams))
        return functional.relu(y + (x if self.downsample is None else self.downsample(x)))


class OSNet(Backbone):
    """OSNet up to its last feature map, of stride 16, or 8 where ``last_stride`` is 1.

    Args:
        last_stride: 1 or 2.
        width: part of the channels of x1.0: 0.25, 0.5, 0.75 or 1.
    """

    def __init__(self, last_stride: int = 2, width: float = 1.0) -> None:
        super().__init__()
        first, second, third, fourth = (round(width * channels) for channels in _CHANNELS)
        self.channels = fourth
        self.conv1 = ConvNorm(3, first, 7, 2)
        self.conv2 = nn.Sequential(OSBlock(first, second), OSBlock(second, second), _transition(second, 2))
        self.conv3 = nn.Sequential(OSBlock(second, third), OSBlock(third, third), _transition(third, last_stride))
        self.conv4 = nn.Sequential(OSBlock(third, fourth), OSBlock(fourth, fourth))
        self.conv5 = ConvNorm(fourth, fourth)

    def stem(self, x: Tensor) -> Tensor:
        """See ``Backbone``."""
        return functional.max_pool2d(self.conv1(imagenet_input(x)), 3, 2, 1)

    def stem_parts(self) -> Sequence[nn.Module]:
        """See ``Backbone``."""
        return (self.conv1,)

    def block_list(self) -> Sequence[nn.Module]:
        """See ``Backbone``."""
        return [*self.conv2, *self.conv3, *self.conv4]

    def tail(self, y: Tensor) -> Tensor:
        """See ``Backbone``."""
        z: Tensor = self.conv5(y)
        return z

    def set_last_stride(self, last_stride: int) -> None:
        """See ``Backbone``."""
        transition = self.conv3[2]
        assert isinstance(transition, nn.Sequential)
        transition[1] = nn.AvgPool2d(last_stride, last_stride)


def _transition(channels: int, stride: int) -> nn.Sequential:
    return nn.Sequential(ConvNorm(channels, channels), nn.AvgPool2d(stride, stride))

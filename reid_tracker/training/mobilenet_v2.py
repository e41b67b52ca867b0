"""MobileNetV2 (Sandler et al., arXiv 1801.04381) with torchvision's names, so that its weights load strictly."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from reid_tracker.training.backbone import Backbone, imagenet_input

# Expansion, output channels, repeats, stride.
_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
_LAST_STRIDED_STAGE = 5


class InvertedResidual(nn.Module):
    """Expand 1x1, depthwise 3x3, project 1x1; ReLU6 after the first two."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        middle = inputs * expansion
        self.skips = stride == 1 and inputs == outputs
        layers: list[nn.Module] = [_convolve(inputs, middle, 1)] if expansion != 1 else []
        layers += [
            _convolve(middle, middle, 3, stride, groups=middle),
            nn.Conv2d(middle, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        ]
        self.conv = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x)
        return x + y if self.skips else y

    def depthwise(self) -> nn.Conv2d:
        """The convolution that strides."""
        layer = self.conv[-3]
        assert isinstance(layer, nn.Sequential)
        convolution = layer[0]
        assert isinstance(convolution, nn.Conv2d)
        return convolution


class MobileNetV2(Backbone):
    """MobileNetV2 x1.0 up to its last feature map, of stride 32, or 16 where ``last_stride`` is 1."""

    channels = 1280

    def __init__(self, last_stride: int = 2) -> None:
        super().__init__()
        layers: list[nn.Module] = [_convolve(3, 32, 3, 2)]
        channels = 32
        for number, (expansion, outputs, repeats, stride) in enumerate(_STAGES):
            first_stride = last_stride if number == _LAST_STRIDED_STAGE else stride
            for repeat in range(repeats):
                layers.append(InvertedResidual(channels, outputs, first_stride if repeat == 0 else 1, expansion))
                channels = outputs
        self.features = nn.Sequential(*layers, _convolve(channels, self.channels, 1))

    def stem(self, x: Tensor) -> Tensor:
        """See ``Backbone``."""
        y: Tensor = self.features[0](imagenet_input(x))
        return y

    def stem_parts(self) -> Sequence[nn.Module]:
        """See ``Backbone``."""
        return (self.features[0],)

    def block_list(self) -> Sequence[nn.Module]:
        """See ``Backbone``."""
        return list(self.features)[1:-1]

    def tail(self, y: Tensor) -> Tensor:
        """See ``Backbone``."""
        z: Tensor = self.features[-1](y)
        return z

    def set_last_stride(self, last_stride: int) -> None:
        """See ``Backbone``."""
        first = self.features[1 + sum(stage[2] for stage in _STAGES[:_LAST_STRIDED_STAGE])]
        assert isinstance(first, InvertedResidual)
        first.depthwise().stride = (last_stride, last_stride)


def _convolve(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU6())

"""Any convolutional feature extractor of the package timm, which is imported only when one is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from reid_tracker.errors import ConfigError
from reid_tracker.training.backbone import Backbone, imagenet_input

TIMM = "timm:"


class TimmBackbone(Backbone):
    """``timm:NAME``: the features before pooling, random weights, at timm's own stride.

    Its blocks have no common names, so none can be frozen apart from the others.

    Args:
        name: ``timm:`` and timm's name.
        last_stride: 2 is what the model has; 1 asks timm for an output stride of 16, which some models refuse.

    Raises:
        ConfigError: timm is not installed, knows no such model, or the model gives no map.
    """

    def __init__(self, name: str, last_stride: int = 2) -> None:
        super().__init__()
        try:
            import timm
        except ImportError as error:
            raise ConfigError(f"backbone {name!r} needs the package timm; run: pip install timm") from error
        options: dict[str, Any] = {} if last_stride == 2 else {"output_stride": 16}
        try:
            model = timm.create_model(
                name.removeprefix(TIMM), pretrained=False, num_classes=0, global_pool="", **options
            )
        except (RuntimeError, TypeError, ValueError) as error:
            raise ConfigError(f"backbone {name!r}: timm cannot make it ({error})") from error
        self.model: nn.Module = model
        features: Any = model.num_features
        self.channels = int(features)
        self._name = name
        self._last_stride = last_stride

    def stem(self, x: Tensor) -> Tensor:
        """See ``Backbone``."""
        y: Tensor = self.model(imagenet_input(x))
        if y.ndim != 4:
            raise ConfigError(f"backbone {self._name!r}: gives {tuple(y.shape)}, where a map (B, C, H, W) is needed")
        return y

    def stem_parts(self) -> Sequence[nn.Module]:
        """See ``Backbone``."""
        return (self.model,)

    def block_list(self) -> Sequence[nn.Module]:
        """None that could be frozen apart."""
        return ()

    def freeze(self, blocks: int) -> None:
        """See ``Backbone``.

        Raises:
            ConfigError: anything but 0.
        """
        if blocks:
            raise ConfigError(f"backbone {self._name!r}: its blocks cannot be frozen; set frozen_blocks to 0")
        super().freeze(0)

    def set_last_stride(self, last_stride: int) -> None:
        """See ``Backbone``.

        Raises:
            ConfigError: another one than it was made with.
        """
        if last_stride != self._last_stride:
            raise ConfigError(f"backbone {self._name!r}: its last stride cannot change; use {self._last_stride}")

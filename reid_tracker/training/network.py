"""The AlignedReID network: one forward gives the global vector and the stripes, in training, evaluation and export.

There is no ``if self.training`` around features: the local branch that is trained is the one that ranks.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from reid_tracker.training.backbones import make_backbone

GLOBAL_SIZE = 256
STRIPES = 8
STRIPE_SIZE = 128


@dataclass(frozen=True, slots=True)
class Features:
    """What the network says about B people.

    Attributes:
        raw: (B, 256) global vector before normalisation; what the classifier's neck sees.
        global_: (B, 256) global unit vector.
        stripes: (B, 8, 128) unit vectors from head to foot.
    """

    raw: Tensor
    global_: Tensor
    stripes: Tensor

    def global_held(self, rows: Tensor) -> Features:
        """The same, but nothing is learned through the global vectors of ``rows`` (B,) bool."""
        held = rows.unsqueeze(1)
        raw, global_ = (torch.where(held, one.detach(), one) for one in (self.raw, self.global_))
        return Features(raw, global_, self.stripes)


class AlignedReIDNet(nn.Module):
    """Backbone, global branch and local branch.

    Input (B, 3, H, W) RGB in -1..1. The map of a 256 x 128 picture at stride 32 has exactly 8 rows, one a stripe;
    of any other height, each stripe is the mean of its eighth of the rows.
    """

    def __init__(self, backbone: str = "efficientnet_lite0", last_stride: int = 2) -> None:
        super().__init__()
        self.backbone, channels = make_backbone(backbone, last_stride)
        self.global_head = nn.Linear(channels, GLOBAL_SIZE, bias=False)
        self.local_head = nn.Conv2d(channels, STRIPE_SIZE, 1)

    def forward(self, x: Tensor) -> Features:
        """Global vectors and stripes of (B, 3, H, W) pictures; for training, evaluation and export alike."""
        fmap = self.backbone(x)
        # float(): where the network computes in half the bits, vectors are still made of unit length in all of them.
        raw = self.global_head(fmap.mean(dim=(2, 3))).float()
        rows = fmap.mean(dim=3, keepdim=True)
        if rows.shape[2] != STRIPES:
            rows = stripe_shares(int(rows.shape[2]), rows.device).to(rows.dtype) @ rows
        stripes = self.local_head(rows).squeeze(3).transpose(1, 2).float()
        return Features(raw, functional.normalize(raw, dim=1), functional.normalize(stripes, dim=2))


def stripe_shares(rows: int, device: torch.device) -> Tensor:
    """(8, rows) float32: what part of each stripe each row of a map makes up; rows on a border count in part."""
    edges = torch.arange(STRIPES + 1, device=device) * rows / STRIPES
    row = torch.arange(rows, device=device)
    overlap = (torch.minimum(edges[1:, None], row + 1) - torch.maximum(edges[:-1, None], row)).clamp(min=0)
    return overlap * STRIPES / rows


class IdentityHead(nn.Module):
    """BNNeck, classifier and perhaps a centre of each person: they shape the vector and are thrown away afterwards."""

    def __init__(self, classes: int, has_centres: bool = False) -> None:
        super().__init__()
        self.neck = nn.BatchNorm1d(GLOBAL_SIZE)
        self.neck.bias.requires_grad_(False)
        self.classifier = nn.Linear(GLOBAL_SIZE, classes, bias=False)
        nn.init.normal_(self.classifier.weight, std=0.01)
        self.centres = nn.Parameter(torch.zeros(classes, GLOBAL_SIZE)) if has_centres else None

    def forward(self, raw: Tensor) -> Tensor:
        """Raw global vectors (B, 256) to logits (B, classes)."""
        logits: Tensor = self.classifier(self.neck(raw))
        return logits


def set_last_stride(network: AlignedReIDNet, last_stride: int) -> None:
    """Change the stride of the last strided stage in place; weights do not depend on it.

    A 128 x 64 picture at last stride 1 gives the same 8 x 4 map as a 256 x 128 one at last stride 2, so that both
    branches can learn on small pictures first.
    """
    network.backbone.set_last_stride(last_stride)


class PixelNetwork(nn.Module):
    """The network as it ships: raw BGR pixels in, unit vectors out, so that no second preprocessing can exist."""

    def __init__(self, network: AlignedReIDNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """(B, H, W, 3) uint8 BGR to the global (B, 256) and the stripes (B, 8, 128)."""
        features = self.network(pixels_to_input(pixels))
        return features.global_, features.stripes


def pixels_to_input(pixels: Tensor) -> Tensor:
    """(B, H, W, 3) BGR 0..255 of any dtype to (B, 3, H, W) RGB float32 in -1..1."""
    rgb = pixels.to(torch.float32).permute(0, 3, 1, 2).flip(1)
    return (rgb - 127.5) / 127.5

"""What cameras, detectors and passers-by do to a picture of a person, done to a whole batch at once in torch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from reid_tracker.training.recipe import AugmentRecipe
from reid_tracker.training.sending import sent


@dataclass(frozen=True, slots=True)
class Augmented:
    """A batch as other cameras might have seen it.

    Attributes:
        x: (B, 3, H, W).
        cut: (B,) bool, on the CPU: only a band of the body is left.
    """

    x: Tensor
    cut: Tensor


def augment(x: Tensor, recipe: AugmentRecipe, generator: torch.Generator) -> Augmented:
    """Mirror, shift and scale, change light and colour, hide a part.

    Args:
        x: (B, 3, H, W) in -1..1; left unchanged.
        recipe: how strong and how often.
        generator: the only source of chance, so that a run can be repeated and continued.
    """
    moved, cut = _move(x, recipe, generator)
    if recipe.blur:
        moved = _blur(moved, recipe, generator)
    return Augmented(_erase(_colour(moved, recipe, generator), recipe, generator), cut)


def _uniform(shape: tuple[int, ...], low: float, high: float, generator: torch.Generator) -> Tensor:
    return torch.rand(shape, generator=generator) * (high - low) + low


def _chosen(batch: int, part: float, generator: torch.Generator) -> Tensor:
    return torch.rand(batch, generator=generator) < part


def _move(x: Tensor, recipe: AugmentRecipe, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """A box that is cut too wide, too narrow or beside the person, or that holds a part of the body; mirrored.

    Returns:
        (B, 3, H, W), and (B,) bool: a part of the body.
    """
    batch = len(x)
    mirror = torch.where(torch.rand(batch, generator=generator) < recipe.flip, -1.0, 1.0)
    scale = 1 + _uniform((batch, 2), -recipe.scale, recipe.scale, generator)
    shift = _uniform((batch, 2), -2 * recipe.shift, 2 * recipe.shift, generator)  # the grid runs from -1 to 1
    theta = torch.zeros(batch, 2, 3)
    theta[:, 0, 0], theta[:, 1, 1] = mirror * scale[:, 0], scale[:, 1]
    theta[:, :, 2] = shift
    cut = torch.zeros(batch, dtype=torch.bool)
    if recipe.body_crop:
        # What the box showed of the height becomes a band of it, stretched to the whole picture as a detector's box
        # of the visible part would be.
        cut = _chosen(batch, recipe.body_crop, generator)
        kept = torch.where(cut, _uniform((batch,), recipe.body_least, 1.0, generator), 1.0)
        middle = (1 - kept) * _uniform((batch,), -1.0, 1.0, generator)
        theta[:, 1, 2] += theta[:, 1, 1] * middle
        theta[:, 1, 1] *= kept
    grid = functional.affine_grid(sent(theta, x.device), list(x.shape), align_corners=False)
    return functional.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=False), cut


def _colour(x: Tensor, recipe: AugmentRecipe, generator: torch.Generator) -> Tensor:
    """Another exposure, contrast and white balance."""
    batch = len(x)
    contrast = 1 + _uniform((batch, 1, 1, 1), -recipe.contrast, recipe.contrast, generator)
    balance = 1 + _uniform((batch, 3, 1, 1), -recipe.colour, recipe.colour, generator)
    light = _uniform((batch, 1, 1, 1), -recipe.brightness, recipe.brightness, generator)
    five = sent(torch.cat([contrast, balance, light], dim=1), x.device)
    contrast, balance, light = five[:, :1], five[:, 1:4], five[:, 4:]
    mean = x.mean(dim=(1, 2, 3), keepdim=True)
    return (((x - mean) * contrast + mean + 1 + light) * balance - 1).clamp(-1, 1)


def _blur(x: Tensor, recipe: AugmentRecipe, generator: torch.Generator) -> Tensor:
    """Gauss's kernel along the height, the width or both: a walking person, a panning camera, a lens out of focus."""
    batch, channels, height, width = x.shape
    chosen = _chosen(batch, recipe.blur, generator)[:, None]
    deviation = _uniform((batch, 2), 0.1, recipe.blur_most * height, generator)
    sharp = torch.rand((batch, 2), generator=generator) < 1 / 3
    reach = max(1, round(2 * recipe.blur_most * height))
    away = torch.arange(-reach, reach + 1)
    # A deviation of a tenth of a pixel is a kernel of a single 1.
    spread = torch.where(chosen & ~sharp, deviation, 0.1)[:, :, None]
    kernels = torch.exp(-0.5 * (away / spread).square())
    kernels = sent(kernels / kernels.sum(dim=2, keepdim=True), x.device)
    one = x.reshape(1, batch * channels, height, width)
    for axis, shape in ((0, (-1, 1, 2 * reach + 1, 1)), (1, (-1, 1, 1, 2 * reach + 1))):
        kernel = kernels[:, axis].repeat_interleave(channels, dim=0).reshape(shape)
        padding = (0, 0, reach, reach) if axis == 0 else (reach, reach, 0, 0)
        one = functional.conv2d(functional.pad(one, padding, mode="replicate"), kernel, groups=batch * channels)
    return one.reshape(x.shape)


def _erase(x: Tensor, recipe: AugmentRecipe, generator: torch.Generator) -> Tensor:
    """Random erasing: a grey rectangle, as when somebody stands before the person."""
    batch, _, height, width = x.shape
    area = _uniform((batch,), 0.02, recipe.erase_most, generator)
    aspect = torch.exp(_uniform((batch,), -1.0, 1.0, generator))
    tall, wide = (area * aspect).sqrt().clamp(max=1), (area / aspect).sqrt().clamp(max=1)
    top = torch.rand(batch, generator=generator) * (1 - tall)
    left = torch.rand(batch, generator=generator) * (1 - wide)
    chosen = _chosen(batch, recipe.erase, generator)
    # A rectangle of no height where none is chosen. Its edges travel, not the mask, which is as large as the pictures.
    edges = torch.stack([top, torch.where(chosen, top + tall, top), left, left + wide])
    top, bottom, left, right = sent(edges, x.device)[:, :, None]
    y, x_position = ((torch.arange(side, device=x.device) + 0.5) / side for side in (height, width))
    in_rows, in_columns = (y >= top) & (y < bottom), (x_position >= left) & (x_position < right)
    return x.masked_fill((in_rows[:, :, None] & in_columns[:, None, :])[:, None], 0.0)

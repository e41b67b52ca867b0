"""What the torch forms ask of their tensors."""

from __future__ import annotations

import torch

from reid_tracker.errors import InputError


def as_stripes(stripes: torch.Tensor, name: str) -> torch.Tensor:
    """(N, S, d) finite float32, contiguous.

    Raises:
        InputError: another shape, NaN or infinity.
    """
    return _checked(stripes, name, 3, "(N, S, d) with S >= 1")


def as_vectors(vectors: torch.Tensor, name: str) -> torch.Tensor:
    """(N, D) finite float32, contiguous.

    Raises:
        InputError: another shape, NaN or infinity.
    """
    return _checked(vectors, name, 2, "(N, D)")


def same_space(first: torch.Tensor, second: torch.Tensor, names: str) -> None:
    """Both describe the same space, on one device.

    Raises:
        InputError: they do not.
    """
    if first.shape[1:] != second.shape[1:]:
        expected, got = tuple(first.shape[1:]), tuple(second.shape[1:])
        raise InputError(f"{names}: expected equal dimensions, got {expected} and {got}")
    if first.device != second.device:
        raise InputError(f"{names}: lie on {first.device} and {second.device}; move one")


def _checked(tensor: torch.Tensor, name: str, dimensions: int, shape: str) -> torch.Tensor:
    if tensor.ndim != dimensions or (dimensions == 3 and tensor.shape[1] == 0):
        raise InputError(f"{name}: expected shape {shape}, got {tuple(tensor.shape)}")
    checked = tensor.to(torch.float32).contiguous()
    if checked.numel() and not torch.isfinite(checked.sum(dtype=torch.float64)):
        raise InputError(f"{name}: expected finite numbers, got NaN or infinity")
    return checked

"""Depthwise convolution whose gradients are quick on a CPU that computes in bfloat16."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

_QUICK_KERNEL = 3


def quick_in_bfloat16(x: Tensor) -> bool:
    """Whether ``depthwise_conv2d`` is the quicker way here: under autocast to bfloat16 on a CPU, with gradients."""
    return (
        x.device.type == "cpu"
        and torch.is_grad_enabled()
        and torch.is_autocast_enabled("cpu")
        and torch.get_autocast_dtype("cpu") is torch.bfloat16
    )


def depthwise_conv2d(x: Tensor, weight: Tensor, bias: Tensor | None, stride: int, padding: int) -> Tensor:
    """``conv2d`` with one filter a channel, computed in bfloat16, some of its gradients in float32.

    oneDNN computes a depthwise convolution in bfloat16 three to nine times as fast as in float32, but the gradients of
    strided ones for their input, and of 5 x 5 ones for their weights, two to forty times slower: those are taken in
    float32, which halves the time of a training step of EfficientNet-lite0.

    Args:
        x: (B, C, H, W).
        weight: (C, 1, k, k).
        bias: (C,), or None.
        stride: of both sides.
        padding: zeros on each side.
    """
    answer: Tensor = _Depthwise.apply(x, weight, bias, stride, padding)  # type: ignore[no-untyped-call]  # torch's
    return answer


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, stride: int, padding: int) -> Tensor:
        low, low_weight = x.bfloat16(), weight.bfloat16()
        ctx.save_for_backward(low, low_weight)
        ctx.stride, ctx.padding, ctx.biased = stride, padding, bias is not None
        with torch.autocast("cpu", enabled=False):
            low_bias = None if bias is None else bias.bfloat16()
            return functional.conv2d(low, low_weight, low_bias, stride, padding, 1, len(weight))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        low = gradients[0]
        strided, large = ctx.stride > 1, weight.shape[-1] > _QUICK_KERNEL
        high = low.float() if strided or large else low
        for_input = for_weight = for_bias = None
        if ctx.needs_input_grad[0]:
            taken = (high, x, weight.float()) if strided else (low, x, weight)
            for_input = _gradients(ctx, *taken, (True, False, False))[0]
        if ctx.needs_input_grad[1]:
            taken = (high, x.float(), weight.float()) if large else (low, x, weight)
            for_weight = _gradients(ctx, *taken, (False, True, False))[1]
        if ctx.biased and ctx.needs_input_grad[2]:
            for_bias = low.sum((0, 2, 3), dtype=torch.float32)
        return for_input, for_weight, for_bias, None, None


def _gradients(
    ctx: Any, gradient: Tensor, x: Tensor, weight: Tensor, wanted: tuple[bool, bool, bool]
) -> tuple[Tensor, Tensor, Tensor]:
    sides, padding = [ctx.stride] * 2, [ctx.padding] * 2
    found: tuple[Tensor, Tensor, Tensor] = torch.ops.aten.convolution_backward(
        gradient, x.to(gradient.dtype), weight, None, sides, padding, [1, 1], False, [0, 0], len(weight), wanted
    )
    return found

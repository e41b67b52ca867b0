"""Gradients of the quick depthwise convolution against torch's own in double precision."""

import pytest

torch = pytest.importorskip("torch", reason="training needs torch")
from torch.nn import functional  # noqa: E402

from reid_tracker.training.depthwise import depthwise_conv2d, quick_in_bfloat16  # noqa: E402
from reid_tracker.training.efficientnet_lite import SameConv2d  # noqa: E402


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("stride", [1, 2])
def test_gradients_are_those_of_conv2d(kernel: int, stride: int) -> None:
    torch.manual_seed(kernel + stride)
    x, weight, bias = torch.randn(3, 16, 21, 11), torch.randn(16, 1, kernel, kernel), torch.randn(16)
    taken = [value.requires_grad_() for value in (x, weight, bias)]
    exact = [value.detach().double().requires_grad_() for value in taken]
    answer = depthwise_conv2d(*taken, stride, kernel // 2)
    expected = functional.conv2d(*exact, stride, kernel // 2, 1, 16)
    upstream = torch.randn(expected.shape)
    answer.backward(upstream.bfloat16())
    expected.backward(upstream.double())
    assert answer.dtype == torch.bfloat16
    torch.testing.assert_close(answer.double(), expected, rtol=0.02, atol=0.1)
    for own, true in zip(taken, exact, strict=True):
        assert own.grad is not None
        assert true.grad is not None
        assert own.grad.dtype == torch.float32
        assert functional.cosine_similarity(own.grad.double().flatten(), true.grad.flatten(), 0) > 0.9999


def test_a_lite_block_takes_it_only_while_it_learns_in_bfloat16() -> None:
    convolution = SameConv2d(8, 8, 5, 2, groups=8, bias=False)
    x = torch.randn(2, 8, 16, 8)
    assert not quick_in_bfloat16(x)
    with torch.autocast("cpu", torch.bfloat16):
        assert quick_in_bfloat16(x)
        learning = convolution(x)
        with torch.no_grad():
            assert not quick_in_bfloat16(x)
    torch.testing.assert_close(learning.float(), convolution(x), rtol=0.02, atol=0.05)

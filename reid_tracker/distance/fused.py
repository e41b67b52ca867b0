"""Global and aligned distance in one number, for ranking a gallery."""

from __future__ import annotations

import numpy as np

from reid_tracker.errors import InputError
from reid_tracker.types import FloatArray

ALIGNED_SHARE = 0.5
"""Half and half. On well-cut pictures of training people a smaller share is a little better (0.2: 0.7 points of mAP),
on boxes as a detector gives them a larger one (0.6: 1.0 point); ``benchmarks.reid_fusing`` says so without a look at
the people whose figures are reported."""


def fused_distance(global_: FloatArray, aligned: FloatArray, aligned_share: float = ALIGNED_SHARE) -> FloatArray:
    """Weighted mean of both distances, the global one made a cell's cost first.

    The paper adds the two as they are; its aligned distance is a sum of up to 15 cells and outweighs the global one.
    Here the Euclidean distance e of the global vectors goes through the function that a pair of stripes goes through,
    tanh(e / 2): the whole person counts like one more, larger, stripe, and the share says what it looks like it says.

    Args:
        global_: cosine distances in 0..2, any shape.
        aligned: mean cell costs in 0..1, the same shape.
        aligned_share: weight of the aligned distance, 0..1.

    Returns:
        float32 of the same shape, in 0..1.

    Raises:
        InputError: shapes differ, or the share is outside 0..1.
    """
    if global_.shape != aligned.shape:
        raise InputError(f"fused distance: expected equal shapes, got {global_.shape} and {aligned.shape}")
    if not 0 <= aligned_share <= 1:
        raise InputError(f"fused distance: expected an aligned share in 0..1, got {aligned_share}")
    # ||f - g|| of unit vectors, from 1 - cos.
    whole = np.tanh(np.sqrt(np.maximum(2 * global_, 0)) / 2)
    mixed: FloatArray = np.asarray(whole * (1 - aligned_share) + aligned * aligned_share, np.float32)
    return mixed

"""Non-maximum suppression: of boxes that show one person, the best stays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reid_tracker.boxes import overlap


def suppress(boxes_xyxy: NDArray[np.floating], scores: NDArray[np.floating], most_overlap: float) -> NDArray[np.int64]:
    """Greedy non-maximum suppression by intersection over union.

    From the best score downwards, a box stays unless it overlaps one that stayed by more than ``most_overlap``.
    Equal scores are taken in the order given.

    Args:
        boxes_xyxy: (N, 4) corners.
        scores: (N,), finite.
        most_overlap: 0..1.

    Returns:
        (K,) indices of the boxes that stay, best first.
    """
    order = np.argsort(-scores, kind="stable")
    # Symmetric (N, N) once, then one row operation per survivor: cheaper than N small calls for N up to ~1000.
    too_close = overlap(boxes_xyxy[order], boxes_xyxy[order]) > most_overlap
    alive = np.ones(len(order), np.bool_)
    for rank in range(len(order)):
        if alive[rank]:
            alive[rank + 1 :] &= ~too_close[rank, rank + 1 :]
    survivors: NDArray[np.int64] = order[alive]
    return survivors

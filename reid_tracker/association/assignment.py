"""Who is who, decided for all open tracklets of a camera at once."""

from __future__ import annotations

import lap
import numpy as np
from numpy.typing import NDArray

_IMPOSSIBLE = 1e6


def assign(log_odds: NDArray[np.floating]) -> NDArray[np.intp]:
    """The most probable way to give tracklets identities, each identity at most once.

    Every tracklet has its private column "somebody new" at log-odds 0, so nobody is forced upon a bad match and a
    hopeless pair cannot displace a good one.

    Args:
        log_odds: (T, K) log of the odds of "is that identity" against "is somebody new"; -inf forbids.

    Returns:
        (T,) column of the chosen identity, or -1 for somebody new.
    """
    tracklets, identities = log_odds.shape
    if tracklets == 0 or identities == 0:
        return np.full(tracklets, -1)
    useful = log_odds > 0
    cost = np.where(useful, -log_odds, _IMPOSSIBLE)
    alone = np.full((tracklets, tracklets), _IMPOSSIBLE)
    np.fill_diagonal(alone, 0.0)
    _, columns, _ = lap.lapjv(np.concatenate([cost, alone], axis=1), extend_cost=True)
    chosen = np.asarray(columns, np.intp)
    return np.where(chosen < identities, chosen, -1)

"""What looks say: the log-likelihood ratio of "one person" against "two people" between sets of looks.

A passage (tracklet) is the quality-weighted mean of its looks with the variance that ``Spread`` gives it: more looks
make it surer, but only down to the passage's own variance, so looks that repeat one another count for little more
than one. An identity is the precision-weighted mean over passages, and passages in one camera share part of their
error, so ten passages in one camera say less than two in two. With the precision P of the identity's mean z and the
passage x of variance v, in units of D / 2 (calibration.py has the letters):

    c = P / (P + 1 / b),   q1 = 1 / (P + 1 / b) + v,   q0 = b + v
    LLR = D / 2 [ log(q0 / q1) + |x|^2 / q0 - |x - c z|^2 / q1 ]

People are not Gaussian. One person turns round, opens a coat, is half hidden: far-off looks of one person are commoner
than the model has them, and so are strangers dressed alike. So the ratio is tempered, and "one person" gets a credit
that fades where the looks are too poor to say anything:

    evidence = temper LLR + credit min(1, I / enough),   I = D / 2 log(q0 / q1)

Both numbers were chosen on half of the people of the Market-1501 replay (benchmarks/association) and hold for other
embedders, since everything else is counted on site.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from reid_tracker.association.calibration import PassageLooks, Spread
from reid_tracker.types import FloatArray

# Half of what differs between passages is the camera's doing and comes back with every passage through it.
_SHARED_BY_CAMERA = 0.5
_TEMPER = 0.8
_CREDIT = 1.0  # nats
_ENOUGH = 3.0  # nats of mutual information from which looks are worth the whole credit
_MOST_SAID = 12.0  # nats
_WEIGHTS = 0.1, 2.0  # least and most that one look counts


def summarise(camera_id: str, vectors: FloatArray, weights: FloatArray, offset: FloatArray) -> PassageLooks:
    """One tracklet as a passage.

    Args:
        camera_id: where.
        vectors: (L, D) looks, L at least 1.
        weights: (L,) quality of each against the usual one.
        offset: (D,) what the camera adds to everybody's looks.
    """
    trusted = np.clip(weights, *_WEIGHTS).astype(np.float64)
    mean = (trusted @ vectors / trusted.sum() - offset).astype(np.float32)
    return PassageLooks(camera_id, mean, float(trusted.sum()))


def combine(passages: Sequence[PassageLooks], spread: Spread) -> tuple[FloatArray, float]:
    """Mean look (D,) of an identity over its passages, and the precision of that mean."""
    shared, own = _SHARED_BY_CAMERA * spread.passage, (1 - _SHARED_BY_CAMERA) * spread.passage
    means = np.stack([passage.mean for passage in passages])
    precisions = np.array([1 / (own + spread.look / passage.weight) for passage in passages])
    cameras = [passage.camera_id for passage in passages]
    share = np.empty(len(passages))
    for camera in set(cameras):
        here = np.array([name == camera for name in cameras])
        together = precisions[here].sum()
        share[here] = precisions[here] / together / (shared + 1 / together)
    precision = float(share.sum())
    mean: FloatArray = (share @ means / precision).astype(np.float32)
    return mean, precision


def appearance_evidence(
    mean: FloatArray,
    variance: float,
    identities: FloatArray,
    precisions: NDArray[np.floating],
    spread: Spread,
) -> NDArray[np.float64]:
    """Evidence that one passage, or one identity, is one person with each of many identities.

    Args:
        mean: (D,) mean look.
        variance: of that mean around the person.
        identities: (K, D) mean looks.
        precisions: (K,) of these.
        spread: what distances mean here.

    Returns:
        (K,) float64, nats, positive where "one person" explains the looks better.
    """
    own, centre, squared_scale = mean - spread.centre, spread.centre, spread.scale**2
    # (z - centre) x and |z - centre|^2 multiplied out: no centred copy of everybody remembered.
    products = (identities @ np.stack([own, centre], axis=1)).astype(np.float64)
    agreement = squared_scale * (products[:, 0] - float(centre @ own)) - spread.stranger
    own_length = squared_scale * float(own @ own) - spread.stranger
    squares = np.einsum("kd,kd->k", identities, identities).astype(np.float64)
    lengths = squared_scale * (squares - 2 * products[:, 1] + float(centre @ centre)) - spread.stranger
    certainty = precisions + 1 / spread.person
    shrink = precisions / certainty
    same = 1 / certainty + variance
    different = spread.person + variance
    distance = own_length - 2 * shrink * agreement + shrink**2 * lengths
    information = 0.5 * spread.dimensions * np.log(different / same)
    ratio = information + 0.5 * spread.dimensions * (own_length / different - distance / same)
    credit = _CREDIT * np.minimum(1, information / _ENOUGH)
    evidence: NDArray[np.float64] = _MOST_SAID * np.tanh((_TEMPER * ratio + credit) / _MOST_SAID)
    return evidence

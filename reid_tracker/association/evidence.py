"""What looks say: the log-likelihood ratio of "one person" against "two people" between sets of looks.

A passage (tracklet) is the quality-weighted mean of its looks with the variance that ``Spread`` gives it: more looks
make it surer, but only down to the passage's own variance, so looks that repeat one another count for little more
than one. An identity is the precision-weighted mean over passages, and passages in one camera share part of their
error, so ten passages in one camera say less than two in two. With the precision P of the identity's mean z and the
passage x of variance v, in units of D / 2 (calibration.py has the letters):

    c = P / (P + 1 / b),   q1 = 1 / (P + 1 / b) + v,   q0 = b + v
    LLR = D / 2 [ log(q0 / q1) + |x|^2 / q0 - |x - c z|^2 / q1 ]

People are not Gaussian. One person turns round, opens a coat, is half hidden: far-off looks of one person are commoner
than the model has them, and so are strangers dressed alike. So the ratio is tempered and bounded, and "one person" gets
a credit. It fades where the looks are too poor to say anything, and as far as strangers here are alike (a small D): a
weak embedder's false links cost more than the true ones that the credit finds.

    evidence = bounded(temper LLR + credit min(1, D / 80) min(1, I / enough)),   I = D / 2 log(q0 / q1)
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
_SEPARATE = 80.0  # directions from which strangers are told apart well enough for the whole credit
_ENOUGH = np.float32(3.0)  # nats of mutual information from which looks are worth the whole credit
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


def combined_so_far(passages: Sequence[PassageLooks], spread: Spread) -> tuple[FloatArray, NDArray[np.float64]]:
    """``combine`` of the first passage, of the first two, and so on: (K, D) mean looks and (K,) precisions."""
    shared, own = _SHARED_BY_CAMERA * spread.passage, (1 - _SHARED_BY_CAMERA) * spread.passage
    precisions = np.array([1 / (own + spread.look / passage.weight) for passage in passages])
    _, cameras = np.unique([passage.camera_id for passage in passages], return_inverse=True)
    known = np.tril(np.ones((len(passages), len(passages))))  # (so far, passage)
    together = (known * precisions) @ (cameras[:, None] == cameras)  # of all in the passage's camera so far
    share = known * precisions / (shared * together + 1)
    total: NDArray[np.float64] = share.sum(axis=1)
    means = (share @ np.stack([passage.mean for passage in passages]) / total[:, None]).astype(np.float32)
    return means, total


def appearance_evidence(
    means: FloatArray,
    variances: NDArray[np.floating],
    identities: FloatArray,
    precisions: NDArray[np.floating],
    spread: Spread,
    squares: NDArray[np.floating] | None = None,
) -> FloatArray:
    """Evidence that each of some passages, or identities, is one person with each of many identities.

    Args:
        means: (T, D) mean looks.
        variances: (T,) of these means around the person.
        identities: (K, D) mean looks.
        precisions: (K,) of these.
        spread: what distances mean here.
        squares: (K,) squared lengths of the identities' mean looks, where the caller keeps them.

    Returns:
        (T, K) float32, nats, positive where "one person" explains the looks better.
    """
    own, centre, squared_scale = means - spread.centre, spread.centre, np.float32(spread.scale**2)
    stranger, person = np.float32(spread.stranger), np.float32(spread.person)
    half = np.float32(0.5 * spread.dimensions)
    if squares is None:
        squares = np.einsum("kd,kd->k", identities, identities)
    # (z - centre) x and |z - centre|^2 multiplied out: no centred copy of everybody remembered.
    products = np.concatenate([own, centre[None]]) @ identities.T
    lengths = squared_scale * (squares - 2 * products[-1] + centre @ centre).astype(np.float32) - stranger
    agreement = squared_scale * (products[:-1] - (own @ centre)[:, None]) - stranger
    own_length = (squared_scale * np.einsum("td,td->t", own, own) - stranger)[:, None]
    certainty = precisions.astype(np.float32) + 1 / person
    shrink = precisions.astype(np.float32) / certainty
    variance = variances.astype(np.float32)[:, None]
    same, different = 1 / certainty + variance, person + variance
    distance = own_length - 2 * shrink * agreement + shrink**2 * lengths
    information = half * np.log(different / same)
    ratio = information + half * (own_length / different - distance / same)
    credit = np.float32(_CREDIT * min(1.0, spread.dimensions / _SEPARATE)) * np.minimum(1, information / _ENOUGH)
    said = np.float32(_MOST_SAID)
    evidence: FloatArray = said * np.tanh((np.float32(_TEMPER) * ratio + credit) / said)
    return evidence

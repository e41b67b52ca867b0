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

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

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


@dataclass(frozen=True, slots=True)
class Compared:
    """Passages beside identities, in the numbers that evidence is made of.

    What has an entry per identity may have one per passage and identity, (T, K), where each passage is asked about
    other identities.

    Attributes:
        products: (T, K) of the mean looks of passages and identities.
        beside: (K,) of the identities' mean looks with the centre.
        means: (T, D) mean looks of the passages.
        variances: (T,) of these around the person.
        precisions: (K,) of the identities' mean looks.
        squares: (K,) squared lengths of these.
    """

    products: FloatArray
    beside: FloatArray
    means: FloatArray
    variances: NDArray[np.floating]
    precisions: NDArray[np.floating]
    squares: NDArray[np.floating]

    def only(self, identities: NDArray[np.intp]) -> Compared:
        """Beside some of the identities."""
        return replace(
            self,
            products=self.products[:, identities],
            beside=self.beside[identities],
            precisions=self.precisions[identities],
            squares=self.squares[identities],
        )


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
    # Few numbers each, many times a step: plain floats are several times as fast as arrays here.
    precisions = [1 / (own + spread.look / passage.weight) for passage in passages]
    together: dict[str, float] = {}
    for passage, precision in zip(passages, precisions, strict=True):
        together[passage.camera_id] = together.get(passage.camera_id, 0.0) + precision
    shares = [
        precision / (shared * together[passage.camera_id] + 1)
        for passage, precision in zip(passages, precisions, strict=True)
    ]
    total = sum(shares)
    if len(passages) == 1:
        return passages[0].mean, total
    mean: FloatArray = (np.array(shares) @ np.stack([passage.mean for passage in passages]) / total).astype(np.float32)
    return mean, total


def tempered(ratio: float, information: float, spread: Spread) -> float:
    """Evidence of one log-likelihood ratio; as ``evidence_of_products`` has it, for a single number."""
    credit = _CREDIT * min(1.0, spread.dimensions / _SEPARATE) * min(1.0, information / float(_ENOUGH))
    return _MOST_SAID * math.tanh((_TEMPER * ratio + credit) / _MOST_SAID)


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
    if squares is None:
        squares = np.einsum("kd,kd->k", identities, identities)
    products = np.concatenate([means, spread.centre[None]]) @ identities.T
    return evidence_of_products(Compared(products[:-1], products[-1], means, variances, precisions, squares), spread)


def evidence_of_products(compared: Compared, spread: Spread) -> FloatArray:
    """``appearance_evidence``, (T, K) nats, where the products with the identities' mean looks are known."""
    products, beside, precisions = compared.products, compared.beside, compared.precisions
    centre, squared_scale = spread.centre, np.float32(spread.scale**2)
    stranger, person = np.float32(spread.stranger), np.float32(spread.person)
    half = np.float32(0.5 * spread.dimensions)
    # (z - centre)(x - centre) and |z - centre|^2 multiplied out: no centred copy of everybody remembered.
    own = compared.means - centre
    lengths = squared_scale * (compared.squares - 2 * beside + centre @ centre).astype(np.float32) - stranger
    agreement = squared_scale * (products - beside - (own @ centre)[:, None]) - stranger
    own_length = (squared_scale * np.einsum("td,td->t", own, own) - stranger)[:, None]
    certainty = precisions.astype(np.float32) + 1 / person
    shrink = precisions.astype(np.float32) / certainty
    variance = compared.variances.astype(np.float32)[:, None]
    same, different = 1 / certainty + variance, person + variance
    agreement *= -2 * shrink
    agreement += shrink**2 * lengths + own_length  # the squared distance
    information = half * np.log(different / same)
    agreement /= same
    ratio = information + half * (own_length / different - agreement)
    credit = np.float32(_CREDIT * min(1.0, spread.dimensions / _SEPARATE)) * np.minimum(1, information / _ENOUGH)
    said = np.float32(_MOST_SAID)
    ratio *= np.float32(_TEMPER)
    ratio += credit
    evidence: FloatArray = said * np.tanh(ratio / said)
    return evidence


def rough_order(compared: Compared, spread: Spread) -> FloatArray:
    """(T, K) numbers that order each passage's identities nearly as the evidence does, for two array operations.

    All passages are taken to be as sure and as far from the centre as they are on average; then the ratio is the
    product times a number of the identity, plus another.
    """
    products, beside, precisions = compared.products, compared.beside, compared.precisions
    centre, squared_scale = spread.centre, spread.scale**2
    own = compared.means - centre
    own_length = float(squared_scale * np.einsum("td,td->t", own, own).mean() - spread.stranger)
    certainty = precisions + 1 / spread.person
    shrink = precisions / certainty
    same = 1 / certainty + float(compared.variances.mean())
    lengths = squared_scale * (compared.squares - 2 * beside + centre @ centre) - spread.stranger
    slope = 2 * shrink / same
    constant = -np.log(same) - (shrink**2 * lengths + own_length) / same
    constant -= slope * (squared_scale * (beside + float((own @ centre).mean())) + spread.stranger)
    order: FloatArray = products * (slope * squared_scale).astype(np.float32) + constant.astype(np.float32)
    return order

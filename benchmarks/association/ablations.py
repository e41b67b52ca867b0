"""The associator with one of its ingredients switched off at a time, and with its threshold shifted.

Nothing of it is configurable, on purpose: these are experiments on the associator's public parts.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from benchmarks.association.ours import Variant
from reid_tracker.association import CrossCameraAssociator, associator
from reid_tracker.config import AssociationConfig
from reid_tracker.types import Appearance

_NEVER = 1e9  # nats


def without_stripes(looks: Appearance) -> Appearance:
    """Looks of an embedder that gives global vectors only."""
    return Appearance(looks.global_, np.zeros((len(looks), 0, 0), np.float32), looks.quality, looks.valid)


def of_one_quality(looks: Appearance) -> Appearance:
    """Looks that all claim to be equally good."""
    return Appearance(looks.global_, looks.stripes, np.ones_like(looks.quality), looks.valid)


def _see_no_ground(subject: CrossCameraAssociator) -> None:
    """Where people stand says nothing, whether homographies were given or learned."""
    _replace_method(subject.ground, "evidence", lambda *_: 0.0)


def _forget_space_and_time(subject: CrossCameraAssociator) -> None:
    """Everybody known is as likely to turn up as somebody new, whenever and wherever they were last seen."""
    _see_no_ground(subject)
    topology = subject.topology

    def constant(*asked: Any) -> NDArray[np.float64]:
        _origins, _destinations, gaps = asked
        return np.full(len(gaps), topology.log_new_rate(0))

    _replace_method(topology, "log_rate", constant)
    _replace_method(topology, "highest_log_rate", lambda _: topology.log_new_rate(0))


def _learn_nothing(subject: CrossCameraAssociator) -> None:
    """Distances keep their start values."""
    for name in ("observe_passage", "observe_strangers", "observe_crowd", "observe_link"):
        _replace_method(subject.calibration, name, lambda *_, **__: None)
    _replace_method(subject.calibration.aligned, "observe", lambda *_, **__: None)


def _replace_method(part: object, name: str, method: Any) -> None:
    getattr(part, name)  # an ingredient that was renamed must not be left on in silence
    setattr(part, name, method)


@contextmanager
def _one_after_the_other() -> Iterator[None]:
    """Each passage takes the best answer that those before it have left."""

    def greedy(log_odds: NDArray[np.float64]) -> NDArray[np.intp]:
        choices = np.full(len(log_odds), -1, np.intp)
        left = log_odds.copy()
        for row in range(len(left)):
            if left.shape[1] and left[row].max() > 0:
                choices[row] = left[row].argmax()
                left[:, choices[row]] = -np.inf
        return choices

    with mock.patch.object(associator, "assign", greedy):
        yield


ABLATIONS = (
    Variant("no aligned distance", prepare=lambda case: case.with_looks(without_stripes)),
    Variant("no quality", prepare=lambda case: case.with_looks(of_one_quality)),
    Variant("no ground plane", adjust=_see_no_ground),
    Variant("no space and time", adjust=_forget_space_and_time),
    Variant("no joint decision", during=_one_after_the_other),
    Variant(
        "no late correction",
        config=AssociationConfig(revise_margin=_NEVER, settled_margin=_NEVER, merge_margin=_NEVER),
        settles=False,
    ),
    Variant("no calibration", adjust=_learn_nothing),
)


def shifted(nats: float) -> Variant:
    """The associator whose threshold for "somebody known" is so much higher."""

    def adjust(subject: CrossCameraAssociator) -> None:
        rate = subject.topology.log_new_rate
        _replace_method(subject.topology, "log_new_rate", lambda people: rate(people) + nats)

    return Variant(f"threshold {nats:+g}", adjust=adjust)

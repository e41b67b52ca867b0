"""The rounds of matching in one frame: which detection continues which track.

Everything a round looks at is in a ``View``: T predicted tracks against N detections. A round returns pairs; it
changes nothing. Rounds run from the surest kind of evidence to the least sure, and each takes only tracks and
detections that earlier rounds left over (``Matches`` keeps the books).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from reid_tracker.config import TrackingConfig
from reid_tracker.tracking.matching import Indices, assign
from reid_tracker.types import BoolArray, FloatArray


@dataclass(frozen=True, slots=True)
class View:
    """T predicted tracks against N detections of one frame.

    Attributes:
        tentative, lost: (T,) bool; a track that is neither was seen in the previous frame.
        unseen: (T,) seconds since it was last seen.
        confident, weak: (N,) bool, by the detector's score levels; a detection may be neither.
        overlap: (T, N) of grown boxes, 0..1.
        heights: (T, N) smaller height over larger, 0..1.
        deviation: (T, N) squared Mahalanobis distance of centres.
        distance: (T, N) between centres, in heights of the track.
        look_distance: (T, N) cosine distance to the track's nearest look, NaN where unknown.
        evidence: (T, N) what it says: 1 same person, -1 another, 0 unknown.
        looked: (T, N) bool; appearance of both is known.
    """

    tentative: BoolArray
    lost: BoolArray
    unseen: NDArray[np.float64]
    confident: BoolArray
    weak: BoolArray
    overlap: FloatArray
    heights: FloatArray
    deviation: NDArray[np.float64]
    distance: NDArray[np.float64]
    look_distance: FloatArray
    evidence: FloatArray
    looked: BoolArray


@dataclass(slots=True)
class Matches:
    """Which detection each track has, as the rounds go on.

    Attributes:
        detection_of: (T,) row of the detection, -1 where none yet.
        free: (N,) bool; detections that no track has.
    """

    detection_of: Indices
    free: BoolArray = field(repr=False)

    @staticmethod
    def none(tracks: int, detections: int) -> Matches:
        """Nothing matched yet."""
        return Matches(np.full(tracks, -1, np.intp), np.ones(detections, np.bool_))

    @property
    def open(self) -> BoolArray:
        """(T,) tracks that have no detection."""
        unmatched: BoolArray = self.detection_of < 0
        return unmatched

    def take(self, pairs: Indices) -> None:
        """Enter (K, 2) pairs of track and detection."""
        self.detection_of[pairs[:, 0]] = pairs[:, 1]
        self.free[pairs[:, 1]] = False

    def offers(self, tracks: BoolArray, detections: BoolArray) -> BoolArray:
        """(T, N): pairs of these tracks and detections that are both still free."""
        pairs: BoolArray = (tracks & self.open)[:, None] & (detections & self.free)[None]
        return pairs


def match_confident(view: View, matches: Matches, config: TrackingConfig) -> Indices:
    """Believed tracks and confident detections, by overlap, corrected by appearance where that is known."""
    cost = 1 - view.overlap - config.appearance_weight * view.evidence + config.lost_cost * view.lost[:, None]
    allowed = (
        matches.offers(~view.tentative, view.confident)
        & (view.overlap >= config.least_overlap)
        & (view.heights >= config.least_height_ratio)
    )
    return assign(cost, allowed, config.cost_limit)


def match_weak(view: View, matches: Matches, config: TrackingConfig) -> Indices:
    """Believed tracks seen a moment ago and weak detections, by overlap alone: weak boxes show covered people."""
    allowed = (
        matches.offers(~view.tentative & (~view.lost | (view.unseen <= config.weak_seconds)), view.weak)
        & (view.overlap >= config.least_weak_overlap)
        & (view.heights >= config.least_height_ratio)
    )
    return assign(1 - view.overlap, allowed, 1.0)


def recover_lost(view: View, matches: Matches, config: TrackingConfig) -> Indices:
    """Lost tracks and confident detections that touch no prediction, by where somebody can have got to and looks.

    With a known appearance the whole gate is open and the look must speak for the same person; without one, the
    place has to be convincing by itself.
    """
    convincing = np.where(
        view.looked,
        (view.evidence >= config.recover_evidence) & (view.distance <= config.recover_reach),
        (view.unseen[:, None] <= config.blind_seconds) & (view.distance <= config.blind_reach),
    )
    allowed = (
        matches.offers(view.lost, view.confident)
        & convincing
        & (view.deviation <= config.recover_gate)
        & (view.heights >= config.recover_height_ratio)
    )
    return assign(view.deviation / config.recover_gate - config.recover_weight * view.evidence, allowed, 1.0)


def match_tentative(view: View, matches: Matches, config: TrackingConfig) -> Indices:
    """Tracks that nobody believes yet and what is left, by overlap."""
    allowed = matches.offers(view.tentative, view.confident | view.weak) & (view.overlap >= config.least_overlap)
    return assign(1 - view.overlap, allowed, 1.0)


def rivalry(view: View, rows: Indices, columns: Indices) -> FloatArray:
    """How far each matched box may show somebody else as well: the best overlap with a track that it is not of.

    Detectors draw one box around two people who meet, or the box of the nearer one grows: in either case it lies
    beside where its own person walks, and says less of it.

    Args:
        view: T tracks against N detections.
        rows, columns: (K,) the matched pairs.

    Returns:
        (K,) 0..1.
    """
    overlap = view.overlap[:, columns]
    overlap[rows, np.arange(len(columns))] = 0
    others: FloatArray = overlap.max(axis=0, initial=0)
    return others


def plain_by_place(view: View, config: TrackingConfig) -> tuple[Indices, BoolArray]:
    """Which detections continue a track whatever they look like, as far as their place tells.

    Returns:
        (N,) row of the track that each detection overlaps best, and (N,) bool: that track was seen in the previous
        frame, they overlap by ``plain_overlap`` or more, and neither a second track on the detection nor a second
        detection on the track comes within ``plain_margin`` of that.
    """
    possible = (view.heights >= config.least_height_ratio) & (view.confident | view.weak)
    overlap = np.where(possible, view.overlap, 0.0)
    columns = np.arange(overlap.shape[1])
    track_of = overlap.argmax(axis=0)
    best = overlap[track_of, columns]
    other_tracks = overlap.copy()
    other_tracks[track_of, columns] = 0
    other_detections = overlap[track_of]  # (N, N): row n, what else is on detection n's track
    other_detections[columns, columns] = 0
    rival = np.maximum(other_tracks.max(axis=0, initial=0), other_detections.max(axis=1, initial=0))
    settled = ~view.tentative & ~view.lost
    plain: BoolArray = settled[track_of] & (best >= config.plain_overlap) & (best - rival >= config.plain_margin)
    return track_of, plain

"""Which cameras see the same ground, and how it maps from one picture to the other: learned from people in both.

Two passages at one time in two cameras may be one person; their looks say how probably, each against all others who
were in view at that time and against nobody. Pairs that are believed propose a map of the ground (homography.py). It
is used only where it proves itself: enough people agree with it, they hold a good share of all belief, and each stands
where the map made without them says. It is drawn up again as more people pass, so that it goes when it stops being
true. What a map itself says of a pair is not used to believe the pair, so it cannot confirm itself.

Clocks may differ: where no map is found at equal times, shifted ones are tried, and the shift is kept with the map.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from reid_tracker.association.calibration import Calibration
from reid_tracker.association.evidence import appearance_evidence
from reid_tracker.association.feet import FootPath, together
from reid_tracker.association.homography import GroundMap, Walk, fit_ground_map
from reid_tracker.association.identities import Passage

_EVERY = 2.0  # seconds between two looks at who is in view together
_BELIEVED = 0.2  # probability from which a pair may propose
_WALKS = 64  # newest of a camera pair that are kept
_NEWS = 1.25  # growth of a camera pair's walks from which its map is drawn up again
_LEAST_SHARE = 0.4  # of the belief that has to agree with a map
_WORST_RESIDUAL = 0.25  # body heights
_SHIFTED = 8  # walks from which clocks may differ, tried again when there are twice as many
_OFFSETS = np.array([-0.5, 0.5, -1.0, 1.0, -2.0, 2.0, -3.0, 3.0, -4.0, 4.0, -5.0, 5.0])  # seconds, tried in this order
_STEPS = (0.4, 0.2, 0.1)  # seconds by which a shift that worked is made better

_log = logging.getLogger(__name__)
Pair = tuple[str, str]


@dataclass(frozen=True)
class SharedView:
    """What is known of the ground that two cameras share.

    Attributes:
        map: pixels of the first camera to pixels of the second.
        offset: seconds by which the second camera's clock is ahead of the first one's.
        spread: (of people in the second camera) area in square body heights over which they were seen.
    """

    map: GroundMap
    offset: float
    spread: float


@dataclass
class _Evidence:
    """Pairs of passages of two cameras that may be one person each, with their probability; newest last."""

    walks: dict[tuple[int, int], float] = field(default_factory=dict)
    used: int = 0  # walks at the last attempt
    shifted: int = 0  # walks when shifted clocks were last tried
    seen: int = 0  # walks ever

    def add(self, pair: tuple[int, int], belief: float) -> None:
        self.seen += self.walks.pop(pair, None) is None
        self.walks[pair] = belief
        while len(self.walks) > _WALKS:
            self.walks.pop(next(iter(self.walks)))

    def keep(self, believed: Callable[[int, int], bool], judged: Collection[int]) -> None:
        """Let go of the pairs of which both were judged and that are believed no longer."""
        for one, other in [pair for pair in self.walks if pair[0] in judged and pair[1] in judged]:
            if not believed(one, other):
                del self.walks[one, other]

    def forget(self, tracklet: int) -> None:
        for pair in [pair for pair in self.walks if tracklet in pair]:
            del self.walks[pair]


class OverlapLearner:
    """Learns ``SharedView`` for each two cameras that have one. One per site, not thread-safe.

    Args:
        paths: foot points by tracklet; read, not changed.
        calibration: what looks mean here.
    """

    def __init__(self, paths: Mapping[int, FootPath], calibration: Calibration) -> None:
        self.views: dict[Pair, SharedView] = {}
        self._paths = paths
        self._calibration = calibration
        self._evidence: dict[Pair, _Evidence] = {}
        self._recent: dict[int, Passage] = {}
        self._next = -np.inf

    def learn(self, open_: Sequence[Passage], now: float) -> None:
        """Look at who is in view together, now and then, and draw up the map that has the most news."""
        if now < self._next:
            return
        self._next = now + _EVERY
        self._recent |= {passage.tracklet: passage for passage in open_ if passage.looks is not None}
        oldest = now - 2 * _EVERY
        self._recent = {number: passage for number, passage in self._recent.items() if passage.end >= oldest}
        self._believe(list(self._recent.values()))
        news = {
            pair: evidence.seen / max(evidence.used, 1)
            for pair, evidence in self._evidence.items()
            if evidence.seen >= _NEWS * evidence.used and len(evidence.walks) > 1
        }
        if news:
            self._draw(max(news, key=lambda pair: (news[pair], pair)))

    def forget(self, tracklets: Sequence[int]) -> None:
        """Passages that are remembered no longer."""
        for tracklet in tracklets:
            self._recent.pop(tracklet, None)
            for evidence in self._evidence.values():
                evidence.forget(tracklet)

    def forget_camera(self, camera_id: str) -> None:
        """A camera looks elsewhere: what it shared with others is over."""
        self.views = {pair: view for pair, view in self.views.items() if camera_id not in pair}
        self._evidence = {pair: found for pair, found in self._evidence.items() if camera_id not in pair}

    def _believe(self, passages: list[Passage]) -> None:
        """Who of two cameras is probably one person, by looks."""
        if len({passage.camera for passage in passages}) < 2:
            return
        beliefs = _beliefs(passages, self._calibration)
        place = {passage.tracklet: row for row, passage in enumerate(passages)}
        for evidence in self._evidence.values():
            evidence.keep(lambda one, other: beliefs[place[one], place[other]] >= _BELIEVED, place.keys())
        for row, column in zip(*np.nonzero(beliefs >= _BELIEVED), strict=True):
            one, other = passages[row], passages[column]
            if one.camera_id < other.camera_id and one.tracklet in self._paths and other.tracklet in self._paths:
                evidence = self._evidence.setdefault((one.camera_id, other.camera_id), _Evidence())
                evidence.add((one.tracklet, other.tracklet), float(beliefs[row, column]))

    def _draw(self, pair: Pair) -> None:
        """Make the map of two cameras anew."""
        evidence = self._evidence[pair]
        evidence.used = evidence.seen
        before = self.views.pop(pair, None)
        view = self._best(evidence, before) or self._still(evidence, before)
        if view is not None:
            self.views[pair] = view
        if (view is None) != (before is None):
            _log.info("cameras %s and %s: %s", *pair, _said(view))

    def _best(self, evidence: _Evidence, before: SharedView | None) -> SharedView | None:
        def at(offset: float) -> SharedView | None:
            return _shared_view(self._walks(evidence, offset), offset)

        view = at(before.offset if before else 0.0)
        if view is None and before is None and evidence.seen >= max(_SHIFTED, 2 * evidence.shifted):
            evidence.shifted = evidence.seen
            view = next((found for offset in _OFFSETS if (found := at(float(offset))) is not None), None)
        return None if view is None else _sharper(view, at, _STEPS if before is None else _STEPS[-1:])

    def _still(self, evidence: _Evidence, before: SharedView | None) -> SharedView | None:
        """The map that was, if people still walk as it says: too few to make it anew may be enough to confirm it.

        Where nobody of now has a moment in common (feet out of the picture), nothing speaks against it.
        """
        walks = self._walks(evidence, before.offset) if before is not None else []
        if before is None or not walks:
            return before
        agree = [np.median(before.map.errors(walk)) < _WORST_RESIDUAL for walk in walks]
        share = float(np.dot(agree, [walk.belief for walk in walks])) / sum(walk.belief for walk in walks)
        return before if share >= _LEAST_SHARE else None

    def _walks(self, evidence: _Evidence, offset: float) -> list[Walk]:
        walks = []
        for (one, other), belief in evidence.walks.items():
            first, second = together(self._paths[one], self._paths[other], offset)
            if len(first):
                walks.append(Walk(first[:, :2], second, belief))
        return walks


def _sharper(view: SharedView, at: Callable[[float], SharedView | None], steps: Sequence[float]) -> SharedView:
    """The shift of the clocks near a good one with the most belief and the least residual."""
    for step in steps:
        near = [found for shift in (-step, step) if (found := at(view.offset + shift)) is not None]
        view = min([view, *near], key=lambda one: one.map.residual / one.map.share)
    return view


def _shared_view(walks: list[Walk], offset: float) -> SharedView | None:
    found = fit_ground_map(walks, _LEAST_SHARE)
    if found is None or found.share < _LEAST_SHARE or found.residual > _WORST_RESIDUAL:
        return None
    feet = np.concatenate([walk.second for walk in walks])
    scaled = (feet[:, :2] - feet[:, :2].mean(axis=0)) / np.median(feet[:, 2])
    spread = 4 * np.pi * float(np.sqrt(max(np.linalg.det(np.cov(scaled.T)), 0.0)))
    return SharedView(found, offset, max(spread, 2.0))


def _beliefs(passages: list[Passage], calibration: Calibration) -> NDArray[np.float64]:
    """(N, N) probability that two passages in view at one time in two cameras are one person, by their looks.

    Each is at most one of those whom another camera saw meanwhile, or none of them, so the two must choose each other.
    """
    looks = [passage.looks for passage in passages if passage.looks is not None]
    spread = calibration.spread_of(len(looks[0].mean))
    means = np.stack([one.mean for one in looks])
    variances = np.array([spread.of_passage(one.weight) for one in looks])
    evidence = appearance_evidence(means, variances, means, 1 / variances, spread).astype(np.float64)
    cameras = np.array([passage.camera for passage in passages])
    starts = np.array([passage.start for passage in passages])
    ends = np.array([passage.end for passage in passages])
    meet = np.minimum(ends[:, None], ends) >= np.maximum(starts[:, None], starts)
    odds = np.where(meet & (cameras[:, None] != cameras), np.exp(evidence), 0.0)
    beliefs = np.zeros_like(odds)
    for camera in np.unique(cameras):
        there = cameras == camera
        beliefs[:, there] = odds[:, there] / (1 + odds[:, there].sum(axis=1, keepdims=True))
    mutual: NDArray[np.float64] = beliefs * beliefs.T
    return mutual


def _said(view: SharedView | None) -> str:
    if view is None:
        return "no common ground any longer"
    return (
        f"common ground, {view.map.people} people agree, {view.map.residual:.2f} body heights off, "
        f"clocks {view.offset:+.1f} s apart"
    )

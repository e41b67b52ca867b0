"""What a partition of a finished run's passages is worth, in nats against "everybody is somebody else".

    worth(person) = sum over passages but the first [ looks + stripes + log h(gap) - log new ]  given those before
                  + sum over pairs in view at once of what the ground says of them

The terms are those that decide while a run goes on (evidence.py, calibration.py, topology.py, ground.py), with all
passages known. Being in one camera at once, impossible travel and what people said make a person impossible.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from reid_tracker.association.calibration import Calibration, PassageLooks
from reid_tracker.association.evidence import agreement_so_far, appearance_evidence
from reid_tracker.association.ground import GroundPlane
from reid_tracker.association.memory import varied
from reid_tracker.association.remembering import RememberedPassage
from reid_tracker.association.topology import ReturnTimes
from reid_tracker.distance import aligned_distance
from reid_tracker.types import FloatArray

NEIGHBOURS = 12  # most alike passages that each could be one with
_IMPOSSIBLE = -60.0  # log rate that only configured travel times give
_ELSEWHERE = -50.0  # nats of the ground from which nobody can be in both places
_THERE = 1.0  # nats of the ground from which two may be one person for that alone
_ALIGNED_LOOKS = 4  # of a passage
_ALIGNED_PASSAGES = 6  # newest ones before

_NOBODY: frozenset[int] = frozenset()

Pair = tuple[int, int]


class Assignment:
    """The passages of a finished run and what partitions of them are worth.

    Args:
        passages: all of them; those with looks must have an entry in ``looks``.
        looks: tracklet -> its looks in short; passages without say nothing by looks.
        calibration: what distances mean here.
        topology: return times; numbers of the cameras are asked for by name.
        people: how many came, for the rate of new ones.
        apart: tracklet -> those that are somebody else for certain, beside what the passages show themselves.
        together: groups that somebody who knows said are one person each, whatever the passages show.
        ground: where people stood; nothing where None.
    """

    def __init__(
        self,
        passages: Sequence[RememberedPassage],
        looks: Mapping[int, PassageLooks],
        calibration: Calibration,
        topology: ReturnTimes,
        people: int,
        apart: Mapping[int, frozenset[int]] | None = None,
        ground: GroundPlane | None = None,
        together: Iterable[frozenset[int]] = (),
    ) -> None:
        self.passages = {one.tracklet: one for one in sorted(passages, key=lambda one: (one.start, one.tracklet))}
        self._place = {tracklet: place for place, tracklet in enumerate(self.passages)}
        self._looks = looks
        self._spread = calibration.spread_of(len(next(iter(looks.values())).mean) if looks else 1)
        self._aligned = calibration.aligned
        self._topology = topology
        self._camera = {one.tracklet: topology.index(one.camera_id) for one in self.passages.values()}
        self._new = topology.log_new_rate(max(people - 1, 0))
        self._told = {tracklet: group for group in together for tracklet in group}
        self._apart = self._exclusive(apart or {})
        self._ground = ground if ground is not None and ground.known else None
        self._stripes = _stripes(self.passages.values())
        self._worth: dict[frozenset[int], float] = {}
        self._said_by_ground: dict[Pair, float] = {}
        self._aligned_distance: dict[Pair, float] = {}

    def possible(self, tracklets: Iterable[int]) -> bool:
        """Nothing forbids that they are one person."""
        one = frozenset(tracklets)
        return not any(self._apart[tracklet] & one for tracklet in one)

    def worth(self, person: frozenset[int]) -> float:
        """Nats by which one person explains the passages better than somebody new each time; -inf where impossible."""
        if len(person) < 2:
            return 0.0
        known = self._worth.get(person)
        if known is None:
            known = self._worth[person] = self._measured(person)
        return known

    def total(self, people: Iterable[frozenset[int]]) -> float:
        """Worth of a partition."""
        return sum(self.worth(person) for person in people)

    def neighbours(self) -> dict[int, list[int]]:
        """For each passage the others that it could be one with: those most alike, and those who stood where it did."""
        found = self._alike()
        if self._ground is not None:
            for tracklet, others in self._stood_with(self._ground).items():
                found[tracklet] += [other for other in others if other not in found[tracklet]]
        return found

    def _stood_with(self, ground: GroundPlane) -> dict[int, list[int]]:
        """Who was on one spot with each at one time, for all that the ground says; those without looks among them."""
        said: dict[int, list[tuple[float, int]]] = {tracklet: [] for tracklet in self.passages}
        for one, other in self._in_view_at_once():
            pair = (one.tracklet, other.tracklet)
            nats = self._said_by_ground[pair] = ground.evidence(*pair)
            if nats > _THERE:
                said[pair[0]].append((-nats, pair[1]))
                said[pair[1]].append((-nats, pair[0]))
        return {tracklet: [other for _, other in sorted(found)[:NEIGHBOURS]] for tracklet, found in said.items()}

    def _in_view_at_once(self) -> Iterator[tuple[RememberedPassage, RememberedPassage]]:
        """Pairs of passages in two cameras, the one that began first in front."""
        open_: list[RememberedPassage] = []
        for one in self.passages.values():
            open_ = [other for other in open_ if other.end >= one.start]
            yield from ((other, one) for other in open_ if other.camera_id != one.camera_id)
            open_.append(one)

    def _alike(self) -> dict[int, list[int]]:
        """For each passage those most alike, the most alike first."""
        described = [tracklet for tracklet in self.passages if tracklet in self._looks]
        found: dict[int, list[int]] = {tracklet: [] for tracklet in self.passages}
        if len(described) < 2:
            return found
        means = np.stack([self._looks[tracklet].mean for tracklet in described])
        variances = np.array([self._spread.of_passage(self._looks[tracklet].weight) for tracklet in described])
        for row, tracklet in enumerate(described):
            evidence = appearance_evidence(
                means[row : row + 1], variances[row : row + 1], means, 1 / variances, self._spread
            )[0]
            evidence[row] = -np.inf
            best = np.argsort(-evidence, kind="stable")[: 2 * NEIGHBOURS]
            allowed = [described[place] for place in best.tolist() if described[place] not in self._apart[tracklet]]
            found[tracklet] = allowed[:NEIGHBOURS]
        return found

    def _measured(self, person: frozenset[int]) -> float:
        if not self.possible(person):
            return -np.inf
        ordered = sorted(person, key=self._place.__getitem__)
        standing = self._where_they_stood(ordered)
        if standing == -np.inf:
            return -np.inf
        passages = [self.passages[tracklet] for tracklet in ordered]
        cameras = np.array([self._camera[tracklet] for tracklet in ordered], np.intp)
        starts, ends = (np.array([getattr(one, name) for one in passages]) for name in ("start", "end"))
        returns = self._topology.returns(cameras, starts, ends)
        asked = [not self._told.get(one, _NOBODY) & set(ordered[:place]) for place, one in enumerate(ordered)][1:]
        if (returns[asked] < _IMPOSSIBLE).any():
            return -np.inf
        returns = np.where(asked, returns, self._new)
        return self._looks_agree(ordered) + standing + float((returns - self._new).sum())

    def _looks_agree(self, ordered: Sequence[int]) -> float:
        known = [tracklet for tracklet in ordered if tracklet in self._looks]
        if len(known) < 2:
            return 0.0
        described = [self._looks[tracklet] for tracklet in known]
        said = agreement_so_far(described, self._spread)
        return float(said.sum()) + self._stripes_add(known, said)

    def _stripes_add(self, known: Sequence[int], said: NDArray[np.float64]) -> float:
        """What the aligned distances to those before say beyond ``said``, in order of time."""
        if not self._aligned.useful:
            return 0.0
        distances = np.full(len(said), np.nan)
        for place in range(1, len(known)):
            before = known[max(0, place - _ALIGNED_PASSAGES) : place]
            found = [self._aligned_between(one, known[place]) for one in before]
            if not np.isnan(found).all():
                distances[place - 1] = np.nanmean(found)
        return float(self._aligned.evidence(distances, said).sum())

    def _aligned_between(self, first: int, second: int) -> float:
        known = self._aligned_distance.get((first, second))
        if known is None:
            mine, theirs = self._stripes.get(first), self._stripes.get(second)
            known = np.nan
            if mine is not None and theirs is not None:
                known = float(aligned_distance(mine, theirs, threads=1).mean())
            self._aligned_distance[first, second] = known
        return known

    def _where_they_stood(self, ordered: Sequence[int]) -> float:
        """What the ground says of those in view at once; -inf where nobody can be in both places."""
        if self._ground is None:
            return 0.0
        said = 0.0
        for pair in combinations(ordered, 2):
            known = self._said_by_ground.get(pair)
            if known is None:
                known = self._said_by_ground[pair] = self._ground.evidence(*pair)
            if pair[1] in self._told.get(pair[0], _NOBODY):
                continue
            if known < _ELSEWHERE:
                return -np.inf
            said += known
        return said

    def _exclusive(self, apart: Mapping[int, frozenset[int]]) -> dict[int, frozenset[int]]:
        """Who is somebody else for certain: seen in one camera at once, or said to be."""
        found = {tracklet: set(apart.get(tracklet, ())) for tracklet in self.passages}
        for camera in {one.camera_id for one in self.passages.values()}:
            open_: list[RememberedPassage] = []
            for one in (each for each in self.passages.values() if each.camera_id == camera):
                open_ = [other for other in open_ if other.end >= one.start]
                for other in open_:
                    found[one.tracklet].add(other.tracklet)
                    found[other.tracklet].add(one.tracklet)
                open_.append(one)
        return {tracklet: frozenset(others - self._told.get(tracklet, _NOBODY)) for tracklet, others in found.items()}


def _stripes(passages: Iterable[RememberedPassage]) -> dict[int, FloatArray]:
    """Tracklet to (looks, S, d) of a few of its looks, where the embedder gives stripes."""
    return {
        one.tracklet: varied(one.looks, _ALIGNED_LOOKS).stripes
        for one in passages
        if one.looks is not None and len(one.looks) and one.looks.stripes.shape[1]
    }

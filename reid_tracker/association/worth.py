"""What a partition of a finished run's passages is worth, in nats against "everybody is somebody else".

    worth(person) = sum over passages but the first [ looks + stripes + log h(gap) - log new ]  given those before
                  + sum over pairs in view at once of what the ground says of them

The terms are those that decide while a run goes on (evidence.py, calibration.py, topology.py, ground.py), with all
passages known. Being in one camera at once, impossible travel and what people said make a person impossible.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations

import numpy as np

from reid_tracker.association.calibration import Calibration, PassageLooks
from reid_tracker.association.evidence import appearance_evidence
from reid_tracker.association.ground import GroundPlane
from reid_tracker.association.identities import never_moves_but_is_elsewhere
from reid_tracker.association.lives import Lives
from reid_tracker.association.memory import varied
from reid_tracker.association.remembered import RememberedPassage
from reid_tracker.association.topology import ReturnTimes
from reid_tracker.distance import aligned_distance
from reid_tracker.types import FloatArray

NEIGHBOURS = 12  # most alike passages that each could be one with
_IMPOSSIBLE = -60.0  # log rate that only configured travel times give
_ELSEWHERE = -50.0  # nats of the ground from which nobody can be in both places
_THERE = 1.0  # nats of the ground from which two may be one person for that alone
_ALIGNED_LOOKS = 4  # of a passage
_AT_A_TIME = 256  # passages beside all others
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
        aligned: aligned distances of pairs that are known already.

    Attributes:
        passages: tracklet -> passage, in order of start.
        aligned_distances: of the pairs that were not known and were asked about, NaN where one has no stripes.
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
        aligned: Mapping[Pair, float] | None = None,
    ) -> None:
        self.passages = {one.tracklet: one for one in sorted(passages, key=lambda one: (one.start, one.tracklet))}
        self._place = {tracklet: place for place, tracklet in enumerate(self.passages)}
        self._looks = looks
        self._spread = calibration.spread_of(len(next(iter(looks.values())).mean) if looks else 1)
        self._lives = Lives(looks, self._spread)
        self._aligned = calibration.aligned
        self._topology = topology
        self._camera = {one.tracklet: topology.index(one.camera_id) for one in self.passages.values()}
        self._new = topology.log_new_rate(max(people - 1, 0))
        self._told = {tracklet: group for group in together for tracklet in group}
        self._still = frozenset(one.tracklet for one in passages if one.still) - self._told.keys()
        self._apart = self._exclusive(apart or {})
        self._ground = ground if ground is not None and ground.known else None
        self._stripes: dict[int, FloatArray | None] = {}
        self._worth: dict[frozenset[int], float] = {}
        self._said_by_ground: dict[Pair, float] = {}
        self._known_distances = aligned or {}
        self.aligned_distances: dict[Pair, float] = {}

    def possible(self, tracklets: Iterable[int]) -> bool:
        """Nothing forbids that they are one person."""
        one = frozenset(tracklets)
        return not any(self._apart[tracklet] & one for tracklet in one) and not self._is_thing_elsewhere(one)

    def _is_thing_elsewhere(self, person: frozenset[int]) -> bool:
        """A thing that never moves is nobody who was in other cameras."""
        if self._still.isdisjoint(person):
            return False
        standing = [self._camera[tracklet] for tracklet in person if tracklet in self._still]
        walking = [self._camera[tracklet] for tracklet in person if tracklet not in self._still]
        return never_moves_but_is_elsewhere(standing, walking)

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
        for begin in range(0, len(described), _AT_A_TIME):
            rows = slice(begin, begin + _AT_A_TIME)
            evidence = appearance_evidence(means[rows], variances[rows], means, 1 / variances, self._spread)
            for row, (tracklet, said) in enumerate(zip(described[rows], evidence, strict=True), start=begin):
                said[row] = -np.inf
                best = np.argsort(-said, kind="stable")[: 2 * NEIGHBOURS]
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
        returned = self._returns(ordered)
        return self._looks_agree(ordered) + standing + returned if returned > -np.inf else -np.inf

    def _returns(self, ordered: Sequence[int]) -> float:
        """What each return but the first sighting says against somebody new; -inf where nobody can be so fast."""
        said = 0.0
        last = self.passages[ordered[0]]
        for place, tracklet in enumerate(ordered[1:], start=1):
            passage = self.passages[tracklet]
            if not self._told.get(tracklet, _NOBODY) & set(ordered[:place]):
                gap = passage.start - last.end
                rate = self._topology.log_rate_of(self._camera[last.tracklet], self._camera[tracklet], gap)
                if rate < _IMPOSSIBLE:
                    return -np.inf
                said += rate - self._new
            if passage.end >= last.end:
                last = passage
        return said

    def _looks_agree(self, ordered: Sequence[int]) -> float:
        known = [tracklet for tracklet in ordered if tracklet in self._looks]
        said = self._lives.agreement(known)
        return sum(said) + self._stripes_add(known, said)

    def _stripes_add(self, known: Sequence[int], said: Sequence[float]) -> float:
        """What the aligned distances to those before say beyond ``said``, in order of time."""
        if not self._aligned.useful:
            return 0.0
        added = 0.0
        for place, nats in enumerate(said, start=1):
            before = known[max(0, place - _ALIGNED_PASSAGES) : place]
            distances = [self._aligned_between(one, known[place]) for one in before]
            found = [distance for distance in distances if not math.isnan(distance)]
            if found:
                added += self._aligned.evidence_of(sum(found) / len(found), nats)
        return added

    def _aligned_between(self, first: int, second: int) -> float:
        pair = first, second
        known = self._known_distances.get(pair, self.aligned_distances.get(pair))
        if known is None:
            mine, theirs = self._stripes_of(first), self._stripes_of(second)
            known = np.nan
            if mine is not None and theirs is not None:
                known = float(aligned_distance(mine, theirs, threads=1).mean())
            self.aligned_distances[pair] = known
        return known

    def _stripes_of(self, tracklet: int) -> FloatArray | None:
        """(looks, S, d) of a few of its looks, where the embedder gives stripes."""
        if tracklet not in self._stripes:
            looks = self.passages[tracklet].looks
            given = looks is not None and len(looks) > 0 and looks.stripes.shape[1] > 0
            self._stripes[tracklet] = varied(looks, _ALIGNED_LOOKS).stripes if looks is not None and given else None
        return self._stripes[tracklet]

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
        """Who is somebody else for certain: seen in one camera at once, too far away to come, or said to be."""
        found = {tracklet: set(apart.get(tracklet, ())) for tracklet in self.passages}
        for one, other in [*self._side_by_side(), *self._too_fast()]:
            found[one].add(other)
            found[other].add(one)
        return {tracklet: frozenset(others - self._told.get(tracklet, _NOBODY)) for tracklet, others in found.items()}

    def _side_by_side(self) -> Iterator[Pair]:
        """Passages in one camera at one time."""
        for camera in {one.camera_id for one in self.passages.values()}:
            open_: list[RememberedPassage] = []
            for one in self._in_cameras(camera):
                open_ = [other for other in open_ if other.end >= one.start]
                yield from ((other.tracklet, one.tracklet) for other in open_)
                open_.append(one)

    def _too_fast(self) -> Iterator[Pair]:
        """Passages between which nobody is as fast as one person would have been, whatever lies between them."""
        for (origin, destination), least in self._topology.least_times.items():
            left: list[RememberedPassage] = []
            for one in self._in_cameras(origin, destination):
                if one.camera_id == destination:
                    left = [other for other in left if other.end + least > one.start]
                    yield from ((other.tracklet, one.tracklet) for other in left)
                if one.camera_id == origin:
                    left.append(one)

    def _in_cameras(self, *cameras: str) -> list[RememberedPassage]:
        """The passages in some cameras, in order of start."""
        return [one for one in self.passages.values() if one.camera_id in cameras]

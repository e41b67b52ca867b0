"""The whole assignment solved once more over a finished recording: who is one, given every tracklet at once.

Correlation clustering: a partition of the passages is worth the sum over its people of what their looks and their way
through space and time say, in nats against "everybody is somebody else",

    worth(person) = sum over passages but the first [ looks(passage | those before) + log h(gap) - log new ]

which is what the online decisions weigh, one by one and with less known. It is climbed from the online result: pairs
of people are merged best first while that gains, then single passages move to where they are worth most (Kernighan and
Lin's moves), until nothing gains. The online result stands where nothing beats it. A move must gain as much as a
settled answer's change does online: on a cut of PETS with public detections and overlapping views, moves for any gain
took people apart (global IDF1 .592 to .580), with this hurdle they mend (.625). Being in one camera at once, impossible
travel and what people said are never broken.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reid_tracker.association.calibration import PassageLooks, Spread
from reid_tracker.association.evidence import appearance_evidence, combine
from reid_tracker.association.remembering import RememberedPassage
from reid_tracker.association.topology import ReturnTimes

_NEIGHBOURS = 12  # most alike passages that each could be one with
_MOST_ROUNDS = 20
_IMPOSSIBLE = -60.0  # log rate that only configured travel times give
_GAIN = 1e-6
_MOVE_GAIN = 3.0  # nats; AssociationConfig.settled_margin

People = list[frozenset[int]]


@dataclass(frozen=True, slots=True)
class Refinement:
    """What solving it again came to.

    Attributes:
        people: tracklets of each person, in order of the first.
        before, after: worth of the online result and of this one, nats; equal where the online result stands.
    """

    people: tuple[frozenset[int], ...]
    before: float
    after: float


class Assignment:
    """The passages of a finished recording and what partitions of them are worth.

    Args:
        passages: all of them.
        looks: tracklet -> its looks in short; passages without say nothing by looks.
        spread: what distances mean here.
        topology: return times; numbers of the cameras are asked for by name.
        people: how many came, for the rate of new ones.
        apart: tracklet -> those that are somebody else for certain, beside what the passages show themselves.
    """

    def __init__(
        self,
        passages: Sequence[RememberedPassage],
        looks: Mapping[int, PassageLooks],
        spread: Spread,
        topology: ReturnTimes,
        people: int,
        apart: Mapping[int, frozenset[int]] | None = None,
    ) -> None:
        self.passages = {one.tracklet: one for one in sorted(passages, key=lambda one: (one.start, one.tracklet))}
        self._place = {tracklet: place for place, tracklet in enumerate(self.passages)}
        self._looks = looks
        self._spread = spread
        self._topology = topology
        self._new = topology.log_new_rate(max(people - 1, 0))
        self._apart = self._exclusive(apart or {})
        self._worth: dict[frozenset[int], float] = {}

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

    def alike(self) -> dict[int, list[int]]:
        """For each passage the others that it could be one with, most alike first."""
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
            best = np.argsort(-evidence, kind="stable")[: 2 * _NEIGHBOURS]
            allowed = [described[place] for place in best.tolist() if described[place] not in self._apart[tracklet]]
            found[tracklet] = allowed[:_NEIGHBOURS]
        return found

    def _measured(self, person: frozenset[int]) -> float:
        if not self.possible(person):
            return -np.inf
        ordered = sorted(person, key=self._place.__getitem__)
        passages = [self.passages[tracklet] for tracklet in ordered]
        cameras = np.array([self._topology.index(one.camera_id) for one in passages], np.intp)
        starts, ends = (np.array([getattr(one, name) for one in passages]) for name in ("start", "end"))
        way = self._topology.chain(cameras, starts, ends)
        if way < _IMPOSSIBLE * (len(ordered) - 1) or way <= _IMPOSSIBLE:
            return -np.inf
        return self._looks_agree(ordered) + way - (len(ordered) - 1) * self._new

    def _looks_agree(self, ordered: Sequence[int]) -> float:
        described = [self._looks[tracklet] for tracklet in ordered if tracklet in self._looks]
        said = 0.0
        for place in range(1, len(described)):
            mean, precision = combine(described[:place], self._spread)
            own = described[place]
            variance = np.array([self._spread.of_passage(own.weight)])
            evidence = appearance_evidence(own.mean[None], variance, mean[None], np.array([precision]), self._spread)
            said += float(evidence[0, 0])
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
        return {tracklet: frozenset(others) for tracklet, others in found.items()}


def refine(assignment: Assignment, online: Iterable[frozenset[int]], together: Iterable[frozenset[int]]) -> Refinement:
    """The best partition found, never worth less than the online one.

    Args:
        online: tracklets of each person as the run left them; a partition of all passages.
        together: groups that are one person for certain, no tracklet in two of them.
    """
    groups = _groups(assignment, together)
    group_of = {tracklet: group for group in groups for tracklet in group}
    before = _obeying(assignment, online, group_of)
    neighbours = _group_neighbours(assignment, group_of)
    best, first = before, assignment.total(before)
    found = _searched(assignment, before, groups, neighbours)
    worth = assignment.total(found)
    if worth > first + _GAIN:
        best = found
    else:
        worth = first
    place = {tracklet: number for number, tracklet in enumerate(assignment.passages)}
    ordered = sorted(best, key=lambda person: min(place[tracklet] for tracklet in person))
    return Refinement(tuple(ordered), first, worth)


def _groups(assignment: Assignment, together: Iterable[frozenset[int]]) -> People:
    """What moves as a whole: the groups said to be one, and every other passage alone."""
    known = [frozenset(one for one in group if one in assignment.passages) for group in together]
    held = frozenset().union(*known)
    alone = [frozenset({tracklet}) for tracklet in assignment.passages if tracklet not in held]
    return [group for group in known if group] + alone


def _obeying(
    assignment: Assignment, online: Iterable[frozenset[int]], group_of: Mapping[int, frozenset[int]]
) -> People:
    """The online result with what must not be undone: groups whole, and nobody who cannot be one."""
    people: People = []
    placed: set[frozenset[int]] = set()
    for person in online:
        mine = frozenset({group_of[tracklet] for tracklet in person if tracklet in group_of}) - placed
        placed |= mine
        whole = frozenset().union(*mine)
        possible = whole and np.isfinite(assignment.worth(whole))
        people += [whole] if possible else sorted(mine, key=min)
    return people


def _group_neighbours(
    assignment: Assignment, group_of: Mapping[int, frozenset[int]]
) -> dict[frozenset[int], set[frozenset[int]]]:
    neighbours: dict[frozenset[int], set[frozenset[int]]] = {group: set() for group in group_of.values()}
    for tracklet, others in assignment.alike().items():
        for other in others:
            one, two = group_of[tracklet], group_of[other]
            if one != two:
                neighbours[one].add(two)
                neighbours[two].add(one)
    return neighbours


def _searched(
    assignment: Assignment,
    start: People,
    groups: People,
    neighbours: Mapping[frozenset[int], set[frozenset[int]]],
) -> People:
    """Merges and moves from a start until nothing gains."""
    owner = {tracklet: person for person in start for tracklet in person}
    person_of = {group: owner[next(iter(group))] for group in groups}
    for _ in range(_MOST_ROUNDS):
        merged = _merge(assignment, person_of, neighbours)
        moved = _move(assignment, person_of, neighbours)
        if not merged and not moved:
            break
    return list(dict.fromkeys(person_of.values()))


def _merge(
    assignment: Assignment,
    person_of: dict[frozenset[int], frozenset[int]],
    neighbours: Mapping[frozenset[int], set[frozenset[int]]],
) -> bool:
    """Join pairs of people, best first, while that gains; whether any was joined."""
    parts = _index(person_of)
    queue: list[tuple[float, list[int], list[int], frozenset[int], frozenset[int]]] = []

    def consider(person: frozenset[int], others: Iterable[frozenset[int]]) -> None:
        for other in others:
            gain = assignment.worth(person | other) - assignment.worth(person) - assignment.worth(other)
            if other != person and gain > _GAIN:
                heapq.heappush(queue, (-gain, sorted(person), sorted(other), person, other))

    def beside(person: frozenset[int]) -> set[frozenset[int]]:
        return {person_of[other] for group in parts[person] for other in neighbours[group]} - {person}

    for person in list(parts):
        consider(person, [other for other in beside(person) if min(other) > min(person)])
    joined = False
    while queue:
        _, _, _, one, other = heapq.heappop(queue)
        if one not in parts or other not in parts:
            continue  # one of them has been joined with somebody else since
        whole = one | other
        parts[whole] = parts.pop(one) + parts.pop(other)
        for group in parts[whole]:
            person_of[group] = whole
        joined = True
        consider(whole, beside(whole))
    return joined


def _move(
    assignment: Assignment,
    person_of: dict[frozenset[int], frozenset[int]],
    neighbours: Mapping[frozenset[int], set[frozenset[int]]],
) -> bool:
    """Let each group go to where it is worth most, alone included; whether any went."""
    moved = False
    parts = _index(person_of)
    for group in sorted(person_of, key=min):
        person = person_of[group]
        rest = person - group
        loss = assignment.worth(person) - assignment.worth(rest)  # what its leaving costs
        gain = assignment.worth(group) - loss if rest else 0.0
        best: frozenset[int] | None = frozenset() if gain > _MOVE_GAIN else None  # alone
        for other in sorted({person_of[one] for one in neighbours[group]} - {person}, key=min):
            gained = assignment.worth(other | group) - assignment.worth(other) - loss
            if gained > max(gain, _MOVE_GAIN):
                gain, best = gained, other
        if best is None:
            continue
        _take(parts, person_of, group, person, best)
        moved = True
    return moved


def _take(
    parts: dict[frozenset[int], list[frozenset[int]]],
    person_of: dict[frozenset[int], frozenset[int]],
    group: frozenset[int],
    source: frozenset[int],
    target: frozenset[int],
) -> None:
    """Move a group from one person to another, or to nobody where ``target`` is empty."""
    left = [one for one in parts.pop(source) if one != group]
    joined = [*parts.pop(target, []), group]
    for members in (left, joined):
        whole = frozenset().union(*members)
        if members:
            parts[whole] = members
        for one in members:
            person_of[one] = whole


def _index(person_of: Mapping[frozenset[int], frozenset[int]]) -> dict[frozenset[int], list[frozenset[int]]]:
    parts: dict[frozenset[int], list[frozenset[int]]] = {}
    for group, person in person_of.items():
        parts.setdefault(person, []).append(group)
    return parts


def learn_topology(
    topology: ReturnTimes, passages: Sequence[RememberedPassage], sure: Mapping[int, float]
) -> ReturnTimes:
    """Teach return times what a finished run's identities show, as tracking teaches them.

    Args:
        sure: tracklet -> probability of its identity.
    """
    if not passages:
        return topology
    first, last = min(one.start for one in passages), max(one.end for one in passages)
    topology.advance(first)
    topology.advance(last)
    left: dict[int, RememberedPassage] = {}
    for one in sorted(passages, key=lambda each: (each.start, each.tracklet)):
        camera = topology.index(one.camera_id)
        topology.observe_waited(camera, one.start - one.end)
        before = left.get(one.identity)
        if before is not None:
            gap = one.start - before.end
            origin = topology.index(before.camera_id)
            weights = np.array([sure.get(one.tracklet, 1.0)])
            topology.observe_returns(np.array([origin], np.intp), camera, np.array([gap]), weights)
            topology.observe_waited(origin, max(gap, 0.0))
        if before is None or one.end >= before.end:
            left[one.identity] = one
    waiting = list(left.values())
    origins: NDArray[np.intp] = np.array([topology.index(one.camera_id) for one in waiting], np.intp)
    topology.refresh(origins, np.array([last - one.end for one in waiting]))
    return topology

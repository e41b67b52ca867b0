"""The whole assignment solved once more over a finished recording: who is one, given every tracklet at once.

Correlation clustering: of all partitions of the passages into people the one that is worth most (worth.py) is looked
for, once from the online result and once from nothing. Pairs of people are merged, best first; a person falls apart
where its passages, put together anew, come to others; and single passages move to where they are worth most (Kernighan
and Lin's moves), until nothing gains. Climbing from the online result alone keeps people merged whom small steps cannot
part, so for each set of people that the two results mix up differently the one from nothing is taken where it is worth
clearly more. How much is clear goes with the passages: worth has a term for each of them, every term is off by some of
what people do and the model leaves out, and of two explanations within that the one that grew with the run has seen
more, frame by frame, than the passages in short show. To join two people is no new explanation of their passages, and
the run can only have missed it: that needs to gain a little. The online result stands where nothing beats it. Being in
one camera at once, impossible travel and what people said are never broken.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from reid_tracker.association.worth import Assignment

_MOST_ROUNDS = 20
_GAIN = 1e-6

People = list[frozenset[int]]


@dataclass(frozen=True, slots=True)
class Caution:
    """How clear it must be that people are others than they are taken for.

    Attributes:
        parting: nats a passage by which other people must explain it better than those whom the run has.
        joining: nats that two people must be worth more as one.
    """

    parting: float
    joining: float

    def hurdle(self, passages: int) -> float:
        """Nats from which it is clear that so many passages are other people than they are taken for."""
        return self.parting * passages


# While a run goes on, what was decided on the first looks has to be put right, and can be once more. A finished run has
# been put right all along: what still looks wrong is mostly the model's error.
WHILE_RUNNING, FINISHED = Caution(0.5, 0.0), Caution(2.0, 0.5)


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


def refine(
    assignment: Assignment, online: Iterable[frozenset[int]], together: Iterable[frozenset[int]], caution: Caution
) -> Refinement:
    """The best partition found, never worth less than the online one.

    Args:
        online: tracklets of each person as the run left them; a partition of all passages.
        together: groups that are one person for certain, no tracklet in two; those that cannot be are let go of.
        caution: WHILE_RUNNING or FINISHED.
    """
    groups = _groups(assignment, together)
    group_of = {tracklet: group for group in groups for tracklet in group}
    before = _obeying(assignment, online, group_of)
    neighbours = _group_neighbours(assignment, group_of)
    best, first = before, assignment.total(before)
    found = _searched(assignment, before, groups, neighbours, caution)
    found = _better_of(assignment, found, _searched(assignment, groups, groups, neighbours, caution), caution)
    worth = assignment.total(found)
    if worth > first + _GAIN:
        best = found
    else:
        worth = first
    place = {tracklet: number for number, tracklet in enumerate(assignment.passages)}
    ordered = sorted(best, key=lambda person: min(place[tracklet] for tracklet in person))
    return Refinement(tuple(ordered), first, worth)


def _groups(assignment: Assignment, together: Iterable[frozenset[int]]) -> People:
    """What moves as a whole: the groups said to be one, and every other passage alone.

    With one that is impossible every partition would be worth nothing, and none better than another.
    """
    said = [frozenset(one for one in group if one in assignment.passages) for group in together]
    known = [group for group in said if np.isfinite(assignment.worth(group))]
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
    for tracklet, others in assignment.neighbours().items():
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
    caution: Caution,
) -> People:
    """Merges and moves from a start until nothing gains."""
    owner = {tracklet: person for person in start for tracklet in person}
    person_of = {group: owner[next(iter(group))] for group in groups}
    for _ in range(_MOST_ROUNDS):
        parted = _part(assignment, person_of, caution)
        merged = _merge(assignment, person_of, neighbours, caution)
        moved = _move(assignment, person_of, neighbours, caution)
        if not parted and not merged and not moved:
            break
    return list(dict.fromkeys(person_of.values()))


def _better_of(assignment: Assignment, one: People, other: People, caution: Caution) -> People:
    """For each set of people who are mixed up between two partitions the first, or the second where clearly better."""
    best: People = []
    for mine, theirs in _mixed_up(one, other):
        gained = assignment.total(theirs) - assignment.total(mine)
        best += theirs if gained > caution.hurdle(sum(map(len, mine))) else mine
    return best


def _mixed_up(one: People, other: People) -> Iterator[tuple[People, People]]:
    """The least sets of people of either partition that hold the same passages."""
    mine = {tracklet: person for person in one for tracklet in person}
    theirs = {tracklet: person for person in other for tracklet in person}
    done: set[frozenset[int]] = set()
    for person in one:
        if person in done:
            continue
        ours, others, new = {person: None}, dict[frozenset[int], None](), [person]
        while new:
            touched = {theirs[tracklet]: None for each in new for tracklet in sorted(each)}
            others |= touched
            new = [each for each in dict.fromkeys(mine[t] for p in touched for t in sorted(p)) if each not in ours]
            ours |= dict.fromkeys(new)
        done |= ours.keys()
        yield list(ours), list(others)


def _merge(
    assignment: Assignment,
    person_of: dict[frozenset[int], frozenset[int]],
    neighbours: Mapping[frozenset[int], set[frozenset[int]]],
    caution: Caution,
) -> bool:
    """Join pairs of people, best first, while that gains; whether any was joined."""
    parts = _index(person_of)
    queue: list[tuple[float, list[int], list[int], frozenset[int], frozenset[int]]] = []

    def consider(person: frozenset[int], others: Iterable[frozenset[int]]) -> None:
        for other in others:
            gain = assignment.worth(person | other) - assignment.worth(person) - assignment.worth(other)
            if other != person and gain > max(caution.joining, _GAIN):
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


def _part(assignment: Assignment, person_of: dict[frozenset[int], frozenset[int]], caution: Caution) -> bool:
    """Take apart whoever is worth more as several people; whether anybody was."""
    parted = False
    for person, groups in _index(person_of).items():
        if len(groups) < 2:
            continue
        anew = {group: group for group in groups}
        _merge(assignment, anew, {group: set(groups) - {group} for group in groups}, caution)
        found = set(anew.values())
        if len(found) > 1 and assignment.total(found) > assignment.worth(person) + caution.hurdle(len(person)):
            person_of.update(anew)
            parted = True
    return parted


def _move(
    assignment: Assignment,
    person_of: dict[frozenset[int], frozenset[int]],
    neighbours: Mapping[frozenset[int], set[frozenset[int]]],
    caution: Caution,
) -> bool:
    """Let each group go to where it is worth most, alone included; whether any went."""
    moved = False
    parts = _index(person_of)
    for group in sorted(person_of, key=min):
        person = person_of[group]
        rest = person - group
        loss = assignment.worth(person) - assignment.worth(rest)  # what its leaving costs
        gain = assignment.worth(group) - loss if rest else 0.0
        best: frozenset[int] | None = frozenset() if gain > caution.hurdle(len(person)) else None  # alone
        for other in sorted({person_of[one] for one in neighbours[group]} - {person}, key=min):
            gained = assignment.worth(other | group) - assignment.worth(other) - loss
            if gained > max(gain, caution.hurdle(len(person) + len(other))):
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

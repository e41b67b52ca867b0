"""People judged as a whole while the run goes on: whose passages they are, asked again with what is known by now.

A passage that has ended is never asked about again by itself, and the reviser (revision.py) only ever joins. Whoever
was taken for somebody else too early would stay with that person, pull the prototype away from both, and draw others
after. So when a passage ends, its person and those who rivalled for it are solved once more, as a finished run is
(refinement.py): all their passages that are remembered, and nobody else's. By itself a passage is sure of a person who
is two: it agrees with one half. So it does not matter how sure the answer was.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set

from reid_tracker.association.candidates import Candidates
from reid_tracker.association.explain import Explainer
from reid_tracker.association.identities import Identity, Passage
from reid_tracker.association.judge import Judge, Parts, certainly_two
from reid_tracker.association.refinement import WHILE_RUNNING, People, Refinement, refine
from reid_tracker.association.remembered import as_remembered
from reid_tracker.association.worth import Assignment

_RIVALS = 3  # other people whose passages are solved again with those of a passage that ended
_RIVAL_FROM = -4.0  # log odds from which somebody was a rival
_MOST_PASSAGES = 40  # solved again at once
_MOST_DISTANCES = 1 << 16  # aligned distances kept, about 10 MB


class Rethinker(Judge):
    """Solves the passages of a few people once more. One per site, not thread-safe."""

    def __init__(self, parts: Parts, explainer: Explainer) -> None:
        super().__init__(parts)
        self._explainer = explainer
        self._aligned: dict[tuple[int, int], float] = {}  # of passages that have ended: their looks stay

    def __call__(self, passage: Passage, candidates: Candidates | None, time: float) -> None:
        """Put right what turns out to have been wrong, now that a passage has ended.

        Args:
            passage: it.
            candidates: who it could have been when it was asked about last.
            time: now, UTC seconds.
        """
        people = self._involved(passage, candidates)
        passages = {one.tracklet: one for person in people for one in person.passages}
        if len(passages) < 3 or sum(one.looks is not None for one in passages.values()) < 2:
            return  # two passages are what was decided already
        found = self._solved(people, passages)
        gain = found.after - found.before
        if gain > self._config.settled_margin:
            self._apply(list(found.people), passages, gain, time)

    def _involved(self, passage: Passage, candidates: Candidates | None) -> list[Identity]:
        """The passage's person and those who rivalled for it, as many as can be solved at once."""
        rivals: list[int] = []
        if candidates is not None:
            rivals = candidates.identities[candidates.log_odds > _RIVAL_FROM][: _RIVALS + 1].tolist()
        people = []
        room = _MOST_PASSAGES
        for number in dict.fromkeys([passage.identity, *rivals]):
            person = self._book.identities.get(number)
            if person is None or len(person.passages) > room or any(one.still for one in person.passages):
                continue
            people.append(person)
            room -= len(person.passages)
        return people

    def _solved(self, people: Sequence[Identity], passages: Mapping[int, Passage]) -> Refinement:
        pinned = _pinned(people)
        assignment = Assignment(
            [as_remembered(one) for one in passages.values()],
            {one.tracklet: one.looks for one in passages.values() if one.looks is not None},
            self._calibration,
            self._topology,
            self._book.people,
            _told_apart(people),
            self._ground,
            pinned,
            self._aligned,
        )
        online = [frozenset(one.tracklet for one in person.passages) for person in people]
        found = refine(assignment, online, pinned, WHILE_RUNNING)
        self._keep(assignment.aligned_distances, {one.tracklet for one in passages.values() if one.open})
        return found

    def _keep(self, distances: Mapping[tuple[int, int], float], open_: Set[int]) -> None:
        """Distances between passages that get no more looks hold for ever."""
        if len(self._aligned) > _MOST_DISTANCES:
            self._aligned.clear()
        self._aligned |= {pair: distance for pair, distance in distances.items() if open_.isdisjoint(pair)}

    def _apply(
        self, people: Sequence[frozenset[int]], passages: Mapping[int, Passage], gain: float, time: float
    ) -> None:
        """Give each person's passages a number that is not taken: what is shown of whoever is in view stays if it can.

        That is the number that somebody who knows has given, else that of the passage that is in view for longest, else
        the one under which most are known.
        """
        plan = self._numbered(people, passages)
        taken = {number for _, number in plan if number is not None}
        if any(self._meets_the_past(own, number, taken) for own, number in plan):
            return
        for own, number in plan:
            for passage in own:
                if passage.identity != number and not passage.pinned and self._remembered(passage):
                    target = self._book.identities[number] if number is not None else None
                    evidence = self._explainer.solved_again(passage, target, gain)
                    number = self._book.move(passage, target, time, evidence).number
                    passage.settled = False

    def _numbered(
        self, people: Sequence[frozenset[int]], passages: Mapping[int, Passage]
    ) -> list[tuple[list[Passage], int | None]]:
        """Each person's passages and the number that they get, None where none of theirs is left.

        Those whom somebody who knows has numbered come first: what is said of them stays where it is, and whoever else
        got that number would be joined with them.
        """
        in_view = {person: _longest_in_view(passages[tracklet] for tracklet in person) for person in people}
        taken: set[int] = set()
        plan = []
        told = {person for person in people if any(passages[tracklet].pinned for tracklet in person)}
        for person in sorted(people, key=lambda one: (one not in told, _since(in_view[one]), -len(one), min(one))):
            own = sorted((passages[tracklet] for tracklet in person), key=lambda one: (not one.pinned, one.tracklet))
            number = self._number_for(own, in_view[person], taken)
            plan.append((own, number))
            if number is not None:
                taken.add(number)
        return plan

    def _meets_the_past(self, own: Sequence[Passage], number: int | None, taken: Set[int]) -> bool:
        """Whether a person was beside somebody whose looks are forgotten and who would be the same one then.

        Those stay under their number, or come along with the last passage of one that nobody gets.
        """
        joined = {one.identity for one in own if one.identity == number or one.identity not in taken}
        known = [self._book.identities[each] for each in joined if each in self._book.identities]
        return any(certainly_two(self._topology, Identity(0, list(own)), person.former) for person in known)

    def _number_for(self, own: Sequence[Passage], longest: Passage | None, taken: Set[int]) -> int | None:
        free = [one for one in own if one.identity not in taken and self._remembered(one)]
        firm = [one.identity for one in free if one.pinned or one is longest]  # those who may not move come first
        if firm:
            return firm[0]
        votes = Counter(one.identity for one in free)
        return min(votes, key=lambda each: (-votes[each], each), default=None)

    def _remembered(self, passage: Passage) -> bool:
        """Joining others may have made its person let go of it."""
        person = self._book.identities.get(passage.identity)
        return person is not None and passage in person.passages


def _longest_in_view(passages: Iterable[Passage]) -> Passage | None:
    return min((one for one in passages if one.open), key=_since, default=None)


def _since(passage: Passage | None) -> float:
    return math.inf if passage is None else passage.start


def _pinned(people: Sequence[Identity]) -> People:
    """What somebody who knows said is one person, for each of these people."""
    return [frozenset(one.tracklet for one in person.passages if one.pinned) for person in people]


def _told_apart(people: Sequence[Identity]) -> dict[int, frozenset[int]]:
    """Who is somebody else because somebody who knows said so, of himself or by saying who each of them is."""
    pinned = _pinned(people)
    return {
        one.tracklet: one.apart.union(*(other for other in pinned if other is not own)) if one.pinned else one.apart
        for person, own in zip(people, pinned, strict=True)
        for one in person.passages
    }

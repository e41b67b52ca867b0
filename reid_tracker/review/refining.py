"""A finished run solved once more, all of it at once, with what people said as hard constraints."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from reid_tracker.association.corrections import Constraints, constraints_of
from reid_tracker.association.explain import Explainer
from reid_tracker.association.hindsight import learn_ground, learn_topology, watched
from reid_tracker.association.identities import Identity, IdentityBook, Passage
from reid_tracker.association.refinement import FINISHED, Refinement, refine
from reid_tracker.association.remembered import RememberedPassage
from reid_tracker.association.topology import ReturnTimes
from reid_tracker.association.worth import Assignment
from reid_tracker.config import CameraConfig
from reid_tracker.ids import IdAllocator
from reid_tracker.results.finished import FinishedRun
from reid_tracker.results.jsonl import read_tracks
from reid_tracker.results.looks import read_looks
from reid_tracker.review.correcting import read_corrections
from reid_tracker.review.evidence import evidence_of, learned
from reid_tracker.review.revising import held_run, passages_of, revise
from reid_tracker.types import EventType, IdentityEvent, TrackedFrame

RULE = "the whole recording solved again"


@dataclass(frozen=True, slots=True)
class Refined:
    """What solving a run again came to.

    Attributes:
        before, after: different people.
        gain: nats by which the new assignment explains the run better; 0 where the run's own stands.
        moved: tracklets that belong to another number now.
        stale: files of the run that still show the ids as they were when it ended.
    """

    before: int
    after: int
    gain: float
    moved: int
    stale: tuple[str, ...]


def refine_run(tracks: str | Path) -> Refined:
    """Solve a run again and write what changed.

    Args:
        tracks: its folder, or a file in it.

    Raises:
        InputError: it cannot be read, or kept no looks.
        ConfigError, OutputError: the folder is in use or cannot be written.
    """
    with held_run(tracks) as run:
        passages = passages_of(run, tuple(read_looks(run.folder)))
        assignment, found = solve(run, passages)
        events = tuple(_events(run, passages, assignment, found))
        before = len(run.summary.people())
        moved = len({tracklet for event in events for tracklet in event.tracklets})
        stale = revise(run, events) if events else ()
        return Refined(before, len(run.summary.people()), found.after - found.before, moved, stale)


def solve(run: FinishedRun, passages: Sequence[RememberedPassage]) -> tuple[Assignment, Refinement]:
    """The best assignment of a run's passages under what people said about them."""
    cameras = [CameraConfig.model_validate(camera) for camera in run.run.get("config", {}).get("cameras", ())]
    constraints = constraints_of(read_corrections(run.folder))
    return solve_again(passages, run.summary.events, read_tracks(run.folder), cameras, constraints)


def solve_again(
    passages: Sequence[RememberedPassage],
    events: Sequence[IdentityEvent],
    frames: Iterable[TrackedFrame],
    cameras: Sequence[CameraConfig] = (),
    constraints: Constraints | None = None,
) -> tuple[Assignment, Refinement]:
    """The best assignment of passages, from what the whole run shows of the site.

    Args:
        passages: under the ids that the run came to.
        events: all of the run; they say how sure it was.
        frames: of all cameras in the order of time; where people stood.
        cameras: what is configured of them.
        constraints: what people said.
    """
    constraints = constraints or Constraints()
    evidence = evidence_of(passages, events)
    calibration, looks = learned(evidence)
    topology = learn_topology(ReturnTimes(cameras), passages, evidence.sure)
    still: dict[int, bool] = {}
    ground = learn_ground(watched(frames, still), passages, looks, calibration, cameras)
    passages = [replace(one, still=still.get(one.tracklet, False)) for one in passages]
    people: defaultdict[int, set[int]] = defaultdict(set)
    for one in passages:
        people[one.identity].add(one.tracklet)
    assignment = Assignment(
        passages, looks, calibration, topology, len(people), constraints.apart, ground, constraints.together
    )
    together = _together(assignment, passages, constraints.together)
    return assignment, refine(assignment, map(frozenset, people.values()), together, FINISHED)


def _together(
    assignment: Assignment, passages: Sequence[RememberedPassage], told: Sequence[frozenset[int]]
) -> list[frozenset[int]]:
    """Groups told to be one, and each passage without looks with the nearest one in time of its person.

    Nothing else is known of such a passage; where it cannot be with that one, it is left to itself.
    """
    groups = list(told)
    held = frozenset().union(*told)
    for one in passages:
        if one.looks is None and one.tracklet not in held:
            own = [other for other in passages if other.identity == one.identity and other.looks is not None]
            if own:
                nearest = min(own, key=lambda other: abs(other.start - one.end))
                groups = _joined(assignment, groups, frozenset({one.tracklet, nearest.tracklet}))
    return groups


def _joined(assignment: Assignment, groups: list[frozenset[int]], one: frozenset[int]) -> list[frozenset[int]]:
    """With ``one`` as a group, whatever shares a tracklet with it taken in, where all of that can be one person."""
    whole = one.union(*(group for group in groups if group & one))
    if not np.isfinite(assignment.worth(whole.intersection(assignment.passages))):
        return groups
    return [*(group for group in groups if not group & one), whole]


def _events(
    run: FinishedRun, passages: Sequence[RememberedPassage], assignment: Assignment, found: Refinement
) -> Iterator[IdentityEvent]:
    """What takes the run's people to those found: each keeps the number under which most of it is known."""
    known = {one.tracklet: one for one in passages}
    held: defaultdict[int, set[int]] = defaultdict(set)
    for one in passages:
        held[one.identity].add(one.tracklet)
    number = IdAllocator(run.last_event + 1)
    for identity, person in _numbered(found, known, IdAllocator(run.last_identity + 1)):
        pieces: defaultdict[int, set[int]] = defaultdict(set)
        for tracklet in person:
            pieces[known[tracklet].identity].add(tracklet)
        for former, piece in sorted(pieces.items()):
            if former == identity:
                continue
            kind = EventType.MERGED if piece == held[former] and identity in held else EventType.SPLIT
            newest = max((known[tracklet] for tracklet in piece), key=lambda one: (one.end, one.tracklet))
            evidence = _evidence(assignment, person, frozenset(piece), known)
            yield IdentityEvent(
                number(),
                kind,
                run.last_time,
                newest.camera_id,
                identity,
                tuple(sorted(piece)),
                (former,),
                evidence,
            )


def _numbered(
    found: Refinement, known: dict[int, RememberedPassage], new_number: IdAllocator
) -> Iterator[tuple[int, frozenset[int]]]:
    """People with their numbers: the largest share of a former person keeps its number, the older one of two."""
    claims = []
    for place, person in enumerate(found.people):
        for identity, count in Counter(known[tracklet].identity for tracklet in person).items():
            claims.append((-count, identity, place))
    numbers: dict[int, int] = {}
    for _, identity, place in sorted(claims):
        if place not in numbers and identity not in numbers.values():
            numbers[place] = identity
    for place, person in enumerate(found.people):
        yield numbers.get(place) or new_number(), person


def _evidence(
    assignment: Assignment, person: frozenset[int], piece: frozenset[int], known: dict[int, RememberedPassage]
) -> dict[str, Any]:
    """Why a piece belongs to a person: how much worse apart would be, and where the looks meet."""
    rest = person - piece
    gain = assignment.worth(person) - assignment.worth(rest) - assignment.worth(piece) if rest else None
    evidence: dict[str, Any] = {"rule": RULE}
    passage = _passage(min((known[tracklet] for tracklet in piece), key=lambda one: (one.start, one.tracklet)))
    if rest:
        others = sorted((_passage(known[tracklet]) for tracklet in rest), key=lambda one: (one.start, one.tracklet))
        identity = Identity(0, others, len(others))
        before = identity.before(passage)
        evidence |= Explainer(IdentityBook(lambda _identity, _gone: None)).meeting(passage, identity)
        evidence["time_gap"] = round(passage.start - before.end, 4) if before is not None else None
    if gain is not None and np.isfinite(gain):
        evidence["probability"] = round(float(1 / (1 + np.exp(-gain))), 4)
    return evidence


def _passage(one: RememberedPassage) -> Passage:
    return replace(Passage(one.tracklet, one.camera_id, 0, one.start, one.end), kept=one.looks, open=False)

"""The whole assignment of a finished case solved once more, as ``reid-tracker refine`` does with a run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from benchmarks.association.cases import Case, owners
from benchmarks.association.scoring import Ids
from reid_tracker.association.refinement import People
from reid_tracker.association.remembered import RememberedPassage
from reid_tracker.evaluation.linking import NOBODY
from reid_tracker.review.refining import solve_again
from reid_tracker.types import IdentityEvent, TrackedFrame


def refined(
    case: Case, frames: Sequence[TrackedFrame], events: Sequence[IdentityEvent], final: Ids
) -> tuple[Ids, dict[str, float]]:
    """Identity of each sighting after refining, and what the run's people, those found and the true ones are worth.

    Args:
        case: what was run.
        frames: what the run told, in the order of time.
        events: all of it.
        final: (N,) identity of each sighting when the run was over.
    """
    identity_of = dict(zip(case.sightings.tracklets.tolist(), final.tolist(), strict=True))
    passages = [
        RememberedPassage(
            one.id,
            identity_of[one.id],
            one.camera_id,
            one.started,
            one.updated,
            one.looks if len(one.looks) else None,
        )
        for one in case.tracklets()
        if one.id in identity_of
    ]
    assignment, found = solve_again(passages, events, frames, case.cameras)
    number_of = {tracklet: number for number, person in enumerate(found.people) for tracklet in person}
    ids = np.array([number_of[tracklet] for tracklet in case.sightings.tracklets.tolist()], np.int64)
    worth = {"run": found.before, "refined": found.after, "truth": assignment.total(_true_people(case))}
    return ids, {name: round(nats, 1) for name, nats in worth.items()}


def _true_people(case: Case) -> People:
    people: defaultdict[int, set[int]] = defaultdict(set)
    for tracklet, person in owners(case.sightings).items():
        people[-tracklet if person == NOBODY else person].add(tracklet)
    return [frozenset(person) for person in people.values()]

"""The whole assignment of a finished case solved once more, as ``reid-tracker refine`` does with a run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.association.cases import Case
from benchmarks.association.scoring import Ids
from reid_tracker.association.remembering import RememberedPassage
from reid_tracker.review.refining import solve_again
from reid_tracker.types import IdentityEvent, TrackedFrame


def refined(case: Case, frames: Sequence[TrackedFrame], events: Sequence[IdentityEvent], final: Ids) -> Ids:
    """Identity of each sighting after refining.

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
    _, found = solve_again(passages, events, frames, case.cameras)
    number_of = {tracklet: number for number, person in enumerate(found.people) for tracklet in person}
    return np.array([number_of[tracklet] for tracklet in case.sightings.tracklets.tolist()], np.int64)

"""The whole assignment of a finished case solved once more, as ``reid-tracker refine`` does with a run."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from benchmarks.association.cases import Case
from benchmarks.association.scoring import Ids
from reid_tracker.association import CrossCameraAssociator
from reid_tracker.association.calibration import PassageLooks
from reid_tracker.association.evidence import summarise
from reid_tracker.association.refinement import Assignment, refine
from reid_tracker.association.remembering import RememberedPassage
from reid_tracker.types import Tracklet


def refined(case: Case, associator: CrossCameraAssociator, final: Ids) -> Ids:
    """Identity of each sighting after refining.

    Args:
        case: what was run.
        associator: as the run has left it, with what it learned.
        final: (N,) identity of each sighting when the run was over.
    """
    identity_of = dict(zip(case.sightings.tracklets.tolist(), final.tolist(), strict=True))
    tracklets = [one for one in case.tracklets() if one.id in identity_of]
    passages = [
        RememberedPassage(one.id, identity_of[one.id], one.camera_id, one.started, one.updated) for one in tracklets
    ]
    looks = {one.id: _in_short(associator, one) for one in tracklets if len(one.looks)}
    dimension = max((len(one.mean) for one in looks.values()), default=0)
    spread = associator.calibration.spread_of(dimension)
    people: defaultdict[int, set[int]] = defaultdict(set)
    for tracklet, identity in identity_of.items():
        people[identity].add(tracklet)
    assignment = Assignment(passages, looks, spread, associator.topology, len(people))
    found = refine(assignment, [frozenset(person) for person in people.values()], ())
    number_of = {tracklet: number for number, person in enumerate(found.people) for tracklet in person}
    return np.array([number_of[tracklet] for tracklet in case.sightings.tracklets.tolist()], np.int64)


def _in_short(associator: CrossCameraAssociator, one: Tracklet) -> PassageLooks:
    calibration = associator.calibration
    vectors = one.looks.global_
    offset = calibration.camera_offset(one.camera_id, vectors.shape[1])
    return summarise(one.camera_id, vectors, calibration.weights(one.looks.quality), offset)

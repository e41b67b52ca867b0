"""Our associator over a case: ids as emitted after two seconds, at the end of each passage, and at the end."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from benchmarks.association.cases import Case, Sightings
from benchmarks.association.refined import refined
from benchmarks.association.scoring import Ids
from reid_tracker.association import CrossCameraAssociator
from reid_tracker.config import AssociationConfig
from reid_tracker.results.replay import IdentityReplay
from reid_tracker.types import IdentityEvent, TrackedFrame

DELAY = 2.0  # seconds after which an emitted id is judged


@dataclass(frozen=True)
class Variant:
    """The associator, or the associator with something changed.

    Attributes:
        name: for tables.
        config: its settings.
        prepare: what it is given to see.
        adjust: done to the new associator.
        during: holds while it runs.
        settles: its last thoughts, when the run is over, count.
    """

    name: str = "ours"
    config: AssociationConfig = field(default_factory=AssociationConfig)
    prepare: Callable[[Case], Case] = lambda case: case
    adjust: Callable[[CrossCameraAssociator], None] = lambda _: None
    during: Callable[[], AbstractContextManager[object]] = nullcontext
    settles: bool = True


@dataclass(frozen=True)
class Answer:
    """What an associator said of a case.

    Attributes:
        online: (N,) identity of each sighting, DELAY seconds after it.
        at_end: (N,) DELAY seconds after the last sighting of its tracklet.
        final: (N,) when the run is over.
        refined: (N,) solved once more over the finished run; None where that was not done.
        worth: nats of the run's people, the refined and the true ones; empty where not refined.
        step_ms: (steps,) processor time of each step.
        state_mb: what the associator remembers at the end of the run, pickled.
    """

    online: Ids
    at_end: Ids
    final: Ids
    refined: Ids | None
    worth: Mapping[str, float]
    step_ms: NDArray[np.float64]
    state_mb: float


def associate(case: Case, variant: Variant | None = None, weigh: bool = False, refine: bool = False) -> Answer:
    """Run a case.

    Args:
        case: what the trackers said.
        variant: of the associator; as shipped where None.
        weigh: measure what it remembers (costs a copy).
        refine: solve the finished run once more.
    """
    variant = variant or Variant()
    case = variant.prepare(case)
    associator = CrossCameraAssociator(variant.config, case.cameras)
    variant.adjust(associator)
    told: list[tuple[float, tuple[IdentityEvent, ...]]] = []
    shown: list[TrackedFrame] = []
    spent = []
    with threadpool_limits(1), variant.during():
        for step in case.steps:
            began = time.process_time()
            frames = associator(step.tracks)
            spent.append(time.process_time() - began)
            told.append((step.time, tuple(event for frame in frames for event in frame.events)))
            shown += frames if refine else ()
        state = len(pickle.dumps(associator)) / 1e6 if weigh else float("nan")
        last = associator.finish(case.ended)
    sightings = case.sightings
    ever = np.full(len(sightings), np.inf)
    final = as_told(sightings, ever, [*told, (np.inf, last if variant.settles else ())])
    again, worth = None, dict[str, float]()
    if refine:
        again, worth = refined(case, shown, [*(event for _, events in told for event in events), *last], final)
    return Answer(
        online=as_told(sightings, sightings.times + DELAY, told),
        at_end=as_told(sightings, last_times(sightings) + DELAY, told),
        final=final,
        refined=again,
        worth=worth,
        step_ms=np.array(spent) * 1000,
        state_mb=state,
    )


def as_told(
    sightings: Sightings, asked: NDArray[np.float64], told: Sequence[tuple[float, tuple[IdentityEvent, ...]]]
) -> Ids:
    """Identity of each sighting's tracklet as it stood at the time ``asked`` (N,), from (time, events) in order."""
    ids = np.zeros(len(sightings), np.int64)
    replay = IdentityReplay()
    queue = np.argsort(asked, kind="stable")
    place = 0
    for now, events in told:
        while place < len(queue) and asked[queue[place]] < now:
            row = queue[place]
            ids[row] = replay.identity_of[int(sightings.tracklets[row])]
            place += 1
        replay.add(events)
    for row in queue[place:]:
        ids[row] = replay.identity_of[int(sightings.tracklets[row])]
    return ids


def last_times(sightings: Sightings) -> NDArray[np.float64]:
    """(N,) time of the last sighting of each sighting's tracklet."""
    _, tracklet = np.unique(sightings.tracklets, return_inverse=True)
    last = np.full(tracklet.max(initial=-1) + 1, -np.inf)
    np.maximum.at(last, tracklet, sightings.times)
    found: NDArray[np.float64] = last[tracklet]
    return found

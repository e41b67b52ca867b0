"""What a finished run teaches, with every passage known: return times, and the ground that cameras share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from reid_tracker.association.calibration import Calibration, PassageLooks
from reid_tracker.association.ground import GroundPlane
from reid_tracker.association.identities import Passage
from reid_tracker.association.remembered import RememberedPassage
from reid_tracker.association.still import StillWatch
from reid_tracker.association.topology import ReturnTimes
from reid_tracker.config import CameraConfig
from reid_tracker.types import TrackedFrame


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


def watched(frames: Iterable[TrackedFrame], still: dict[int, bool]) -> Iterator[TrackedFrame]:
    """The frames as they are, while it is found out of each tracklet whether it is a thing that never moves."""
    watch = StillWatch()
    for frame in frames:
        for person in frame.people:
            box = np.array(person.box, np.float32)
            still[person.tracklet] = watch(person.tracklet, frame.camera_id, frame.time, box)
        yield frame


def learn_ground(
    frames: Iterable[TrackedFrame],
    passages: Sequence[RememberedPassage],
    looks: Mapping[int, PassageLooks],
    calibration: Calibration,
    cameras: Sequence[CameraConfig] = (),
) -> GroundPlane:
    """Where people stood in a finished run, and which cameras turned out to see the same ground.

    Args:
        frames: of all cameras, in the order of time.
        passages: all of the run.
        looks: tracklet -> its looks in short.
        calibration: what distances mean here.
        cameras: homographies of those that are configured.
    """
    ground = GroundPlane(cameras, calibration, most=max(len(passages), 1))
    number = {name: place for place, name in enumerate(sorted({one.camera_id for one in passages}))}
    known = {
        one.tracklet: Passage(
            one.tracklet, one.camera_id, number[one.camera_id], one.start, one.end, looks.get(one.tracklet)
        )
        for one in passages
    }
    open_: dict[int, Passage] = {}
    now = -np.inf
    for frame in frames:
        now = max(now, frame.time)
        for person in frame.people:
            if person.tracklet in known:
                open_[person.tracklet] = known[person.tracklet]
                ground.saw(person.tracklet, frame.camera_id, frame.time, np.array(person.box, np.float32), frame.size)
        ground.learn(list(open_.values()), now)
        open_ = {tracklet: passage for tracklet, passage in open_.items() if passage.end >= now}
    return ground

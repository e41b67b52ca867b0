"""How a group of cameras is, and in words why it is behind where it is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from reid_tracker.live import CameraState, HealthReport

BUSY = 0.9  # share of its time that a group works from which it cannot keep up with its cameras
_SLOW = 0.8  # share of the pictures that arrive that a group should process
_LAG_SECONDS = 1.0
_LEAST_RATE = 1.0  # pictures a second below which a rate says nothing

Condition = Literal["well", "behind", "silent", "starting"]


@dataclass(frozen=True, slots=True)
class GroupState:
    """A group at one moment.

    Attributes:
        name: of the group.
        cameras: names.
        node: machine that it runs on; empty before it was heard of.
        silent: seconds since it was heard of; 0 before it ever was.
        busy: share of its time that was work, 0..1.
        step_seconds: mean time of a moment.
        arriving, processed: pictures a second, of all its cameras.
        lag: seconds from a picture's arrival to being taken, of the camera where it is longest.
        skipped: pictures that were left out because newer ones had come.
        undelivered: pictures that could not be told to the associator.
        lost: seconds of its cameras that did not reach it.
        restarts: how often it was started again.
        failures: moments that failed; the newest in words.
        condition, why: in short, and in words; empty where it is well.
    """

    name: str
    cameras: tuple[str, ...] = ()
    node: str = ""
    silent: float = 0.0
    busy: float = 0.0
    step_seconds: float = 0.0
    arriving: float = 0.0
    processed: float = 0.0
    lag: float = 0.0
    skipped: int = 0
    undelivered: int = 0
    lost: float = 0.0
    restarts: int = 0
    failures: int = 0
    last_failure: str = ""
    condition: Condition = "starting"
    why: str = ""


@dataclass(frozen=True, slots=True)
class AssociatorState:
    """An associator at one moment: the site's only one, or one of several.

    Attributes:
        name: ``site``, or the district.
        cameras: how many it has.
        node: machine that it runs on; empty before it was heard of.
        silent: seconds since it was heard of.
        steps: moments that it took.
        step_seconds: mean time of a moment.
        waiting: moments that wait for it.
        restarts: how often it was started again.
        failures: moments that failed; the newest in words.
    """

    name: str
    cameras: int = 0
    node: str = ""
    silent: float = 0.0
    steps: int = 0
    step_seconds: float = 0.0
    waiting: int = 0
    restarts: int = 0
    failures: int = 0
    last_failure: str = ""


@dataclass(frozen=True, slots=True)
class SiteState:
    """How all of a cluster's parts are.

    Attributes:
        groups: with the name of the associator of each.
        associators: one, or several.
    """

    groups: tuple[tuple[str, GroupState], ...] = ()
    associators: tuple[AssociatorState, ...] = ()


def judged(state: GroupState, health: dict[str, HealthReport], silent_seconds: float, waiting: int) -> GroupState:
    """The state with its condition and the reason for it.

    Args:
        health: of its cameras.
        silent_seconds: without a word, from which a group is taken to be away.
        waiting: moments that wait for the associator of the group.
    """
    condition, why = _judgement(state, health, silent_seconds, waiting)
    return replace(state, condition=condition, why=why)


def _judgement(
    state: GroupState, health: dict[str, HealthReport], silent_seconds: float, waiting: int
) -> tuple[Condition, str]:
    if not state.node:
        return "starting", "was not heard of yet: the cluster has no room for it, or it loads its networks"
    if state.silent > silent_seconds:
        again = f"; started again {state.restarts} times so far" if state.restarts else ""
        return (
            "silent",
            f"does not answer for {state.silent:.0f} s: its worker, its machine or the way to it is lost{again}",
        )
    if state.busy >= BUSY:
        return "behind", (
            f"works {state.busy:.0%} of its time: give it more cores (cluster.cpus), a GPU (cluster.gpus) or fewer "
            "cameras (cluster.group_cameras)"
        )
    if waiting:
        return "behind", f"its associator is behind: {waiting} moments wait; see cluster.associator_cameras"
    away = sorted(name for name, each in health.items() if each.state in (CameraState.WAITING, CameraState.CONNECTING))
    if away:
        return "behind", f"camera {away[0]!r} sends no pictures: {health[away[0]].message or 'it is being connected'}"
    if state.lag > _LAG_SECONDS:
        return "behind", f"pictures wait {state.lag:.1f} s until they are taken: others use its machine {state.node}"
    if state.arriving >= _LEAST_RATE and state.processed < _SLOW * state.arriving:
        return (
            "behind",
            f"takes {state.processed:.1f} of {state.arriving:.1f} pictures a second: it is too slow",
        )
    return "well", ""

"""A group of cameras in the charge of an associator, as one may leave it to another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from reid_tracker.config import CameraConfig


@dataclass(slots=True)
class Losses:
    """What of a camera did not arrive.

    Attributes:
        frames: that the group tracked and could not deliver.
        seconds: without a frame around restarts, and around interruptions of more than the usual pause.
        restarts: of the group while it had the camera.
        repeated: frames that came a second time and were not counted again.
    """

    frames: int = 0
    seconds: float = 0.0
    restarts: int = 0
    repeated: int = 0


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a camera is: the newest frame that was taken, and the life of the group that it came from."""

    epoch: str
    number: int
    time: float


@dataclass(frozen=True, slots=True)
class Charge:
    """A group, and all that whoever takes it on has to know to go on where the one before stopped.

    Attributes:
        group: its name.
        associator: in whose charge it is; empty: of whoever tells.
        turn: how often it has gone from one to another.
        cameras: that it has.
        paused: names of those that are left alone for now.
        progress, losses: by camera; a camera without is new, or has lost nothing.
    """

    group: str
    associator: str = ""
    turn: int = 0
    cameras: tuple[CameraConfig, ...] = ()
    paused: frozenset[str] = frozenset()
    progress: Mapping[str, Progress] = field(default_factory=dict, repr=False)
    losses: Mapping[str, Losses] = field(default_factory=dict, repr=False)

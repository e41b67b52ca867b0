"""What the registry of a site tells its districts, and what they tell it (registry.py, district.py)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from reid_tracker.association.remembered import RememberedPassage
from reid_tracker.association.topology import CameraLink
from reid_tracker.cluster.charge import Charge, Losses
from reid_tracker.cluster.condition import GroupState
from reid_tracker.config import CameraConfig
from reid_tracker.live import HealthReport
from reid_tracker.types import TrackedFrame


@dataclass(frozen=True, slots=True)
class Renumber:
    """Two numbers are one person; ``told`` by an operator, so that no evidence takes it back."""

    gone: int
    kept: int
    told: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """These tracklets of an identity are somebody else, whose number is given."""

    identity: int
    tracklets: tuple[int, ...]
    number: int


@dataclass(frozen=True, slots=True)
class Apart:
    """The tracklets of one side and of the other are different people."""

    some: tuple[int, ...]
    others: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Erase:
    """Forget a person at once."""

    identity: int


Order = Renumber | Part | Apart | Erase


@dataclass(frozen=True, slots=True)
class Answer:
    """What a district is told in return for its news.

    Attributes:
        orders: to be carried out in order.
        foreign: other district -> passages in its cameras whose people may come here.
    """

    orders: tuple[Order, ...] = ()
    foreign: dict[str, tuple[RememberedPassage, ...]] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class DistrictNews:
    """What a district has to tell.

    Attributes:
        frames: with the events decided since the news before, under the district's numbers.
        passages: open ones that changed.
        border: other district -> passages of people who may come there.
        traces: W3C traceparents of the moments that they come from.
    """

    frames: tuple[TrackedFrame, ...] = field(default=(), repr=False)
    passages: tuple[RememberedPassage, ...] = field(default=(), repr=False)
    border: dict[str, tuple[RememberedPassage, ...]] = field(default_factory=dict, repr=False)
    traces: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CameraOrder:
    """What is to be done with a camera of a district."""

    what: Literal["add", "remove", "pause", "resume"]
    camera: CameraConfig


@dataclass(frozen=True, slots=True)
class Surroundings:
    """How a district lies among the others.

    Attributes:
        exits: other district -> cameras from which people come there, of those that are here or once were.
        entrances: cameras of others from which people come here, and those here that others had before.
    """

    exits: Mapping[str, frozenset[str]] = field(default_factory=dict)
    entrances: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class DistrictReport:
    """How a district is.

    Attributes:
        cameras: that it has, and their health.
        losses: what of each camera did not arrive.
        groups: how each of its groups is.
        steps, frames, step_seconds, failures, last_failure: of its loop (LoopReport).
        waiting: moments that wait for the associator.
        ways: that people are known to take to its cameras.
        node: machine that it runs on.
        charges: its groups, and those that it gave away.
        elsewhere: whose the other groups are, as far as it knows: associator and turn.
    """

    cameras: tuple[CameraConfig, ...] = ()
    health: dict[str, HealthReport] = field(default_factory=dict)
    losses: dict[str, Losses] = field(default_factory=dict)
    groups: dict[str, GroupState] = field(default_factory=dict)
    steps: int = 0
    frames: int = 0
    step_seconds: float = 0.0
    failures: dict[str, int] = field(default_factory=dict)
    last_failure: str = ""
    waiting: int = 0
    ways: tuple[CameraLink, ...] = ()
    node: str = ""
    charges: tuple[Charge, ...] = ()
    elsewhere: Mapping[str, tuple[str, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Push:
    """News on their way to the front: sent again until they are answered, and read once.

    Attributes:
        district: whose.
        epoch: of this life of it.
        number: grows by one with each news, from 0.
    """

    district: str
    epoch: str
    number: int
    news: DistrictNews
    report: DistrictReport


@dataclass(frozen=True, slots=True)
class Reply:
    """What the front answers to a push.

    Attributes:
        epoch: of this life of the front; after another one everything has to be said anew.
        answer: what the registry says; before the rest.
        cameras: what is to be done with cameras.
        surroundings: where they are others than before.
        charges: groups that change hands: to be given to ``associator``, or taken on where that is the district.
        replaced: the district was begun again since; nothing was taken, and this life of it has nothing more to do.
    """

    epoch: str
    answer: Answer = field(default_factory=Answer)
    cameras: tuple[CameraOrder, ...] = ()
    surroundings: Surroundings | None = None
    charges: tuple[Charge, ...] = ()
    replaced: bool = False


@dataclass(frozen=True, slots=True)
class Beginning:
    """What a district begins with.

    Attributes:
        identity, tracklet: the highest numbers ever given.
        passages: of people who were in its cameras, or beside them.
        charges: the groups that it has, and whose the others are.
        surroundings: how it lies among the others.
    """

    identity: int = 0
    tracklet: int = 0
    passages: tuple[RememberedPassage, ...] = field(default=(), repr=False)
    charges: tuple[Charge, ...] = ()
    surroundings: Surroundings = field(default_factory=Surroundings)

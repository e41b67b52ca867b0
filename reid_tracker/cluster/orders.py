"""What the registry of a site tells its districts, and what they tell it (registry.py, district.py)."""

from __future__ import annotations

from dataclasses import dataclass, field

from reid_tracker.association.remembering import RememberedPassage
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
    """

    frames: tuple[TrackedFrame, ...] = field(default=(), repr=False)
    passages: tuple[RememberedPassage, ...] = field(default=(), repr=False)
    border: dict[str, tuple[RememberedPassage, ...]] = field(default_factory=dict, repr=False)

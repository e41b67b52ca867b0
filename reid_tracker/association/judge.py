"""What everybody who judges identities looks at."""

from __future__ import annotations

from dataclasses import dataclass

from reid_tracker.association.calibration import Calibration
from reid_tracker.association.ground import GroundPlane
from reid_tracker.association.identities import Identity, IdentityBook, Passage
from reid_tracker.association.memory import Gallery
from reid_tracker.association.topology import ReturnTimes
from reid_tracker.config import AssociationConfig


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of one associator that its judges share."""

    config: AssociationConfig
    book: IdentityBook
    gallery: Gallery
    calibration: Calibration
    topology: ReturnTimes
    ground: GroundPlane


def certainly_two(topology: ReturnTimes, identity: Identity, passages: list[Passage]) -> bool:
    """An identity and whom these passages show are not one: they met, or nobody is fast enough to be both."""
    return identity.meets(passages) or topology.too_fast(identity.known, passages)


class Judge:
    """Holds references to the associator's parts and no state of its own."""

    def __init__(self, parts: Parts) -> None:
        self._config = parts.config
        self._book = parts.book
        self._gallery = parts.gallery
        self._calibration = parts.calibration
        self._topology = parts.topology
        self._ground = parts.ground

"""What everybody who judges identities looks at."""

from __future__ import annotations

from reid_tracker.association.calibration import Calibration
from reid_tracker.association.ground import GroundPlane
from reid_tracker.association.identities import IdentityBook
from reid_tracker.association.memory import Gallery
from reid_tracker.association.topology import ReturnTimes
from reid_tracker.config import AssociationConfig


class Judge:
    """Holds references to the associator's parts and no state of its own."""

    def __init__(
        self,
        config: AssociationConfig,
        book: IdentityBook,
        gallery: Gallery,
        calibration: Calibration,
        topology: ReturnTimes,
        ground: GroundPlane,
    ) -> None:
        self._config = config
        self._book = book
        self._gallery = gallery
        self._calibration = calibration
        self._topology = topology
        self._ground = ground

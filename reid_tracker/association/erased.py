"""Tracklets of people who were erased: nothing more is heard of them, however long a tracker elsewhere follows on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from reid_tracker.types import CameraTracks, Tracklet


class Erased:
    """The tracklets of erased people that have not ended yet. One per site, not thread-safe."""

    def __init__(self) -> None:
        self._tracklets: set[int] = set()

    def __len__(self) -> int:
        return len(self._tracklets)

    def add(self, tracklet: int) -> None:
        """Hear no more of a tracklet."""
        self._tracklets.add(tracklet)

    def others(self, tracklets: Sequence[Tracklet]) -> tuple[Tracklet, ...]:
        """Those that are somebody else's."""
        return tuple(each for each in tracklets if each.id not in self._tracklets)

    def left_out(self, tracks: Sequence[CameraTracks]) -> Sequence[CameraTracks]:
        """What all cameras saw at one moment less the erased; those that end are over for good."""
        if not self._tracklets:
            return tracks
        ended = [each.id for moment in tracks for each in moment.ended]
        rest = [
            replace(
                moment,
                tracklets=self.others(moment.tracklets),
                lost=self.others(moment.lost),
                ended=self.others(moment.ended),
            )
            for moment in tracks
        ]
        self._tracklets.difference_update(ended)
        return rest

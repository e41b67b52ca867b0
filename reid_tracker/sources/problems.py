"""What goes wrong while a camera is read, and does not end the run: counted by reason, told now and then."""

from __future__ import annotations

import logging
from collections import Counter
from enum import StrEnum

_log = logging.getLogger(__name__)

# Told in full at the end at most; a recording with thousands of faults must not fill memory with texts.
_KEPT_DETAILS = 20


class Problem(StrEnum):
    """Reasons, as they stand in counters."""

    UNDECODABLE = "undecodable"
    ENDED_EARLY = "ended_early"
    UNREADABLE_FILE = "unreadable_file"
    OVERLAPPING_FILES = "overlapping_files"
    DROPPED = "dropped"
    STOPPED = "stopped"


class Problems:
    """The problems of one camera. Written by the thread that reads the camera, read by anyone.

    Args:
        camera_id: name of the camera, for the messages.

    Attributes:
        counts: reason -> how often (frames for ``undecodable`` and ``dropped``, files or times otherwise).
    """

    def __init__(self, camera_id: str) -> None:
        self.counts: Counter[Problem] = Counter()
        self._camera_id = camera_id
        self._details: list[str] = []

    def note(self, reason: Problem, detail: str, times: int = 1) -> None:
        """Count a problem; warn at the 1st, 10th, 100th ... of its kind, so that a bad camera cannot flood a log."""
        before = self.counts[reason]
        self.counts[reason] += times
        if before == 0 or len(str(before)) < len(str(self.counts[reason])):
            _log.warning("camera %r: %s (%s so far: %d)", self._camera_id, detail, reason.value, self.counts[reason])
        if reason not in (Problem.UNDECODABLE, Problem.DROPPED) or before == 0:
            self._details = [*self._details[: _KEPT_DETAILS - 1], detail]

    def lines(self) -> tuple[str, ...]:
        """One line per thing worth telling at the end of a run; empty where all went well."""
        counted = {
            Problem.UNDECODABLE: "frame(s) did not decode and were left out",
            Problem.DROPPED: "live frame(s) were dropped because processing was slower than the camera",
        }
        totals = [
            f"camera {self._camera_id!r}: {self.counts[reason]} {text}"
            for reason, text in counted.items()
            if self.counts[reason]
        ]
        return (*totals, *(f"camera {self._camera_id!r}: {detail}" for detail in self._details))

    def clear(self) -> None:
        """Start again, as a source does when it is read from its beginning."""
        self.counts.clear()
        self._details.clear()

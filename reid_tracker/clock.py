"""One time line for the cameras of a site, whatever their clocks do.

A camera that starts without network says 1970; one that is set right jumps by years; one on local time is hours off;
one that is corrected by a few seconds shows a moment twice. Tracks and travel times need time that runs forward and is
about the same for all. Time is taken as the camera says it wherever it can be: nothing is changed by a clock that is
less than an hour off, and a camera that is set right is believed again at once.

A camera that is ahead of the others by hours may go on after a pause, as in recordings of several days, or have a wrong
clock. Nobody has pictures of times to come: it is wrong where it is ahead of this machine's clock as well. Were it
believed, everybody else would be taken for late and set to its time, and whoever is out of view be forgotten.

A site whose clocks all say 1970 has that time until one of them is set, and that one's time from there on.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from reid_tracker.types import Frame

_STANDS_STILL = 60.0  # seconds that a clock may go back; its time stands until it has caught up
_BEHIND = 3600.0  # seconds behind what the site has reached from which a clock is wrong; less is skew
_AHEAD = 365 * 86400.0  # seconds ahead of it; less may be a pause of the recording
_FUTURE = 3600.0  # seconds ahead of what the site has reached and of this machine; less is skew
_SET = 1e9  # 2001; a clock that says less was never set, or there is none and time counts from nought

_log = logging.getLogger(__name__)


class SiteClock:
    """Puts the frames of a site's cameras on one time line. One per site, not thread-safe.

    Args:
        utc: what this machine's clock says.
    """

    def __init__(self, utc: Callable[[], float] = time.time) -> None:
        self._utc = utc
        self._offsets: dict[str, float] = {}
        self._last: dict[str, float] = {}
        self._now = -np.inf

    @property
    def offsets(self) -> Mapping[str, float]:
        """Seconds that are added to the time of each camera whose clock is wrong at present."""
        return {camera: offset for camera, offset in self._offsets.items() if offset}

    def __call__(self, frames: Sequence[Frame]) -> list[Frame]:
        """The frames of one moment, those with a wrong time with the site's, never before the camera's last one."""
        known = [frame.time for frame in frames if _SET <= frame.time <= self._utc() + _FUTURE]
        if known and self._now < _SET:
            self._now = max(known)
        return [self._straightened(frame) for frame in frames]

    def _straightened(self, frame: Frame) -> Frame:
        camera, last = frame.camera_id, self._last.get(frame.camera_id, -np.inf)
        before = self._offsets.get(camera, 0.0)
        offset = next((tried for tried in (0.0, before) if self._fits(frame.time + tried, last)), None)
        if offset is None:
            offset = max(self._now, last) - frame.time
        if offset != before:
            self._report(frame, offset)
        straight = max(frame.time + offset, last)
        self._offsets[camera], self._last[camera], self._now = offset, straight, max(self._now, straight)
        return frame if straight == frame.time else replace(frame, time=straight)

    def _fits(self, said: float, last: float) -> bool:
        if self._now == -np.inf:
            return True
        if said > max(self._now, self._utc()) + _FUTURE:
            return False
        return said >= last - _STANDS_STILL and self._now - _BEHIND <= said <= self._now + _AHEAD

    def _report(self, frame: Frame, offset: float) -> None:
        if offset:
            _log.warning(
                "camera %s, frame %d: its clock (%.3f) does not fit the site's time; %+.3f s are added from here on; "
                "set the camera's clock",
                frame.camera_id,
                frame.index,
                frame.time,
                offset,
            )
        else:
            _log.warning("camera %s, frame %d: its clock fits again", frame.camera_id, frame.index)

"""Notices streams that seem alive and are not: no new picture, always the same picture, ever older pictures."""

from __future__ import annotations

from reid_tracker.config import LiveConfig
from reid_tracker.live.capture import CaptureError, Fault, Picture
from reid_tracker.live.timing import DelayGauge

_LONGEST_FREEZE = 600.0  # seconds between two reconnections because of a picture that truly does not change
_BEHIND_SECONDS = 5.0  # of late pictures only, after which reconnecting is the quicker way to the present
_BEHIND_AGAIN = 3  # times in a row after which the stream's own clock is taken to run wrong: lateness is only measured
_IN_TIME_AGAIN = 60.0  # seconds without a late picture that make good for having been behind


class PictureWatch:
    """What a reader asks about each picture. One per camera, used by its reading thread; outlives connections."""

    def __init__(self, config: LiveConfig) -> None:
        self._config = config
        self._recording = False
        self._gauge = DelayGauge()
        self._last_media: float | None = None
        self._last_new = 0.0
        self._fingerprint: int | None = None
        self._changed_at = 0.0
        self._patience = config.frozen_seconds
        self._behind_since: float | None = None
        self._last_late = float("-inf")
        self._times_behind = 0

    def opened(self, now: float, recording: bool = False) -> None:
        """A connection begins; ``now`` in monotonic seconds, as everywhere here.

        Args:
            recording: its pictures come when they are due, however still or far apart: nothing is judged.
        """
        self._recording = recording
        self._gauge = DelayGauge()
        self._last_media = None
        self._last_new = now
        self._changed_at = now
        self._behind_since = None

    def is_new(self, picture: Picture, now: float) -> bool:
        """Whether time in the stream has moved on: some cameras hand out the last picture for ever."""
        if picture.media_time is not None and picture.media_time == self._last_media:
            return False
        if picture.media_time is not None and self._last_media is not None and picture.media_time < self._last_media:
            self._gauge = DelayGauge()  # the stream began anew
        self._last_media = picture.media_time
        self._last_new = now
        if picture.fingerprint != self._fingerprint:
            if self._fingerprint is not None and self._changed_at != now:
                self._patience = self._config.frozen_seconds
            self._fingerprint, self._changed_at = picture.fingerprint, now
        return True

    def is_late(self, picture: Picture, now: float) -> bool:
        """Whether the picture waited somewhere on its way for so long that a newer one must be coming.

        Raises:
            CaptureError: nothing but late pictures for seconds.
        """
        if self._recording or picture.media_time is None:
            return False
        if self._gauge(picture.media_time, now) <= self._config.late_seconds:
            self._behind_since = None
            if now - self._last_late > _IN_TIME_AGAIN:
                self._times_behind = 0
            return False
        self._last_late = now
        if self._times_behind >= _BEHIND_AGAIN:
            return False
        self._behind_since = now if self._behind_since is None else self._behind_since
        if now - self._behind_since > _BEHIND_SECONDS:
            self._times_behind += 1
            raise CaptureError(Fault.BEHIND, "the stream is falling behind; connecting anew to catch up")
        return True

    def check(self, now: float) -> None:
        """To be called after each read.

        Raises:
            CaptureError: data arrive, but no new picture; or the picture does not change.
        """
        if self._recording:
            return
        if now - self._last_new > self._config.stall_seconds:
            raise CaptureError(Fault.STALE, "data arrive, but no new picture; connecting anew")
        if now - self._changed_at > self._patience:
            self._patience = min(2 * self._patience, _LONGEST_FREEZE)
            raise CaptureError(
                Fault.FROZEN, f"the picture has not changed for {now - self._changed_at:.0f} s; connecting anew"
            )

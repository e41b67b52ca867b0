"""How a camera is: its state, what was lost and why, what it last said. Written by its reader, read by anyone."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum

from reid_tracker.live.capture import Fault

_log = logging.getLogger(__name__)


class CameraState(StrEnum):
    """What a camera is doing."""

    CONNECTING = "connecting"
    LIVE = "live"
    WAITING = "waiting"
    LOCKED_OUT = "wrong password"
    PAUSED = "paused"
    ENDED = "ended"


class Loss(StrEnum):
    """Why a picture of the stream was not processed, or its time not believed."""

    DROPPED = "dropped"
    LATE = "late"
    REPEATED = "repeated"
    UNDECODABLE = "undecodable"
    IMPLAUSIBLE_TIME = "implausible_time"


@dataclass(slots=True)
class HealthReport:
    """A camera's health at one moment.

    Attributes:
        state: what it is doing.
        message: the last thing that went wrong, in words; empty while all is well. Holds no credentials.
        since: UTC seconds of the last change of state.
        last_frame: UTC seconds when the newest picture arrived, None before the first.
        fps: pictures a second that arrive.
        lag: seconds from arrival to being taken for processing, of the newest picture that was.
        clock: ``camera`` or ``arrival``: where the pictures' times come from.
        codec, decoder: of the stream, and what decodes it: ``cpu`` or a device; empty before the first picture.
        size: (width, height), (0, 0) before the first picture.
        received, processed: pictures that arrived, and that were taken for processing.
        reconnects: times the stream was opened again after a picture had come.
        lost: pictures by reason (Loss), and pictures whose time was not believed.
        faults: failures by reason (Fault).
    """

    state: CameraState
    message: str = ""
    since: float = 0.0
    last_frame: float | None = None
    fps: float = 0.0
    lag: float = 0.0
    clock: str = "arrival"
    codec: str = ""
    decoder: str = ""
    size: tuple[int, int] = (0, 0)
    received: int = 0
    processed: int = 0
    reconnects: int = 0
    lost: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)


class Health:
    """Keeps a HealthReport up to date. Thread-safe."""

    def __init__(self, camera_id: str) -> None:
        self._camera_id = camera_id
        self._lock = threading.Lock()
        self._report = HealthReport(CameraState.CONNECTING)
        self._interval: float | None = None  # mean of the last few dozen

    def report(self) -> HealthReport:
        """A copy that stays as it is."""
        with self._lock:
            now = self._report
            copied = {name: getattr(now, name) for name in HealthReport.__dataclass_fields__}
        return HealthReport(**{**copied, "lost": Counter(copied["lost"]), "faults": Counter(copied["faults"])})

    @property
    def interval(self) -> float | None:
        """Seconds from one picture to the next; None while the camera is not live, or has sent but one."""
        with self._lock:
            return self._interval if self._report.state is CameraState.LIVE else None

    def enter(self, state: CameraState, utc: float, message: str | None = None) -> None:
        """Change state; ``message`` replaces what was said last, None leaves it."""
        with self._lock:
            if state is not self._report.state:
                self._report.since = utc
            self._report.state = state
            if message is not None:
                self._report.message = message

    def failed(self, fault: Fault, message: str) -> None:
        """Count a failure of the stream and say it at the 1st, 10th, 100th ... of its kind."""
        with self._lock:
            count = self._count(self._report.faults, fault.value, 1)
            self._report.message = message
        if count:
            _log.warning("camera %r: %s (%s so far: %d)", self._camera_id, message, fault.value, count)

    def lose(self, reason: Loss, times: int = 1) -> None:
        """Count pictures that were not processed."""
        if not times:
            return
        with self._lock:
            count = self._count(self._report.lost, reason.value, times)
        if count and reason is not Loss.DROPPED:  # dropping what cannot be processed in time is what the slot is for
            _log.warning("camera %r: picture(s) %s (so far: %d)", self._camera_id, reason.value, count)

    def arrived(self, utc: float, size: tuple[int, int], from_camera: bool, interval: float | None) -> None:
        """A picture has arrived, ``interval`` seconds after the one before it."""
        with self._lock:
            report = self._report
            report.received += 1
            report.last_frame, report.size = utc, size
            report.clock = "camera" if from_camera else "arrival"
            if interval is not None:
                usual = self._interval
                self._interval = interval if usual is None else usual + 0.05 * (interval - usual)
                report.fps = 1 / max(self._interval, 1e-3)

    def decodes(self, codec: str, decoder: str) -> None:
        """What the pictures are coded with, and what decodes them: ``cpu`` or a device."""
        with self._lock:
            self._report.codec, self._report.decoder = codec, decoder

    def reconnected(self) -> None:
        """The stream was opened again."""
        with self._lock:
            self._report.reconnects += 1

    def took(self, lag: float) -> None:
        """A picture was taken for processing ``lag`` seconds after it arrived."""
        with self._lock:
            self._report.processed += 1
            self._report.lag = lag

    @staticmethod
    def _count(counter: Counter[str], reason: str, times: int) -> int:
        """Add to a counter; the new count where it is worth saying, else 0."""
        before = counter[reason]
        counter[reason] += times
        return counter[reason] if before == 0 or len(str(before)) < len(str(counter[reason])) else 0

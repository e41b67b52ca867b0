"""Time in live streams: which clock a picture's time comes from, how far behind a stream is, when to try again."""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass
from typing import Protocol

_WINDOW_SECONDS = 30.0  # the least delay is looked for in one to two windows: long against hiccups, short against drift
_STEP_SECONDS = 1e-3  # least time from one picture to the next where a clock stands still
_SLOWED_SECONDS = 60.0  # that a clock may step back; up to here reid_tracker.clock would let a site's time stand still
_SLOWED = 0.5  # of the pace at which pictures come, while times wait for a clock that ran back: motion stays plausible


class Clock(Protocol):
    """Where time comes from; tests bring their own."""

    def utc(self) -> float:
        """UTC seconds."""
        ...

    def monotonic(self) -> float:
        """Seconds of a clock that never steps."""
        ...

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Wait until ``event`` is set, ``seconds`` at most; whether it is."""
        ...


class SystemClock:
    """The machine's clock."""

    def utc(self) -> float:
        """UTC seconds."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds since some moment."""
        return time.monotonic()

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Wait until ``event`` is set, ``seconds`` at most; whether it is."""
        return event.wait(seconds)


class Backoff:
    """How long to wait before the next attempt: doubling from ``first`` to ``most`` seconds, each time a random part.

    The random part (half to all of it) keeps the readers of a hundred cameras from knocking at one moment when a
    switch comes back.
    """

    def __init__(self, first: float, most: float, source: random.Random | None = None) -> None:
        self._first = first
        self._most = most
        self._random = source or random.Random()
        self._next = first

    def __call__(self) -> float:
        """Seconds to wait; longer each time."""
        seconds = self._next * self._random.uniform(0.5, 1.0)
        self._next = min(self._most, 2 * self._next)
        return seconds

    def reset(self) -> None:
        """Begin again with the shortest wait."""
        self._next = self._first


@dataclass(frozen=True, slots=True)
class CaptureTime:
    """When a picture was taken.

    Attributes:
        time: UTC seconds.
        from_camera: the camera's clock said so, or is known to differ that much; else it is the time of arrival.
        implausible: the camera gave a time that cannot be, and it was not used.
    """

    time: float
    from_camera: bool
    implausible: bool = False


class CaptureClock:
    """Gives each picture of a camera its time: the camera's own where it is plausible, else that of arrival.

    What the camera's clock differs by is carried over reconnections, whose first pictures come before the camera has
    told its time. Times run on at half pace where a clock steps back, until it has caught up; they fall only where it
    steps back by more than a minute, as when a machine's clock is set right.

    Args:
        most_error: seconds by which a camera's clock may differ from this machine's.
    """

    def __init__(self, most_error: float) -> None:
        self._most_error = most_error
        self._last = float("-inf")
        self._last_arrival = 0.0
        self._difference: float | None = None  # camera's clock minus arrival, None where it is not believed

    def __call__(self, producer_time: float | None, arrival: float) -> CaptureTime:
        """The time of a picture that arrived at ``arrival`` (UTC seconds)."""
        if producer_time is not None:
            difference = producer_time - arrival
            self._difference = difference if abs(difference) <= self._most_error else None
        taken = arrival + (self._difference or 0.0)
        if self._last - _SLOWED_SECONDS <= taken < self._last + _STEP_SECONDS:
            taken = self._last + max(_STEP_SECONDS, _SLOWED * (arrival - self._last_arrival))
        self._last, self._last_arrival = taken, arrival
        from_camera = self._difference is not None
        return CaptureTime(taken, from_camera, producer_time is not None and not from_camera)


class DelayGauge:
    """How far a stream has fallen behind its own best: pictures that waited in buffers arrive late by that much.

    Compares media time with arrival; the offset of the two clocks is the least difference of the last minute or so,
    so a drift of the camera's clock does not add up.
    """

    def __init__(self) -> None:
        self._least = [float("inf"), float("inf")]  # of the previous window and of this one
        self._window_ends = float("-inf")

    def __call__(self, media_time: float, now: float) -> float:
        """Seconds behind, 0 or more."""
        difference = now - media_time
        if now >= self._window_ends:
            self._least = [self._least[1], difference]
            self._window_ends = now + _WINDOW_SECONDS
        self._least[1] = min(self._least[1], difference)
        return difference - min(self._least)

"""Time in live streams: which clock a picture's time comes from, how far behind a stream is, when to try again."""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass
from typing import Protocol

_WINDOW_SECONDS = 30.0  # the least delay is looked for in one to two windows: long against hiccups, short against drift
_STEP_SECONDS = 1e-3  # least time from one picture to the next where a clock stands still or runs back


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
        from_camera: the camera's clock said so; else it is the time of arrival.
        implausible: the camera gave a time that cannot be, and it was not used.
    """

    time: float
    from_camera: bool
    implausible: bool = False


class CaptureClock:
    """Gives each picture of a camera its time: the camera's own where it is plausible, else that of arrival.

    Times never fall: where a clock steps back they creep on until it has caught up.

    Args:
        most_error: seconds by which a camera's clock may differ from this machine's.
    """

    def __init__(self, most_error: float) -> None:
        self._most_error = most_error
        self._last = float("-inf")

    def __call__(self, producer_time: float | None, arrival: float) -> CaptureTime:
        """The time of a picture that arrived at ``arrival`` (UTC seconds)."""
        plausible = producer_time is not None and abs(producer_time - arrival) <= self._most_error
        taken = producer_time if plausible and producer_time is not None else arrival
        self._last = max(taken, self._last + _STEP_SECONDS)
        return CaptureTime(self._last, plausible, producer_time is not None and not plausible)


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

"""The newest picture of a camera, waiting to be taken: one place, so that nothing can queue up."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from reid_tracker.live.capture import Picture


@dataclass(frozen=True, slots=True)
class Arrived:
    """A picture with what its reader knows of it.

    Attributes:
        index: number of the picture in its camera, from 0; those never taken use up numbers too.
        time: capture time, UTC seconds.
        arrival: seconds on the monotonic clock when it was decoded.
    """

    picture: Picture
    index: int
    time: float
    arrival: float


class NewestPicture:
    """Holds one picture; a newer one takes its place. Thread-safe.

    Args:
        changed: told when a picture arrives; the slots of several cameras may share one.
    """

    def __init__(self, changed: threading.Condition) -> None:
        self._changed = changed
        self._held: Arrived | None = None

    @property
    def ready(self) -> bool:
        """Whether there is one."""
        return self._held is not None

    def put(self, arrived: Arrived) -> bool:
        """Leave a picture; whether another one had to give way, never seen by anybody."""
        with self._changed:
            displaced = self._held is not None
            self._held = arrived
            self._changed.notify_all()
        return displaced

    def take(self) -> Arrived | None:
        """The picture, which the slot then no longer holds; None where there is none."""
        with self._changed:
            held, self._held = self._held, None
        return held

    def clear(self) -> bool:
        """Drop what is held; whether there was anything."""
        return self.take() is not None

"""What waits for the loop of a site: moments, oldest first."""

from __future__ import annotations

import threading
from collections import deque
from typing import Generic, TypeVar

Said = TypeVar("Said")


class Moments(Generic[Said]):
    """Holds moments until the loop asks, as LiveCameras does on one machine. Thread-safe.

    Whoever inherits adds to ``_waiting`` under ``_lock`` and notifies ``_changed``.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._waiting: deque[list[Said]] = deque()
        self._closed = False

    def next_moment(self, timeout: float) -> list[Said]:
        """The oldest moment that waits; empty where none came within ``timeout`` seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or bool(self._waiting), timeout)
            return self._waiting.popleft() if self._waiting else []

    def close(self) -> None:
        """Take no more; may be called twice."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

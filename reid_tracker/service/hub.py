"""What viewers hear: messages fan out to any number of them, and none can make tracking or another one wait."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import deque
from collections.abc import Sequence
from typing import Any

from reid_tracker.results.jsonl import event_to_json, frame_to_json
from reid_tracker.types import Frame, IdentityEvent, TrackedFrame


class Viewer:
    """One viewer's bounded queue; where it is full the oldest message gives way. Used on the event loop."""

    def __init__(self, size: int) -> None:
        self.skipped = 0
        self._messages: deque[str] = deque(maxlen=size)
        self._arrived = asyncio.Event()

    def put(self, message: str) -> None:
        """Leave a message."""
        self.skipped += len(self._messages) == self._messages.maxlen
        self._messages.append(message)
        self._arrived.set()

    async def get(self) -> str:
        """The oldest message that waits."""
        while not self._messages:
            self._arrived.clear()
            await self._arrived.wait()
        return self._messages.popleft()


class Hub:
    """Listens to the site and tells viewers; keeps the newest events for those who ask later. Thread-safe.

    Args:
        queue: messages that wait for a viewer.
        recent: events kept.
    """

    def __init__(self, queue: int, recent: int) -> None:
        self.told = 0
        self.skipped = 0
        self._queue = queue
        self._viewers: set[Viewer] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._recent: deque[dict[str, Any]] = deque(maxlen=recent)
        self._lock = threading.Lock()

    @property
    def viewers(self) -> int:
        """How many listen."""
        return len(self._viewers)

    def join(self) -> Viewer:
        """Begin to listen; on the event loop."""
        self._loop = asyncio.get_running_loop()
        viewer = Viewer(self._queue)
        self._viewers.add(viewer)
        return viewer

    def leave(self, viewer: Viewer) -> None:
        """Stop listening; on the event loop."""
        self._viewers.discard(viewer)
        self.skipped += viewer.skipped

    def __call__(
        self, _frames: Sequence[Frame], tracked: Sequence[TrackedFrame], events: Sequence[IdentityEvent]
    ) -> None:
        """Tell everybody of a moment (reid_tracker.service.site.Listener)."""
        decided = [*(event for moment in tracked for event in moment.events), *events]
        with self._lock:
            self._recent.extend(event_to_json(event) for event in decided)
        loop = self._loop
        if loop is None or not self._viewers or loop.is_closed():
            return
        messages = [json.dumps({"kind": "frame", **frame_to_json(moment)}) for moment in tracked if moment.camera_id]
        messages += [json.dumps({"kind": "event", **event_to_json(event)}) for event in events]
        loop.call_soon_threadsafe(self._spread, messages)

    def events_after(self, event_id: int, limit: int) -> list[dict[str, Any]]:
        """The kept events with higher numbers, in order."""
        with self._lock:
            return [event for event in self._recent if event["event_id"] > event_id][:limit]

    def forget(self, identity: int) -> None:
        """Drop the kept events about a person."""
        with self._lock:
            kept = [event for event in self._recent if identity not in (event["identity"], *event["supersedes"])]
            self._recent.clear()
            self._recent.extend(kept)

    def _spread(self, messages: Sequence[str]) -> None:
        self.told += len(messages)
        for viewer in tuple(self._viewers):
            for message in messages:
                viewer.put(message)

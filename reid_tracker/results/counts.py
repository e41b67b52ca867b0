"""What a run adds up to while it goes on, for run.json."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from reid_tracker.results.facts import CameraFacts
from reid_tracker.types import TrackedFrame


@dataclass(slots=True)
class CameraCount:
    """What the frames of one camera added up to."""

    facts: CameraFacts
    frames: int = 0
    boxes: int = 0
    undecodable: int = 0
    size: tuple[int, int] = (0, 0)
    first: float | None = None
    last: float | None = None

    def add(self, tracked: TrackedFrame) -> None:
        """Count one frame of the camera."""
        if self.first is None:
            self.first = tracked.time
        self.size = tracked.size
        self.last = tracked.time
        self.frames += 1
        self.boxes += len(tracked.people)

    def to_json(self) -> dict[str, Any]:
        """The camera as it stands in run.json."""
        fps = self.facts.fps
        if fps is None and self.first is not None and self.last is not None and self.last > self.first:
            fps = (self.frames - 1) / (self.last - self.first)
        start = self.facts.start if self.facts.start is not None else self.first
        return {
            "id": self.facts.id,
            "source": self.facts.source,
            "size": list(self.facts.size or self.size),
            "fps": None if fps is None else round(fps, 4),
            "start": None if start is None else round(start, 6),
            "frames": self.frames,
            "boxes": self.boxes,
            "undecodable_frames": self.undecodable,
        }


@dataclass(slots=True)
class RunCounts:
    """What a run added up to so far."""

    cameras: dict[str, CameraCount]
    events: Counter[str] = field(default_factory=Counter)
    started: datetime = field(default_factory=lambda: datetime.now(UTC))

    def add(self, tracked: TrackedFrame) -> None:
        """Count one frame of any camera."""
        camera = self.cameras.get(tracked.camera_id)
        if camera is None:
            camera = self.cameras[tracked.camera_id] = CameraCount(CameraFacts(tracked.camera_id))
        camera.add(tracked)
        self.events.update(str(event.type) for event in tracked.events)

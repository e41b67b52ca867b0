"""Frigate's events: ``{"type": "new" | "update" | "end", "before": {...}, "after": {...}}``, as on its MQTT topic."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reid_tracker.results.files import write_json_lines
from reid_tracker.results.jsonl import IdKind, last_sightings, read_tracks
from reid_tracker.types import TrackedFrame, TrackedPerson

Json = dict[str, Any]


def export_frigate(tracks: Path, out: Path, ids: IdKind) -> list[Path]:
    """Write ``events.jsonl``: what Frigate would have published about each tracklet, one event a line.

    Args:
        tracks: tracks.jsonl.
        out: folder that exists.
        ids: which identities.

    Raises:
        InputError, OutputError: tracks cannot be read, the file not written.
    """
    last = last_sightings(tracks)

    def events() -> Iterator[Json]:
        teller = FrigateTeller()
        for tracked in read_tracks(tracks, ids):
            here = (tracked.camera_id, tracked.index)
            ended = [person.tracklet for person in tracked.people if last[person.tracklet] == here]
            yield from (event for event, _ in teller.tell(tracked, ended))

    return [write_json_lines(out / "events.jsonl", events())]


@dataclass(slots=True)
class _Open:
    camera_id: str
    started: float
    identity: int
    top_score: float
    told: Json


class FrigateTeller:
    """Makes Frigate's events of tracked frames: ``new`` when a tracklet begins, ``update`` when its person is known
    under another number, ``end`` when it is over. The identity stands in ``sub_label``; zones, snapshots and clips are
    not ours to have. Not thread-safe.
    """

    def __init__(self) -> None:
        self._open: dict[int, _Open] = {}

    def tell(self, tracked: TrackedFrame, ended: Iterable[int]) -> Iterator[tuple[Json, int]]:
        """The events of one frame, each with the identity it is about.

        Args:
            ended: tracklets that are over with this frame; of those that were never shown nothing is told.
        """
        for person in tracked.people:
            known = self._open.get(person.tracklet)
            kind = "new" if known is None else "update"
            if known is None:
                known = _Open(tracked.camera_id, tracked.time, person.identity, person.score, {})
                self._open[person.tracklet] = known
            known.top_score = max(known.top_score, person.score)
            state = _state(tracked, person, known)
            before = known.told or state
            changed = known.identity != person.identity
            known.told, known.identity = state, person.identity
            if kind == "new" or changed:
                yield {"type": kind, "before": before, "after": state}, person.identity
        for tracklet in ended:
            over = self._open.pop(tracklet, None)
            if over is not None:
                after = {**over.told, "end_time": over.told["frame_time"], "active": False}
                yield {"type": "end", "before": over.told, "after": after}, over.identity

    def forget(self, identity: int) -> None:
        """Tell nothing more of the open tracklets of a person."""
        for tracklet in [tracklet for tracklet, known in self._open.items() if known.identity == identity]:
            del self._open[tracklet]


def _state(tracked: TrackedFrame, person: TrackedPerson, known: _Open) -> Json:
    """One tracklet in one frame, with every field that Frigate's subscribers look for. Boxes are whole pixels."""
    x1, y1, x2, y2 = (round(corner) for corner in person.box)
    width, height = x2 - x1, y2 - y1
    return {
        "id": f"{known.started:.6f}-{person.tracklet}",
        "camera": tracked.camera_id,
        "frame_time": round(tracked.time, 6),
        "label": "person",
        "sub_label": f"person {person.identity}",
        "top_score": round(known.top_score, 4),
        "false_positive": False,
        "start_time": round(known.started, 6),
        "end_time": None,
        "score": round(person.score, 4),
        "box": [x1, y1, x2, y2],
        "area": width * height,
        "ratio": round(width / height, 4) if height else 0.0,
        "region": [0, 0, *tracked.size],
        "current_zones": [],
        "entered_zones": [],
        "has_snapshot": False,
        "has_clip": False,
        "active": True,
        "stationary": False,
        "attributes": {},
    }

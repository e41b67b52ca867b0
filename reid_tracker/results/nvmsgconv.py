"""NVIDIA DeepStream's messages (``nvmsgconv``): full ones of one object each, and minimal ones of a frame each."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from reid_tracker import __version__
from reid_tracker.results.files import write_json_lines
from reid_tracker.results.jsonl import IdKind, last_sightings, read_tracks, utc_text
from reid_tracker.types import TrackedFrame, TrackedPerson

_MESSAGES = uuid.UUID("5d8d4f8e-6f1b-4b0e-9d53-8f3b0d7f3c11")  # ours alone: the same track gives the same message id
_NOWHERE = {"lat": 0.0, "lon": 0.0, "alt": 0.0}
_ORIGIN = {"x": 0.0, "y": 0.0, "z": 0.0}


def export_nvmsgconv(tracks: Path, out: Path, ids: IdKind) -> list[Path]:
    """Write ``messages.jsonl``: a full message (payload type 0) per person and frame, one a line.

    A tracklet's first message is an ``entry``, its last an ``exit``, those between ``moving``. What a run does not
    know (places on earth, age, clothes) is 0 or empty.

    Args:
        tracks: tracks.jsonl.
        out: folder that exists.
        ids: which identities.

    Raises:
        InputError, OutputError: tracks cannot be read, the file not written.
    """
    last = last_sightings(tracks)

    def messages() -> Iterator[dict[str, Any]]:
        begun = set[int]()
        for tracked in read_tracks(tracks, ids):
            for person in tracked.people:
                over = last[person.tracklet] == (tracked.camera_id, tracked.index)
                kind = "exit" if over else "moving" if person.tracklet in begun else "entry"
                begun.add(person.tracklet)
                yield full_message(tracked, person, kind)

    return [write_json_lines(out / "messages.jsonl", messages())]


def export_nvmsgconv_minimal(tracks: Path, out: Path, ids: IdKind) -> list[Path]:
    """Write ``messages.jsonl``: a minimal message (payload type 1) per frame, one a line.

    Args:
        tracks: tracks.jsonl.
        out: folder that exists.
        ids: which identities.

    Raises:
        InputError, OutputError: tracks cannot be read, the file not written.
    """
    frames = read_tracks(tracks, ids)
    return [write_json_lines(out / "messages.jsonl", map(minimal_message, frames))]


def full_message(tracked: TrackedFrame, person: TrackedPerson, event: str) -> dict[str, Any]:
    """One person in one frame; ``event`` is the type of its event."""
    x1, y1, x2, y2 = person.box
    name = f"{tracked.camera_id}/{tracked.index}/{person.tracklet}"
    return {
        "messageid": str(uuid.uuid5(_MESSAGES, name)),
        "mdsversion": "1.0",
        "@timestamp": utc_text(tracked.time),
        "place": _place(event),
        "sensor": {
            "id": tracked.camera_id,
            "type": "Camera",
            "description": "",
            "location": _NOWHERE,
            "coordinate": _ORIGIN,
        },
        "analyticsModule": {
            "id": "reid_tracker",
            "description": "people across cameras",
            "source": "reid_tracker",
            "version": __version__,
        },
        "object": {
            "id": str(person.identity),
            "speed": 0.0,
            "direction": 0.0,
            "orientation": 0.0,
            "person": {"age": 0, "gender": "", "hair": "", "cap": "", "apparel": ""},
            "bbox": {"topleftx": x1, "toplefty": y1, "bottomrightx": x2, "bottomrighty": y2},
            "location": _NOWHERE,
            "coordinate": _ORIGIN,
            "pose": {},
        },
        "event": {"id": str(uuid.uuid5(_MESSAGES, f"{name}/{event}")), "type": event},
        "videoPath": "",
    }


def _place(event: str) -> dict[str, Any]:
    """Where it happened, unknown; DeepStream has people come and go through an entrance and move in an aisle."""
    kind, first, second = ("aisle", "id", "name") if event == "moving" else ("entrance", "name", "lane")
    part = {first: "", second: "", "level": "", "coordinate": _ORIGIN}
    return {"id": "", "name": "", "type": kind, "location": _NOWHERE, kind: part}


def minimal_message(tracked: TrackedFrame) -> dict[str, Any]:
    """One frame; each object is ``trackId|left|top|right|bottom|label|#``, the sign with no attributes after it."""
    return {
        "version": "4.0",
        "id": str(tracked.index),
        "@timestamp": utc_text(tracked.time),
        "sensorId": tracked.camera_id,
        "objects": [
            "|".join([str(person.identity), *(f"{corner:g}" for corner in person.box), "Person", "#"])
            for person in tracked.people
        ],
    }

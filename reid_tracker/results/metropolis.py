"""NVIDIA Metropolis: frames of the ``nvschema`` (JSON of protobuf ``nv.Frame``), one a line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from reid_tracker.results.files import write_json_lines
from reid_tracker.results.jsonl import IdKind, read_tracks, utc_text
from reid_tracker.types import TrackedFrame

SCHEMA_VERSION = "4.0"


def export_metropolis(tracks: Path, out: Path, ids: IdKind) -> list[Path]:
    """Write ``frames.jsonl``: a frame of one sensor per line, people as objects of type Person.

    Times are UTC where the run's were; where cameras began together without a clock, they count from 1970.

    Args:
        tracks: tracks.jsonl.
        out: folder that exists.
        ids: which identities.

    Raises:
        InputError, OutputError: tracks cannot be read, the file not written.
    """
    frames = read_tracks(tracks, ids)
    return [write_json_lines(out / "frames.jsonl", map(metropolis_frame, frames))]


def metropolis_frame(tracked: TrackedFrame) -> dict[str, Any]:
    """One frame: strings and numbers as the schema has them (ids are strings, times in milliseconds with Z).

    What a run does not know (speed, places on the ground and on earth) is 0, which is the schema's own default.
    """
    return {
        "version": SCHEMA_VERSION,
        "id": str(tracked.index),
        "timestamp": utc_text(tracked.time),
        "sensorId": tracked.camera_id,
        "objects": [
            {
                "id": str(person.identity),
                "type": "Person",
                "confidence": person.score,
                "bbox": dict(zip(("leftX", "topY", "rightX", "bottomY"), person.box, strict=True)),
                "info": {"tracklet": str(person.tracklet), "state": person.state},
                "embedding": {"vector": [], "info": {}},
                "speed": 0.0,
                "dir": [0.0, 0.0],
                "coordinate": {"x": 0.0, "y": 0.0, "z": 0.0},
                "location": {"lat": 0.0, "lon": 0.0, "alt": 0.0},
            }
            for person in tracked.people
        ],
        "fov": [],
        "rois": [],
        "info": {},
    }

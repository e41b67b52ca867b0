"""NVIDIA Metropolis: frames of the ``nvschema`` (JSON of protobuf ``nv.Frame``), one a line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from reid_tracker.results.files import write_json_lines
from reid_tracker.results.jsonl import IdKind, read_tracks, run_folder_of, utc_text
from reid_tracker.results.looks import LOOKS_FILE, read_looks
from reid_tracker.types import FloatArray, TrackedFrame

SCHEMA_VERSION = "4.0"
_DIGITS = 4  # of a vector's numbers; looks.npy holds no more of unit vectors

Vectors = Mapping[tuple[int, int], FloatArray]
"""Global vectors (D,) float32 of unit length, by tracklet and the microsecond (UTC) of the frame they were taken in."""


def export_metropolis(tracks: Path, out: Path, ids: IdKind) -> list[Path]:
    """Write ``frames.jsonl``: a frame of one sensor per line, people as objects of type Person.

    Times are UTC where the run's were; where cameras began together without a clock, they count from 1970. Vectors come
    from looks.npy beside the tracks, where it is: in the frames in which the looks were taken, a few of each tracklet.

    Args:
        tracks: tracks.jsonl.
        out: folder that exists.
        ids: which identities.

    Raises:
        InputError, OutputError: tracks cannot be read, the file not written.
    """
    vectors = look_vectors(run_folder_of(tracks))
    frames = (metropolis_frame(tracked, vectors) for tracked in read_tracks(tracks, ids))
    return [write_json_lines(out / "frames.jsonl", frames)]


def look_vectors(folder: Path) -> Vectors:
    """The global vectors of all looks that a run kept; none where it kept none.

    Raises:
        InputError: looks.npy is there and cannot be read.
    """
    if not (folder / LOOKS_FILE).is_file():
        return {}
    return {
        (found.tracklet, _microsecond(time)): vector
        for found in read_looks(folder)
        for time, vector in zip(found.times, found.looks.global_, strict=True)
    }


def metropolis_frame(tracked: TrackedFrame, vectors: Vectors | None = None) -> dict[str, Any]:
    """One frame: strings and numbers as the schema has them (ids are strings, times in milliseconds with Z).

    What a run does not know (speed, places on the ground and on earth) is 0, which is the schema's own default.

    Args:
        tracked: the frame.
        vectors: of looks; whoever has none in this frame gets an empty vector.
    """
    known = vectors or {}
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
                "embedding": {
                    "vector": _numbers(known.get((person.tracklet, _microsecond(tracked.time)))),
                    "info": {},
                },
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


def _microsecond(time: float) -> int:
    return round(time * 1e6)


def _numbers(vector: FloatArray | None) -> list[float]:
    return [] if vector is None else np.round(vector.astype(np.float64), _DIGITS).tolist()

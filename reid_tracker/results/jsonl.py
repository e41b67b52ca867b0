"""tracks.jsonl: one line per frame of a camera, written as it goes (docs/output-format.md)."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np

from reid_tracker.errors import InputError
from reid_tracker.results.closing import Closing
from reid_tracker.results.files import AppendFile
from reid_tracker.results.replay import IdentityReplay
from reid_tracker.types import EventType, IdentityEvent, TrackedFrame, TrackedPerson

VERSION = 1
TRACKS_FILE = "tracks.jsonl"
REVISIONS_FILE = "revisions.jsonl"

IdKind = Literal["emitted", "final"]

_log = logging.getLogger(__name__)


class JsonLinesSink(Closing):
    """Writes tracked frames to ``path``, a line each. Every line is whole on disk before ``write`` returns.

    Args:
        path: the file; replaced where it exists.

    Raises:
        OutputError: it cannot be created or written.
    """

    def __init__(self, path: str | Path) -> None:
        self._file = AppendFile(Path(path))

    def write(self, tracked: TrackedFrame) -> None:
        """Append one line.

        Raises:
            InputError: a box, score, quality or time that is not finite; nothing is written.
            OutputError: the line cannot be written.
        """
        line = json.dumps(frame_to_json(tracked), separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        self._file.append(line.encode() + b"\n")

    def close(self) -> None:
        """Close the file; may be called twice."""
        self._file.close()


def read_tracks(path: str | Path, ids: IdKind = "emitted") -> Iterator[TrackedFrame]:
    """Frames of a finished, running or crashed run, in the order they were written, without pictures and looks.

    Args:
        path: tracks.jsonl or the folder that holds it.
        ids: ``emitted``: identities as given at the time; ``final``: as known at the end of the file and after what
            was decided since (revisions.jsonl beside it), by replaying all events (reads the file twice).

    A last line that was cut off (the run was killed while writing it) is left out, with a warning in the log.

    Raises:
        InputError: no such file, a line that cannot be understood (named), or a newer format.
    """
    file = tracks_file(path)
    if ids == "emitted":
        return _frames(file)
    if ids == "final":
        return _with_final_ids(file)
    raise InputError(f"ids: expected 'emitted' or 'final', got {ids!r}")


def tracks_file(path: str | Path) -> Path:
    """The tracks.jsonl that ``path`` (it, or its folder) means.

    Raises:
        InputError: there is none.
    """
    path = Path(path)
    file = path / TRACKS_FILE if path.is_dir() else path
    if not file.is_file():
        raise InputError(f"{file}: no such file; give the output folder of a run, or its {TRACKS_FILE}")
    return file


def run_folder_of(path: str | Path) -> Path:
    """The folder of a run, given it or a file in it."""
    path = Path(path)
    return path if path.is_dir() else path.parent


def final_ids(path: str | Path) -> dict[int, int]:
    """Identity of each tracklet at the end of the file and after what was decided since: tracklet -> identity."""
    file = tracks_file(path)
    replay = IdentityReplay()
    for tracked in _frames(file):
        replay.add(tracked.events)
    replay.add(read_revisions(file))
    return replay.identity_of


def read_revisions(path: str | Path) -> tuple[IdentityEvent, ...]:
    """What was decided after the run, by people who corrected it or by solving it again; none where nothing was.

    Args:
        path: the folder of a run, or a file in it.

    Raises:
        InputError: a line of revisions.jsonl that cannot be understood, or of a newer format.
    """
    file = run_folder_of(path) / REVISIONS_FILE
    if not file.is_file():
        return ()
    events = []
    for number, line in enumerate(file.read_bytes().splitlines(), 1):
        try:
            value = json.loads(line)
            _check_version(value)
            events.append(_event_from_json(value))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(f"{file}: line {number} is no line of {REVISIONS_FILE} ({_reason(error)})") from error
    return tuple(events)


def frame_to_json(tracked: TrackedFrame) -> dict[str, Any]:
    """The value of one line.

    Raises:
        InputError: a box, score, quality or time that is not finite.
    """
    numbers = [
        tracked.time,
        *(number for person in tracked.people for number in (*person.box, person.score, person.quality)),
    ]
    if not np.isfinite(numbers).all():
        raise InputError(
            f"camera {tracked.camera_id!r}, frame {tracked.index}: expected finite boxes, scores, qualities and time, "
            "got NaN or infinity; look at the detector, embedder or tracker that made them"
        )
    return {
        "version": VERSION,
        "camera": tracked.camera_id,
        "frame": int(tracked.index),
        "time": _seconds(tracked.time),
        "size": [int(side) for side in tracked.size],
        "people": [
            {
                "identity": int(person.identity),
                "tracklet": int(person.tracklet),
                "box": [round(float(corner), 2) for corner in person.box],
                "score": round(float(person.score), 4),
                "state": str(person.state),
                "quality": round(float(person.quality), 4),
            }
            for person in tracked.people
        ],
        "events": [event_to_json(event) for event in tracked.events],
    }


def event_to_json(event: IdentityEvent) -> dict[str, Any]:
    """An identity event as it stands in a line."""
    key = {"key": event.key} if event.key else {}
    return {
        "event_id": int(event.event_id),
        "type": str(event.type),
        "time": _seconds(event.time),
        "camera": event.camera_id,
        "identity": int(event.identity),
        "tracklets": [int(tracklet) for tracklet in event.tracklets],
        "supersedes": [int(identity) for identity in event.supersedes],
        "evidence": plain(event.evidence),
        **key,
    }


def plain(value: Any) -> Any:
    """Numpy numbers, arrays, tuples and mappings as JSON's own kinds; a number that is not finite becomes null."""
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        return round(value, 6) if np.isfinite(value) else None
    return value


def utc_text(time: float) -> str:
    """UTC seconds as ISO 8601 with milliseconds and Z, as other programs' formats have them."""
    moment = datetime.fromtimestamp(round(time, 3), UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _seconds(time: float) -> float:
    return round(float(time), 6)  # microseconds: float64 holds no more of a present-day UTC time


def _frames(file: Path) -> Iterator[TrackedFrame]:
    with file.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            try:
                yield _frame_from_json(json.loads(line))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                if not line.endswith(b"\n"):
                    _log.warning("%s: line %d was cut off (the run was ended while writing); left out", file, number)
                    return
                raise InputError(f"{file}: line {number} is no line of tracks.jsonl ({_reason(error)})") from error


def with_identities(tracked: TrackedFrame, identity_of: Mapping[int, int]) -> TrackedFrame:
    """The frame with each person under the identity that ``identity_of`` gives the tracklet, where it gives one."""
    people = tuple(
        replace(person, identity=identity_of.get(person.tracklet, person.identity)) for person in tracked.people
    )
    return replace(tracked, people=people)


def _with_final_ids(file: Path) -> Iterator[TrackedFrame]:
    identity_of = final_ids(file)
    return (with_identities(tracked, identity_of) for tracked in _frames(file))


def _reason(error: Exception) -> str:
    return f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else str(error)


def _check_version(line: dict[str, Any]) -> None:
    if line["version"] != VERSION:
        raise ValueError(f"format version {line['version']!r}; this release reads {VERSION}")


def _frame_from_json(line: dict[str, Any]) -> TrackedFrame:
    _check_version(line)
    width, height = line["size"]
    return TrackedFrame(
        camera_id=str(line["camera"]),
        index=int(line["frame"]),
        time=float(line["time"]),
        people=tuple(_person_from_json(person) for person in line["people"]),
        events=tuple(_event_from_json(event) for event in line["events"]),
        size=(int(width), int(height)),
    )


def _person_from_json(person: dict[str, Any]) -> TrackedPerson:
    x1, y1, x2, y2 = (float(corner) for corner in person["box"])
    return TrackedPerson(
        identity=int(person["identity"]),
        tracklet=int(person["tracklet"]),
        box=(x1, y1, x2, y2),
        score=float(person["score"]),
        state=str(person["state"]),
        quality=float(person["quality"]),
    )


def _event_from_json(event: dict[str, Any]) -> IdentityEvent:
    return IdentityEvent(
        event_id=int(event["event_id"]),
        type=EventType(event["type"]),
        time=float(event["time"]),
        camera_id=str(event["camera"]),
        identity=int(event["identity"]),
        tracklets=tuple(int(tracklet) for tracklet in event["tracklets"]),
        supersedes=tuple(int(identity) for identity in event["supersedes"]),
        evidence=dict(event["evidence"]),
        key=str(event.get("key", "")),
    )


def last_sightings(tracks: Path) -> dict[int, tuple[str, int]]:
    """Camera and frame of each tracklet's last line: tracklet -> (camera id, frame from 0).

    Raises:
        InputError: tracks cannot be read.
    """
    last: dict[int, tuple[str, int]] = {}
    for tracked in read_tracks(tracks):
        last.update({person.tracklet: (tracked.camera_id, tracked.index) for person in tracked.people})
    return last

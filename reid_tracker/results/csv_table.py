"""tracks.csv: one row per person and frame, for tables and data frames."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from reid_tracker.results.files import writing
from reid_tracker.results.jsonl import IdKind, read_tracks
from reid_tracker.types import TrackedFrame

COLUMNS = ("camera", "frame", "time", "identity", "tracklet", "x1", "y1", "x2", "y2", "score", "state", "quality")


def export_csv(tracks: Path, out: Path, ids: IdKind) -> list[Path]:
    """Write ``tracks.csv`` with a header line; units as in tracks.jsonl (frames from 0, pixels, seconds).

    Args:
        tracks: tracks.jsonl.
        out: folder that exists.
        ids: which identities.

    Raises:
        InputError, OutputError: tracks cannot be read, the file not written.
    """
    path = out / "tracks.csv"
    frames = read_tracks(tracks, ids)
    with writing(path) as file:
        table = csv.writer(file)
        table.writerow(COLUMNS)
        for tracked in frames:
            table.writerows(rows_of(tracked))
    return [path]


def rows_of(tracked: TrackedFrame) -> Iterator[tuple[str | int | float, ...]]:
    """A row per person of a frame, in the order of ``COLUMNS``."""
    for person in tracked.people:
        yield (
            tracked.camera_id,
            tracked.index,
            tracked.time,
            person.identity,
            person.tracklet,
            *person.box,
            person.score,
            person.state,
            person.quality,
        )

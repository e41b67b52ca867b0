"""tracks.csv: one row per person and frame, for tables and data frames."""

from __future__ import annotations

import csv
from pathlib import Path

from reid_tracker.results.files import output_error
from reid_tracker.results.jsonl import IdKind, read_tracks

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
    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            table = csv.writer(file)
            table.writerow(COLUMNS)
            for tracked in frames:
                where = (tracked.camera_id, tracked.index, tracked.time)
                table.writerows(
                    (*where, person.identity, person.tracklet, *person.box, person.score, person.state, person.quality)
                    for person in tracked.people
                )
    except OSError as error:
        raise output_error(path, error) from error
    return [path]

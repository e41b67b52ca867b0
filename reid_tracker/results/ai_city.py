"""AI City Challenge, Track 1 of 2023 and 2024: ``camera obj frame xmin ymin width height xworld yworld``."""

from __future__ import annotations

import csv
from pathlib import Path

from reid_tracker.results.files import writing
from reid_tracker.results.jsonl import IdKind, read_tracks


def export_ai_city(tracks: Path, out: Path, ids: IdKind) -> list[Path]:
    """Write ``track1.txt`` (spaces between fields, frames from 0, whole pixels) and ``cameras.csv``.

    The format names cameras by number: they are numbered from 1 in order of their first frames, and ``cameras.csv``
    says which is which. World coordinates are -1: a run gives none.

    Args:
        tracks: tracks.jsonl.
        out: folder that exists.
        ids: which identities.

    Raises:
        InputError, OutputError: tracks cannot be read, files not written.
    """
    track_path, camera_path = out / "track1.txt", out / "cameras.csv"
    frames = read_tracks(tracks, ids)
    numbers: dict[str, int] = {}
    with writing(track_path) as file:
        for tracked in frames:
            camera = numbers.setdefault(tracked.camera_id, len(numbers) + 1)
            for person in tracked.people:
                x1, y1, x2, y2 = (round(corner) for corner in person.box)
                file.write(f"{camera} {person.identity} {tracked.index} {x1} {y1} {x2 - x1} {y2 - y1} -1 -1\n")
    with writing(camera_path) as file:
        table = csv.writer(file)
        table.writerow(("camera_id", "camera"))
        table.writerows((number, name) for name, number in numbers.items())
    return [track_path, camera_path]

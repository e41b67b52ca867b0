"""The pictures that a run stored in crops/, found again by tracklet, and named anew."""

from __future__ import annotations

import csv
import functools
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from reid_tracker.errors import InputError
from reid_tracker.results.crops import CROPS_FOLDER, CROPS_TABLE
from reid_tracker.results.files import output_error, write_atomically
from reid_tracker.results.report_time import TimeAxis
from reid_tracker.results.report_view import CropPicture


class StoredCrops:
    """The best stored crop of each tracklet.

    Args:
        folder: of the run.
        axis: how to say when a picture was taken.

    Raises:
        InputError: the table of the crops cannot be understood.
    """

    def __init__(self, folder: Path, axis: TimeAxis) -> None:
        self._folder = folder / CROPS_FOLDER
        self._axis = axis
        self._best: dict[int, tuple[float, dict[str, str]]] = {}
        for row in crop_rows(folder):
            self._consider(int(row["tracklet"]), float(row["quality"]), row)

    def __len__(self) -> int:
        return len(self._best)

    def __call__(self, tracklet: int) -> CropPicture | None:
        """The best picture of a tracklet; None where none is there (any more)."""
        if tracklet not in self._best:
            return None
        row = self._best[tracklet][1]
        file = self._folder / row["file"]
        if file.parent != self._folder or not file.is_file():
            return None
        return CropPicture(row["camera"], self._axis.text(float(row["time"])), functools.partial(file.read_bytes))

    def _consider(self, tracklet: int, quality: float, row: dict[str, str]) -> None:
        known = self._best.get(tracklet)
        if known is None or quality > known[0]:
            self._best[tracklet] = quality, row


def crop_rows(folder: Path) -> list[dict[str, str]]:
    """The table of a run's stored crops; empty where none were stored.

    Raises:
        InputError: it cannot be understood.
    """
    table = folder / CROPS_FOLDER / CROPS_TABLE
    if not table.is_file():
        return []
    try:
        with table.open(encoding="utf-8", newline="") as lines:
            rows = list(csv.DictReader(lines))
        for row in rows:
            int(row["tracklet"]), int(row["identity"]), float(row["quality"]), row["file"].partition("_")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{table}: not the table of a run's crops ({error})") from error
    return rows


def rename_crops(folder: Path, rows: Sequence[dict[str, str]], identity_of: Mapping[int, int]) -> None:
    """Bring the names of a run's stored crops up to date, and its table.

    Args:
        folder: of the run.
        rows: of its table; where there are none, nothing is done.
        identity_of: tracklet -> identity as known now.

    Raises:
        OutputError: a file cannot be renamed or written.
    """
    if not rows:
        return
    table = folder / CROPS_FOLDER / CROPS_TABLE
    for row in rows:
        identity = identity_of.get(int(row["tracklet"]), int(row["identity"]))
        before, name = table.parent / row["file"], f"{identity:04d}_{row['file'].partition('_')[2]}"
        if before.is_file():  # a crop that somebody deleted stays away
            try:
                before.rename(table.parent / name)
            except OSError as error:
                raise output_error(before, error) from error
        row["file"], row["identity"] = name, str(identity)
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(sorted(rows, key=lambda row: row["file"]))
    write_atomically(table, [text.getvalue()])

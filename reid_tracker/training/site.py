"""A site's own recordings as training material without labels: the crops of a run, and what is certain about them."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reid_tracker.errors import InputError
from reid_tracker.results.crops import CROPS_FOLDER, CROPS_TABLE
from reid_tracker.training.data import PeopleSet
from reid_tracker.types import BoolArray

_TABLE_COLUMNS = {"file", "tracklet", "camera", "time"}


@dataclass(frozen=True, slots=True)
class SitePeople:
    """Pictures of tracklets: who they are is not known, only which pictures are of one person or of two for certain.

    Attributes:
        pictures: N crops; ``persons`` are places of tracklets + 1, ``cameras`` places of cameras.
        cameras: (T,) int64 camera of each tracklet.
        started, ended: (T,) float64 seconds of each tracklet's first and last picture.
    """

    pictures: PeopleSet
    cameras: NDArray[np.int64]
    started: NDArray[np.float64]
    ended: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.cameras)

    @property
    def tracklet_of(self) -> NDArray[np.int64]:
        """(N,) place of the tracklet that a picture is of."""
        return self.pictures.persons - 1

    @property
    def different(self) -> BoolArray:
        """(T, T): two tracklets of one camera that were in view at once are two people."""
        together = (self.started[:, None] <= self.ended) & (self.started <= self.ended[:, None])
        apart: BoolArray = together & (self.cameras[:, None] == self.cameras)
        np.fill_diagonal(apart, False)
        return apart

    def pictured(self, keep: BoolArray) -> SitePeople:
        """The pictures where ``keep`` (N,) is true, and the tracklets that have one of them."""
        pictures = self.pictures.only(keep)
        left = np.unique(pictures.persons) - 1
        return SitePeople(pictures, self.cameras, self.started, self.ended).only(left)

    def only(self, tracklets: NDArray[np.int64]) -> SitePeople:
        """Some tracklets, with their pictures."""
        place = np.zeros(len(self) + 1, dtype=np.int64)
        place[tracklets + 1] = 1 + np.arange(len(tracklets))
        persons = place[self.pictures.persons]
        kept = PeopleSet(self.pictures.name, self.pictures.paths, persons, self.pictures.cameras).only(persons > 0)
        return SitePeople(kept, self.cameras[tracklets], self.started[tracklets], self.ended[tracklets])


def read_site(tracks: Path) -> SitePeople:
    """The crops that a run kept.

    Args:
        tracks: its output folder.

    Raises:
        InputError: there is no such folder, the run kept no crops, or their table is damaged.
    """
    if not tracks.exists():
        raise InputError(f"{tracks}: no such folder of a run")
    folder = (tracks if tracks.is_dir() else tracks.parent) / CROPS_FOLDER
    table = folder / CROPS_TABLE
    if not table.is_file():
        raise InputError(f"{table}: no such file; adaptation learns from pictures: track again with --save-crops")
    with table.open(encoding="utf-8", newline="") as text:
        reader = csv.DictReader(text)
        rows = list(reader)
        missing = _TABLE_COLUMNS - set(reader.fieldnames or ())
    if missing or not rows:
        raise InputError(f"{table}: {'no ' + ', '.join(sorted(missing)) if missing else 'no crops'} in it")
    try:
        times = np.array([float(row["time"]) for row in rows])
        tracklets = np.array([int(row["tracklet"]) for row in rows])
    except (TypeError, ValueError) as error:
        raise InputError(f"{table}: {error}; expected the table that a run wrote") from error
    if not np.isfinite(times).all():
        row = int(np.argmin(np.isfinite(times)))
        raise InputError(f"{table}: time {rows[row]['time']} of {rows[row]['file']}; expected seconds")
    _, cameras = np.unique([row["camera"] for row in rows], return_inverse=True)
    return gather_site("site", tuple(folder / row["file"] for row in rows), tracklets, cameras, times)


def gather_site(
    name: str,
    paths: tuple[Path, ...],
    tracklets: NDArray[np.int64],
    cameras: NDArray[np.int64],
    times: NDArray[np.float64],
) -> SitePeople:
    """Pictures with their tracklet (N,), camera (N,) and time (N,) as the material of one site."""
    _, first, place = np.unique(tracklets, return_index=True, return_inverse=True)
    started = np.full(len(first), np.inf)
    ended = np.full(len(first), -np.inf)
    np.minimum.at(started, place, times)
    np.maximum.at(ended, place, times)
    numbers = np.asarray(cameras, dtype=np.int64)
    return SitePeople(PeopleSet(name, paths, place.astype(np.int64) + 1, numbers), numbers[first], started, ended)

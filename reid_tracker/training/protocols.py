"""Who asks and who answers: the published protocols by the name of the data set, and one for any folder.

``market1501``  single query; queries and gallery as published; junk (person -1) counts for nothing
``dukemtmc``    the same layout
``msmt17``      the same protocol by its list files
``cuhk01``      camera 1 asks, one picture of camera 2 a person answers; mean over the choices
``cuhk03``      camera 1 asks, all pictures of camera 2 answer, of the labelled boxes at hand; not the published split
any folder      each picture asks once; all answer but those of the same person in the same camera
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reid_tracker.errors import ConfigError, InputError
from reid_tracker.evaluation.reid import Labels
from reid_tracker.training.data import JUNK_PERSON, PeopleSet, read_people, together

MARKET = "Market-1501-v15.09.15"
DUKE = "DukeMTMC-reID"
MSMT = ("MSMT17_V1", "MSMT17", "MSMT17_V2")


@dataclass(frozen=True, slots=True)
class Protocol:
    """Pictures, and which of them ask and answer.

    Attributes:
        name: for tables.
        pictures: all that take part, each embedded once.
        trials: (rows that ask, rows that answer); scores are their mean.
    """

    name: str
    pictures: PeopleSet
    trials: tuple[tuple[NDArray[np.int64], NDArray[np.int64]], ...]

    def labels(self, rows: NDArray[np.int64]) -> Labels:
        """The truth about some rows; junk is what the file names call person -1."""
        persons = self.pictures.persons[rows]
        return Labels(persons, self.pictures.cameras[rows], persons == JUNK_PERSON)


def read_protocol(name: str, data: Path | None) -> Protocol:
    """A protocol by the name of its data set, or of any folder of pictures.

    Args:
        name: a published one, or a folder.
        data: folder that holds the published sets.

    Raises:
        ConfigError: neither known nor a folder, or no ``data`` was given.
        InputError: the set is not there.
    """
    if name in PUBLISHED:
        if data is None:
            raise ConfigError(f"set {name}: say where the data sets are (--data, or the variable REID_DATA)")
        return PUBLISHED[name](data)
    folder = Path(name)
    if folder.is_dir():
        return each_asks(read_people(folder))
    raise ConfigError(f"set {name!r}: no such folder, and none of the published ones: {', '.join(PUBLISHED)}")


def _query_and_gallery(name: str, root: Path) -> Protocol:
    return _single_query(name, read_people(root / "query"), read_people(root / "bounding_box_test"))


def _msmt17(data: Path) -> Protocol:
    root = next((data / one for one in MSMT if (data / one).is_dir()), data / MSMT[0])
    return _single_query("msmt17", read_people(root / "list_query.txt"), read_people(root / "list_gallery.txt"))


def _single_query(name: str, queries: PeopleSet, gallery: PeopleSet) -> Protocol:
    # Junk would be masked in the scores, but it must not be a neighbour in re-ranking either, nor cost time.
    gallery = gallery.only(gallery.persons != JUNK_PERSON)
    asking = np.arange(len(queries), dtype=np.int64)
    answering = len(queries) + np.arange(len(gallery), dtype=np.int64)
    return Protocol(name, together(name, [queries, gallery]), ((asking, answering),))


def _cuhk01(data: Path) -> Protocol:
    people = read_people(data / "cuhk01", "cuhk01")
    asking, second = np.flatnonzero(people.cameras == 1), np.flatnonzero(people.cameras == 2)
    owners, counts = np.unique(people.persons[second], return_counts=True)
    if len(asking) == 0 or len(second) == 0:
        raise InputError(f"{data / 'cuhk01'}: expected pictures of cameras 1 and 2")
    by_person = [second[people.persons[second] == person] for person in owners]
    choices = (np.array([rows[choice] for rows in by_person]) for choice in range(int(counts.min())))
    return Protocol("cuhk01", people, tuple((asking, answering) for answering in choices))


def _cuhk03(data: Path) -> Protocol:
    people = read_people(data / "cuhk03_p1" / "labeled", "cuhk03")
    return Protocol("cuhk03", people, ((np.flatnonzero(people.cameras == 1), np.flatnonzero(people.cameras == 2)),))


def each_asks(people: PeopleSet) -> Protocol:
    """Every picture of a set asks once; all answer but those of its person in its camera, itself among them."""
    everybody = np.arange(len(people), dtype=np.int64)
    return Protocol(people.name, people, ((everybody, everybody),))


PUBLISHED: dict[str, Callable[[Path], Protocol]] = {
    "market1501": lambda data: _query_and_gallery("market1501", data / MARKET),
    "dukemtmc": lambda data: _query_and_gallery("dukemtmc", data / DUKE),
    "msmt17": _msmt17,
    "cuhk01": _cuhk01,
    "cuhk03": _cuhk03,
}

"""Pictures of people and their looks, as the cases need them; embedding is costly, so it is done once and kept."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from reid_tracker.evaluation.ranking import Looks
from reid_tracker.training.data import DISTRACTOR_PERSON, PeopleSet
from reid_tracker.training.protocols import MARKET, read_protocol
from reid_tracker.training.reid_evaluation import Judged, looks_of, open_judged
from reid_tracker.types import Appearance, Image

QUICK_SHARE = 4
ENGINES = Path(__file__).resolve().parents[2] / "engines"


@dataclass(frozen=True)
class Album:
    """A set of pictures and what an embedder says of them.

    Attributes:
        people: pictures with person and camera; person 0 is nobody in particular.
        looks: of each.
        root: folder that the pictures' names are told from.
    """

    people: PeopleSet
    looks: Looks
    root: Path

    @cached_property
    def row_of(self) -> dict[str, int]:
        """Name of a picture below the root to its row."""
        return {str(path.relative_to(self.root)): row for row, path in enumerate(self.people.paths)}

    def pictures(self, names: Iterable[str]) -> list[Image]:
        """Pictures by their names below the root; those that cannot be read are left out."""
        found = (cv2.imread(str(self.root / name)) for name in names)
        return [picture.astype(np.uint8) for picture in found if picture is not None]

    def appearance(self, rows: Sequence[int] | NDArray[np.int64]) -> Appearance:
        """Looks of some pictures, all of one quality."""
        ones = np.ones(len(rows), np.float32)
        return Appearance(self.looks.global_[rows], self.looks.stripes[rows], ones, ones.astype(np.bool_))


@dataclass(frozen=True)
class Material:
    """Where everything lies, and the embedder in question.

    Attributes:
        name: of the embedder, for tables.
        judged: the embedder.
        data: folder of re-identification sets.
        tracking: folder of tracking material, where there is one.
        cache: folder for looks.
        quick: every fourth person only.
        shipped: the embedder is one of the program's own.
    """

    name: str
    judged: Judged
    data: Path
    tracking: Path | None
    cache: Path
    quick: bool = False
    shipped: bool = True

    @staticmethod
    def open(embedder: str, data: Path, tracking: Path | None, cache: Path, threads: int, quick: bool) -> Material:
        """With a shipped embedder by name, or one by its file.

        Raises:
            ReidTrackerError: no such model, or it is damaged.
        """
        shipped = ENGINES / embedder
        judged = open_judged(str(shipped) if shipped.is_dir() else embedder, threads)
        cache.mkdir(parents=True, exist_ok=True)
        return Material(judged.name, judged, data, tracking, cache, quick, shipped.is_dir())

    @cached_property
    def market(self) -> Album:
        """Query and gallery of Market-1501, distractors included: people whom no embedder of ours was trained on."""
        return self._album("market1501", self.data / MARKET)

    @cached_property
    def cuhk01(self) -> Album:
        """CUHK01: 971 people, two cameras, two pictures in each."""
        return self._album("cuhk01", self.data / "cuhk01")

    def _album(self, name: str, root: Path) -> Album:
        people = read_protocol(name, self.data).pictures
        if self.quick:
            people = people.only(thinned(people.persons))
        return Album(people, looks_of(self.judged, people, self.cache), root)


def thinned(persons: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(N,) ids to the pictures of every fourth person, and every sixteenth of the distractors."""
    people = np.unique(persons[persons > DISTRACTOR_PERSON])
    kept = np.isin(persons, people[::QUICK_SHARE])
    kept[np.flatnonzero(persons == DISTRACTOR_PERSON)[:: QUICK_SHARE**2]] = True
    return kept

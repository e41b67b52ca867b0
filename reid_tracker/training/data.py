"""Sets of people's pictures: file names to people and cameras, pictures to one memory-mapped array.

Most layouts in use (Market-1501, DukeMTMC, crops that ``reid-tracker track --save-crops`` wrote) name a file
``<person>_c<camera>...``; CUHK01 and CUHK03 have names of their own, MSMT17 has lists of files. What says neither
person nor camera is reported with its path and left out, as is a picture that does not decode.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from reid_tracker.embedding.crops import CROP_RULE, resize_crop
from reid_tracker.errors import InputError
from reid_tracker.training.keeping import save_array
from reid_tracker.training.partial import PartialBody
from reid_tracker.types import BoolArray, Image

logger = logging.getLogger(__name__)

Number = TypeVar("Number", np.float16, np.float32)

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp"})
_TOLD = 20  # files that are named one by one before the rest is counted
JUNK_PERSON = -1
DISTRACTOR_PERSON = 0
# No more digits than 64 bits hold.
_NAME = re.compile(r"(?P<person>-?\d{1,18})_c(?P<camera>\d{1,18})(?!\d)")
# 0001003.png: person 1, the third of four pictures, of which camera A took the first two.
_CUHK01_NAME = re.compile(r"(?P<person>\d{4})00(?P<picture>[1-4])\.")
# 2_017_1_04.png: pair of cameras, person of that pair, camera of the pair, picture.
_CUHK03_NAME = re.compile(r"(?P<pair>\d)_(?P<person>\d{3,4})_(?P<camera>[12])_\d{2}\.")
_PERSONS_OF_A_PAIR = 10_000
# A line of MSMT17's lists: 0000/0000_000_01_0303morning_0008_0.jpg 0; the third number is the camera, the last the
# person.
_LISTED = re.compile(r"(?P<file>\S*?\d+_\d+_(?P<camera>\d+)_\S+)\s+(?P<person>\d+)\s*$")


@dataclass(frozen=True, slots=True)
class PeopleSet:
    """One folder of people's pictures.

    Attributes:
        name: how the set is called in logs and recipes.
        paths: N picture files, sorted.
        persons: (N,) int64, as the files say; -1 is junk, 0 a distractor.
        cameras: (N,) int64.
        malformed: files whose names say neither person nor camera; left out.
    """

    name: str
    paths: tuple[Path, ...]
    persons: NDArray[np.int64]
    cameras: NDArray[np.int64]
    malformed: tuple[Path, ...] = ()

    def __len__(self) -> int:
        return len(self.paths)

    def only(self, keep: BoolArray) -> PeopleSet:
        """The rows where ``keep`` (N,) is true."""
        kept = tuple(path for path, wanted in zip(self.paths, keep, strict=True) if wanted)
        return PeopleSet(self.name, kept, self.persons[keep], self.cameras[keep], self.malformed)


def read_people(folder: Path, name: str | None = None) -> PeopleSet:
    """List a folder of pictures, or one of MSMT17's lists (``list_train.txt``).

    Pictures are named ``<person>_c<camera>...``, or as CUHK01's (``0001003.png``) or CUHK03's (``2_017_1_04.png``) are.

    Raises:
        InputError: the folder or list is missing or holds no such picture.
    """
    if folder.suffix == ".txt":
        return _read_list(folder, name)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder of pictures; expected files named like 0002_c1s1_000451_03.jpg")
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
    found = [(path, _person_and_camera(path.name)) for path in files]
    malformed = tuple(path for path, who in found if who is None)
    _tell(malformed, "left out, its name is not <person>_c<camera>... in UTF-8")
    good = [(path, who) for path, who in found if who is not None]
    if not good:
        raise InputError(f"{folder}: none of its {len(files)} pictures is named <person>_c<camera>..., nothing to use")
    return PeopleSet(
        name=name or folder.name,
        paths=tuple(path for path, _ in good),
        persons=np.array([person for _, (person, _) in good], dtype=np.int64),
        cameras=np.array([camera for _, (_, camera) in good], dtype=np.int64),
        malformed=malformed,
    )


def _person_and_camera(name: str) -> tuple[int, int] | None:
    """Who a file's name says it is and which camera saw them; None where it does not."""
    if not _is_utf8(name):
        return None
    if match := _NAME.match(name):
        return int(match["person"]), int(match["camera"])
    if match := _CUHK01_NAME.match(name):
        return int(match["person"]), 1 if int(match["picture"]) <= 2 else 2
    if match := _CUHK03_NAME.match(name):
        # Each pair of cameras numbers its people from 1.
        return int(match["pair"]) * _PERSONS_OF_A_PAIR + int(match["person"]), int(match["camera"])
    return None


def _tell(paths: Sequence[Path], what: str) -> None:
    for path in paths[:_TOLD]:
        logger.warning("%s: %s", path, what)
    if len(paths) > _TOLD:
        logger.warning("and %d more: %s", len(paths) - _TOLD, what)


def _is_utf8(name: str) -> bool:
    """Python stands lone surrogates for what is not; neither a checksum nor OpenCV takes them."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _read_list(file: Path, name: str | None) -> PeopleSet:
    """MSMT17's list files: pictures lie in the folder beside them that is named after the list's half of the data."""
    try:
        lines = [line for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror}); expected MSMT17's list of pictures") from error
    half = "train" if file.stem in ("list_train", "list_val") else "test"
    root = next((file.parent / one for one in (half, f"mask_{half}_v2") if (file.parent / one).is_dir()), None)
    if root is None:
        raise InputError(f"{file}: no folder {half} or mask_{half}_v2 beside it")
    found = [(line, _LISTED.match(line)) for line in lines]
    malformed = tuple(root / line.split()[0] for line, match in found if match is None)
    _tell(malformed, f"left out of {file.name}, its name says no camera, or its line no person")
    good = [match for _, match in found if match is not None]
    if not good:
        raise InputError(f"{file}: none of its {len(lines)} lines is <file> <person> as MSMT17 writes them")
    return PeopleSet(
        name=name or file.stem,
        paths=tuple(root / match["file"] for match in good),
        # Their people are numbered from 0, which is a distractor everywhere else.
        persons=np.array([int(match["person"]) + 1 for match in good], dtype=np.int64),
        cameras=np.array([int(match["camera"]) for match in good], dtype=np.int64),
        malformed=malformed,
    )


def together(name: str, sets: Sequence[PeopleSet]) -> PeopleSet:
    """Several folders of one data set, whose ids mean the same people."""
    return PeopleSet(
        name=name,
        paths=tuple(path for one in sets for path in one.paths),
        persons=np.concatenate([one.persons for one in sets]),
        cameras=np.concatenate([one.cameras for one in sets]),
        malformed=tuple(path for one in sets for path in one.malformed),
    )


def at_most_per_person(people: PeopleSet, most: int) -> PeopleSet:
    """Thin a set to ``most`` pictures of each person, spread evenly over that person's files and so over cameras."""
    keep = np.zeros(len(people), dtype=np.bool_)
    for person in np.unique(people.persons):
        rows = np.flatnonzero(people.persons == person)
        keep[rows[np.linspace(0, len(rows) - 1, min(most, len(rows))).astype(np.int64)]] = True
    return people.only(keep)


def decode_people(
    people: PeopleSet, size_hw: tuple[int, int], cache_dir: Path, partial: PartialBody | None = None
) -> tuple[Image, BoolArray]:
    """Decode every picture once, through the package's own crop code, into a memory-mapped array.

    Args:
        people: the set.
        size_hw: height and width of the crops.
        cache_dir: where the array is kept; pictures of people, so never inside a repository.
        partial: keep only a band of each picture.

    Returns:
        (N, h, w, 3) uint8 BGR, read-only and memory-mapped, and (N,) bool: the picture could be read.
    """
    kind = f"-{partial.key}" if partial else ""
    stem = cache_dir / f"{people.name}-{size_hw[0]}x{size_hw[1]}{kind}-{fingerprint(people)}"
    # Not with_suffix: a least share of 0.5 in the name looks like one.
    pixels_file, readable_file = Path(f"{stem}.u8"), Path(f"{stem}.ok.npy")
    shape = (len(people), *size_hw, 3)
    if not readable_file.exists():
        cache_dir.mkdir(parents=True, exist_ok=True)
        # A new file: whoever still reads the old one, as another run may, keeps it.
        young = Path(f"{stem}.u8.{os.getpid()}.new")
        pixels = np.memmap(young, dtype=np.uint8, mode="w+", shape=shape)
        readable = np.zeros(len(people), dtype=np.bool_)
        for row, path in enumerate(people.paths):
            readable[row] = _decode_into(pixels[row], path, size_hw, partial)
        pixels.flush()
        young.replace(pixels_file)
        save_array(readable_file, readable)  # written last: it says that the pixels are complete
    readable = np.load(readable_file)
    _tell([people.paths[row] for row in np.flatnonzero(~readable)], "left out, it does not decode as a picture")
    return np.memmap(pixels_file, dtype=np.uint8, mode="r", shape=shape), readable


def _decode_into(target: Image, path: Path, size_hw: tuple[int, int], partial: PartialBody | None) -> bool:
    whole = read_picture(path)
    if whole is None:
        return False
    target[:] = resize_crop(partial.cut(whole, path.name) if partial else whole, size_hw)
    return True


def read_picture(path: Path) -> Image | None:
    """(H, W, 3) uint8 BGR; None where it does not decode, or is larger than OpenCV reads (2^30 pixels)."""
    try:
        picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    except cv2.error:
        return None
    return None if picture is None else np.asarray(picture, dtype=np.uint8)


def fingerprint(people: PeopleSet) -> str:
    """Changes with the files' names and sizes and with the crop rule, so that a stale cache is never used."""
    digest = hashlib.sha256(f"crop rule {CROP_RULE}\n".encode())
    for path in people.paths:
        size = path.stat().st_size if path.exists() else 0  # a listed file that is missing is found out by decoding
        digest.update(f"{path}\0{size}\n".encode())
    return digest.hexdigest()[:16]


@dataclass(frozen=True)  # no slots: the bank is computed once and kept
class TrainingSet:
    """Several sets of people together, their ids kept apart.

    Attributes:
        pixels: one (Nk, h, w, 3) uint8 array per set.
        labels: (N,) int64 class of each picture, 0 .. classes - 1 over all sets.
        sources: (N,) int64 index of the set that a picture is from.
        rows: (N,) int64 row of the picture in its set's pixels.
        teacher: (N, D) float32 unit vectors of a stronger embedder, NaN where it was not asked; None if never.
        teacher_stripes: (N, S, d) float16 stripes of it likewise.
    """

    pixels: tuple[Image, ...]
    labels: NDArray[np.int64]
    sources: NDArray[np.int64]
    rows: NDArray[np.int64]
    teacher: NDArray[np.float32] | None = None
    teacher_stripes: NDArray[np.float16] | None = None

    @property
    def classes(self) -> int:
        """How many people there are."""
        return int(self.labels.max()) + 1

    @cached_property
    def bank(self) -> NDArray[np.float32]:
        """The teacher's vectors (M, D) of the pictures it was asked about."""
        assert self.teacher is not None
        return self.teacher[np.isfinite(self.teacher).all(axis=1)]

    def gather(self, picks: NDArray[np.int64]) -> Image:
        """The pictures (B, h, w, 3) at ``picks`` (B,)."""
        return np.stack([self.pixels[self.sources[pick]][self.rows[pick]] for pick in picks])


def join_people(
    sets: list[PeopleSet],
    decoded: list[tuple[Image, BoolArray]],
    teacher: list[NDArray[np.float32] | None] | None = None,
    stripes: list[NDArray[np.float16] | None] | None = None,
) -> TrainingSet:
    """Join sets so that person 5 of one is not person 5 of another; junk, distractors and broken pictures stay out."""
    labels, sources, rows = [], [], []
    classes = 0
    for number, (people, (_, readable)) in enumerate(zip(sets, decoded, strict=True)):
        nobody = int(np.count_nonzero(people.persons == DISTRACTOR_PERSON))
        if nobody:
            logger.warning("%s: %d pictures of person 0, a distractor, are left out of training", people.name, nobody)
        keep = np.flatnonzero(readable & (people.persons > DISTRACTOR_PERSON))
        found, local = np.unique(people.persons[keep], return_inverse=True)
        labels.append(local + classes)
        sources.append(np.full(len(keep), number, dtype=np.int64))
        rows.append(keep)
        classes += len(found)
    return TrainingSet(
        pixels=tuple(pixels for pixels, _ in decoded),
        labels=np.concatenate(labels),
        sources=np.concatenate(sources),
        rows=np.concatenate(rows),
        teacher=_joined(teacher, rows),
        teacher_stripes=_joined(stripes, rows),
    )


def _joined(answers: Sequence[NDArray[Number] | None] | None, rows: list[NDArray[np.int64]]) -> NDArray[Number] | None:
    """A teacher's answers at the rows that are kept of each set, NaN where it was not asked about a set."""
    known: list[NDArray[Number]] = [one for one in answers or () if one is not None]
    if answers is None or not known:
        return None
    parts = [
        np.full((len(kept), *known[0].shape[1:]), np.nan, known[0].dtype) if one is None else np.asarray(one[kept])
        for one, kept in zip(answers, rows, strict=True)
    ]
    return np.concatenate(parts)

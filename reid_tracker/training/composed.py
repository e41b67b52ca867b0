"""People who never were: the upper half of one person over the lower half of another, seen by the same camera.

A set of 751 people teaches a network its 751 jackets and trousers; a teacher can be asked about any picture, so that
new combinations of them cost no labels (the idea of CutMix, arXiv 1905.04899, along the one axis that people have, and
of a patient teacher, arXiv 2106.05237).
"""

from __future__ import annotations

import logging
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from reid_tracker.embedding.crops import resize_crop
from reid_tracker.errors import InputError
from reid_tracker.training.data import DISTRACTOR_PERSON, PeopleSet, fingerprint, read_people, read_picture
from reid_tracker.types import Image

logger = logging.getLogger(__name__)

PICTURES_PER_PERSON = 4
# Where jackets end, as a part of the height of a box around a standing person.
_WAIST = (0.35, 0.6)
_JPEG_QUALITY = 95


def compose_people(people: PeopleSet, count: int, cache_dir: Path, seed: int = 0) -> PeopleSet:
    """Make ``count`` people out of the halves of others, four pictures each, and keep them as JPEG files.

    Both halves of a picture are from one camera, so that light and resolution agree; a composed person is seen by the
    cameras that saw both.

    Args:
        people: whose halves are used; junk and distractors are not.
        count: people to make.
        cache_dir: where the pictures are kept: pictures of people, so never inside a repository.
        seed: the same seed makes the same people.

    Raises:
        InputError: no two people of the set were seen by one camera, or a picture does not decode.
    """
    folder = cache_dir / f"{people.name}-composed-{count}-{seed}-{fingerprint(people)}"
    done = folder / "complete"
    if not done.exists():
        folder.mkdir(parents=True, exist_ok=True)
        logger.info("%s: composing %d people of the halves of others", people.name, count)
        _write_all(_by_person_and_camera(people), people, count, folder, np.random.default_rng(seed))
        done.touch()  # written last: it says that the folder is complete
    return read_people(folder, people.name)


Sightings = list[dict[int, NDArray[np.int64]]]
"""One entry a person: rows of the set by camera."""


def _by_person_and_camera(people: PeopleSet) -> Sightings:
    sightings = []
    for person in np.unique(people.persons[people.persons > DISTRACTOR_PERSON]):
        rows = np.flatnonzero(people.persons == person)
        cameras = people.cameras[rows]
        sightings.append({int(camera): rows[cameras == camera] for camera in np.unique(cameras)})
    return sightings


def _write_all(sightings: Sightings, people: PeopleSet, count: int, folder: Path, chance: np.random.Generator) -> None:
    if len(sightings) < 2:
        raise InputError(f"{people.name}: {len(sightings)} people; it takes two to make others of their halves")
    made = fruitless = 0
    while made < count:
        upper, lower = (sightings[one] for one in chance.choice(len(sightings), 2, replace=False))
        shared = sorted(upper.keys() & lower.keys())
        if not shared:
            fruitless += 1
            if fruitless > 100 * (made + 1):
                raise InputError(f"{people.name}: no two of its people were seen by one camera, nothing to compose")
            continue
        made += 1
        waist = chance.uniform(*_WAIST)
        for number in range(PICTURES_PER_PERSON):
            camera = shared[number % len(shared)]
            above, below = (_read(people.paths[chance.choice(half[camera])]) for half in (upper, lower))
            name = folder / f"{made:05d}_c{camera}_{number}.jpg"
            cv2.imwrite(str(name), compose(above, below, waist), [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])


def _read(path: Path) -> Image:
    picture = read_picture(path)
    if picture is None:
        raise InputError(f"{path}: does not decode as a picture; remove it from the set")
    return picture


def compose(above: Image, below: Image, waist: float) -> Image:
    """The upper part of one picture over the lower part of another.

    Args:
        above: (H, W, 3); the answer has its size.
        below: (h, w, 3).
        waist: where they meet, 0 (top) to 1.
    """
    height, width = above.shape[:2]
    line = round(waist * height)
    return np.concatenate([above[:line], resize_crop(below, (height, width))[line:]])

"""People made of the halves of others: the right halves, one camera a picture, the same people from the same seed."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from reid_tracker.errors import InputError
from reid_tracker.training.composed import PICTURES_PER_PERSON, compose, compose_people
from reid_tracker.training.data import read_people


def write_people(folder: Path, seen: dict[int, tuple[int, ...]]) -> Path:
    """Person p is a plain picture of brightness 20 p in every camera; its blue channel is ten times the camera."""
    folder.mkdir()
    for person, cameras in seen.items():
        for camera in cameras:
            picture = np.full((64, 32, 3), 20 * person, dtype=np.uint8)
            picture[..., 0] = 10 * camera
            cv2.imwrite(str(folder / f"{person:04d}_c{camera}_0.png"), picture)
    return folder


def test_halves_meet_at_the_waist() -> None:
    above, below = np.full((100, 50, 3), 10, np.uint8), np.full((200, 80, 3), 200, np.uint8)
    whole = compose(above, below, 0.4)
    assert whole.shape == above.shape
    assert (whole[:40] == 10).all()
    assert (whole[40:] == 200).all()


def test_both_halves_are_of_one_camera_and_of_two_people(tmp_path: Path) -> None:
    people = read_people(write_people(tmp_path / "set", {1: (1, 2), 2: (1, 2), 3: (2, 3), 4: (3,)}))
    made = compose_people(people, 12, tmp_path / "cache")
    assert len(made) == 12 * PICTURES_PER_PERSON
    assert len(np.unique(made.persons)) == 12
    halves: dict[int, set[tuple[int, int]]] = {}
    for path, person, camera in zip(made.paths, made.persons, made.cameras, strict=True):
        picture = cv2.imread(str(path)).astype(int)
        top, bottom = picture[4, 16], picture[-4, 16]
        assert abs(top[0] - 10 * camera) < 4
        assert abs(bottom[0] - 10 * camera) < 4
        halves.setdefault(int(person), set()).add((round(top[2] / 20), round(bottom[2] / 20)))
    for pairs in halves.values():
        assert len(pairs) == 1
        upper, lower = pairs.pop()
        assert upper != lower


def test_the_same_seed_makes_the_same_people(tmp_path: Path) -> None:
    people = read_people(write_people(tmp_path / "set", {1: (1,), 2: (1,), 3: (1,)}))
    first, again = (compose_people(people, 5, tmp_path / cache) for cache in ("first", "again"))
    other = compose_people(people, 5, tmp_path / "first", seed=1)
    contents = [[path.read_bytes() for path in one.paths] for one in (first, again, other)]
    assert contents[0] == contents[1]
    assert contents[0] != contents[2]


def test_people_who_never_met_cannot_be_composed(tmp_path: Path) -> None:
    people = read_people(write_people(tmp_path / "set", {1: (1,), 2: (2,)}))
    with pytest.raises(InputError, match="nothing to compose"):
        compose_people(people, 3, tmp_path / "cache")


def test_one_person_alone_has_nobody_to_share_halves_with(tmp_path):
    (tmp_path / "one").mkdir()
    cv2.imwrite(str(tmp_path / "one" / "0001_c1_0.png"), np.zeros((32, 16, 3), np.uint8))
    with pytest.raises(InputError, match="one: 1 people; it takes two"):
        compose_people(read_people(tmp_path / "one"), 3, tmp_path / "cache")

"""Crops: the best of each tracklet, apart in time, under final ids, named for training."""

from __future__ import annotations

import csv
import re
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from reid_tracker.results.crops import BestCrops, Crop, CropsSink, cut
from reid_tracker.types import TrackedFrame


def best_of(run: list[TrackedFrame], count: int, height: int = 0) -> dict[int, list[Crop]]:
    found: dict[int, list[Crop]] = {}
    best = BestCrops(count, height, lambda crops: found.update({crops[0].tracklet: crops}))
    for tracked in run:
        best.add(tracked)
    best.finish()
    return found


def test_the_best_look_of_each_tracklet_is_kept(pictured_run: list[TrackedFrame]) -> None:
    found = best_of(pictured_run, count=1)
    assert set(found) == {1, 2, 3}
    assert found[2][0].frame == 29  # its quality grew to the end
    assert found[1][0].frame == 14


def test_several_crops_are_of_different_seconds_best_first(pictured_run: list[TrackedFrame]) -> None:
    crops = best_of(pictured_run, count=3)[2]
    assert len(crops) == 3
    assert sorted(int(crop.time) for crop in crops) == [0, 1, 2]
    assert [crop.quality for crop in crops] == sorted((crop.quality for crop in crops), reverse=True)


def test_a_crop_shows_the_person(pictured_run: list[TrackedFrame]) -> None:
    [crop] = best_of(pictured_run, count=1)[2]
    picture = cv2.imdecode(np.frombuffer(crop.jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    assert picture.shape == (101, 40, 3)  # a box from 60.25 to 160.25 touches 101 rows
    assert np.abs(picture[60:90, 10:30].mean((0, 1)) - (40, 60, 120)).max() < 6


def test_taller_crops_are_made_smaller(pictured_run: list[TrackedFrame]) -> None:
    [crop] = best_of(pictured_run, count=1, height=64)[2]
    picture = cv2.imdecode(np.frombuffer(crop.jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    assert picture.shape[0] == 64


def test_a_person_behind_another_is_no_good_picture(pictured_run: list[TrackedFrame]) -> None:
    """The same look, hidden by somebody nearer in one frame, is taken from the other frame."""
    free = replace(pictured_run[0], people=(replace(pictured_run[0].people[0], quality=0.8),), finished=())
    nearer = replace(free.people[0], tracklet=9, box=(205.0, 80.0, 245.0, 180.0))
    hidden = replace(free, index=1, time=0.1, people=(replace(free.people[0], quality=0.9), nearer))
    assert best_of([hidden, free], count=1)[2][0].frame == 0


def test_a_person_whole_in_the_frame_is_preferred_to_one_cut_by_its_border(pictured_run: list[TrackedFrame]) -> None:
    whole = replace(pictured_run[0], people=(replace(pictured_run[0].people[0], quality=0.7),), finished=())
    leaving = replace(whole.people[0], quality=0.9, box=(290.0, 60.0, 330.0, 160.0))
    assert best_of([replace(whole, index=1, time=0.1, people=(leaving,)), whole], count=1)[2][0].frame == 0


@pytest.mark.parametrize(
    "box",
    [(-100.0, 0.0, -10.0, 50.0), (400.0, 0.0, 450.0, 50.0), (10.0, 10.0, 13.0, 90.0), (10.0, 235.0, 90.0, 500.0)],
)
def test_boxes_that_leave_too_little_give_no_crop(pictured_run: list[TrackedFrame], box: tuple[float, ...]) -> None:
    assert pictured_run[0].image is not None
    assert cut(pictured_run[0].image, box) is None  # type: ignore[arg-type]


def test_files_are_named_for_training_under_final_ids(tmp_path: Path, pictured_run: list[TrackedFrame]) -> None:
    with CropsSink(tmp_path, 2, ("door", "hall")) as sink:
        for tracked in pictured_run:
            sink.write(tracked)
    names = sorted(path.name for path in tmp_path.glob("*.jpg"))
    assert names
    parsed = [re.fullmatch(r"(\d{4})_c(\d)s1_(\d{6})_(\d{2})\.jpg", name) for name in names]
    assert {(int(name[1]), int(name[2]), int(name[4])) for name in parsed if name} == {(1, 1, 1), (1, 2, 3), (2, 1, 2)}
    with (tmp_path / "crops.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["file"] for row in rows] == names
    assert {(row["camera"], row["tracklet"]) for row in rows} == {("door", "1"), ("door", "2"), ("hall", "3")}


def test_only_people_who_are_present_are_kept_in_memory(pictured_run: list[TrackedFrame]) -> None:
    best = BestCrops(4, 0, lambda _: None)
    for tracked in pictured_run:
        best.add(tracked)
    assert not best._kept  # all three tracklets ended with the run

"""The cuts that benchmarks of association run on: pictures and truth stay together."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.pets_cuts import CUTS, View, cut_cameras, cut_truth, frames_of
from reid_tracker.sources import open_source

_SIZE = (200, 100)


def _scene(folder: Path, frames: int = 12) -> tuple[Path, Path]:
    """A white box of 20 x 40 pixels that walks from left to right over black, and its truth."""
    video = folder / "scene.avi"
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter.fourcc(*"MJPG"), 10.0, _SIZE)
    rows = []
    for number in range(frames):
        left = 5 + 15 * number
        picture = np.zeros((_SIZE[1], _SIZE[0], 3), np.uint8)
        picture[30:70, left : left + 20] = 255
        writer.write(picture)
        rows.append([number + 1, 7, left, 30, 20, 40, 1, -1, -1, -1])
    writer.release()
    truth = folder / "gt.txt"
    np.savetxt(truth, rows, delimiter=",", fmt="%g")
    return video, truth


@pytest.mark.parametrize("name", CUTS)
def test_boxes_lie_on_the_people_in_every_cut(tmp_path: Path, name: str) -> None:
    """However a view is mirrored, scaled, darkened or shifted."""
    video, truth = _scene(tmp_path)

    cameras = cut_cameras(video, truth, tmp_path / name, CUTS[name])

    for camera, view in zip(cameras, CUTS[name], strict=True):
        frames = list(open_source(camera.video, camera.camera_id, start_time=camera.start_time))
        rows = np.loadtxt(camera.truth, delimiter=",", ndmin=2)
        assert len(frames) == camera.frame_count == 12
        assert frames[0].time == view.delay_seconds
        assert len(rows) >= 4
        assert set(rows[:, 1]) == {7}
        for row in rows:
            left, top, width, height = row[2:6]
            picture = frames[int(row[0]) - 1].image.max(axis=2) > 100
            inside = picture[round(top) : round(top + height), round(left) : round(left + width)]
            assert inside.mean() > 0.85
            assert inside.sum() > 0.7 * picture.sum()


def test_a_view_of_part_of_the_frames_numbers_them_from_its_own_first(tmp_path: Path) -> None:
    video, truth = _scene(tmp_path)
    (camera,) = cut_cameras(video, truth, tmp_path / "cut", (View("a", (0, 1), first_frame=4, last_frame=8),))

    assert camera.start_time == pytest.approx(0.4)
    assert list(np.loadtxt(camera.truth, delimiter=",")[:, 0]) == [1, 2, 3, 4, 5]
    assert len(list(frames_of(camera.video))) == 5


def test_a_person_less_than_half_in_view_is_not_part_of_the_truth() -> None:
    truth = np.array([[1, 1, 91.0, 0, 20, 50], [1, 2, 89.0, 0, 20, 50], [2, 3, 50.0, 0, 20, 50]])
    cut = cut_truth(truth, View("a", (0.0, 0.5)), _SIZE)
    assert cut[:, 1].tolist() == [2, 3]
    assert cut[0, 2:6].tolist() == [89, 0, 11, 50]
    assert cut[:, 8] == pytest.approx([0.55, 1.0])

"""Detections from text: what is read, and what each broken line is told."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from reid_tracker.detection.mot_file import MotFileDetector, read_mot_detections
from reid_tracker.errors import InputError
from reid_tracker.types import Detections, Frame

GOOD = "1,-1,10,20,30,40,0.9,-1,-1,-1\n3,-1,1.5,2.5,10,20,0.25\n\n1,-1,50,60,7,8,0.5,-1,-1,-1\n"


def written(folder: Path, text: str, name: str = "det.txt") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def frame(camera: str, index: int) -> Frame:
    return Frame(camera, index, 0.0, np.zeros((4, 4, 3), np.uint8))


def test_frames_count_from_one_in_files_and_from_zero_here(tmp_path: Path) -> None:
    find = MotFileDetector({"door": written(tmp_path, GOOD)})
    first, second, third = find([frame("door", index) for index in range(3)])
    np.testing.assert_array_equal(first.boxes, [[10, 20, 40, 60], [50, 60, 57, 68]])
    np.testing.assert_allclose(first.scores, [0.9, 0.5])
    assert len(second) == 0
    np.testing.assert_array_equal(third.boxes, [[1.5, 2.5, 11.5, 22.5]])


# what files look like in the wild -> scores that must come of them
SCORES = {
    "spaces": ("1 -1 10 20 30 40 0.9\n1 -1 10 20 30 40 0.1\n", [0.9, 0.1]),
    "no score": ("1,-1,10,20,30,40\n", [1.0]),
    "minus one in every line means no score": ("1,-1,1,1,3,4,-1\n1,-1,9,9,3,4,-1\n", [1.0, 1.0]),
    "scores of another scale are brought to 0..1": ("1,-1,1,1,3,4,-5\n1,-1,9,9,3,4,15\n1,-1,9,9,3,4,5\n", [0, 1, 0.5]),
    "a byte-order mark": ("\ufeff1,-1,1,1,3,4,0.7\n", [0.7]),
}


@pytest.mark.parametrize(("text", "scores"), SCORES.values(), ids=SCORES)
def test_scores(tmp_path: Path, text: str, scores: list[float]) -> None:
    np.testing.assert_allclose(read_mot_detections(written(tmp_path, text))[1].scores, scores)


# broken third line -> what the message must say besides file and line
BROKEN = {
    "a word": ("1,-1,10,twenty,30,40,0.9", "twenty"),
    "too few columns": ("1,-1,10,20", "at least 6 columns"),
    "NaN": ("1,-1,10,nan,30,40,0.9", "NaN"),
    "infinity": ("1,-1,10,20,inf,40,0.9", "NaN or infinity"),
    "no width": ("1,-1,10,20,0,40,0.9", "width 0"),
    "negative height": ("1,-1,10,20,30,-4,0.9", "height -4"),
    "frame zero": ("0,-1,10,20,30,40,0.9", "count from 1"),
    "half a frame": ("1.5,-1,10,20,30,40,0.9", "1.5"),
}


@pytest.mark.parametrize(("line", "said"), BROKEN.values(), ids=BROKEN)
def test_broken_line_names_file_and_line(tmp_path: Path, line: str, said: str) -> None:
    path = written(tmp_path, f"1,-1,1,1,3,4,0.7\n\n{line}\n1,-1,1,1,3,4,0.7\n")
    with pytest.raises(InputError) as caught:
        read_mot_detections(path)
    assert f"{path}, line 3" in str(caught.value)
    assert said in str(caught.value)


def test_file_that_cannot_be_read_names_itself(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.txt: cannot be read"):
        read_mot_detections(tmp_path / "absent.txt")
    binary = tmp_path / "binary.txt"
    binary.write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(InputError, match=r"binary\.txt: not a text file"):
        read_mot_detections(binary)


def test_empty_file_holds_nobody(tmp_path: Path) -> None:
    find = MotFileDetector({"door": written(tmp_path, "\n")})
    assert [len(found) for found in find([frame("door", 0)])] == [0]
    assert find.score_levels == (0, 0)


def test_camera_without_a_file_goes_to_the_other_detector(tmp_path: Path) -> None:
    def everywhere(frames: Sequence[Frame]) -> list[Detections]:
        assert [given.camera_id for given in frames] == ["hall", "yard"]
        return [Detections(np.array([[0, 0, 1, 1 + at]], np.float32), np.ones(1, np.float32)) for at in range(2)]

    files = {"door": written(tmp_path, GOOD)}
    hall, door, yard = MotFileDetector(files, everywhere)([frame("hall", 0), frame("door", 0), frame("yard", 0)])
    assert (len(hall), len(door), len(yard)) == (1, 2, 1)
    assert yard.boxes[0, 3] == 2
    with pytest.raises(InputError, match="camera 'hall': no detection file"):
        MotFileDetector(files)([frame("hall", 0)])


def test_all_boxes_may_continue_a_track_and_the_better_ones_begin_one(tmp_path: Path) -> None:
    """A fifth of the way up the scale, wherever on it most boxes lie: published ones crowd at its upper end."""
    for power in (1, 0.1):
        lines = "".join(f"1,-1,{10 * at},1,3,4,{0.5 + (at / 100) ** power / 2}\n" for at in range(101))
        weak, confident = MotFileDetector({"door": written(tmp_path, lines)}).score_levels
        assert weak == pytest.approx(0.5)
        assert confident == pytest.approx(0.5 + 0.2 * 0.9**power / 2, abs=1e-3)
    assert MotFileDetector({}, score_levels=(0.1, 0.2)).score_levels == (0.1, 0.2)


def test_each_camera_has_the_levels_of_its_own_file(tmp_path: Path) -> None:
    """One maker's scores say nothing of another's."""
    door = written(tmp_path, "1,-1,1,1,3,4,0.2\n1,-1,9,1,3,4,0.2\n", "door.txt")
    hall = written(tmp_path, "1,-1,1,1,3,4,0.9\n1,-1,9,1,3,4,0.9\n", "hall.txt")
    find = MotFileDetector({"door": door, "hall": hall})
    assert find.score_levels_of("door") == pytest.approx((0.2, 0.2))
    assert find.score_levels_of("hall") == pytest.approx((0.9, 0.9))

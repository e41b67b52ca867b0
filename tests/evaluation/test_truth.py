"""Ground truth files: both column counts, what is left out, and what a broken line says."""

from __future__ import annotations

from pathlib import Path

import pytest

from reid_tracker.errors import InputError
from reid_tracker.evaluation import LabelledBoxes, read_truth, read_truth_folder
from reid_tracker.evaluation.truth import without_ignored


def gt(folder: Path, text: str, camera: str = "door") -> Path:
    path = folder / camera / "gt" / "gt.txt"
    path.parent.mkdir(parents=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_boxes_and_frames_are_converted_once(tmp_path: Path) -> None:
    people = read_truth(gt(tmp_path, "1,7,10,20,30,40,1,1,1\n12,7,11,20,30,40,1,1,0.5\n")).people
    assert people.frames.tolist() == [0, 11]
    assert people.ids.tolist() == [7, 7]
    assert people.boxes.tolist() == [[10, 20, 40, 60], [11, 20, 41, 60]]


@pytest.mark.parametrize(
    ("row", "scored", "ignored"),
    [
        ("1,1,0,0,10,10,1,1,1", 1, 0),  # MOT16: a pedestrian
        ("1,1,0,0,10,10,0,1,1", 0, 1),  # a pedestrian flagged out
        ("1,1,0,0,10,10,0,8,1", 0, 1),  # a distractor
        ("1,1,0,0,10,10,1,7,1", 0, 1),  # a static person
        ("1,1,0,0,10,10,0,3,1", 0, 0),  # a car: neither found nor forgiven
        ("1,1,0,0,10,10,1,-1,-1,-1", 1, 0),  # MOT15
        ("1,1,0,0,10,10,0,-1,-1,-1", 0, 0),  # MOT15 flagged out
        ("1,1,0,0,10,10,1,1,1,-1,5.6,14.7", 1, 0),  # extras after the ninth column
    ],
)
def test_flag_and_class_decide_what_counts(row: str, scored: int, ignored: int, tmp_path: Path) -> None:
    truth = read_truth(gt(tmp_path, row + "\n"))
    assert (len(truth.people), len(truth.ignored)) == (scored, ignored)


def test_results_on_ignored_boxes_are_left_out_and_those_on_people_stay(tmp_path: Path) -> None:
    truth = read_truth(gt(tmp_path, "1,1,0,0,10,10,1,1,1\n1,2,50,0,10,10,0,8,1\n"))
    predicted = LabelledBoxes.of([0, 0, 0], [1, 2, 3], [[0, 0, 10, 10], [50, 0, 60, 10], [90, 0, 99, 10]])
    assert without_ignored(truth, predicted).ids.tolist() == [1, 3]


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("1,1,0,0,10,10,1,1\n", 1, "expected 9 or 10 columns, got 8"),
        ("1,1,0,0,10,10,1,1,1\n2,1,0,0,10,10,1,-1,-1,-1\n", 2, "10 columns where the lines before have 9"),
        ("1,1,0,0,10,10,1,1,1\n\n2,1,0,zero,10,10,1,1,1\n", 3, "expected numbers"),
        ("1,1,0,0,nan,10,1,1,1\n", 1, "finite box"),
        ("1,1,0,0,10,0,1,1,1\n", 1, "height > 0"),
        ("0,1,0,0,10,10,1,1,1\n", 1, "frame number from 1"),
        ("1,1.5,0,0,10,10,1,1,1\n", 1, "whole id"),
        ("1,1,0,0,10,10,1,1,1\n1,1,5,0,10,10,1,1,1\n", 2, r"id 1 is in frame 1 already \(line 1\)"),
    ],
)
def test_a_broken_line_is_named_with_file_and_number(text: str, line: int, reason: str, tmp_path: Path) -> None:
    path = gt(tmp_path, text)
    with pytest.raises(InputError, match=rf"{path}:{line}: .*{reason}"):
        read_truth(path)


def test_an_empty_file_is_a_camera_without_people(tmp_path: Path) -> None:
    assert len(read_truth(gt(tmp_path, "")).people) == 0


def test_the_length_comes_from_seqinfo(tmp_path: Path) -> None:
    path = gt(tmp_path, "1,1,0,0,10,10,1,1,1\n")
    assert read_truth(path).frame_count is None
    (path.parent.parent / "seqinfo.ini").write_text("[Sequence]\nseqLength=30\n", encoding="utf-8")
    assert read_truth(path).frame_count == 30


def test_a_folder_gives_its_cameras_in_order_and_refuses_to_be_empty(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no <camera>/gt/gt\.txt in it"):
        read_truth_folder(tmp_path)
    for camera in ("hall", "door"):
        gt(tmp_path, "1,1,0,0,10,10,1,1,1\n", camera)
    assert list(read_truth_folder(tmp_path)) == ["door", "hall"]


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    path = gt(tmp_path, "")
    path.write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(InputError, match="cannot be read"):
        read_truth(path)

"""A run's tracks.jsonl against a folder of truth: which ids, which frames, which cameras."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reid_tracker import JsonLinesSink
from reid_tracker.errors import ConfigError, InputError
from reid_tracker.evaluation import evaluate
from reid_tracker.types import EventType, IdentityEvent, TrackedFrame, TrackedPerson

pytest.importorskip("trackeval", reason="needs the extra 'evaluation'")

BOX = (100.0, 50.0, 140.0, 150.0)


def person(identity: int, tracklet: int, box: tuple[float, float, float, float] = BOX) -> TrackedPerson:
    return TrackedPerson(identity, tracklet, box, 0.9, "settled")


def event(
    number: int, kind: EventType, identity: int, tracklet: int, supersedes: tuple[int, ...] = ()
) -> IdentityEvent:
    return IdentityEvent(number, kind, 0.0, "hall", identity, (tracklet,), supersedes)


def write_truth(folder: Path, cameras: dict[str, int], first: int = 1) -> Path:
    """Person 5 stands in each camera for so many frames."""
    for camera, frames in cameras.items():
        path = folder / "truth" / camera / "gt" / "gt.txt"
        path.parent.mkdir(parents=True)
        path.write_text("".join(f"{frame},5,100,50,40,100,1,1,1\n" for frame in range(first, first + frames)))
    return folder / "truth"


def write_run(folder: Path, frames: list[TrackedFrame]) -> Path:
    (folder / "run").mkdir()
    with JsonLinesSink(folder / "run" / "tracks.jsonl") as sink:
        for frame in frames:
            sink.write(frame)
    return folder / "run"


@pytest.fixture
def linked_late(tmp_path: Path) -> tuple[Path, Path]:
    """Ten frames in each of two cameras; identity 2 of the second turns out to be 1 only at the very end."""
    door = [
        TrackedFrame("door", i, i / 10, (person(1, 1),), (event(1, EventType.STARTED, 1, 1),) if not i else ())
        for i in range(10)
    ]
    hall = [
        TrackedFrame("hall", i, i / 10, (person(2, 2),), (event(2, EventType.STARTED, 2, 2),) if not i else ())
        for i in range(10)
    ]
    end = TrackedFrame("hall", 10, 1.0, (), (event(3, EventType.MERGED, 1, 2, supersedes=(2,)),))
    return write_truth(tmp_path, {"door": 10, "hall": 10}), write_run(tmp_path, [*door, *hall, end])


def test_emitted_and_final_ids_are_scored_apart_and_named(linked_late: tuple[Path, Path]) -> None:
    emitted, final = evaluate(*linked_late, ids="emitted"), evaluate(*linked_late, ids="final")
    assert (emitted.ids, final.ids) == ("emitted", "final")
    assert (emitted.across.idf1, final.across.idf1) == (pytest.approx(1 / 2), 1)
    assert (emitted.linking.people_split, final.linking.people_split) == (1, 0)
    assert (emitted.linking.recall, final.linking.recall) == (0, 1)
    assert {name: scores.idf1 for name, scores in emitted.cameras.items()} == {"door": 1, "hall": 1}


def test_the_file_is_as_good_as_its_folder(linked_late: tuple[Path, Path]) -> None:
    truth, folder = linked_late
    assert evaluate(truth, folder / "tracks.jsonl") == evaluate(truth, folder)


def test_text_and_json_say_library_threshold_area_and_ids(linked_late: tuple[Path, Path]) -> None:
    evaluation = evaluate(*linked_late, ids="emitted", iou_threshold=0.5)
    text = evaluation.to_text()
    for said in ("trackeval 1.", "IoU >= 0.5", "ids emitted", "whole picture", "all cameras", "door", "hall"):
        assert said in text
    written = json.loads(json.dumps(evaluation.to_json(), allow_nan=False))
    assert written["ids"] == "emitted"
    assert written["iou_threshold"] == 0.5
    assert written["across_cameras"]["idf1"] == pytest.approx(1 / 2)
    assert written["linking"]["precision"] is None  # no pair was predicted


def test_frames_limit_what_is_scored(tmp_path: Path) -> None:
    """Truth in frames 0-9, results in frames 5-14: half is missed, half is invented, unless frames 5-9 are meant."""
    truth = write_truth(tmp_path, {"door": 10})
    run = write_run(tmp_path, [TrackedFrame("door", i, i / 10, (person(1, 1),)) for i in range(5, 15)])
    whole, part = evaluate(truth, run), evaluate(truth, run, frames=(5, 10))
    assert (whole.across.misses, whole.across.false_positives) == (5, 5)
    assert (part.across.misses, part.across.false_positives, part.across.idf1) == (0, 0, 1)
    assert "frames 5 to 9" in part.to_text()


def test_results_after_the_end_of_the_truth_do_not_count_where_its_length_is_known(tmp_path: Path) -> None:
    truth = write_truth(tmp_path, {"door": 10})
    (truth / "door" / "seqinfo.ini").write_text("[Sequence]\nseqLength=10\n")
    run = write_run(tmp_path, [TrackedFrame("door", i, i / 10, (person(1, 1),)) for i in range(15)])
    assert evaluate(truth, run).across.false_positives == 0


def test_cameras_without_truth_are_named_and_left_out(tmp_path: Path) -> None:
    truth = write_truth(tmp_path, {"door": 3})
    frames = [TrackedFrame(name, i, i / 10, (person(1, 1),)) for name in ("door", "yard") for i in range(3)]
    evaluation = evaluate(truth, write_run(tmp_path, frames))
    assert list(evaluation.cameras) == ["door"]
    assert "no truth for camera 'yard': not scored" in evaluation.notes


def test_a_camera_of_the_truth_without_tracks_is_an_error_that_names_both(tmp_path: Path) -> None:
    truth = write_truth(tmp_path, {"door": 3, "hall": 3})
    run = write_run(tmp_path, [TrackedFrame(name, 0, 0.0, ()) for name in ("door", "lobby")])
    with pytest.raises(InputError, match=r"no results for camera 'hall'.*door, hall.*door, lobby"):
        evaluate(truth, run)


def test_a_camera_that_saw_nobody_is_scored_not_missing(tmp_path: Path) -> None:
    truth = write_truth(tmp_path, {"door": 3})
    evaluation = evaluate(truth, write_run(tmp_path, [TrackedFrame("door", i, i / 10, ()) for i in range(3)]))
    assert evaluation.cameras["door"].misses == 3


def test_an_identity_twice_in_a_frame_costs_and_is_said(tmp_path: Path) -> None:
    """Two boxes of one frame under one identity cannot both be right; the second is scored as somebody else."""
    truth = write_truth(tmp_path, {"door": 4})
    ghost = (400.0, 50.0, 440.0, 150.0)
    frames = [TrackedFrame("door", i, i / 10, (person(1, 1), person(1, 2, ghost))) for i in range(4)]
    evaluation = evaluate(truth, write_run(tmp_path, frames))
    assert evaluation.across.false_positives == 4
    assert evaluation.across.idf1 == pytest.approx(2 * 4 / (4 + 8))
    assert any("4 boxes bore an identity that another box of the frame had" in note for note in evaluation.notes)


@pytest.mark.parametrize("arguments", [{"ids": "newest"}, {"frames": (5, 5)}, {"frames": (-1, 5)}])
def test_arguments_that_mean_nothing_are_refused(arguments: dict[str, object], linked_late: tuple[Path, Path]) -> None:
    with pytest.raises(ConfigError, match="expected"):
        evaluate(*linked_late, **arguments)  # type: ignore[arg-type]


def test_truth_may_be_named_as_export_names_files(tmp_path: Path) -> None:
    """A camera called lobby/left has no folder of that name; export writes lobby%2Fleft.txt."""
    run = write_run(tmp_path, [TrackedFrame("lobby/left", i, i / 10, (person(1, 1),)) for i in range(10)])
    truth = write_truth(tmp_path, {"lobby%2Fleft": 10})
    assert list(evaluate(truth, run).to_json()["cameras"]) == ["lobby/left"]

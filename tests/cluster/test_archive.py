"""Recorded archives: pieces of recordings, tracked apart, come to what one process says of the whole."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from reid_tracker.cluster.archive import PIECES_FOLDER, track_archive
from reid_tracker.cluster.news import NewsReader, NewsWriter
from reid_tracker.cluster.pieces import TrackedPiece, cut, from_bytes, to_bytes
from reid_tracker.config import Config
from reid_tracker.errors import ConfigError, InputError, SourceError
from reid_tracker.results.jsonl import frame_to_json
from reid_tracker.sources import Extent, VideoPart, VideoSource, measure, open_source
from reid_tracker.types import CameraTracks, TrackedFrame
from tests.cluster.scenes import FPS, TasksHere, steady_pipeline, write_visits

SECONDS = 16.0
VISITS = {
    # green is there at every seam, red comes back, blue crosses one seam; in the hall green is believed in the very
    # last picture before one
    "door": [("red", 0.0, 3.0), ("green", 1.0, 16.0), ("blue", 6.5, 10.5), ("red", 12.0, 15.0)],
    "hall": [("red", 4.5, 9.5), ("green", 6.75, 9.0), ("blue", 11.5, 16.0)],
}


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("archive")
    for camera, visits in VISITS.items():
        write_visits(folder / f"{camera}.avi", visits, SECONDS)
    return folder


@pytest.fixture(scope="module")
def config(recordings: Path) -> Config:
    cameras = [
        {"id": camera, "source": str(recordings / f"{camera}.avi"), "start_time": "2026-05-01T08:00:00Z"}
        for camera in VISITS
    ]
    return Config().with_values(
        {
            "cameras": cameras,
            "cluster.overlap_seconds": 2.0,
            "tracking.max_lost_seconds": 1.0,
            "tracking.refresh_seconds": 0.5,
        }
    )


@pytest.fixture(scope="module")
def alone(config: Config) -> list[TrackedFrame]:
    """What one process says."""
    sources = [open_source(each.source, each.id, each.start_time) for each in config.cameras]
    return list(steady_pipeline(config).run(sources))


def run(config: Config, out: Path, tasks: TasksHere | None = None, **options: Any) -> list[dict[str, Any]]:
    track_archive(config, out, tasks or TasksHere(), pipeline_of=steady_pipeline, **options)
    return [json.loads(line) for line in (out / "tracks.jsonl").read_text().splitlines()]


def people_by_frame(lines: list[dict[str, Any]], field: str) -> dict[tuple[str, int], dict[tuple[int, ...], int]]:
    """(camera, frame) -> box -> number."""
    return {
        (line["camera"], line["frame"]): {
            tuple(round(side) for side in person["box"]): person[field] for person in line["people"]
        }
        for line in lines
    }


def test_tracks_arrive_as_they_were_sent(config: Config) -> None:
    """Through news and through a file; looks are sent once."""
    source = open_source(config.cameras[0].source, "door")
    pipeline, writer = steady_pipeline(config), NewsWriter()
    seen = [pipeline.follow([frame])[0] for frame in source]
    sent = [replace(tracks, grey=place > 50, moved=place == 70) for place, tracks in enumerate(seen)]
    news = [writer(tracks) for tracks in sent]
    read = from_bytes(to_bytes(TrackedPiece(news, frames=len(news), problems=("one",))))

    assert (read.frames, read.problems) == (len(sent), ("one",))
    for arrived in (news, read.news):
        reader = NewsReader(config.tracking.history_length)
        for was, tracks in zip(sent, map(reader, arrived), strict=True):
            assert_same_tracks(was, tracks)
    vectors = sum(len(each.vectors) for frame in news for each in frame.looks)
    shown = sum(len(tracklet.looks) for tracks in sent for tracklet in tracks.tracklets)
    assert 0 < vectors < shown / 10


def assert_same_tracks(one: CameraTracks, other: CameraTracks) -> None:
    for name in ("camera_id", "index", "time", "size", "grey", "moved"):
        assert getattr(one, name) == getattr(other, name)
    for was, now in zip(
        (*one.tracklets, *one.lost, *one.ended), (*other.tracklets, *other.lost, *other.ended), strict=True
    ):
        for name in ("id", "state", "score", "quality", "started", "updated", "looks_version"):
            assert getattr(was, name) == getattr(now, name)
        for name in ("box", "look_times", "look_boxes"):
            np.testing.assert_array_equal(getattr(was, name), getattr(now, name))
        np.testing.assert_array_equal(was.looks.global_, now.looks.global_)
        np.testing.assert_array_equal(was.looks.stripes, now.looks.stripes)


def test_a_reader_that_missed_something_says_so(config: Config) -> None:
    pipeline, writer = steady_pipeline(config), NewsWriter()
    frames = list(open_source(config.cameras[0].source, "door"))[:20]
    news = [writer(pipeline.follow([frame])[0]) for frame in frames]
    reader = NewsReader(8)
    reader(news[0])
    with pytest.raises(InputError, match="expected news 1, got 2"):
        reader(news[2])
    writer.say_all()
    again = reader(writer(pipeline.follow([frames[-1]])[0]))
    assert len(again.tracklets) == 2
    assert all(len(each.looks) for each in again.tracklets)


def test_what_is_no_piece_is_refused() -> None:
    with pytest.raises(InputError, match="not a tracked piece"):
        from_bytes(b"PK\x03\x04 nonsense")


def test_parts_of_a_recording_have_its_indices_and_times(recordings: Path, tmp_path: Path) -> None:
    files = [recordings / "door.avi", write_visits(tmp_path / "z.avi", [("red", 0, 5)], 5.0)]
    whole = VideoSource(files, "door", 100.0)
    frames = [(frame.index, frame.time, int(frame.image.sum())) for frame in whole]
    extents = [measure(file) for file in whole.files]
    assert extents[0] == Extent(160, pytest.approx(15.9))
    places = whole.places(extents)
    assert (places[1].index, places[2].index, places[1].seconds) == (160, 210, pytest.approx(16.0))

    for begin, end, place in ((3.0, 7.05, places[0]), (14.0, 18.0, places[0]), (16.5, math.inf, places[1])):
        part = VideoPart(files, "door", 100.0, place, begin, end)
        found = [(frame.index, frame.time, int(frame.image.sum())) for frame in part]
        assert found == [each for each in frames if begin <= each[1] - 100.0 < end]
        assert found


def test_recordings_are_cut_where_there_are_pictures(recordings: Path) -> None:
    source = VideoSource([recordings / "door.avi"], "door")
    pieces = cut(source, [Extent(160, 15.9)], piece_seconds=5.0, overlap_seconds=2.0)
    assert [(piece.begin, piece.end, piece.overlap) for piece in pieces] == [
        (0.0, 5.0, 2.0), (5.0, 10.0, 2.0), (10.0, math.inf, 0.0),
    ]  # fmt: skip
    assert sum(piece.frames for piece in pieces) == pytest.approx(160, abs=2)
    assert cut(source, [None], 5.0, 2.0) == []


def test_one_piece_a_camera_says_what_one_process_says(
    config: Config, alone: list[TrackedFrame], tmp_path: Path
) -> None:
    assert run(config, tmp_path / "out") == json.loads(json.dumps([frame_to_json(frame) for frame in alone]))


@pytest.mark.slow
@pytest.mark.parametrize("piece_seconds", [5.0, 8.0])
def test_people_keep_their_ids_through_seams(
    piece_seconds: float, config: Config, alone: list[TrackedFrame], tmp_path: Path
) -> None:
    tasks = TasksHere()
    lines = run(config.with_values({"cluster.piece_seconds": piece_seconds}), tmp_path / "out", tasks)
    assert len(tasks.tracked()) > 2
    expected = json.loads(json.dumps([frame_to_json(frame) for frame in alone]))
    assert [(line["camera"], line["frame"], line["time"]) for line in lines] == [
        (line["camera"], line["frame"], line["time"]) for line in expected
    ]
    for field in ("tracklet", "identity"):
        ours, theirs = people_by_frame(lines, field), people_by_frame(expected, field)
        pairs = {(number, theirs[frame].get(box)) for frame, people in ours.items() for box, number in people.items()}
        pairs.discard((None, None))
        assert len(pairs) == len({one for one, _ in pairs}) == len({other for _, other in pairs}), field
    ended = json.loads((tmp_path / "out" / "run.json").read_text())
    assert ended["counts"]["tracklets"] == len({person.tracklet for frame in alone for person in frame.people})


@pytest.mark.slow
def test_cameras_too_many_for_one_associator_are_given_to_several(
    config: Config, alone: list[TrackedFrame], tmp_path: Path
) -> None:
    """Red walks from the door to the hall and back, and blue from the door to the hall."""
    lines = run(config.with_values({"cluster.associator_cameras": 1}), tmp_path / "out")
    expected = json.loads(json.dumps([frame_to_json(frame) for frame in alone]))
    ours, theirs = people_by_frame(lines, "identity"), people_by_frame(expected, "identity")
    pairs = {(number, theirs[frame].get(box)) for frame, people in ours.items() for box, number in people.items()}
    assert len(pairs) == len({one for one, _ in pairs}) == len({other for _, other in pairs}) == 3
    numbers = [event["event_id"] for line in lines for event in line["events"]]
    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.slow
def test_finished_pieces_are_not_tracked_again(config: Config, tmp_path: Path) -> None:
    cut_up = config.with_values({"cluster.piece_seconds": 8.0})
    first, again, changed = TasksHere(), TasksHere(), TasksHere()
    lines = run(cut_up, tmp_path / "out", first)
    assert len(first.tracked()) == 4

    kept = sorted((tmp_path / "out" / PIECES_FOLDER).glob("*.npz"))
    kept[0].write_bytes(kept[0].read_bytes()[:1000])  # as a full disk leaves it
    assert run(cut_up, tmp_path / "out", again, overwrite=True) == lines
    assert len(again.tracked()) == 1

    run(cut_up.with_values({"tracking.confirm_hits": 4}), tmp_path / "out", changed, overwrite=True)
    assert len(changed.tracked()) == 4


@pytest.mark.slow
def test_a_stopped_run_goes_on_where_it_was(config: Config, alone: list[TrackedFrame], tmp_path: Path) -> None:
    class Told(TasksHere):
        def stop(self) -> bool:
            return len(self.tracked()) >= 1

    stopped, rest = Told(), TasksHere()
    summary = track_archive(config, tmp_path / "out", stopped, stop=stopped.stop, pipeline_of=steady_pipeline)
    assert summary.interrupted
    assert "1 of 2 pieces" in summary.to_text()
    lines = run(config, tmp_path / "out", rest)  # needs no --overwrite: nothing was written but pieces
    assert len(rest.tracked()) == 1
    assert len(lines) == len(alone)


@pytest.mark.slow
def test_what_fails_is_told_and_the_rest_goes_on(config: Config, tmp_path: Path) -> None:
    for number in range(3):
        write_visits(tmp_path / f"yard_{number}.avi", [("blue", 0.5, 4.0)], 4.0)
    (tmp_path / "yard_1.avi").write_bytes(b"\x00" * 5000)
    cameras = [
        *(camera.model_dump(mode="json", exclude_unset=True) for camera in config.cameras),
        {"id": "yard", "source": str(tmp_path / "yard_*.avi"), "start_time": "2026-05-01T08:00:00Z"},
        {"id": "gone", "source": str(tmp_path / "gone.avi"), "start_time": "2026-05-01T08:00:00Z"},
    ]
    told: list[tuple[int, int | None]] = []
    summary = track_archive(
        config.with_values({"cameras": cameras}), tmp_path / "out", TasksHere(), pipeline_of=steady_pipeline,
        progress=lambda done, total: told.append((done, total)),
    )  # fmt: skip
    assert len(summary.failures) == 2
    assert all(name in " ".join(summary.failures) for name in ("yard_1.avi", "gone.avi"))
    assert "failed: " in summary.to_text()
    assert summary.cameras == 3
    assert summary.frames == 2 * SECONDS * FPS + 2 * 4 * FPS
    assert told[-1] == (summary.frames, summary.frames)


@pytest.mark.slow
def test_videos_are_drawn_from_the_recordings(config: Config, tmp_path: Path) -> None:
    camera = config.cameras[1].model_dump(mode="json", exclude_unset=True)
    drawn = config.with_values({"cameras": [camera], "output.video": True, "output.video_codec": "vp8"})
    run(drawn, tmp_path / "out")
    video = cv2.VideoCapture(str(tmp_path / "out" / "video" / "hall.webm"))
    assert video.get(cv2.CAP_PROP_FRAME_WIDTH) == 320
    shown = [video.read()[0] for _ in range(50)]
    assert all(shown)


def test_what_cannot_be_done_is_said_before_it_is_begun(config: Config, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="report"):
        run(config.with_values({"output.report": True}), tmp_path / "out")
    with pytest.raises(SourceError, match="no such file"):
        run(config.with_values({"cameras": [{"id": "a", "source": str(tmp_path / "none.avi")}]}), tmp_path / "out")
    run(config, tmp_path / "done")
    with pytest.raises(ConfigError, match="--overwrite"):
        run(config, tmp_path / "done")

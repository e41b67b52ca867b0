"""The output folder: what it holds, what it refuses, and what is left when something fails."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from reid_tracker.config import CameraConfig, Config
from reid_tracker.errors import ConfigError, OutputError
from reid_tracker.results import (
    CameraFacts,
    ModelFacts,
    RunFacts,
    RunFolder,
    read_looks,
    read_run,
    read_tracks,
)
from reid_tracker.types import Frame, TrackedFrame

FACTS = RunFacts(
    time_base="relative",
    cameras=(CameraFacts("door", "rtsp://user:secret@host/door", fps=10.0), CameraFacts("hall", "hall.mp4")),
    models={"embedder": ModelFacts("alignedreid_small", "ab" * 32, {"engine": "onnxruntime"}, "Apache-2.0")},
)


def write_run(out: Path, run: list[TrackedFrame], config: Config | None = None, overwrite: bool = False) -> Path:
    with RunFolder(out, config or Config(), FACTS, overwrite=overwrite) as folder:
        for tracked in run:
            folder.write(tracked)
        folder.note_undecodable("hall", 3)
    return out


def break_off(out: Path, tracked: TrackedFrame, error: BaseException) -> None:
    """A run that writes one frame and then meets ``error``."""
    with RunFolder(out, Config(), FACTS) as folder:
        folder.write(tracked)
        raise error


def files_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_a_plain_run_leaves_these_files_and_no_picture(tmp_path: Path, pictured_run: list[TrackedFrame]) -> None:
    out = write_run(tmp_path / "out", pictured_run)
    assert files_in(out) == {
        "run.json",
        "tracks.jsonl",
        "identities.json",
        "looks.npy",
        "mot/emitted/door.txt",
        "mot/emitted/hall.txt",
        "mot/final/door.txt",
        "mot/final/hall.txt",
    }
    signatures = (b"\xff\xd8\xff", b"\x89PNG", b"RIFF", b"ftyp", b"\x1aE\xdf\xa3", b"base64")
    for name in files_in(out):
        content = (out / name).read_bytes()
        assert not any(signature in content for signature in signatures), name


def test_looks_are_left_out_where_the_setting_says_so(tmp_path: Path, run: list[TrackedFrame]) -> None:
    out = write_run(tmp_path / "out", run, Config().with_values({"output.looks": False}))
    assert "looks.npy" not in files_in(out)


def test_run_facts_and_counts(tmp_path: Path, run: list[TrackedFrame]) -> None:
    facts = read_run(write_run(tmp_path / "out", run))
    assert (facts["status"], facts["error"], facts["time_base"]) == ("finished", None, "relative")
    assert facts["counts"] == {
        "frames": 60,
        "boxes": 57,
        "undecodable_frames": 3,
        "tracklets": 3,
        "people": 2,
        "events": {"ended": 1, "merged": 1, "started": 3},
    }
    door, hall = facts["cameras"]
    assert (door["size"], door["fps"], door["start"], door["frames"]) == ([320, 240], 10.0, 0.0, 30)
    assert (hall["fps"], hall["undecodable_frames"]) == (10.0, 3)  # measured: 29 intervals in 2.9 s
    assert facts["models"]["embedder"]["runtime"] == {"engine": "onnxruntime"}
    assert facts["config"]["output"]["looks"] is True


def test_credentials_are_never_written(tmp_path: Path, run: list[TrackedFrame]) -> None:
    config = Config(cameras=[CameraConfig(id="door", source="rtsp://user:secret@host/door")])
    out = write_run(tmp_path / "out", run, config)
    assert read_run(out)["cameras"][0]["source"] == "rtsp://host/door"
    assert all(b"secret" not in (out / name).read_bytes() for name in files_in(out))


def test_names_that_are_not_utf8_are_kept_as_json_writes_them(tmp_path: Path, run: list[TrackedFrame]) -> None:
    """A folder of pictures may be called so: writing run.json ended in a traceback."""
    pictures = os.fsdecode(b"hall\xff")
    facts = replace(FACTS, cameras=(CameraFacts("door", "door.mp4"), CameraFacts("hall", pictures)))
    with RunFolder(tmp_path / "out", Config(), facts) as folder:
        folder.write(run[0])
    assert [camera["source"] for camera in read_run(tmp_path / "out")["cameras"]] == ["door.mp4", pictures]


def test_mot_text_of_both_kinds_of_ids(tmp_path: Path, run: list[TrackedFrame]) -> None:
    out = write_run(tmp_path / "out", run)
    ids = {
        kind: {line.split(",")[1] for line in (out / "mot" / kind / "hall.txt").read_text().splitlines()}
        for kind in ("emitted", "final")
    }
    assert ids == {"emitted": {"3", "1"}, "final": {"1"}}


def test_a_folder_in_use_is_refused_and_left_alone(tmp_path: Path, run: list[TrackedFrame]) -> None:
    out = write_run(tmp_path / "out", run)
    before = {name: (out / name).read_bytes() for name in files_in(out)}
    with pytest.raises(ConfigError, match=r"out: holds the results of another run \(run\.json\); give --overwrite"):
        RunFolder(out, Config(), FACTS)
    assert {name: (out / name).read_bytes() for name in files_in(out)} == before


def test_two_runs_at_once_in_one_folder_are_refused(tmp_path: Path, run: list[TrackedFrame]) -> None:
    """Also with --overwrite: the second would remove what the first is writing. It is free when the first has ended."""
    out = tmp_path / "out"
    with RunFolder(out, Config(), FACTS) as first:
        first.write(run[0])
        with pytest.raises(ConfigError, match=rf"out: another run \(process {os.getpid()}\) is writing here"):
            RunFolder(out, Config(), FACTS, overwrite=True)
        first.write(run[1])
    assert len(list(read_tracks(out))) == 2
    assert ".lock" not in files_in(out)
    write_run(out, run, overwrite=True)


def test_folder_of_a_run_that_was_killed_is_free(tmp_path: Path, run: list[TrackedFrame]) -> None:
    out = tmp_path / "out"
    script = (
        "import os, sys; from reid_tracker.config import Config; from reid_tracker.results import RunFolder\n"
        "folder = RunFolder(sys.argv[1], Config()); os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", script, str(out)], check=False).returncode == -9
    assert (out / ".lock").is_file()
    write_run(out, run, overwrite=True)


def test_overwriting_removes_what_a_run_wrote_and_nothing_else(tmp_path: Path, run: list[TrackedFrame]) -> None:
    out = write_run(tmp_path / "out", run)
    for name in ("notes.txt", "mot/final/readme.md", "mot/mine.txt", "video/holiday.avi"):
        (out / name).parent.mkdir(exist_ok=True)
        (out / name).write_text("mine")
    door = [tracked for tracked in run if tracked.camera_id == "door"]
    write_run(out, door, Config().with_values({"output.looks": False}), overwrite=True)
    assert files_in(out) == {
        "run.json",
        "tracks.jsonl",
        "identities.json",
        "mot/emitted/door.txt",
        "mot/final/door.txt",
        "notes.txt",
        "mot/final/readme.md",
        "mot/mine.txt",
        "video/holiday.avi",
    }


@pytest.mark.parametrize("videos_drawn", [False, True])
def test_overwriting_leaves_recordings_in_folders_of_the_same_names(
    tmp_path: Path, run: list[TrackedFrame], videos_drawn: bool
) -> None:
    """Every video/*.mp4 and mot/*/*.txt was taken for a result, and removed."""
    mine = {"video/street.mp4", "mot/final/street.txt", "crops/0001_c1s1_000451_01.jpg", "crops/crops.csv"}
    drawn = {"video/door.mp4", "video/hall.webm"}
    for name in mine | drawn:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("mine")
    config = Config().with_values({"output.video": videos_drawn, "output.video_codec": "vp8"})
    write_run(tmp_path, run, config)
    write_run(tmp_path, run, overwrite=True)
    left = files_in(tmp_path) & (mine | drawn)
    assert left == (mine if videos_drawn else mine | drawn)


def test_overwriting_takes_no_file_of_folders_where_no_run_was(tmp_path: Path, run: list[TrackedFrame]) -> None:
    (tmp_path / "video").mkdir()
    (tmp_path / "video" / "lobby.mp4").write_text("mine")
    (tmp_path / "tracks.jsonl").touch()
    write_run(tmp_path, run, overwrite=True)
    assert (tmp_path / "video" / "lobby.mp4").read_text() == "mine"


class Recording:
    """A camera whose file lies at ``path``."""

    camera_id = "door"

    def __init__(self, path: Path) -> None:
        self.files = (path,)

    def __iter__(self) -> Iterator[Frame]:
        return iter(())

    def close(self) -> None:
        """Nothing is open."""


@pytest.mark.parametrize(("name", "video"), [("video/door.mp4", True), ("mot/final/door.txt", False)])
def test_what_the_run_reads_is_neither_removed_nor_written_over(
    tmp_path: Path, run: list[TrackedFrame], name: str, video: bool
) -> None:
    config = Config().with_values({"output.video": video, "output.video_codec": "vp8"})
    write_run(tmp_path, run)
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text("mine")
    before = files_in(tmp_path)
    recordings = [Recording(tmp_path / name)] if video else []
    inputs = [] if video else [tmp_path / name]
    with pytest.raises(ConfigError, match=rf"{name}: the run reads this file .* give another --out"):
        RunFolder(tmp_path, config, FACTS, overwrite=True, recordings=recordings, inputs=inputs)
    assert files_in(tmp_path) == before


@pytest.mark.parametrize(
    ("setting", "says"), [({"output.sinks": ["gone"]}, "'gone'"), ({"output.video_codec": "h264"}, "no ffmpeg program")]
)
def test_a_run_that_is_refused_removes_nothing(
    tmp_path: Path, run: list[TrackedFrame], setting: dict[str, object], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The results of the earlier run were gone by the time the setting was looked at."""
    monkeypatch.setenv("PATH", "/nonexistent")
    out = write_run(tmp_path / "out", run)
    before = {name: (out / name).read_bytes() for name in files_in(out)}
    with pytest.raises(ConfigError, match=says):
        RunFolder(out, Config().with_values({"output.video": True, **setting}), FACTS, overwrite=True)
    assert {name: (out / name).read_bytes() for name in files_in(out)} == before


@pytest.mark.parametrize("full", [".reserve", ".run.json.part", "looks.npy"])
def test_a_run_that_cannot_begin_leaves_the_folder_free(
    tmp_path: Path, run: list[TrackedFrame], full: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk left .reserve or a run.json that said "running", and the next try was refused for it."""
    original = Path.open

    def open_full(path: Path, mode: str = "r", *rest: object, **options: object) -> object:
        if path.name == full and "w" in mode:
            original(path, mode, *rest, **options).close()  # type: ignore[call-overload]
            raise OSError(28, "No space left on device", str(path))
        return original(path, mode, *rest, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", open_full)
    with pytest.raises(OutputError, match="the disk is full"):
        RunFolder(tmp_path, Config(), FACTS)
    monkeypatch.undo()
    assert files_in(tmp_path) == set()
    write_run(tmp_path, run)


def test_a_folder_with_other_files_can_be_used(tmp_path: Path, run: list[TrackedFrame]) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    write_run(tmp_path, run)
    assert (tmp_path / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("where", ["/proc/results", "file/results"])
def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path, where: str) -> None:
    (tmp_path / "file").write_text("a file where a folder should be")
    with pytest.raises(OutputError, match=r"results: .*choose another output folder"):
        RunFolder(tmp_path / where, Config(), FACTS)


def test_what_was_written_can_be_read_while_the_run_goes_on(tmp_path: Path, run: list[TrackedFrame]) -> None:
    folder = RunFolder(tmp_path / "out", Config(), FACTS)
    for tracked in run[:50]:
        folder.write(tracked)
    assert read_run(tmp_path / "out")["status"] == "running"
    assert len(list(read_tracks(tmp_path / "out"))) == 50
    assert [found.tracklet for found in read_looks(tmp_path / "out")] == [1]
    folder.close()


@pytest.mark.parametrize("how", ["exception", "mark"])
def test_an_interrupted_run_is_completed_and_says_so(tmp_path: Path, run: list[TrackedFrame], how: str) -> None:
    out = tmp_path / "out"
    if how == "exception":
        with pytest.raises(KeyboardInterrupt):
            break_off(out, run[0], KeyboardInterrupt())
    else:
        with RunFolder(out, Config(), FACTS) as folder:
            folder.write(run[0])
            folder.mark_interrupted()
    assert read_run(out)["status"] == "interrupted"
    assert json.loads((out / "identities.json").read_text())["unique_people"]["overall"] == 2
    assert (out / "mot" / "final" / "door.txt").exists()


def test_a_failed_run_is_completed_and_names_the_reason(tmp_path: Path, run: list[TrackedFrame]) -> None:
    with pytest.raises(ValueError, match="no more"):
        break_off(tmp_path / "out", run[0], ValueError("no more"))
    facts = read_run(tmp_path / "out")
    assert (facts["status"], facts["error"]) == ("failed", "ValueError: no more")
    assert len(list(read_tracks(tmp_path / "out"))) == 1


class FullDisk:
    """A file object whose disk has room for ``room`` more bytes, as the operating system shows it."""

    def __init__(self, file: object, room: int) -> None:
        self._file, self._room = file, room

    def write(self, data: bytes | str) -> int:
        if not self._room:
            raise OSError(28, "No space left on device")
        fitting = data[: self._room]
        self._room -= len(fitting)
        return self._file.write(fitting)  # type: ignore[attr-defined, no-any-return]

    def __enter__(self) -> FullDisk:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()  # type: ignore[attr-defined]

    def __getattr__(self, name: str) -> object:
        return getattr(self._file, name)


@pytest.mark.parametrize("sink", [0, 1])  # tracks.jsonl, looks.npy
def test_a_full_disk_leaves_what_was_written_readable(tmp_path: Path, run: list[TrackedFrame], sink: int) -> None:
    """The disk fills up in the middle of a record; the part of it that fitted is taken back."""
    out = tmp_path / "out"

    def write_until_full() -> None:
        with RunFolder(out, Config(), FACTS) as folder:
            for index, tracked in enumerate(run):
                if index == 40:
                    file = folder._sinks[sink]._file  # type: ignore[attr-defined]
                    file._file = FullDisk(file._file, 100)
                folder.write(tracked)

    with pytest.raises(OutputError, match="the disk is full"):
        write_until_full()
    frames = list(read_tracks(out))
    assert 40 <= len(frames) < 60
    assert (out / "tracks.jsonl").read_bytes().endswith(b"\n")
    list(read_looks(out))
    facts = read_run(out)
    assert facts["status"] == "failed"
    assert "the disk is full" in facts["error"]


def test_what_could_not_be_completed_is_not_left_half(
    tmp_path: Path, run: list[TrackedFrame], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Every file of the end meets a full disk; run.json has room kept for it, and the first failure is raised."""
    out = tmp_path / "out"
    original = Path.open

    def full(path: Path, mode: str = "r", **options: object) -> object:
        file = original(path, mode, **options)  # type: ignore[call-overload]
        ending = "w" in mode and (path.suffix == ".txt" or "identities" in path.name)
        return FullDisk(file, 0) if ending else file

    folder = RunFolder(out, Config(), FACTS)
    assert (out / ".reserve").stat().st_size == 1 << 16
    for tracked in run:
        folder.write(tracked)
    monkeypatch.setattr(Path, "open", full)
    with caplog.at_level(logging.INFO), pytest.raises(OutputError, match=r"identities\.json: the disk is full"):
        folder.close()
    monkeypatch.undo()
    assert files_in(out) == {"run.json", "tracks.jsonl", "looks.npy"}
    assert read_run(out)["status"] == "failed"
    assert "door.txt: the disk is full" in caplog.text
    assert not [record for record in caplog.records if record.levelno > logging.INFO]  # one line tells it


def test_a_full_disk_is_told_once_where_pictures_and_files_meet_it(
    tmp_path: Path, pictured_run: list[TrackedFrame], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A crop that did not fit, then report, identities and MOT text one after the other: five lines said the same."""
    config = Config().with_values({"output.report": True, "output.save_crops": True})
    original = Path.open

    def full(path: Path, mode: str = "r", *rest: object, **options: object) -> object:
        file = original(path, mode, *rest, **options)  # type: ignore[call-overload]
        return FullDisk(file, 0) if "w" in mode and path.name != ".run.json.part" else file

    def write_until_full() -> None:
        with RunFolder(tmp_path / "out", config, FACTS) as folder:
            monkeypatch.setattr(Path, "open", full)
            for tracked in pictured_run:
                folder.write(tracked)

    with pytest.raises(OutputError, match=r"the disk is full"):
        write_until_full()
    assert not [record for record in caplog.records if record.levelno > logging.INFO]


def test_a_sink_of_another_package_is_written_to_and_closed(
    tmp_path: Path, run: list[TrackedFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[object] = []

    class Counting:
        def __init__(self, out: Path, config: Config, facts: RunFacts) -> None:
            calls.append((out, config.output.sinks, facts))

        def write(self, tracked: TrackedFrame) -> None:
            calls.append(tracked)

        def close(self) -> None:
            calls.append("closed")

    monkeypatch.setattr(
        "reid_tracker.results.run_folder.find_part", lambda group, name: {"sinks.mine": Counting}[f"{group}.{name}"]
    )
    write_run(tmp_path / "out", run, Config().with_values({"output.sinks": ["mine"]}))
    assert calls == [(tmp_path / "out", ["mine"], FACTS), *run, "closed"]


def test_memory_does_not_grow_with_frames(tmp_path: Path, run: list[TrackedFrame]) -> None:
    import tracemalloc

    with RunFolder(tmp_path / "out", Config(), FACTS) as folder:
        for tracked in run:
            folder.write(tracked)
        quiet = TrackedFrame("door", 30, 3.0, run[0].people)
        tracemalloc.start()
        for _ in range(200):
            folder.write(quiet)
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(800):
            folder.write(quiet)
        after, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert after - before < 10_000

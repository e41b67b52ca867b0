"""Exported files read back by independent readers of their formats give the boxes and ids that were tracked."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from reid_tracker.errors import ConfigError, InputError
from reid_tracker.results import JsonLinesSink, export, read_tracks
from reid_tracker.results.exporters import SHIPPED
from reid_tracker.types import TrackedFrame

# A row that every format can be brought to: camera, frame from 0, identity, box in pixels
Row = tuple[str, int, int, tuple[float, ...]]


def read_mot(folder: Path) -> list[Row]:
    rows = []
    for file in folder.glob("*.txt"):
        for line in file.read_text().splitlines():
            fields = line.split(",")
            assert len(fields) == 10
            assert fields[7:] == ["-1", "-1", "-1"]
            left, top, width, height = map(float, fields[2:6])
            assert 0 <= float(fields[6]) <= 1
            rows.append((file.stem, int(fields[0]) - 1, int(fields[1]), (left, top, left + width, top + height)))
    return rows


def read_csv(folder: Path) -> list[Row]:
    with (folder / "tracks.csv").open(newline="") as file:
        return [
            (
                row["camera"],
                int(row["frame"]),
                int(row["identity"]),
                tuple(float(row[corner]) for corner in ("x1", "y1", "x2", "y2")),
            )
            for row in csv.DictReader(file)
        ]


def read_ai_city(folder: Path) -> list[Row]:
    with (folder / "cameras.csv").open(newline="") as file:
        names = {row["camera_id"]: row["camera"] for row in csv.DictReader(file)}
    rows = []
    for line in (folder / "track1.txt").read_text().splitlines():
        camera, identity, frame, left, top, width, height, *world = line.split(" ")
        assert world == ["-1", "-1"]
        x1, y1 = int(left), int(top)
        rows.append((names[camera], int(frame), int(identity), (x1, y1, x1 + int(width), y1 + int(height))))
    return rows


def read_metropolis(folder: Path) -> list[Row]:
    rows = []
    for line in (folder / "frames.jsonl").read_text().splitlines():
        frame = json.loads(line)
        assert frame["version"] == "4.0"
        assert datetime.fromisoformat(frame["timestamp"]).timestamp() == pytest.approx(int(frame["id"]) / 10)
        for person in frame["objects"]:
            assert person["type"] == "Person"
            assert all(isinstance(value, str) for value in person["info"].values())
            box = tuple(person["bbox"][side] for side in ("leftX", "topY", "rightX", "bottomY"))
            rows.append((frame["sensorId"], int(frame["id"]), int(person["id"]), box))
    return rows


READERS: dict[str, tuple[Callable[[Path], list[Row]], float]] = {  # reader, what rounding may move a corner by
    "mot": (read_mot, 0.011),
    "csv": (read_csv, 0),
    "aicity": (read_ai_city, 0.5),
    "metropolis": (read_metropolis, 0),
}


@pytest.fixture
def tracks(tmp_path: Path, run: list[TrackedFrame]) -> Path:
    with JsonLinesSink(tmp_path / "tracks.jsonl") as sink:
        for tracked in run:
            sink.write(tracked)
    return tmp_path


def test_every_shipped_format_is_read_back_here() -> None:
    assert set(READERS) == set(SHIPPED)


@pytest.mark.parametrize("ids", ["emitted", "final"])
@pytest.mark.parametrize("name", READERS)
def test_round_trip(tracks: Path, tmp_path: Path, name: str, ids: str) -> None:
    files = export(tracks, tmp_path / name, name, ids=ids)
    assert sorted(files) == sorted((tmp_path / name).iterdir())

    reader, tolerance = READERS[name]
    back = sorted(reader(tmp_path / name))
    expected = sorted(
        (tracked.camera_id, tracked.index, person.identity, person.box)
        for tracked in read_tracks(tracks, ids=ids)  # type: ignore[arg-type]
        for person in tracked.people
    )
    assert [row[:3] for row in back] == [row[:3] for row in expected]
    for got, wanted in zip(back, expected, strict=True):
        assert got[3] == pytest.approx(wanted[3], abs=tolerance)


def test_a_camera_without_people_leaves_an_empty_mot_file(tmp_path: Path) -> None:
    with JsonLinesSink(tmp_path / "tracks.jsonl") as sink:
        sink.write(TrackedFrame("yard", 0, 0.0, ()))
    export(tmp_path, tmp_path / "mot", "mot")
    assert (tmp_path / "mot" / "yard.txt").read_text() == ""


@pytest.mark.parametrize("camera", ["../../etc/passwd", "a/b", "..", "über", "a b", "<script>", "CON:", ".hidden"])
def test_camera_names_never_leave_the_folder(tmp_path: Path, camera: str) -> None:
    with JsonLinesSink(tmp_path / "tracks.jsonl") as sink:
        sink.write(TrackedFrame(camera, 0, 0.0, ()))
    [file] = export(tmp_path, tmp_path / "mot", "mot")
    assert file.resolve().parent == (tmp_path / "mot").resolve()
    assert not file.name.startswith(".")


def test_an_unknown_format_lists_what_there_is(tracks: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="format 'kitti': not known; expected one of aicity, csv, metropolis, mot"):
        export(tracks, tmp_path / "out", "kitti")
    with pytest.raises(ConfigError, match="ids 'best'"):
        export(tracks, tmp_path / "out", "mot", ids="best")


def test_tracks_that_are_missing_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        export(tmp_path, tmp_path / "out", "mot")

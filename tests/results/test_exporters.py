"""Exported files read back by independent readers of their formats give the boxes and ids that were tracked."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from xml.etree import ElementTree

import pytest

from reid_tracker.errors import ConfigError, InputError, OutputError
from reid_tracker.results import JsonLinesSink, LooksSink, export, read_looks, read_tracks
from reid_tracker.results.exporters import SHIPPED
from reid_tracker.types import TrackedFrame
from tests.results.conftest import SIZES

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


def read_full_messages(folder: Path) -> list[Row]:
    """DeepStream's full messages have no frame number: the time gives it, at ten frames a second."""
    rows, kinds = [], {}
    for line in (folder / "messages.jsonl").read_text().splitlines():
        message = json.loads(line)
        assert message.keys() == {
            "messageid", "mdsversion", "@timestamp", "place", "sensor", "analyticsModule", "object", "event",
            "videoPath",
        }  # fmt: skip
        assert message["mdsversion"] == "1.0"
        part = "aisle" if message["event"]["type"] == "moving" else "entrance"
        assert message["place"].keys() == {"id", "name", "type", "location", part}
        assert message["sensor"].keys() == {"id", "type", "description", "location", "coordinate"}
        assert message["analyticsModule"].keys() == {"id", "description", "source", "version"}
        thing = message["object"]
        assert thing.keys() == {
            "id", "speed", "direction", "orientation", "person", "bbox", "location", "coordinate", "pose"
        }  # fmt: skip
        assert thing["person"].keys() == {"age", "gender", "hair", "cap", "apparel"}
        box = tuple(thing["bbox"][side] for side in ("topleftx", "toplefty", "bottomrightx", "bottomrighty"))
        frame = round(10 * datetime.fromisoformat(message["@timestamp"]).timestamp())
        rows.append((message["sensor"]["id"], frame, int(thing["id"]), box))
        kinds[message["messageid"]] = message["event"]["type"]
    assert len(kinds) == len(rows)
    assert sorted(kinds.values()).count("entry") == sorted(kinds.values()).count("exit") == 3  # tracklets
    return rows


def read_minimal_messages(folder: Path) -> list[Row]:
    rows = []
    for line in (folder / "messages.jsonl").read_text().splitlines():
        frame = json.loads(line)
        assert frame.keys() == {"version", "id", "@timestamp", "sensorId", "objects"}
        assert frame["version"] == "4.0"
        for thing in frame["objects"]:
            identity, *box, label, sign = thing.split("|")
            assert (label, sign) == ("Person", "#")
            rows.append((frame["sensorId"], int(frame["id"]), int(identity), tuple(map(float, box))))
    return rows


def read_onvif(folder: Path) -> list[Row]:
    """Boxes through the transformation to ONVIF's -1..1 and back, so that a wrong one shows."""
    name = "{http://www.onvif.org/ver10/schema}"
    root = ElementTree.parse(folder / "metadata.xml").getroot()
    assert root.tag == f"{name}MetadataStream"
    rows = []
    for frame in root.iterfind(f"{name}VideoAnalytics/{name}Frame"):
        camera = frame.attrib["Source"]
        number = round(10 * datetime.fromisoformat(frame.attrib["UtcTime"]).timestamp())
        move, scale = (frame.find(f"{name}Transformation/{name}{kind}").attrib for kind in ("Translate", "Scale"))
        for thing in frame.iterfind(f"{name}Object"):
            kind = thing.find(f"{name}Appearance/{name}Class/{name}Type")
            assert (kind.text, float(kind.attrib["Likelihood"])) == ("Human", 0.875)
            shape = thing.find(f"{name}Appearance/{name}Shape")
            sides = {side: float(value) for side, value in shape.find(f"{name}BoundingBox").attrib.items()}
            x = [sides[side] * float(scale["x"]) + float(move["x"]) for side in ("left", "right")]
            y = [sides[side] * float(scale["y"]) + float(move["y"]) for side in ("top", "bottom")]
            assert -1 <= x[0] < x[1]  # some people stand half outside
            assert -1 <= y[1] < y[0] <= 1  # upwards
            centre = shape.find(f"{name}CenterOfGravity").attrib
            assert float(centre["x"]) == pytest.approx((sides["left"] + sides["right"]) / 2, abs=0.01)
            width, height = SIZES[camera]
            box = ((x[0] + 1) * width / 2, (1 - y[0]) * height / 2, (x[1] + 1) * width / 2, (1 - y[1]) * height / 2)
            rows.append((camera, number, int(thing.attrib["ObjectId"]), box))
    return rows


def read_parquet(folder: Path) -> list[Row]:
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs the extra 'parquet'")
    table = parquet.read_table(folder / "tracks.parquet")
    assert str(table.schema.field("identity").type) == "int64"
    assert str(table.schema.field("time").type) == "double"
    return [
        (row["camera"], row["frame"], row["identity"], tuple(row[corner] for corner in ("x1", "y1", "x2", "y2")))
        for row in table.to_pylist()
    ]


READERS: dict[str, tuple[Callable[[Path], list[Row]], float]] = {  # reader, what rounding may move a corner by
    "mot": (read_mot, 0.011),
    "csv": (read_csv, 0),
    "aicity": (read_ai_city, 0.5),
    "metropolis": (read_metropolis, 0),
    "nvmsgconv": (read_full_messages, 0),
    "nvmsgconv-minimal": (read_minimal_messages, 0),
    "onvif": (read_onvif, 1e-3),
    "parquet": (read_parquet, 0),
}


@pytest.fixture
def tracks(tmp_path: Path, run: list[TrackedFrame]) -> Path:
    with JsonLinesSink(tmp_path / "tracks.jsonl") as sink:
        for tracked in run:
            sink.write(tracked)
    return tmp_path


def test_every_shipped_format_is_read_back_here() -> None:
    assert {*READERS, "frigate"} == set(SHIPPED)  # Frigate's events hold no boxes of every frame: tested below


@pytest.mark.parametrize("ids", ["emitted", "final"])
@pytest.mark.parametrize("name", READERS)
def test_round_trip(tracks: Path, tmp_path: Path, name: str, ids: str) -> None:
    if name == "parquet":
        pytest.importorskip("pyarrow", reason="needs the extra 'parquet'")
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


def test_metropolis_has_the_vector_of_each_look_in_its_frame(tracks: Path, run: list[TrackedFrame]) -> None:
    """And none in the frames between, nor where a run kept no looks."""
    [bare] = export(tracks, tracks / "bare", "metropolis")
    assert not any(vectors_of(bare).values())
    with LooksSink(tracks / "looks.npy") as sink:
        for tracked in run:
            sink.write(tracked)
    [file] = export(tracks, tracks / "metropolis", "metropolis")
    written = vectors_of(file)
    looks = {
        (found.tracklet, round(10 * time)): vector
        for found in read_looks(tracks)
        for time, vector in zip(found.times, found.looks.global_, strict=True)
    }
    assert {key for key, vector in written.items() if vector} == looks.keys()
    assert len(looks) == 5
    assert len(written) > 40
    for key, vector in looks.items():
        assert written[key] == pytest.approx(vector, abs=6e-5)


def vectors_of(file: Path) -> dict[tuple[int, int], list[float]]:
    """By tracklet and frame."""
    frames = map(json.loads, file.read_text().splitlines())
    return {
        (int(each["info"]["tracklet"]), int(frame["id"])): each["embedding"]["vector"]
        for frame in frames
        for each in frame["objects"]
    }


FRIGATE_FIELDS = {
    "id", "camera", "frame_time", "label", "sub_label", "top_score", "false_positive", "start_time", "end_time",
    "score", "box", "area", "ratio", "region", "current_zones", "entered_zones", "has_snapshot", "has_clip",
    "active", "stationary", "attributes",
}  # fmt: skip


@pytest.mark.parametrize("ids", ["emitted", "final"])
def test_frigate_events_follow_each_tracklet(tracks: Path, tmp_path: Path, ids: str) -> None:
    [file] = export(tracks, tmp_path / "frigate", "frigate", ids=ids)
    events = [json.loads(line) for line in file.read_text().splitlines()]
    assert all(event.keys() == {"type", "before", "after"} for event in events)
    assert all(event[side].keys() == FRIGATE_FIELDS for event in events for side in ("before", "after"))
    told: dict[str, list[str]] = {}
    for event in events:
        told.setdefault(event["after"]["id"], []).append(f"{event['type']} {event['after']['sub_label']}")
    corrected = (
        ["new person 3", "update person 1", "end person 1"] if ids == "emitted" else ["new person 1", "end person 1"]
    )
    assert sorted(told.values()) == sorted(
        [["new person 1", "end person 1"], ["new person 2", "end person 2"], corrected]
    )
    last = next(
        event["after"] for event in events if event["type"] == "end" and event["after"]["sub_label"] == "person 1"
    )
    assert (last["camera"], last["start_time"], last["end_time"]) == ("door", 0, 1.4)
    assert last["box"] == [70, 60, 110, 160]
    assert (last["area"], last["ratio"], last["region"]) == (4000, 0.4, [0, 0, 320, 240])
    assert (last["top_score"], last["label"]) == (0.875, "person")


def test_names_that_xml_cannot_hold_are_replaced(tmp_path: Path) -> None:
    with JsonLinesSink(tmp_path / "tracks.jsonl") as sink:
        sink.write(TrackedFrame('a\x00<&"b', 0, 0.0, (), size=(320, 240)))
    [file] = export(tmp_path, tmp_path / "onvif", "onvif")
    [frame] = ElementTree.parse(file).getroot().iter("{http://www.onvif.org/ver10/schema}Frame")
    assert frame.attrib["Source"] == 'a\ufffd<&"b'


def test_a_missing_package_is_named(tracks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ConfigError, match=r"reid_tracker\[parquet\]"):
        export(tracks, tmp_path / "parquet", "parquet")


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
    with pytest.raises(
        ConfigError,
        match="format 'kitti': not known; expected one of aicity, csv, frigate, metropolis, mot, nvmsgconv, ",
    ):
        export(tracks, tmp_path / "out", "kitti")
    with pytest.raises(ConfigError, match="ids 'best'"):
        export(tracks, tmp_path / "out", "mot", ids="best")


def test_tracks_that_are_missing_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        export(tmp_path, tmp_path / "out", "mot")


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_what_does_not_fit_on_the_disk_is_not_left_half(tracks: Path, tmp_path: Path, name: str) -> None:
    """The device that is always full stands where the files would be; a cut-off table looks like a whole one."""
    out = tmp_path / "out"
    names = [path.name for path in export(tracks, out, name)]
    room = tmp_path / "full"
    room.mkdir()
    for each in names:
        (room / each).symlink_to("/dev/full")
    with pytest.raises(OutputError, match="the disk is full"):
        export(tracks, room, name)
    assert not [each for each in names[:1] if (room / each).is_symlink()]

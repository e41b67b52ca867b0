"""Exported files hold exactly the fields, types and order of the formats that their readers publish.

The structures stand here in words of our own. Where ``ONVIF_SPECS`` names a checkout of ONVIF's specifications
(github.com/onvif/specs) and the package xmlschema is installed, the published schema itself is asked too.
"""

from __future__ import annotations

import csv
import json
import os
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from reid_tracker.results import JsonLinesSink, LooksSink, export
from reid_tracker.types import TrackedFrame

ONVIF = "{http://www.onvif.org/ver10/schema}"


@pytest.fixture
def tracks(tmp_path: Path, run: list[TrackedFrame]) -> Path:
    with JsonLinesSink(tmp_path / "tracks.jsonl") as sink, LooksSink(tmp_path / "looks.npy") as looks:
        for tracked in run:
            sink.write(tracked)
            looks.write(tracked)
    return tmp_path


def exported(tracks: Path, name: str, file: str) -> Path:
    export(tracks, tracks / name, name)
    return tracks / name / file


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


# ---- ONVIF: element -> the children it may have, in order; and the attributes it must have, with their forms

NUMBER, WHOLE, TEXT = r"-?\d+(\.\d+)?(e[-+]?\d+)?", r"-?\d+", r".*"
VECTOR = {"x": NUMBER, "y": NUMBER}
XML: dict[str, tuple[tuple[str, ...], dict[str, str]]] = {
    "MetadataStream": (("VideoAnalytics",), {}),
    "VideoAnalytics": (("Frame",), {}),
    "Frame": (
        ("Transformation", "Object"),
        {"UtcTime": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "Source": TEXT},
    ),
    "Transformation": (("Translate", "Scale"), {}),
    "Translate": ((), VECTOR),
    "Scale": ((), VECTOR),
    "Object": (("Appearance",), {"ObjectId": WHOLE}),
    "Appearance": (("Shape", "Class"), {}),
    "Shape": (("BoundingBox", "CenterOfGravity"), {}),
    "BoundingBox": ((), dict.fromkeys(("left", "top", "right", "bottom"), NUMBER)),
    "CenterOfGravity": ((), VECTOR),
    "Class": (("Type",), {}),
    "Type": ((), {"Likelihood": r"0(\.\d+)?|1(\.0+)?"}),
}
REPEATED = {"Frame", "Object"}


def xml_faults(element: ElementTree.Element) -> Iterator[str]:
    """What of an element and all below does not fit ``XML``."""
    name = element.tag.removeprefix(ONVIF)
    if not element.tag.startswith(ONVIF) or name not in XML:
        yield f"unknown element {element.tag}"
        return
    order, attributes = XML[name]
    below = [child.tag.removeprefix(ONVIF) for child in element]
    places = [order.index(child) if child in order else -1 for child in below]
    if -1 in places or places != sorted(places):
        yield f"{name}: children {below}, expected {order}"
    yield from (f"{name}: {child} twice" for child in set(below) - REPEATED if below.count(child) > 1)
    if element.attrib.keys() != attributes.keys():
        yield f"{name}: attributes {sorted(element.attrib)}"
    for key, value in element.attrib.items():
        if key in attributes and not re.fullmatch(attributes[key], value, re.DOTALL):
            yield f"{name}: {key}={value!r}"
    for child in element:
        yield from xml_faults(child)


def test_onvif_metadata_has_the_elements_of_its_schema(tracks: Path) -> None:
    root = ElementTree.parse(exported(tracks, "onvif", "metadata.xml")).getroot()
    assert list(xml_faults(root)) == []
    assert len(list(root.iter(f"{ONVIF}BoundingBox"))) > 10
    [first, *_] = root.iter(f"{ONVIF}Shape")
    first.insert(0, first[1])  # the order counts
    first[0].set("z", "far")
    assert list(xml_faults(root)) == [
        "Shape: children ['CenterOfGravity', 'BoundingBox', 'CenterOfGravity'], expected ('BoundingBox', "
        "'CenterOfGravity')",
        "Shape: CenterOfGravity twice",
        *["CenterOfGravity: attributes ['x', 'y', 'z']"] * 2,
    ]


def test_onvif_metadata_passes_the_published_schema(tracks: Path) -> None:
    folder = os.environ.get("ONVIF_SPECS")
    if not folder:
        pytest.skip("needs a checkout of github.com/onvif/specs, named by ONVIF_SPECS")
    xmlschema = pytest.importorskip("xmlschema", reason="needs the package xmlschema")
    with warnings.catch_warnings():  # one import leads to another body's schema, for events, which are not ours to send
        warnings.simplefilter("ignore")
        schema = xmlschema.XMLSchema11(
            f"{folder}/wsdl/ver10/schema/metadatastream.xsd", validation="lax", allow="local"
        )
    file = exported(tracks, "onvif", "metadata.xml")
    assert list(schema.iter_errors(str(file))) == []
    spoiled = file.read_text().replace('ObjectId="', 'ObjectId="x', 1)
    assert list(schema.iter_errors(spoiled)) != []


# ---- NVIDIA Metropolis: the messages of package nv that a frame of people uses; field -> (number, type)

METROPOLIS = {
    "Frame": {
        "version": (1, "string"),
        "id": (2, "string"),
        "timestamp": (3, "google.protobuf.Timestamp"),
        "sensorId": (4, "string"),
        "objects": (5, "repeated Object"),
        "fov": (6, "repeated TypeMetrics"),
        "rois": (7, "repeated TypeMetrics"),
        "info": (12, "map"),
    },
    "Object": {
        "id": (1, "string"),
        "bbox": (2, "Bbox"),
        "type": (3, "string"),
        "confidence": (4, "float"),
        "info": (5, "map"),
        "embedding": (6, "Embedding"),
        "speed": (10, "float"),
        "dir": (11, "repeated float"),
        "coordinate": (12, "Coordinate"),
        "location": (13, "Location"),
    },
    "Embedding": {"vector": (1, "repeated float"), "info": (2, "map")},
    "Coordinate": {"x": (1, "double"), "y": (2, "double"), "z": (3, "double")},
    "Location": {"lat": (1, "double"), "lon": (2, "double"), "alt": (3, "double")},
    "Bbox": {"leftX": (1, "float"), "topY": (2, "float"), "rightX": (3, "float"), "bottomY": (4, "float")},
    "TypeMetrics": {"id": (1, "string"), "type": (2, "string"), "count": (3, "int32")},
}


def metropolis_frame() -> Any:
    """The class of ``nv.Frame``, whose JSON reader refuses what is unknown or of another type."""
    descriptor = pytest.importorskip("google.protobuf.descriptor_pb2", reason="needs the package protobuf")
    from google.protobuf import descriptor_pool, message_factory, timestamp_pb2

    file = descriptor.FileDescriptorProto(
        name="nv.proto", package="nv", syntax="proto3", dependency=["google/protobuf/timestamp.proto"]
    )
    kinds = {"string": 9, "double": 1, "float": 2, "int32": 5}
    for message, fields in METROPOLIS.items():
        made = file.message_type.add(name=message)
        for name, (number, kind) in fields.items():
            field = made.field.add(name=name, number=number, json_name=name)
            repeated, plain = kind.startswith("repeated ") or kind == "map", kind.removeprefix("repeated ")
            field.label = 3 if repeated else 1
            if kind == "map":
                entry = made.nested_type.add(name=f"{name.title()}Entry")
                entry.options.map_entry = True
                for place, part in enumerate(("key", "value"), 1):
                    entry.field.add(name=part, number=place, label=1, type=9)
                field.type, field.type_name = 11, f".nv.{message}.{name.title()}Entry"
            elif plain in kinds:
                field.type = kinds[plain]
            else:
                field.type, field.type_name = 11, f".{plain}" if "." in plain else f".nv.{plain}"
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(timestamp_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("nv.Frame"))


def test_metropolis_frames_are_read_by_protobuf_and_come_back(tracks: Path) -> None:
    frame = metropolis_frame()
    from google.protobuf import json_format

    written = lines(exported(tracks, "metropolis", "frames.jsonl"))
    assert sum(len(each["objects"]) for each in written) > 10
    for each in written:
        read = json_format.Parse(json.dumps(each), frame())
        again = json_format.MessageToDict(read, always_print_fields_with_no_presence=True)
        assert again["timestamp"].removesuffix("Z").partition(".")[0] == each["timestamp"].partition(".")[0]
        assert {**again, "timestamp": each["timestamp"]} == each
        assert set(each) == set(METROPOLIS["Frame"])
        for person in each["objects"]:  # every field, though a reader would take those that are missing for 0
            assert set(person) == set(METROPOLIS["Object"])
            for name, message in (("bbox", "Bbox"), ("coordinate", "Coordinate"), ("location", "Location"),
                                  ("embedding", "Embedding")):  # fmt: skip
                assert set(person[name]) == set(METROPOLIS[message])
    for spoiled in ({"sensor": "door"}, {"id": 7}, {"objects": [{"bbox": {"left": 1.0}}]}):
        with pytest.raises(json_format.ParseError):
            json_format.Parse(json.dumps(spoiled), frame())


# ---- DeepStream's nvmsgconv, full and minimal: a structure of types

PLACE = dict.fromkeys(("lat", "lon", "alt"), float)
POINT = dict.fromkeys(("x", "y", "z"), float)
WHERE = {"id": str, "name": str, "type": str, "location": PLACE}
ENTRANCE = {"entrance": {"name": str, "lane": str, "level": str, "coordinate": POINT}}
AISLE = {"aisle": {"id": str, "name": str, "level": str, "coordinate": POINT}}
PLACES = {"entry": WHERE | ENTRANCE, "exit": WHERE | ENTRANCE, "moving": WHERE | AISLE}  # by the type of the event
FULL = {
    "messageid": str,
    "mdsversion": str,
    "@timestamp": str,
    "place": {},
    "sensor": {"id": str, "type": str, "description": str, "location": PLACE, "coordinate": POINT},
    "analyticsModule": dict.fromkeys(("id", "description", "source", "version"), str),
    "object": {
        "id": str,
        "speed": float,
        "direction": float,
        "orientation": float,
        "person": {"age": int, "gender": str, "hair": str, "cap": str, "apparel": str},
        "bbox": dict.fromkeys(("topleftx", "toplefty", "bottomrightx", "bottomrighty"), float),
        "location": PLACE,
        "coordinate": POINT,
        "pose": {},
    },
    "event": {"id": str, "type": str},
    "videoPath": str,
}
MINIMAL = {"version": str, "id": str, "@timestamp": str, "sensorId": str, "objects": list}


def shape_of(value: Any) -> Any:
    """The types of a JSON value."""
    return {key: shape_of(each) for key, each in value.items()} if isinstance(value, dict) else type(value)


def test_full_messages_have_every_field_in_order(tracks: Path) -> None:
    messages = lines(exported(tracks, "nvmsgconv", "messages.jsonl"))
    assert messages
    for message in messages:
        assert shape_of(message) == FULL | {"place": PLACES[message["event"]["type"]]}
        assert list(message) == list(FULL)
    assert {message["event"]["type"] for message in messages} == set(PLACES)


def test_minimal_messages_have_every_field_in_order(tracks: Path) -> None:
    messages = lines(exported(tracks, "nvmsgconv-minimal", "messages.jsonl"))
    things = [thing for message in messages for thing in message["objects"]]
    assert things
    assert all(re.fullmatch(rf"\d+(\|{NUMBER}){{4}}\|Person\|#", thing) for thing in things)
    for message in messages:
        assert shape_of(message) == MINIMAL
        assert list(message) == list(MINIMAL)


# ---- tables


def test_ai_city_has_nine_fields_of_its_kinds(tracks: Path) -> None:
    written = exported(tracks, "aicity", "track1.txt").read_text().splitlines()
    assert written
    assert all(re.fullmatch(r"[1-9]\d* [1-9]\d* \d+ -?\d+ -?\d+ \d+ \d+ -1 -1", line) for line in written)


def test_mot_has_ten_fields_of_its_kinds(tracks: Path) -> None:
    written = exported(tracks, "mot", "door.txt").read_text().splitlines()
    assert written
    assert all(
        re.fullmatch(rf"[1-9]\d*,[1-9]\d*(,{NUMBER}){{4}},(0(\.\d+)?|1(\.0+)?),-1,-1,-1", line) for line in written
    )


COLUMNS = {
    "camera": "string", "frame": "int64", "time": "double", "identity": "int64", "tracklet": "int64", "x1": "double",
    "y1": "double", "x2": "double", "y2": "double", "score": "double", "state": "string", "quality": "double",
}  # fmt: skip


def test_csv_has_its_columns(tracks: Path) -> None:
    with exported(tracks, "csv", "tracks.csv").open(newline="") as file:
        assert next(csv.reader(file)) == list(COLUMNS)


def test_parquet_has_its_columns_and_types(tracks: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs the extra 'parquet'")
    schema = parquet.read_schema(exported(tracks, "parquet", "tracks.parquet"))
    assert {field.name: str(field.type) for field in schema} == COLUMNS

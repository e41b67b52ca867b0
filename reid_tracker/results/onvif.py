"""ONVIF's analytics metadata (Profile M): a ``tt:MetadataStream`` of frames with people as objects."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

from reid_tracker.results.files import writing
from reid_tracker.results.jsonl import IdKind, read_tracks, utc_text
from reid_tracker.types import TrackedFrame, TrackedPerson

NAMESPACE = "http://www.onvif.org/ver10/schema"
_NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_HEAD = f'<?xml version="1.0" encoding="UTF-8"?>\n<tt:MetadataStream xmlns:tt="{NAMESPACE}"><tt:VideoAnalytics>\n'
_FOOT = "</tt:VideoAnalytics></tt:MetadataStream>\n"


def export_onvif(tracks: Path, out: Path, ids: IdKind) -> list[Path]:
    """Write ``metadata.xml``: the frames of all cameras, ``Source`` says of which.

    Boxes stand in pixels with y downwards; each frame's ``Transformation`` takes them to ONVIF's -1..1 with y
    upwards. ``ObjectId`` is the identity.

    Args:
        tracks: tracks.jsonl.
        out: folder that exists.
        ids: which identities.

    Raises:
        InputError, OutputError: tracks cannot be read, the file not written.
    """
    path = out / "metadata.xml"
    frames = read_tracks(tracks, ids)
    with writing(path) as file:
        file.write(_HEAD)
        for tracked in frames:
            file.write(onvif_frame(tracked) + "\n")
        file.write(_FOOT)
    return [path]


def onvif_frame(tracked: TrackedFrame) -> str:
    """``<tt:Frame>`` as text; the prefix ``tt`` is its surroundings' to declare."""
    frame = ElementTree.Element(
        "tt:Frame", UtcTime=utc_text(tracked.time), Source=_NOT_IN_XML.sub("\ufffd", tracked.camera_id)
    )
    width, height = tracked.size
    if width and height:
        transformation = ElementTree.SubElement(frame, "tt:Transformation")
        ElementTree.SubElement(transformation, "tt:Translate", x="-1.0", y="1.0")
        ElementTree.SubElement(transformation, "tt:Scale", x=repr(2 / width), y=repr(-2 / height))
    for person in tracked.people:
        _add_person(frame, person)
    return ElementTree.tostring(frame, encoding="unicode")


def _add_person(frame: ElementTree.Element, person: TrackedPerson) -> None:
    x1, y1, x2, y2 = person.box
    thing = ElementTree.SubElement(frame, "tt:Object", ObjectId=str(person.identity))
    appearance = ElementTree.SubElement(thing, "tt:Appearance")
    shape = ElementTree.SubElement(appearance, "tt:Shape")
    sides = {"left": f"{x1:g}", "top": f"{y1:g}", "right": f"{x2:g}", "bottom": f"{y2:g}"}
    ElementTree.SubElement(shape, "tt:BoundingBox", sides)
    ElementTree.SubElement(shape, "tt:CenterOfGravity", x=f"{(x1 + x2) / 2:g}", y=f"{(y1 + y2) / 2:g}")
    kind = ElementTree.SubElement(ElementTree.SubElement(appearance, "tt:Class"), "tt:Type")
    kind.set("Likelihood", f"{person.score:g}")
    kind.text = "Human"

"""The demo clip is what the decision record says, and reads whole."""

from __future__ import annotations

import itertools
import tomllib
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from reid_tracker.sources import VideoSource, moments


def test_the_clip_is_small_and_plays_in_browsers(repository: Path) -> None:
    files = sorted((repository / "demos/clip").glob("*.mp4"))

    assert [file.name for file in files] == ["door.mp4", "hall.mp4"]
    assert sum(file.stat().st_size for file in files) <= 4_000_000
    for file in files:
        fourcc = int(cv2.VideoCapture(str(file)).get(cv2.CAP_PROP_FOURCC))
        assert fourcc.to_bytes(4, "little") in (b"h264", b"avc1")
        assert file.read_bytes().index(b"moov") < 1000, "playing starts before all is loaded"


def test_the_cameras_differ_in_size_colour_and_clock(repository: Path) -> None:
    site = tomllib.loads((repository / "demos/clip/site.toml").read_text())
    cameras = [
        VideoSource([repository / "demos/clip" / entry["source"]], entry["id"], entry["start_time"].timestamp())
        for entry in site["cameras"]
    ]

    assert [camera.frame_count for camera in cameras] == [480, 475]
    found = list(itertools.islice(moments(cameras), 30))

    assert [[frame.camera_id for frame in moment] for moment in found[:25]] == [["door"]] * 25
    assert [[frame.camera_id for frame in moment] for moment in found[25:]] == [["door", "hall"]] * 5
    door, hall = found[-1]
    assert door.time == hall.time
    assert door.image.shape == (576, 360, 3)
    assert hall.image.shape == (460, 288, 3)
    assert _blueness(hall.image) > _blueness(door.image) + 0.1


def _blueness(image: NDArray[np.uint8]) -> float:
    blue, _green, red = image.reshape(-1, 3).mean(axis=0)
    return float(blue / red)


def test_notice_names_where_the_clip_comes_from(repository: Path) -> None:
    notice = (repository / "NOTICE").read_text()
    for fact in ("vtest.avi", "OpenCV", "PETS 2009", "University of Reading", "0001-demo-clip.md"):
        assert fact in notice
    assert (repository / "docs/decisions/0001-demo-clip.md").is_file()

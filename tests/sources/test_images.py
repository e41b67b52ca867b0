"""Folders of pictures."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
import pytest

from reid_tracker.errors import ConfigError, SourceError
from reid_tracker.sources import ImageSource, Problem, open_source
from tests.sources.conftest import number_in, numbered_picture


def _write(folder: Path, numbers: Iterable[int], name: str = "{}.png") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        assert cv2.imwrite(str(folder / name.format(number)), numbered_picture(number))


@pytest.mark.parametrize("name", ["{}.png", "{:06d}.jpg", "frame-{}.bmp", "img{}.JPG"])
def test_pictures_come_in_natural_order_at_25_a_second(tmp_path: Path, name: str) -> None:
    _write(tmp_path, range(1, 13), name)
    (tmp_path / "notes.txt").write_text("not a picture")

    frames = list(open_source(str(tmp_path), "door", start_time=100.0))

    assert [number_in(frame) for frame in frames] == list(range(1, 13))
    assert [frame.index for frame in frames] == list(range(12))
    assert [frame.time for frame in frames] == pytest.approx([100 + n / 25 for n in range(12)])


@pytest.mark.parametrize(
    ("pictures", "opened"),
    [
        ("seq/img1", "seq/img1"),  # the pictures' folder, seqinfo.ini above
        ("seq/img1", "seq"),  # the sequence's folder
        ("seq", "seq"),  # pictures beside seqinfo.ini
    ],
)
def test_the_rate_of_a_motchallenge_sequence_counts(tmp_path: Path, pictures: str, opened: str) -> None:
    _write(tmp_path / pictures, range(3))
    (tmp_path / "seq" / "seqinfo.ini").write_text("[Sequence]\nname=x\nframeRate=14\nimDir=img1\n")

    assert [frame.time for frame in open_source(tmp_path / opened, "door")] == pytest.approx([0, 1 / 14, 2 / 14])
    assert [frame.time for frame in open_source(tmp_path / opened, "door", fps=2)] == [0, 0.5, 1]


@pytest.mark.parametrize("text", ["frameRate=14", "[Sequence]\nframeRate=fast", "[Sequence]\nframeRate=0"])
def test_an_unusable_seqinfo_is_an_error_that_names_it(tmp_path: Path, text: str) -> None:
    _write(tmp_path, range(3))
    (tmp_path / "seqinfo.ini").write_text(text)
    with pytest.raises(SourceError, match=r"seqinfo\.ini.*frameRate"):
        open_source(tmp_path, "door")


def test_damaged_pictures_leave_their_numbers_unused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A picture cut off while it was copied decodes to half a picture in grey if it is not looked at first."""
    _write(tmp_path, range(6), "{}.jpg")
    _write(tmp_path, [6], "{}.png")
    for name in ("1.jpg", "6.png"):
        whole = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(whole[: len(whole) // 2])
    (tmp_path / "3.jpg").write_text("no picture at all")
    (tmp_path / "4.jpg").write_bytes(b"")
    source = ImageSource(sorted(tmp_path.iterdir()), "door")

    assert [(frame.index, number_in(frame)) for frame in source] == [(0, 0), (2, 2), (5, 5)]
    assert source.problems.counts == {Problem.UNDECODABLE: 4}
    assert capfd.readouterr().err == ""


def test_grey_and_transparent_pictures_become_bgr(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "1.png"), np.full((8, 8), 77, np.uint8))
    cv2.imwrite(str(tmp_path / "2.png"), np.full((8, 8, 4), 77, np.uint8))
    frames = list(open_source(tmp_path, "door"))
    assert [frame.image.shape for frame in frames] == [(8, 8, 3)] * 2


def test_a_pattern_of_pictures_is_a_camera_too(tmp_path: Path) -> None:
    _write(tmp_path, range(4), "{}.jpg")
    _write(tmp_path, [9], "{}.png")
    assert [number_in(frame) for frame in open_source(f"{tmp_path}/*.jpg", "door")] == list(range(4))


def test_nothing_readable_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "1.jpg").write_text("no")
    with pytest.raises(SourceError, match="none of the 1 pictures can be read"):
        open_source(tmp_path, "door")


@pytest.mark.parametrize("fps", [0, -1, float("nan"), 1e9])
def test_an_impossible_rate_is_refused(tmp_path: Path, fps: float) -> None:
    _write(tmp_path, range(2))
    with pytest.raises(ConfigError, match="fps is"):
        open_source(tmp_path, "door", fps=fps)

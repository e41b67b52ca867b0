"""looks.npy: vectors come back, also from a file whose end is missing; damage is named."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from numpy.lib.format import read_array

from reid_tracker.errors import InputError
from reid_tracker.results import LooksSink, read_looks
from reid_tracker.results.looks import read_looks_header
from reid_tracker.types import TrackedFrame


def written(path: Path, run: list[TrackedFrame]) -> Path:
    with LooksSink(path, {"name": "alignedreid_small", "sha256": "ab"}) as sink:
        for tracked in run:
            sink.write(tracked)
    return path


def test_looks_come_back_as_unit_vectors(tmp_path: Path, run: list[TrackedFrame]) -> None:
    written(tmp_path / "looks.npy", run)
    back = {found.tracklet: found for found in read_looks(tmp_path)}
    originals = {tracklet.id: tracklet for tracked in run for tracklet in tracked.finished}
    assert set(back) == {1, 2}  # tracklet 3 kept no look
    for number, found in back.items():
        original = originals[number]
        assert (found.camera_id, found.started, found.ended) == (
            original.camera_id,
            original.started,
            original.updated,
        )
        np.testing.assert_array_equal(found.times, original.look_times)
        np.testing.assert_array_equal(found.boxes, original.look_boxes)
        np.testing.assert_allclose(found.looks.global_, original.looks.global_, atol=1e-3)
        np.testing.assert_allclose(found.looks.stripes, original.looks.stripes, atol=1e-3)
        np.testing.assert_allclose(found.looks.quality, original.looks.quality, atol=1e-3)
        np.testing.assert_allclose(np.linalg.norm(found.looks.global_, axis=-1), 1, atol=1e-6)
        assert found.looks.global_.dtype == np.float32


def test_half_precision_moves_distances_by_less_than_a_thousandth(tmp_path: Path, run: list[TrackedFrame]) -> None:
    found = {found.tracklet: found.looks for found in read_looks(written(tmp_path / "looks.npy", run))}
    originals = {tracklet.id: tracklet.looks for tracked in run for tracklet in tracked.finished}
    exact = 1 - originals[1].global_ @ originals[2].global_.T
    rounded = 1 - found[1].global_ @ found[2].global_.T
    assert np.abs(exact - rounded).max() < 1e-3


def test_the_header_names_the_model(tmp_path: Path, run: list[TrackedFrame]) -> None:
    header = read_looks_header(written(tmp_path / "looks.npy", run))
    assert header == {
        "format": "reid_tracker looks",
        "version": 1,
        "embedder": {"name": "alignedreid_small", "sha256": "ab"},
    }


def test_plain_numpy_reads_the_file(tmp_path: Path, run: list[TrackedFrame]) -> None:
    with written(tmp_path / "looks.npy", run).open("rb") as file:
        np.load(file)
        rows = np.load(file)
    assert rows["camera"][0] == "door"
    assert rows["global"].shape == (3, 16)
    assert rows["stripes"].shape == (3, 8, 4)


@pytest.mark.parametrize("kept", [3, 60, 500])  # bytes of the last block: of its signature, its header, its vectors
def test_a_last_block_that_was_cut_off_is_left_out_and_reported(
    tmp_path: Path, run: list[TrackedFrame], kept: int, caplog: pytest.LogCaptureFixture
) -> None:
    file = written(tmp_path / "looks.npy", run)
    with file.open("rb") as blocks:
        for _ in range(2):  # the header and the first tracklet
            read_array(blocks)
        last = blocks.tell()
    file.write_bytes(file.read_bytes()[: last + kept])
    with caplog.at_level(logging.WARNING):
        assert [found.tracklet for found in read_looks(file)] == [1]
    assert f"the block at byte {last} was cut off" in caplog.text


def test_damage_in_the_middle_is_named(tmp_path: Path, run: list[TrackedFrame]) -> None:
    file = written(tmp_path / "looks.npy", run)
    with file.open("rb") as blocks:
        read_array(blocks)
        second = blocks.tell()
    content = bytearray(file.read_bytes())
    content[second : second + 4] = b"XXXX"
    file.write_bytes(content)
    with pytest.raises(InputError, match=rf"looks\.npy: damaged after byte {second}"):
        list(read_looks(file))


@pytest.mark.parametrize("content", [b"", b"text", b"\x93NUMPY"])
def test_another_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "looks.npy").write_bytes(content)
    with pytest.raises(InputError, match=r"looks\.npy: no file of looks"):
        read_looks(tmp_path)


def test_a_missing_file_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"looks\.npy: no such file; give the output folder"):
        read_looks(tmp_path)

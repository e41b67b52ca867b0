"""Video files and segments: every frame with the right number, time and picture."""

from __future__ import annotations

import logging
import struct
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
import pytest

from reid_tracker.errors import SourceError
from reid_tracker.sources import Extent, Problem, VideoSource, measure, open_source
from reid_tracker.sources.census import PacketCensus
from tests.sources.conftest import WriteVideo, number_in


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.avi", "MJPG"),  # pictures by themselves
        ("a.mp4", "mp4v"),  # predicted pictures
        ("a.webm", "VP90"),  # packets that hold more than a picture
        ("a.webm", "VP80"),  # reference pictures that are never shown
    ],
)
def test_every_frame_comes_with_its_number_and_time(
    tmp_path: Path, write_video: WriteVideo, name: str, codec: str
) -> None:
    source = open_source(write_video(tmp_path / name, range(40), 12.5, codec), camera_id="door", start_time=1000.0)

    frames = list(source)

    assert [number_in(frame) for frame in frames] == list(range(40))
    assert [frame.index for frame in frames] == list(range(40))
    assert [frame.time for frame in frames] == pytest.approx([1000 + n / 12.5 for n in range(40)], abs=1e-3)
    assert {frame.camera_id for frame in frames} == {"door"}


def test_a_source_says_what_it_is_before_it_is_read(tmp_path: Path, write_video: WriteVideo) -> None:
    source = VideoSource([write_video(tmp_path / "a.mp4", range(30), 15.0, "mp4v")], "door")

    assert (source.fps, source.frame_count, source.size) == (15.0, 30, (128, 48))
    assert (source.start_time, source.time_base) == (None, "relative")
    assert open_source(tmp_path / "a.mp4", "door", start_time=5.0).time_base == "utc"


def test_a_source_reads_again_from_the_beginning(tmp_path: Path, write_video: WriteVideo) -> None:
    source = open_source(write_video(tmp_path / "a.avi"), "door")

    reading = iter(source)
    next(reading)
    source.close()
    source.close()

    assert [frame.index for frame in source] == list(range(20))


def test_frame_times_follow_the_container_where_the_rate_varies(repository: Path) -> None:
    """Index over average rate would be off by half a second in this file."""
    frames = list(open_source(repository / "tests/data/variable_rate.mp4", "door"))

    expected = [n / 20 for n in range(10)] + [0.5 + n / 4 for n in range(6)]
    assert [frame.time for frame in frames] == pytest.approx(expected, abs=1e-3)
    assert [frame.index for frame in frames] == list(range(16))


def test_a_recording_of_variable_rate_is_whole_whatever_its_average_rate_announces(repository: Path) -> None:
    """Matroska and transport streams announce length times rate: 21 frames, where 16 are there and none is missing."""
    source = VideoSource([repository / "tests/data/variable_rate.mkv"], "door")

    assert source.frame_count == 21
    assert len(list(source)) == 16
    assert source.problems.lines() == ()


def _trimmed(recording: Path, trimmed: Path, begin: float, seconds: float) -> Path:
    """As editors trim without encoding anew: all pictures stay in the file, and its edit list says which to show."""
    data = bytearray(recording.read_bytes())
    ticks = struct.unpack_from(">I", data, data.index(b"mdhd") + 16)[0]
    edit = data.index(b"elst") + 12
    _, first = struct.unpack_from(">Ii", data, edit)
    struct.pack_into(">Ii", data, edit, round(seconds * 1000), first + round(begin * ticks))
    trimmed.write_bytes(data)
    return trimmed


def test_a_trimmed_recording_is_what_it_shows_and_nothing_of_it_is_lost(repository: Path, tmp_path: Path) -> None:
    """Packets before and after the shown part were taken for frames that did not decode, and shifted all numbers."""
    file = _trimmed(repository / "demos/clip/hall.mp4", tmp_path / "hall.mp4", 3.05, 20.0)
    source = VideoSource([file], "hall")

    frames = list(source)

    assert source.frame_count == 200
    assert [frame.index for frame in frames] == list(range(200))
    assert [frame.time for frame in frames] == pytest.approx([n / 10 for n in range(200)], abs=1e-3)
    assert source.problems.lines() == ()
    assert measure(file) == Extent(200, pytest.approx(19.9))


def test_numbers_stay_right_after_damage_inside_a_trimmed_recording(repository: Path, tmp_path: Path) -> None:
    file = _trimmed(repository / "demos/clip/hall.mp4", tmp_path / "hall.mp4", 3.05, 40.0)
    _damage(file, file)
    source = VideoSource([file], "hall")

    frames = list(source)

    lost = source.problems.counts[Problem.UNDECODABLE]
    assert lost > 0
    assert len(frames) + lost == 400
    assert [frame.index for frame in frames] == [round(frame.time * 10) for frame in frames]


def test_a_turned_recording_is_read_upright(repository: Path) -> None:
    source = open_source(repository / "tests/data/rotated.mp4", "door")
    frame = next(iter(source))
    source.close()

    assert source.size == (48, 64)
    assert frame.image.shape == (64, 48, 3)
    assert frame.image[:30].mean() < 5
    assert frame.image[-30:].mean() > 250


@pytest.mark.parametrize(
    "damaged",
    [
        (7,),
        (3, 4, 12),  # two in a row
        (19,),  # the last one
    ],
)
def test_a_frame_that_does_not_decode_leaves_its_number_unused(
    tmp_path: Path, write_video: WriteVideo, damaged: tuple[int, ...], caplog: pytest.LogCaptureFixture
) -> None:
    """A loop that ends at the first False of OpenCV would stop there; one that counts what came would shift all
    later frames against ground truth."""
    file = write_video(tmp_path / "a.avi")
    _spoil_pictures(file, damaged)
    source = VideoSource([file], "door")

    with caplog.at_level(logging.WARNING):
        frames = list(source)

    left = [number for number in range(20) if number not in damaged]
    assert [frame.index for frame in frames] == left
    assert [number_in(frame) for frame in frames] == left
    assert [frame.time for frame in frames] == pytest.approx([number / 10 for number in left])
    assert source.problems.counts == {Problem.UNDECODABLE: len(damaged)}
    assert "'door'" in caplog.text
    assert f"{len(damaged)} frame(s)" in source.problems.lines()[0]


def test_numbers_stay_right_after_damage_inside_an_h264_stream(repository: Path, tmp_path: Path) -> None:
    """H.264 shows frames in another order than it stores them; the damage runs on to the next key frame."""
    source = VideoSource([_damage(repository / "demos/clip/hall.mp4", tmp_path / "hall.mp4")], "hall")

    frames = list(source)

    lost = source.problems.counts[Problem.UNDECODABLE]
    assert lost > 0
    assert len(frames) + lost == 475
    assert frames[-1].index == 474
    assert [frame.index for frame in frames] == [round(frame.time * 10) for frame in frames]


def test_the_count_of_packets_runs_a_little_ahead_of_the_frames_and_no_further(
    tmp_path: Path, write_video: WriteVideo
) -> None:
    """A day's recording must not be read through twice before its second frame."""
    census = PacketCensus(write_video(tmp_path / "a.avi", range(200)), period=0.1)
    for number in range(120):
        assert census.lost_before(number * 100_000) == 0
        assert len(census) < 50
    assert census.lost_before(150 * 100_000) == 30
    assert census.rest() == 49
    census.close()


def test_a_recording_cut_short_runs_and_says_how_much_is_missing(tmp_path: Path, write_video: WriteVideo) -> None:
    file = write_video(tmp_path / "a.avi", range(100))
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    source = VideoSource([file], "door")

    frames = list(source)

    assert 30 < len(frames) < 60
    assert [number_in(frame) for frame in frames] == list(range(len(frames)))
    (line,) = [line for line in source.problems.lines() if "ended" in line]
    assert "a.avi ended after" in line
    assert f"{len(frames)} of the 100 frames" in line


def test_a_recording_without_a_frame_that_decodes_is_an_error_that_names_it(
    tmp_path: Path, write_video: WriteVideo
) -> None:
    """It ended as a run of 0 camera-frames that had gone well."""
    files = [write_video(tmp_path / name) for name in ("a.avi", "b.avi")]
    for file in files:
        _spoil_pictures(file, range(20))
    with pytest.raises(SourceError, match=r"a\.avi: not one frame of it can be decoded; record or copy"):
        list(VideoSource(files[:1], "door"))
    with pytest.raises(SourceError, match=r"camera 'door': not one frame of its 2 files can be decoded"):
        list(VideoSource(files, "door"))
    write_video(tmp_path / "b.avi")
    assert len(list(VideoSource(files, "door"))) == 20


def test_a_whole_recording_reports_nothing(tmp_path: Path, write_video: WriteVideo) -> None:
    source = VideoSource([write_video(tmp_path / "a.mp4", codec="mp4v")], "door")
    list(source)
    assert source.problems.lines() == ()


def test_a_stream_without_timestamps_is_read_at_its_rate(repository: Path, tmp_path: Path) -> None:
    """Elementary streams, as some recorders write them, have no clock: OpenCV says 0 for every frame."""
    packets = cv2.VideoCapture(str(repository / "demos/clip/hall.mp4"), cv2.CAP_FFMPEG, [cv2.CAP_PROP_FORMAT, -1])
    file = tmp_path / "a.h264"
    file.write_bytes(b"".join(packets.read()[1].tobytes() for _ in range(30)))
    packets.release()
    source = VideoSource([file], "door")

    frames = list(source)

    assert source.fps
    assert [frame.index for frame in frames] == list(range(30))
    assert [frame.time for frame in frames] == pytest.approx([n / source.fps for n in range(30)], abs=1e-6)
    assert source.problems.lines() == ()


class TestSegments:
    """Several files are one camera."""

    def test_without_times_in_their_names_they_follow_in_natural_order(
        self, tmp_path: Path, write_video: WriteVideo
    ) -> None:
        for part, numbers in ((10, range(20, 25)), (9, range(10, 20)), (1, range(10))):
            write_video(tmp_path / f"part{part}.avi", numbers)

        frames = list(open_source(str(tmp_path / "part*.avi"), "door", start_time=50.0))

        assert [number_in(frame) for frame in frames] == list(range(25))
        assert [frame.index for frame in frames] == list(range(25))
        assert [frame.time for frame in frames] == pytest.approx([50 + number / 10 for number in range(25)])

    def test_times_in_their_names_order_them_and_keep_the_gaps(self, tmp_path: Path, write_video: WriteVideo) -> None:
        write_video(tmp_path / "b_20260501T080000.avi", range(10))
        write_video(tmp_path / "a_20260501T080001.avi", range(10, 20))  # begins where the first ends
        write_video(tmp_path / "a_20260501T080100.avi", range(20, 30))  # a minute later: a gap

        frames = list(open_source(str(tmp_path / "*.avi"), "door", start_time=0.0))

        assert [number_in(frame) for frame in frames] == list(range(30))
        expected = [n / 10 for n in range(20)] + [60 + n / 10 for n in range(10)]
        assert [frame.time for frame in frames] == pytest.approx(expected)

    def test_times_in_their_names_are_the_start_time_where_none_is_given(
        self, tmp_path: Path, write_video: WriteVideo
    ) -> None:
        file = write_video(tmp_path / "door_2026-05-01_08-00-00.avi", range(3))

        source = VideoSource([file], "door")

        assert source.time_base == "utc"
        assert next(iter(source)).time == 1777622400.0  # 2026-05-01T08:00:00Z

    def test_times_count_only_if_all_names_have_one(self, tmp_path: Path, write_video: WriteVideo) -> None:
        write_video(tmp_path / "door_20260501T080000.avi", range(3))
        write_video(tmp_path / "door_more.avi", range(3, 6))

        frames = list(open_source(str(tmp_path / "door_*.avi"), "door"))

        assert [frame.time for frame in frames] == pytest.approx([n / 10 for n in range(6)])

    def test_seconds_in_names_are_rounded_and_make_no_gaps(self, tmp_path: Path, write_video: WriteVideo) -> None:
        """A recorder that begins a file every 2.0 s names some 1 s and some 3 s apart."""
        for second in (0, 1, 4, 5):
            write_video(tmp_path / f"d_20260501T08000{second}.avi", range(20))
        frames = list(open_source(str(tmp_path / "d_*.avi"), "door", start_time=0.0))
        assert [frame.time for frame in frames] == pytest.approx([n / 10 for n in range(80)])

    def test_names_that_overlap_are_told_and_time_never_falls(self, tmp_path: Path, write_video: WriteVideo) -> None:
        write_video(tmp_path / "d_20260501T080000.avi", range(100))
        write_video(tmp_path / "d_20260501T080005.avi", range(100, 110))
        source = VideoSource(sorted(tmp_path.glob("*.avi")), "door")

        times = [frame.time for frame in source]

        assert bool((np.diff(times) > 0).all())
        assert source.problems.counts == {Problem.OVERLAPPING_FILES: 1}

    def test_a_damaged_segment_is_left_out_and_told(self, tmp_path: Path, write_video: WriteVideo) -> None:
        """The segment that a recorder was writing when the power went."""
        write_video(tmp_path / "part1.avi", range(5))
        (tmp_path / "part2.avi").touch()
        write_video(tmp_path / "part3.avi", range(5, 10))
        source = VideoSource(sorted(tmp_path.glob("*.avi")), "door")

        assert [number_in(frame) for frame in source] == list(range(10))
        assert source.problems.counts == {Problem.UNREADABLE_FILE: 1}
        assert "part2.avi" in source.problems.lines()[0]

    def test_nothing_readable_is_an_error(self, tmp_path: Path) -> None:
        for part in range(3):
            (tmp_path / f"part{part}.mp4").touch()
        with pytest.raises(SourceError, match=r"part0\.mp4: the file is empty .*none of the 2 other files"):
            open_source(str(tmp_path / "part*.mp4"), "door")


def _pictures_of_avi(data: bytes) -> Iterable[tuple[int, int]]:
    """Begin and length of each picture: chunks '00dc' (or '00db') in the list 'movi' of a RIFF file."""
    place = data.index(b"movi") + 4
    while data[place : place + 4] in (b"00dc", b"00db"):
        (length,) = struct.unpack_from("<I", data, place + 4)
        yield place + 8, length
        place += 8 + length + length % 2


def _spoil_pictures(file: Path, numbers: Iterable[int]) -> None:
    data = bytearray(file.read_bytes())
    pictures = list(_pictures_of_avi(data))
    for number in numbers:
        begin, length = pictures[number]
        data[begin : begin + length] = b"\xff" * length
    file.write_bytes(data)


def _damage(file: Path, damaged: Path) -> Path:
    """A file with 4,000 bytes in its middle written over."""
    whole = file.read_bytes()
    middle = len(whole) // 2
    damaged.write_bytes(whole[:middle] + b"\xff" * 4000 + whole[middle + 4000 :])
    return damaged

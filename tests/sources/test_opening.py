"""What a user may write as a camera, and one clear line for what cannot be one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reid_tracker.errors import ConfigError, SourceError
from reid_tracker.sources import VideoSource, open_source
from tests.sources.conftest import WriteVideo


def _missing(folder: Path) -> str:
    return str(folder / "gone.mp4")


def _empty(folder: Path) -> str:
    (folder / "empty.mp4").touch()
    return str(folder / "empty.mp4")


def _text(folder: Path) -> str:
    (folder / "text.mp4").write_text("Dear colleague, the video is in the other folder.\nGrüße\n" * 40)
    return str(folder / "text.mp4")


def _playlist(folder: Path) -> str:
    (folder / "list.mp4").write_text("#EXTM3U\nhttp://192.0.2.1/other.ts\n")
    return str(folder / "list.mp4")


def _noise(folder: Path) -> str:
    (folder / "noise.mp4").write_bytes(bytes(range(256)) * 100)
    return str(folder / "noise.mp4")


def _without_index(folder: Path) -> str:
    """What a recorder leaves when the power goes: the pictures, and no table of where they are."""
    (folder / "cut.mp4").write_bytes(b"\0\0\0\x20ftypisom" + bytes(20) + b"\0\1\0\0mdat" + bytes(5000))
    return str(folder / "cut.mp4")


def _no_match(folder: Path) -> str:
    return f"{folder}/hall_*.mp4"


def _empty_folder(folder: Path) -> str:
    (folder / "pictures").mkdir()
    return str(folder / "pictures")


def _folder_of_videos(folder: Path) -> str:
    (folder / "a.mp4").touch()
    return str(folder)


def _no_webcam(_folder: Path) -> str:
    return "97"


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (_missing, r"gone\.mp4: no such file; check"),
        (_empty, r"empty\.mp4: the file is empty \(0 bytes\); record or copy"),
        (_text, r"text\.mp4: this is text, not video; give"),
        (_playlist, r"list\.mp4: this is text"),  # must not make FFmpeg fetch what it names
        (_noise, r"noise\.mp4: cannot be read as video .*convert it"),
        (_without_index, r"cut\.mp4: cannot be read as video .*without its index.*repair"),
        (_no_match, r"no file matches .*hall_\*\.mp4.*check the folder"),
        (_empty_folder, r"pictures holds no pictures; check"),
        (_folder_of_videos, r"holds no pictures; it holds 1 videos: give a pattern such as .*/\*\.mp4"),
        (_no_webcam, r"webcam 97 cannot be opened; check that it is plugged in"),
    ],
)
def test_what_cannot_be_read_is_said_in_one_line(tmp_path: Path, make: Callable[[Path], str], says: str) -> None:
    with pytest.raises(SourceError, match=says) as caught:
        open_source(make(tmp_path), camera_id="door")
    assert "'door'" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("make", [_missing, _noise, _without_index, _no_webcam])
def test_opencv_and_ffmpeg_add_nothing_of_their_own(tmp_path: Path, make: Callable[[Path], str]) -> None:
    """In a process of its own: FFmpeg's level is set by whoever opens the first video."""
    script = (
        "from reid_tracker.errors import SourceError\n"
        "from reid_tracker.sources import open_source\n"
        "try:\n"
        f"    open_source({make(tmp_path)!r}, 'door')\n"
        "except SourceError:\n"
        "    raise SystemExit(0)\n"
        "raise SystemExit('it opened')\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=Path(__file__).parents[2], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_named(tmp_path: Path, write_video: WriteVideo) -> None:
    file = write_video(tmp_path / "a.avi")
    file.chmod(0)
    with pytest.raises(SourceError, match=r"a\.avi: cannot be read \(Permission denied\)"):
        open_source(file, "door")


@pytest.mark.parametrize(
    ("spec", "arguments", "says"),
    [
        ("rtsp://camera/1", {}, "rtsp:// is a live stream.*reid-tracker serve --camera door=rtsp"),
        ("gopher://camera/1", {}, "gopher:// addresses cannot be read"),
        ("97", {"start_time": 5.0}, "webcam is live and takes no start time"),
        ("clip.avi", {"fps": 5.0}, "fps is for folders of pictures"),
        ("clip.avi", {"start_time": 1.78e12}, "milliseconds"),
        ("clip.avi", {"start_time": float("nan")}, "no UTC seconds"),
    ],
)
def test_arguments_that_do_not_fit_are_a_usage_error(
    tmp_path: Path, write_video: WriteVideo, spec: str, arguments: dict[str, float], says: str
) -> None:
    if spec == "clip.avi":
        spec = str(write_video(tmp_path / spec))
    with pytest.raises(ConfigError, match=says):
        open_source(spec, "door", **arguments)


def test_a_name_with_brackets_is_a_file_before_it_is_a_pattern(tmp_path: Path, write_video: WriteVideo) -> None:
    file = write_video(tmp_path / "door [1].avi")
    assert len(list(open_source(str(file), "door"))) == 20


def test_several_files_are_joined(tmp_path: Path, write_video: WriteVideo) -> None:
    files = [write_video(tmp_path / name) for name in ("b.avi", "a.avi")]
    assert [frame.index for frame in open_source(files, "door")] == list(range(40))


@pytest.mark.parametrize(
    "start",
    [1777622400.0, datetime(2026, 5, 1, 8, tzinfo=UTC), datetime(2026, 5, 1, 8)],
)
def test_a_start_time_may_be_seconds_or_a_datetime(
    tmp_path: Path, write_video: WriteVideo, start: float | datetime
) -> None:
    source = open_source(write_video(tmp_path / "a.avi"), "door", start_time=start)
    assert isinstance(source, VideoSource)
    assert source.start_time == 1777622400.0


def test_importing_and_opening_leave_the_process_as_it_was(tmp_path: Path, write_video: WriteVideo) -> None:
    """OpenCV's log level and FFmpeg's variable are put back after each opening."""
    file = write_video(tmp_path / "a.avi")
    script = (
        "import os, threading, cv2\n"
        "logging = cv2.utils.logging if hasattr(cv2.utils, 'logging') else cv2\n"  # OpenCV 5, 4
        "level, environment = logging.getLogLevel(), dict(os.environ)\n"
        "from reid_tracker.sources import open_source\n"
        f"source = open_source({str(file)!r}, 'door'); iter(source)\n"
        "assert logging.getLogLevel() == level\n"
        "assert dict(os.environ) == environment\n"
        "assert threading.active_count() == 1\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=Path(__file__).parents[2])


def test_a_name_that_is_not_utf8_is_refused_rather_than_ending_the_process(
    tmp_path: Path, write_video: WriteVideo
) -> None:
    """OpenCV crashes at such a path, whether it was given or found by a pattern."""
    named = tmp_path / os.fsdecode(b"door\xff.avi")
    write_video(tmp_path / "door.avi").rename(named)
    for spec in (named, str(tmp_path / "*.avi")):
        with pytest.raises(SourceError, match=r"door\\udcff\.avi: the name is not valid UTF-8; rename"):
            open_source(spec, "door")

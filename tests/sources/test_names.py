"""What file names tell: order and time."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from reid_tracker.sources.names import natural_key, time_in_name


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("20260501T080000", "2026-05-01T08:00:00+00:00"),
        ("hall_20260501_080000", "2026-05-01T08:00:00+00:00"),
        ("20260501080000_cam3", "2026-05-01T08:00:00+00:00"),
        ("2026-05-01_08-00-00", "2026-05-01T08:00:00+00:00"),
        ("cam 2026-05-01 08.00.00 part 2", "2026-05-01T08:00:00+00:00"),
        ("2026-05-01T08:00:00Z", "2026-05-01T08:00:00+00:00"),
        ("2026-05-01T08:00:00+0200", "2026-05-01T06:00:00+00:00"),
        ("2026-05-01_08-00-00.250", "2026-05-01T08:00:00.250000+00:00"),
        ("ch01_20260501080000_20260501081500", "2026-05-01T08:00:00+00:00"),  # begin and end: the begin counts
    ],
)
def test_times_that_recorders_write_are_read(name: str, expected: str) -> None:
    assert time_in_name(Path("/videos/") / f"{name}.mp4") == datetime.fromisoformat(expected).timestamp()


@pytest.mark.parametrize(
    "name",
    [
        "hall",
        "hall_0001",
        "20260501",  # a date alone orders days, not segments
        "20269950T080000",  # no such day
        "120260501080000",  # digits of a longer number
        "20260501T256199",  # no such time
    ],
)
def test_other_names_tell_no_time(name: str) -> None:
    assert time_in_name(Path(f"{name}.mp4")) is None


def test_the_folder_s_name_tells_no_time() -> None:
    """A date folder would give all its segments one time."""
    assert time_in_name(Path("2026-05-01_08-00-00/part1.mp4")) is None


def test_natural_order_counts() -> None:
    names = ["part10.mp4", "part9.mp4", "b/part1.mp4", "a/part2.mp4", "part1.mp4"]
    ordered = [str(path) for path in sorted(map(Path, names), key=natural_key)]
    assert ordered == ["a/part2.mp4", "b/part1.mp4", "part1.mp4", "part9.mp4", "part10.mp4"]


def test_signs_that_look_like_digits_are_none() -> None:
    """A folder with such a picture could not be opened."""
    assert natural_key(Path("5\u00b25.jpg")) < natural_key(Path("6.jpg"))

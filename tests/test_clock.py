"""Cameras whose clocks are wrong, jump or run back, and the one time line that the site gets all the same."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from reid_tracker.clock import SiteClock
from reid_tracker.types import Frame

TODAY = 1_790_000_000.0  # some day in 2026
IMAGE = np.zeros((4, 4, 3), np.uint8)


def times(clock: SiteClock, moments: list[dict[str, float]]) -> dict[str, list[float]]:
    """What the clock makes of what each camera says, a moment at a time."""
    told: dict[str, list[float]] = {}
    for index, moment in enumerate(moments):
        for frame in clock([Frame(camera, index, time, IMAGE) for camera, time in moment.items()]):
            told.setdefault(frame.camera_id, []).append(frame.time)
    return told


def test_clocks_that_are_about_right_are_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    """Skew of a minute, a pause of a week in all cameras: as the cameras say it, and no word."""
    said = [{"a": TODAY + t, "b": TODAY + t - 60} for t in (0.0, 0.5, 1.0, 7 * 86400.0)]
    told = times(SiteClock(utc=lambda: TODAY + 8 * 86400), said)
    assert told == {camera: [moment[camera] for moment in said] for camera in "ab"}
    assert not caplog.records


def test_a_recording_without_a_clock_counts_from_nought() -> None:
    """All cameras begin at 0 together."""
    said = [{"a": t, "b": t} for t in (0.0, 0.5, 1.0)]
    assert times(SiteClock(), said) == {"a": [0.0, 0.5, 1.0], "b": [0.0, 0.5, 1.0]}


def test_a_camera_that_starts_in_1970_joins_the_others_and_is_believed_once_it_is_set(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It gets the site's time; when it is set right its own time counts again. Both are told once."""
    clock = SiteClock()
    with caplog.at_level(logging.WARNING, "reid_tracker.clock"):
        told = times(clock, [{"a": TODAY + t, "b": 12 + t} for t in (0.0, 1.0, 2.0)])
        assert told["b"] == [TODAY, TODAY + 1, TODAY + 2]
        assert clock.offsets == {"b": TODAY - 12}
        told = times(clock, [{"a": TODAY + t, "b": TODAY + t - 0.25} for t in (3.0, 4.0)])
    assert told["b"] == [TODAY + 2.75, TODAY + 3.75]
    assert not clock.offsets
    assert [record.getMessage().split(":")[0] for record in caplog.records] == ["camera b, frame 0"] * 2


@pytest.mark.parametrize("first", [{"a": 5.0}, {"a": 5.0, "b": TODAY - 1}])
def test_a_site_that_starts_in_1970_has_the_time_as_soon_as_one_camera_knows_it(first: dict[str, float]) -> None:
    """The one that was first stayed right for ever, and all who knew the time were set to 1970."""
    told = times(SiteClock(), [first, {"a": 6.0, "b": TODAY}, {"a": 7.0, "b": TODAY + 1}, {"a": TODAY + 2}])
    assert told["a"][-3:] == [TODAY, TODAY + 1, TODAY + 2]
    assert told["b"][-2:] == [TODAY, TODAY + 1]


@pytest.mark.parametrize("ahead", [5 * 3600.0, 90_000.0])
def test_a_camera_that_is_hours_ahead_gets_the_time_of_the_others(
    ahead: float, caplog: pytest.LogCaptureFixture
) -> None:
    """Everybody else was set to its time, and with a day of memory nobody out of view was known any more."""
    said = [{"a": TODAY}, {"b": TODAY + ahead}, {"a": TODAY + 2, "b": TODAY + ahead + 2}, {"a": TODAY + 3}]
    with caplog.at_level(logging.WARNING, "reid_tracker.clock"):
        told = times(SiteClock(utc=lambda: TODAY + 5), [*said, {"b": TODAY + 4}])
    assert told["a"] == [TODAY, TODAY + 2, TODAY + 3]
    assert told["b"] == [TODAY, TODAY + 2, TODAY + 4]  # its clock was set at last
    said_of = [record.getMessage().split(":")[0] for record in caplog.records]
    assert said_of == ["camera b, frame 1", "camera b, frame 4"]


def test_a_recording_that_goes_on_later_is_believed() -> None:
    """One camera in the morning, the other one in the afternoon; neither is ahead of today."""
    said = [{"a": TODAY}, {"b": TODAY + 18_000}, {"b": TODAY + 18_001}]
    told = times(SiteClock(utc=lambda: TODAY + 90_000), said)
    assert told == {"a": [TODAY], "b": [TODAY + 18_000, TODAY + 18_001]}


@pytest.mark.parametrize("back", [0.3, 20.0])
def test_time_that_runs_back_a_little_stands_still_until_it_has_caught_up(back: float) -> None:
    """As after a correction over the network: no frame lies before the one that came before it."""
    told = times(SiteClock(), [{"a": TODAY + t} for t in (0.0, 1.0, 1.0 - back, 1.0 + back, 2.0 + back)])["a"]
    assert told == [TODAY, TODAY + 1, TODAY + 1, TODAY + 1 + back, TODAY + 2 + back]


def test_a_jump_back_by_hours_continues_where_time_was() -> None:
    """Summer time ends in a camera that is on local time; the other one knows what the time is."""
    hour = 7200.0
    told = times(SiteClock(), [{"a": TODAY + t, "b": TODAY + t - (hour if t > 1 else 0)} for t in (0.0, 1.0, 2.0, 3.0)])
    assert told["b"] == [TODAY, TODAY + 1, TODAY + 2, TODAY + 3]

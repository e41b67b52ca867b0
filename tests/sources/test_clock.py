"""Cameras that advance together: what belongs to one moment, and what happens at its edges."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reid_tracker.errors import ConfigError, SourceError
from reid_tracker.sources import Problem, Problems, common_time_base, moments, open_source
from reid_tracker.types import Frame
from tests.sources.conftest import WriteVideo

_PICTURE = np.zeros((2, 2, 3), np.uint8)


class ScriptedCamera:
    """Gives frames at the times it is told, and does what it is told before each."""

    def __init__(
        self,
        camera_id: str,
        times: Sequence[float],
        fps: float | None = None,
        before: Callable[[int], object] = lambda _index: None,
        **facts: object,
    ) -> None:
        self.camera_id, self.fps = camera_id, fps
        self.live = bool(facts.get("live", False))
        self.time_base = str(facts.get("time_base", "utc"))
        self.start_time = facts.get("start_time")
        self.start_from_name = bool(facts.get("start_from_name", False))
        self.problems = Problems(camera_id)
        self.read = self.closed = 0
        self._times, self._before = times, before

    def __iter__(self) -> Iterator[Frame]:
        for index, moment in enumerate(self._times):
            self._before(index)
            self.read += 1
            yield Frame(self.camera_id, index, moment, _PICTURE)

    def close(self) -> None:
        self.closed += 1


def _at_rate(camera_id: str, fps: float, seconds: float, start: float = 0.0) -> ScriptedCamera:
    return ScriptedCamera(camera_id, [start + n / fps for n in range(round(seconds * fps))], fps)


def _together(cameras: Sequence[ScriptedCamera]) -> list[list[tuple[str, int]]]:
    return [[(frame.camera_id, frame.index) for frame in moment] for moment in moments(cameras)]


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    before = threading.active_count()
    yield
    assert threading.active_count() == before


def test_cameras_of_one_rate_and_start_come_in_pairs() -> None:
    expected = [[("a", n), ("b", n)] for n in range(50)]
    assert _together([_at_rate("a", 25, 2), _at_rate("b", 25, 2)]) == expected


def test_a_slower_camera_joins_at_its_own_times() -> None:
    found = _together([_at_rate("slow", 5, 1), _at_rate("fast", 10, 1)])
    assert found == [moment for n in range(5) for moment in ([("slow", n), ("fast", 2 * n)], [("fast", 2 * n + 1)])]


def test_cameras_out_of_step_are_paired_within_half_a_period() -> None:
    found = _together([_at_rate("a", 10, 1), _at_rate("b", 10, 1, start=0.03)])
    assert found == [[("a", n), ("b", n)] for n in range(10)]


def test_cameras_half_a_period_apart_are_never_paired_by_rounding() -> None:
    """At UTC times of today a float's steps are 0.2 microseconds."""
    start = 1777622400.0
    found = _together([_at_rate("a", 10, 20, start), _at_rate("b", 10, 20, start + 0.05)])
    assert found == [[(camera, n)] for n in range(200) for camera in "ab"]


def test_one_that_starts_later_or_ends_earlier_holds_nobody_up() -> None:
    found = _together([_at_rate("long", 10, 3), _at_rate("middle", 10, 1, start=1.0)])
    assert found[:10] == [[("long", n)] for n in range(10)]
    assert found[10:20] == [[("long", n), ("middle", n - 10)] for n in range(10, 20)]
    assert found[20:] == [[("long", n)] for n in range(20, 30)]


def test_no_cameras_give_no_moments() -> None:
    assert list(moments([])) == []
    assert list(moments([ScriptedCamera("a", [])])) == []


_gaps = st.lists(st.floats(0.001, 1.0), max_size=30)


# Threads on a busy machine take what time they take.
@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(_gaps, st.floats(0.0, 5.0), st.sampled_from([5.0, 25.0, 30.0, None])), max_size=4))
def test_whatever_the_times_nothing_is_lost_doubled_or_out_of_order(
    described: list[tuple[list[float], float, float | None]],
) -> None:
    cameras = [
        ScriptedCamera(str(number), [start + passed for passed in itertools.accumulate(gaps)], fps)
        for number, (gaps, start, fps) in enumerate(described)
    ]
    found = list(moments(cameras))

    half_period = 0.5 / max((camera.fps or 25.0 for camera in cameras), default=25.0)
    for camera in cameras:
        indices = [frame.index for moment in found for frame in moment if frame.camera_id == camera.camera_id]
        assert indices == list(range(camera.read))
    latest = float("-inf")
    for moment in found:
        times = [frame.time for frame in moment]
        assert len({frame.camera_id for frame in moment}) == len(moment) > 0
        assert max(times) - min(times) < half_period
        assert min(times) > latest - half_period
        latest = max(latest, *times)


def test_the_same_recordings_give_the_same_moments_however_fast_they_decode(
    tmp_path: Path, write_video: WriteVideo
) -> None:
    files = [write_video(tmp_path / "a.avi", range(60), 25.0), write_video(tmp_path / "b.mp4", range(60), 12.5, "mp4v")]

    def read(pause: float) -> list[list[tuple[str, int, float]]]:
        cameras = [open_source(file, camera_id=file.stem) for file in files]
        found = []
        for moment in moments(cameras):
            time.sleep(pause)
            found.append([(frame.camera_id, frame.index, frame.time) for frame in moment])
        return found

    assert read(0.0) == read(0.003)


class TestTimeBase:
    """Times of all cameras are UTC, or all begin together."""

    stated = ScriptedCamera("stated", [100.0, 101.0], start_time=100.0)
    named = ScriptedCamera("named", [500.0, 501.0], start_time=500.0, start_from_name=True)
    none = ScriptedCamera("none", [0.0, 1.0], time_base="relative")
    live = ScriptedCamera("live", [900.0], live=True)

    @pytest.mark.parametrize(
        ("cameras", "expected"),
        [
            ([stated, named, live], "utc"),
            ([none], "relative"),
            ([none, named], "relative"),
            ([], "utc"),
        ],
    )
    def test_it_follows_from_the_start_times(self, cameras: list[ScriptedCamera], expected: str) -> None:
        assert common_time_base(cameras) == expected

    @pytest.mark.parametrize("other", [stated, live])
    def test_some_with_and_some_without_is_a_usage_error(self, other: ScriptedCamera) -> None:
        with pytest.raises(ConfigError, match=f"'none' has no start time, but camera '{other.camera_id}'.* or none"):
            moments([other, self.none])

    def test_times_from_names_give_way_where_another_camera_has_none(self) -> None:
        found = [[(frame.camera_id, frame.time) for frame in moment] for moment in moments([self.named, self.none])]
        assert found == [[("named", 0.0), ("none", 0.0)], [("named", 1.0), ("none", 1.0)]]


def test_two_cameras_of_one_name_are_a_usage_error() -> None:
    with pytest.raises(ConfigError, match="two cameras are called 'a'"):
        moments([ScriptedCamera("a", []), ScriptedCamera("a", [])])


class TestReadingAhead:
    """The threads behind moments."""

    def test_a_recording_is_read_a_little_ahead_and_no_further(self) -> None:
        camera = _at_rate("a", 25, 40)
        running = moments([camera])
        next(running)
        time.sleep(0.05)
        assert 2 <= camera.read <= 10
        running.close()  # type: ignore[attr-defined]  # a generator
        assert camera.closed == 1

    def test_cameras_are_closed_at_the_end(self) -> None:
        cameras = [_at_rate("a", 25, 1), _at_rate("b", 25, 2)]
        assert len(list(moments(cameras))) == 50
        assert [camera.closed for camera in cameras] == [1, 1]

    def test_an_error_while_reading_reaches_the_consumer_after_the_frames_before_it(self) -> None:
        def fail(index: int) -> None:
            if index == 3:
                raise SourceError("the disk went away")

        cameras = [ScriptedCamera("a", [0.0, 1.0, 2.0, 3.0, 4.0], before=fail), _at_rate("b", 1, 100)]
        running = moments(cameras)
        found = [frame.index for moment in itertools.islice(running, 3) for frame in moment if frame.camera_id == "a"]
        with pytest.raises(SourceError, match="the disk went away"):
            list(running)
        assert found == [0, 1, 2]
        assert [camera.closed for camera in cameras] == [1, 1]

    def test_a_consumer_that_fails_leaves_no_thread(self) -> None:
        camera = _at_rate("a", 25, 40)

        def consume() -> None:
            for _moment in moments([camera]):
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            consume()
        assert camera.closed == 1


class TestLive:
    """Cameras that do not wait."""

    def test_a_slow_consumer_costs_a_live_camera_frames_and_they_are_counted(self) -> None:
        done = threading.Event()
        camera = ScriptedCamera("a", [float(n) for n in range(50)], live=True, before=lambda _n: time.sleep(0.001))
        found = []
        for moment in moments([camera]):
            found.append(moment[0].index)
            done.wait(0.02)

        assert found == sorted(found)
        assert found[-1] == 49
        assert camera.problems.counts[Problem.DROPPED] == 50 - len(found) > 0

    def test_a_live_camera_that_stalls_holds_nobody_up(self) -> None:
        released = threading.Event()
        stalled = ScriptedCamera("stalled", [0.0], fps=30.0, live=True, before=lambda _n: released.wait(10))
        going = ScriptedCamera(
            "going", [n / 30 for n in range(5)], fps=30.0, live=True, before=lambda _n: time.sleep(0.01)
        )
        running = moments([stalled, going])

        seen = [[frame.camera_id for frame in moment] for moment in itertools.islice(running, 5)]

        assert seen == [["going"]] * 5
        released.set()
        assert [[frame.camera_id for frame in moment] for moment in running] == [["stalled"]]

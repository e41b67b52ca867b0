"""The reader's decisions, with a scripted stream and a clock that only moves when told to."""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import pytest

from reid_tracker.config import LiveConfig
from reid_tracker.live import CameraReader, CameraState, CaptureError, Fault, Loss, Picture, Reading
from reid_tracker.live.reader import _Life
from reid_tracker.live.timing import Backoff, CaptureClock, CaptureTime, DelayGauge
from reid_tracker.live.watch import PictureWatch

START = 1_700_000_000.0


class FakeClock:
    """Time that passes by waiting."""

    def __init__(self) -> None:
        self.now = 0.0
        self.waits: list[float] = []

    def utc(self) -> float:
        return START + self.now

    def monotonic(self) -> float:
        return self.now

    def wait(self, event: threading.Event, seconds: float) -> bool:
        self.waits.append(seconds)
        self.now += seconds
        return event.is_set()


def picture(media: float | None, fingerprint: int = 0, producer: float | None = None) -> Picture:
    image = np.zeros((4, 6, 3), np.uint8)
    return Picture(media, producer, (6, 4), fingerprint, lambda: image)


@dataclass
class Script:
    """Connections to hand out: each a list of steps (seconds that pass, what a read then gives or raises)."""

    clock: FakeClock
    connections: list[list[tuple[float, Reading | Exception]] | Exception]
    life: _Life = field(default_factory=_Life)
    recording: bool = False
    closed: int = 0
    opened_at: list[float] = field(default_factory=list)

    def __call__(self) -> ScriptedCapture:
        self.opened_at.append(self.clock.now)
        if not self.connections:
            self.life.alive = False
            raise CaptureError(Fault.ENDED, "the script is over")
        connection = self.connections.pop(0)
        if isinstance(connection, Exception):
            raise connection
        return ScriptedCapture(self, iter(connection))


class ScriptedCapture:
    codec = "fake"
    decoder = "cpu"
    fps = 10.0

    def __init__(self, script: Script, steps: Iterator[tuple[float, Reading | Exception]]) -> None:
        self._script, self._steps = script, steps
        self.recording = script.recording

    def read(self) -> Reading:
        step = next(self._steps, None)
        if step is None:
            raise CaptureError(Fault.ENDED, "the server closed")
        seconds, result = step
        self._script.clock.now += seconds
        if isinstance(result, Exception):
            raise result
        return result

    def close(self) -> None:
        self._script.closed += 1


def run(
    *connections: list[tuple[float, Reading | Exception]] | Exception, recording: bool = False, **settings: float
) -> tuple[CameraReader, Script]:
    """Let a reader read the script to its end."""
    clock = FakeClock()
    script = Script(clock, list(connections), recording=recording)
    reader = CameraReader("gate", script, LiveConfig(**settings), clock=clock, source=random.Random(0))
    reader.run(script.life)
    return reader, script


def pictures(count: int, every: float = 0.1, **more: object) -> list[tuple[float, Reading | Exception]]:
    return [(every, Reading((picture(number * every, fingerprint=number, **more),))) for number in range(count)]


def test_the_newest_picture_is_kept_and_the_others_counted() -> None:
    reader, _ = run(pictures(5))
    frame = reader.take()
    assert frame is not None
    assert (frame.camera_id, frame.index) == ("gate", 4)
    assert reader.take() is None
    report = reader.health.report()
    assert report.lost == {Loss.DROPPED: 4}
    assert (report.received, report.processed, report.size) == (5, 1, (6, 4))


def test_a_picture_is_due_an_interval_after_the_last_one() -> None:
    reader, script = run(pictures(30))
    assert not reader.due_within(0.03)  # the stream has ended
    reader.health.enter(CameraState.LIVE, START)
    script.clock.now = 3.0  # when the last one came
    due = {}
    for after in (0.0, 0.05, 0.08, 0.12, 0.15, 9.0):
        script.clock.now = 3.0 + after
        due[after] = reader.due_within(0.03)
    assert due == {0.0: False, 0.05: False, 0.08: True, 0.12: True, 0.15: False, 9.0: False}


def test_a_stream_that_ends_without_a_word_is_opened_again() -> None:
    """A killed server ends FFmpeg's packet loop without an exception: readers that waited for one froze for ever."""
    reader, script = run(pictures(3), pictures(3))
    report = reader.health.report()
    assert (report.received, report.reconnects, report.faults[Fault.ENDED]) == (6, 1, 2)
    assert script.closed == 2


@pytest.mark.parametrize(
    "error",
    [CaptureError(Fault.REFUSED, "refused"), CaptureError(Fault.TIMED_OUT, "silent"), RuntimeError("library bug")],
)
def test_every_failure_is_survived_and_counted(error: Exception) -> None:
    reader, script = run(error, error, pictures(2))
    report = reader.health.report()
    assert report.received == 2
    assert sum(report.faults.values()) == 3
    assert script.opened_at == sorted(script.opened_at)


def test_waits_grow_to_their_limit_and_are_never_equal() -> None:
    _, script = run(*[CaptureError(Fault.REFUSED, "refused")] * 12, first_wait=0.25, most_wait=2.0)
    assert all(0.05 <= wait <= 2.0 for wait in script.clock.waits)
    assert min(script.clock.waits[4:]) >= 1.0
    assert len(set(script.clock.waits)) == len(script.clock.waits)


def test_a_wrong_password_is_tried_again_only_after_minutes() -> None:
    reader, script = run(CaptureError(Fault.WRONG_PASSWORD, "401"), pictures(1), password_seconds=300)
    assert script.clock.waits[0] == 300
    assert reader.health.report().faults[Fault.WRONG_PASSWORD] == 1


def test_the_same_picture_for_long_is_a_frozen_camera() -> None:
    still = [(0.1, Reading((picture(number * 0.1, fingerprint=7),))) for number in range(100)]
    reader, script = run(still, still, frozen_seconds=3)
    assert reader.health.report().faults[Fault.FROZEN] == 2
    # the second time it is given twice as long: it may be a picture that truly does not change
    assert 2.9 < script.opened_at[1] < 4.5
    assert 5.9 < script.opened_at[2] - script.opened_at[1] < 8.5


def test_reads_that_succeed_and_bring_nothing_new_are_noticed() -> None:
    stale = [(0.1, Reading((picture(5.0, fingerprint=number),))) for number in range(200)]
    reader, script = run(stale, stall_seconds=4)
    assert reader.health.report().faults[Fault.STALE] == 1
    assert reader.health.report().received == 1
    assert reader.health.report().lost == {Loss.REPEATED: 40}
    assert script.opened_at[1] < 7


def test_garbage_is_counted_and_given_up() -> None:
    reader, _ = run([(0.1, Reading(undecodable=1))] * 100, stall_seconds=4)
    report = reader.health.report()
    assert report.faults[Fault.STALE] == 1
    assert 40 <= report.lost[Loss.UNDECODABLE] <= 43


def test_a_backlog_is_left_out_as_late() -> None:
    """A server that was frozen sends all that it has at once: only what is recent counts."""
    backlog = [(3.0, Reading((picture(1.0, 50),)))] + [
        (0.001, Reading((picture(1.0 + number * 0.1, 50 + number),))) for number in range(1, 30)
    ]
    reader, _ = run(pictures(10) + backlog)
    report = reader.health.report()
    assert 20 <= report.lost[Loss.LATE] <= 27
    assert report.faults.get(Fault.BEHIND, 0) == 0


def test_a_stream_whose_clock_runs_slow_is_read_all_the_same() -> None:
    slow = [(0.1, Reading((picture(number * 0.05, number),))) for number in range(400)]
    reader, _ = run(slow, slow, slow, slow)
    report = reader.health.report()
    assert report.faults[Fault.BEHIND] == 3
    assert report.received > 400  # the fourth time its clock is no longer believed


def test_lateness_is_judged_again_after_a_good_minute() -> None:
    """Three congested half minutes switched it off for as long as the program ran."""
    watch, clock = PictureWatch(LiveConfig()), FakeClock()

    def behind(seconds: float, delay: Callable[[float], float]) -> tuple[int, int]:
        """How many of the pictures that take ever that long were late, and how often the stream was given up."""
        began, late, given_up = clock.now, 0, 0
        while clock.now < began + seconds:
            clock.now += 0.1
            try:
                late += watch.is_late(picture(clock.now - delay(clock.now - began)), clock.now)
            except CaptureError:
                given_up += 1
                watch.opened(clock.now)
        return late, given_up

    for _ in range(3):
        assert behind(20, lambda _: 0.0) == (0, 0)
        assert behind(8, lambda passed: 0.3 * passed)[1] == 1
    late, given_up = behind(120, lambda passed: 0.3 * passed)
    assert (late, given_up) == (0, 0)  # it is the stream's clock, it seems
    behind(300, lambda _: 0.0)
    assert behind(8, lambda passed: 0.3 * passed)[1] == 1


def test_an_impossible_time_gives_way_to_that_of_arrival_and_is_told() -> None:
    reader, _ = run(pictures(3, producer=START + 9000))
    frame = reader.take()
    assert frame is not None
    assert abs(frame.time - START) < 5
    report = reader.health.report()
    assert (report.lost[Loss.IMPLAUSIBLE_TIME], report.clock) == (3, "arrival")


def test_the_cameras_own_time_is_used_where_it_can_be() -> None:
    reader, _ = run(pictures(1, producer=START - 0.2))
    frame = reader.take()
    assert frame is not None
    assert frame.time == pytest.approx(START - 0.2)
    assert reader.health.report().clock == "camera"


def test_a_picture_that_does_not_convert_is_lost_and_nothing_else() -> None:
    def broken() -> np.ndarray:
        raise RuntimeError("swscale")

    reader, _ = run([(0.1, Reading((Picture(0.0, None, (6, 4), 1, broken),)))])
    assert reader.take() is None
    assert reader.health.report().lost == {Loss.UNDECODABLE: 1}


def test_a_picture_that_waits_when_the_camera_is_paused_is_counted_as_dropped() -> None:
    clock = FakeClock()
    script = Script(clock, [pictures(3)])
    reader = CameraReader("gate", script, LiveConfig(), clock=clock)
    wait = clock.wait

    def pause_and_resume(event: threading.Event, seconds: float) -> bool:
        (reader.resume if reader.paused else reader.pause)()
        return wait(event, seconds)

    clock.wait = pause_and_resume  # type: ignore[method-assign]
    reader.run(script.life)
    report = reader.health.report()
    assert (report.received, report.processed, report.lost) == (3, 0, {Loss.DROPPED: 3})


def test_a_recording_ends_for_good_or_begins_again() -> None:
    clock = FakeClock()
    script = Script(clock, [pictures(3), pictures(3)], recording=True)
    once = CameraReader("gate", script, LiveConfig(), clock=clock)
    once.run(script.life)
    assert (once.health.report().state, once.health.report().received) == (CameraState.ENDED, 3)
    again = CameraReader("gate", script, LiveConfig(repeat=True), clock=clock)
    again.run(script.life)
    assert again.health.report().received == 3


def test_a_recording_may_be_still_late_and_full_of_gaps() -> None:
    """A still passage, a gap between two files or a slow disk began it again from its first picture, for ever."""
    still = [(0.1, Reading((picture(number * 0.1, fingerprint=7),))) for number in range(600)]
    gap = [(0.2, Reading())] * 100
    late = [(0.5, Reading((picture(90 + number * 0.1, number),))) for number in range(50)]
    reader, script = run(still + gap + late, recording=True, frozen_seconds=3, stall_seconds=4)
    report = reader.health.report()
    assert (report.state, report.received, len(script.opened_at)) == (CameraState.ENDED, 650, 1)
    assert (report.faults, report.lost) == ({}, {Loss.DROPPED: 649})


@pytest.mark.slow
def test_a_read_that_never_comes_back_is_given_up() -> None:
    """The library holds the thread: another one takes over, and what the first brings later is ignored."""
    release, entered = threading.Event(), threading.Event()

    class Stuck:
        codec, decoder, fps, recording = "fake", "cpu", None, False

        def read(self) -> Reading:
            entered.set()
            release.wait(10)
            return Reading((picture(0.0),))

        def close(self) -> None:
            pass

    opened = []

    def opener() -> Stuck:
        opened.append(1)
        return Stuck()

    clock = FakeClock()
    reader = CameraReader("gate", opener, LiveConfig(stall_seconds=4), clock=clock)
    reader.start()
    assert entered.wait(5)
    reader.check()
    assert len(opened) == 1  # not yet
    entered.clear()
    clock.now += 6
    reader.check()
    assert entered.wait(5)
    assert len(opened) == 2
    assert reader.health.report().faults[Fault.STALLED] == 1
    reader.close()
    release.set()
    assert reader.health.report().received == 0


def test_a_camera_whose_connections_all_hang_says_so_and_comes_back_when_one_ends(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """After three threads that hung, the fourth was left alone: the camera said "live" for ever, without a picture."""
    releases: list[threading.Event] = []
    hanging = threading.Semaphore(0)

    class Hangs:
        codec, decoder, fps, recording = "fake", "cpu", None, False

        def __init__(self) -> None:
            self._reads = 0
            self._release = threading.Event()
            releases.append(self._release)

        def read(self) -> Reading:
            self._reads += 1
            if self._reads > 1:
                hanging.release()
                self._release.wait(60)
            return Reading((picture(clock.now, len(releases)),))

        def close(self) -> None:
            pass

    clock = FakeClock()
    reader = CameraReader("gate", Hangs, LiveConfig(), clock=clock)
    reader.start()
    for _ in range(4):
        assert hanging.acquire(timeout=20)
        clock.now += 10
        reader.check()
    report = reader.health.report()
    assert (report.state, report.faults, len(releases)) == (CameraState.WAITING, {Fault.STALLED: 4}, 4)
    assert "4 connections hang" in report.message
    assert [record.levelname for record in caplog.records if "hang" in record.message] == ["ERROR"]
    reader.check()
    assert len(releases) == 4
    releases[1].set()
    ends = time.monotonic() + 20
    while not hanging.acquire(timeout=0.05):
        assert time.monotonic() < ends
        reader.check()
    report = reader.health.report()
    assert (report.state, report.message, len(releases)) == (CameraState.LIVE, "", 5)
    for release in releases:
        release.set()
    reader.close()


def test_times_never_fall() -> None:
    clock = CaptureClock(most_error=5)
    times = [clock(given, START + 1).time for given in (None, START + 0.5, START + 0.6, None, START + 3)]
    assert times == sorted(times)
    assert len(set(times)) == len(times)


def steps_of(*stretches: tuple[float, float, float | None]) -> list[np.ndarray]:
    """Seconds from picture to picture in stretches of (begin, end, how far the camera's clock is ahead if it tells)."""
    clock, found = CaptureClock(most_error=5), []
    for begin, end, ahead in stretches:
        arrivals = START + np.arange(begin, end, 0.1)
        told = [None if ahead is None else arrival + ahead for arrival in arrivals]
        found.append(np.array([clock(each, arrival).time for each, arrival in zip(told, arrivals, strict=True)]))
    return [np.diff(found[0]), *(np.diff([*before[-1:], *times]) for before, times in itertools.pairwise(found))]


def test_a_camera_whose_clock_is_ahead_keeps_its_time_over_a_reconnection() -> None:
    """Until it told its time again, its pictures stood 1 ms apart: tracks ran a hundred times as fast as people."""
    before, untold, after = steps_of((0, 3, 3.0), (3, 5, None), (5, 7, 3.0))
    for steps in (before, untold, after):
        assert steps == pytest.approx(0.1, abs=1e-3)


def test_times_slow_down_for_a_clock_that_steps_back_a_little() -> None:
    """A camera that is behind, before it has told its time: pictures come on at half pace, not all at one moment."""
    untold, behind = steps_of((0, 3, None), (3, 13, -2.0))
    set_back = steps_of((30, 33, None), (0, 30, None))[1]
    assert (set_back.min(), set_back.max()) == pytest.approx((1e-3, 0.05), abs=1e-3)
    assert untold == pytest.approx(0.1, abs=1e-3)
    assert behind.min() == pytest.approx(0.05, abs=1e-3)
    assert behind[45:] == pytest.approx(0.1, abs=1e-3)


def test_times_begin_anew_where_the_machines_clock_is_set_back_an_hour() -> None:
    """For that hour, all pictures of a camera stood 1 ms apart."""
    _, after = steps_of((3600, 3603, None), (0, 3, None))
    assert after[0] < -3600
    assert after[1:] == pytest.approx(0.1, abs=1e-3)


def test_a_clock_that_became_impossible_is_not_carried_over() -> None:
    clock = CaptureClock(most_error=5)
    assert clock(START + 3, START).from_camera
    assert clock(None, START + 1).time == START + 4
    assert clock(START + 900, START + 5).implausible
    assert clock(None, START + 6) == CaptureTime(START + 6, from_camera=False)


def test_a_hiccup_of_the_network_changes_no_time_that_the_camera_tells() -> None:
    clock, told = CaptureClock(most_error=5), START + np.arange(0, 3, 0.1)
    arrivals = told + np.where((told > START + 1) & (told < START + 1.6), START + 1.6 - told, 0.0)
    assert [clock(each, arrival).time for each, arrival in zip(told, arrivals, strict=True)] == list(told)


def test_a_drifting_clock_is_not_lateness() -> None:
    """50 millionths, an ordinary quartz: four seconds a day."""
    gauge = DelayGauge()
    assert max(gauge(now * (1 - 50e-6), now) for now in np.arange(0, 86_400, 0.5)) < 0.05


def test_backoff_is_bounded_by_its_limit_and_begins_again() -> None:
    backoff = Backoff(0.25, 2.0, random.Random(1))
    waits = [backoff() for _ in range(20)]
    assert waits[0] <= 0.25
    assert max(waits) <= 2.0
    backoff.reset()
    assert backoff() <= 0.25

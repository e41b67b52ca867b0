"""Live cameras against real RTSP servers: whatever happens to them, the pictures come back by themselves."""

from __future__ import annotations

import logging
import socket
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from reid_tracker.config import LiveConfig
from reid_tracker.live import CameraState, Fault, LiveCameras, Loss
from tests.live.conftest import seconds_until_frame
from tests.live.servers import (
    FPS,
    PlainServer,
    ServerProcess,
    again,
    ball,
    file_server,
    free_port,
    gst_server,
    jpegs,
    raw_h264,
    write_clip,
)

KEY_FRAME_SECONDS = 1.0
RECOVERY_SECONDS = 5.0 + KEY_FRAME_SECONDS  # from the server's return

Cameras = Callable[..., LiveCameras]


@contextmanager
def served(server: ServerProcess) -> Iterator[ServerProcess]:
    try:
        yield server
    finally:
        server.kill()


@pytest.fixture
def server(clips: Path) -> Iterator[ServerProcess]:
    with served(file_server(clips)) as running:
        yield running


def address(server: ServerProcess, name: str = "ball.mp4") -> str:
    return f"rtsp://127.0.0.1:{server.port}/{name}?play_count=0"


def wait_for(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return condition()


def test_pictures_carry_the_cameras_own_time(server: ServerProcess, cameras: Cameras) -> None:
    live = cameras(gate=address(server))
    seconds_until_frame(live, "gate", 10)
    seconds_until_frame(live, "gate", 5)
    frames = live.next_moment(2)
    assert frames
    assert frames[0].image.shape == (360, 640, 3)
    report = live.report()["gate"]
    assert (report.state, report.clock, report.codec) == (CameraState.LIVE, "camera", "h264")
    assert abs(frames[0].time - time.time()) < 1.0


@pytest.mark.slow
def test_tcp_is_the_default_and_udp_a_choice(server: ServerProcess, cameras: Cameras) -> None:
    """One server speaks TCP alone (every test here takes pictures from it by default), the other one both."""
    by_udp = LiveConfig(transport="udp", open_seconds=2)
    refused = cameras(by_udp, gate=address(server))
    assert wait_for(lambda: sum(refused.report()["gate"].faults.values()) >= 1, 15)
    assert refused.report()["gate"].received == 0
    with served(gst_server(ball(640, 360))) as both:
        live = cameras(by_udp, gate=f"rtsp://127.0.0.1:{both.port}/live")
        seconds_until_frame(live, "gate", 15)


@pytest.mark.slow
def test_a_camera_that_sends_the_same_picture_for_ever_is_frozen(cameras: Cameras) -> None:
    """Reads succeed, time goes on, every picture is like the last: what an encoder does whose sensor hangs."""
    with served(gst_server(jpegs("checkers-8"))) as server:
        live = cameras(LiveConfig(frozen_seconds=2), gate=f"rtsp://127.0.0.1:{server.port}/live")
        assert wait_for(lambda: live.report()["gate"].faults[Fault.FROZEN] >= 1, 15)
        received = live.report()["gate"].received
        assert received > FPS
        assert wait_for(lambda: live.report()["gate"].received > received, 10)  # connected anew, and shown


@pytest.mark.slow
def test_a_camera_whose_clock_is_a_day_ahead_is_not_believed(clips: Path, cameras: Cameras) -> None:
    with served(file_server(clips, clock_error=86400.0)) as server:
        live = cameras(gate=address(server))
        assert wait_for(lambda: live.report()["gate"].lost[Loss.IMPLAUSIBLE_TIME] > 5, 15)
        frames = live.next_moment(2)
        report = live.report()["gate"]
    assert frames
    assert abs(frames[0].time - time.time()) < 2.0
    assert (report.state, report.clock) == (CameraState.LIVE, "arrival")
    assert "clock" in report.message


@pytest.mark.slow
def test_slow_processing_sees_the_present(server: ServerProcess, cameras: Cameras) -> None:
    """Three times slower than the stream: what is processed is recent all the same, and the rest is counted."""
    live = cameras(gate=address(server))
    seconds_until_frame(live, "gate", 10)
    ages = []
    for _ in range(20):
        time.sleep(3 / FPS)
        frames = live.next_moment(1)
        ages += [time.time() - frame.time for frame in frames]
    report = live.report()["gate"]
    assert max(ages) + 3 / FPS < 0.5  # the step itself included
    assert report.lost[Loss.DROPPED] > 20
    assert report.lost[Loss.UNDECODABLE] == 0


@pytest.mark.slow
def test_slow_processing_of_a_slow_stream_waits_for_one_picture_at_most(clips: Path, cameras: Cameras) -> None:
    """Where a step of processing takes longer than half a second, nothing is older than one such step and 0.2 s."""
    step = 0.6
    again(clips / "slow.mp4", clips / "ball.mp4", fps=5, gop=5)
    with served(file_server(clips)) as server:
        live = cameras(gate=address(server, "slow.mp4"))
        seconds_until_frame(live, "gate", 10)
        ages = []
        for _ in range(8):
            time.sleep(step)
            ages += [time.time() - frame.time for frame in live.next_moment(0.5)]
    assert len(ages) >= 6
    assert statistics.median(ages) < step + 0.2


def test_a_killed_server_is_found_again(server: ServerProcess, cameras: Cameras) -> None:
    live = cameras(gate=address(server))
    seconds_until_frame(live, "gate", 10)
    server.kill()
    assert wait_for(lambda: live.report()["gate"].state is not CameraState.LIVE, 6)
    live.next_moment(0)  # what came before
    server.start()
    seconds_until_frame(live, "gate", RECOVERY_SECONDS)
    assert live.report()["gate"].reconnects == 1


@pytest.mark.slow
def test_twenty_restarts_and_the_other_camera_notices_none(clips: Path, cameras: Cameras) -> None:
    with served(file_server(clips)) as steady, served(file_server(clips)) as shaky:
        live = cameras(steady=address(steady), shaky=address(shaky))
        seconds_until_frame(live, "shaky", 10)
        took = []
        for _ in range(20):
            shaky.kill()
            time.sleep(0.5)
            live.next_moment(0)  # what came before
            shaky.start()
            took.append(seconds_until_frame(live, "shaky", RECOVERY_SECONDS))
        report = live.report()
    assert max(took) < RECOVERY_SECONDS
    assert report["shaky"].reconnects == 20
    assert (report["steady"].reconnects, sum(report["steady"].faults.values())) == (0, 0)


@pytest.mark.slow
def test_a_frozen_server_is_noticed_and_found_again(clips: Path, cameras: Cameras) -> None:
    with served(file_server(clips)) as steady, served(file_server(clips)) as frozen:
        live = cameras(steady=address(steady), frozen=address(frozen))
        seconds_until_frame(live, "frozen", 10)
        frozen.freeze()
        before = live.report()["steady"].received
        assert wait_for(lambda: live.report()["frozen"].state is not CameraState.LIVE, 8)
        time.sleep(6)  # long enough for attempts that a stopped server does not answer
        assert live.report()["steady"].received - before > 5 * FPS
        live.next_moment(0)  # what came before
        frozen.thaw()
        seconds_until_frame(live, "frozen", RECOVERY_SECONDS)


def test_a_server_that_is_not_there_yet_is_waited_for(clips: Path, cameras: Cameras) -> None:
    port = free_port()
    live = cameras(gate=f"rtsp://127.0.0.1:{port}/ball.mp4?play_count=0")
    assert wait_for(lambda: live.report()["gate"].faults[Fault.REFUSED] >= 3, 6)
    with served(file_server(clips, port)):
        seconds_until_frame(live, "gate", RECOVERY_SECONDS)


@pytest.mark.slow
def test_a_server_that_does_not_answer_times_out(cameras: Cameras) -> None:
    silent = PlainServer()
    live = cameras(LiveConfig(open_seconds=1), gate=f"rtsp://127.0.0.1:{silent.port}/x")
    assert wait_for(lambda: live.report()["gate"].faults[Fault.TIMED_OUT] >= 2, 10)
    silent.close()


@pytest.mark.slow
@pytest.mark.parametrize(
    "answer", [b"HTTP/1.0 200 OK\r\n\r\n", b"\x00\xff" * 500, b"RTSP/1.0 200 OK\r\nCSeq: x\r\n\r\n"]
)
def test_garbage_is_a_failure_like_any_other(answer: bytes, cameras: Cameras) -> None:
    noisy = PlainServer(answer, garbage=True)
    live = cameras(LiveConfig(open_seconds=1, read_seconds=1), gate=f"rtsp://127.0.0.1:{noisy.port}/x")
    assert wait_for(lambda: sum(live.report()["gate"].faults.values()) >= 2, 12)
    noisy.close()


def test_no_such_stream_is_said(server: ServerProcess, cameras: Cameras) -> None:
    live = cameras(gate=address(server, "other.mp4"))
    assert wait_for(lambda: live.report()["gate"].faults[Fault.NOT_FOUND] >= 1, 6)
    assert "path" in live.report()["gate"].message


@pytest.mark.slow
def test_a_wrong_password_is_shown_and_tried_once(cameras: Cameras, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with served(gst_server(ball(640, 360), "viewer", "right")) as guarded:
        live = cameras(gate=f"rtsp://viewer:wr0ng@127.0.0.1:{guarded.port}/live")
        assert wait_for(lambda: live.report()["gate"].state is CameraState.LOCKED_OUT, 8)
        time.sleep(4)
        report = live.report()["gate"]
    assert report.faults == {Fault.WRONG_PASSWORD: 1}
    assert "password" in report.message
    assert "wr0ng" not in caplog.text + str(report)


@pytest.mark.slow
def test_a_password_that_is_set_right_is_taken_at_the_next_attempt(cameras: Cameras) -> None:
    """Attempts come ``password_seconds`` apart (minutes, by default), no sooner; the camera comes back by itself."""
    port = free_port()
    source = f"rtsp://viewer:n3w@127.0.0.1:{port}/live"
    with served(gst_server(ball(640, 360), "viewer", "old", port)):
        live = cameras(LiveConfig(password_seconds=4), gate=source)
        assert wait_for(lambda: live.report()["gate"].state is CameraState.LOCKED_OUT, 8)
        time.sleep(6)
        assert 2 <= live.report()["gate"].faults[Fault.WRONG_PASSWORD] <= 3
    with served(gst_server(ball(640, 360), "viewer", "n3w", port)):
        seconds_until_frame(live, "gate", 4 + RECOVERY_SECONDS)


def test_the_right_password_comes_from_the_environment(cameras: Cameras, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATE_PASSWORD", "r1ght/@:#")
    with served(gst_server(ball(640, 360), "viewer", "r1ght/@:#")) as guarded:
        live = cameras(gate=f"rtsp://viewer:${{GATE_PASSWORD}}@127.0.0.1:{guarded.port}/live")
        seconds_until_frame(live, "gate", 10)


def test_another_resolution_after_a_restart_is_taken(cameras: Cameras) -> None:
    port = free_port()
    with served(gst_server(ball(640, 360), port=port)) as first:
        live = cameras(gate=f"rtsp://127.0.0.1:{port}/live")
        seconds_until_frame(live, "gate", 10)
        first.kill()
    with served(gst_server(ball(480, 272), port=port)):
        assert wait_for(lambda: bool(live.next_moment(0.2)) and live.report()["gate"].size == (480, 272), 10)


def test_another_codec_after_a_restart_is_taken(cameras: Cameras) -> None:
    port = free_port()
    with served(gst_server(ball(640, 360), port=port)) as first:
        live = cameras(gate=f"rtsp://127.0.0.1:{port}/live")
        seconds_until_frame(live, "gate", 10)
        first.kill()
    with served(gst_server(jpegs(), port=port)):
        assert wait_for(lambda: bool(live.next_moment(0.2)) and live.report()["gate"].codec == "mjpeg", 10)


@pytest.mark.slow
def test_a_resolution_that_changes_in_the_stream_is_taken(clips: Path, cameras: Cameras) -> None:
    """Two recordings as one raw H.264 stream over plain TCP, as some encoders do when somebody turns their knob."""
    raw = raw_h264(clips / "ball.mp4") + raw_h264(clips / "small.mp4")
    body = b"HTTP/1.0 200 OK\r\nContent-Type: video/h264\r\nContent-Length: %d\r\n\r\n" % len(raw) + raw
    encoder = PlainServer(body)
    sizes = set()
    live = cameras(LiveConfig(late_seconds=60), gate=f"http://127.0.0.1:{encoder.port}/x.h264")
    wait_for(lambda: bool(sizes.add(live.report()["gate"].size)) or (320, 180) in sizes, 10)
    encoder.close()
    assert (320, 180) in sizes


@pytest.mark.slow
def test_a_codec_that_changes_in_the_stream_is_taken(tmp_path: Path, cameras: Cameras) -> None:
    """An encoder whose knob is turned from H.264 to HEVC while it sends: one transport stream, one connection."""
    parts = []
    for codec in ("libx264", "libx265"):
        file = tmp_path / f"{codec}.ts"
        write_clip(file, seconds=3, size=(320, 180), codec=codec)
        parts.append(file.read_bytes())
    head = b"HTTP/1.0 200 OK\r\nContent-Type: video/mp2t\r\n\r\n"
    encoder = PlainServer(head + b"".join(parts), later=head + parts[1])
    live = cameras(LiveConfig(late_seconds=60), gate=f"http://127.0.0.1:{encoder.port}/x.ts")

    def codec() -> str:
        return live.report()["gate"].codec if live.next_moment(0.1) else ""

    assert wait_for(lambda: codec() == "h264", 10)
    assert wait_for(lambda: codec() == "hevc", 15)
    encoder.close()


def test_cameras_come_pause_and_go_while_others_run(server: ServerProcess, cameras: Cameras) -> None:
    from reid_tracker.config import CameraConfig
    from reid_tracker.errors import ConfigError

    live = cameras(gate=address(server))
    seconds_until_frame(live, "gate", 10)
    live.add(CameraConfig(id="hall", source=address(server, "small.mp4")))
    seconds_until_frame(live, "hall", 10)
    live.pause("gate")
    assert wait_for(lambda: live.report()["gate"].state is CameraState.PAUSED, 3)
    live.next_moment(0.1)
    assert {frame.camera_id for _ in range(5) for frame in live.next_moment(0.3)} == {"hall"}
    live.resume("gate")
    seconds_until_frame(live, "gate", 6)
    live.remove("hall")
    assert set(live.report()) == {"gate"}
    with pytest.raises(ConfigError, match="hall"):
        live.pause("hall")


@pytest.mark.slow
def test_a_recording_plays_at_its_own_speed(clips: Path, cameras: Cameras) -> None:
    live = cameras(film=str(clips / "small.mp4"))
    seconds_until_frame(live, "film", 5)
    began = time.monotonic()
    time.sleep(2)
    received = live.report()["film"].received
    assert received == pytest.approx(FPS * (time.monotonic() - began), abs=5)


def test_a_recording_that_is_not_there_is_said(cameras: Cameras) -> None:
    live = cameras(film="nowhere.mp4")
    assert wait_for(lambda: live.report()["film"].faults[Fault.NOT_FOUND] >= 1, 3)


@pytest.mark.slow
def test_closing_takes_no_longer_than_it_must(cameras: Cameras) -> None:
    silent = PlainServer()
    live = cameras(gate=f"rtsp://127.0.0.1:{silent.port}/x")
    time.sleep(0.3)
    began = time.monotonic()
    live.close()
    assert time.monotonic() - began < 4
    silent.close()


def test_ports_are_free_again(clips: Path) -> None:
    """The helpers themselves: a killed server leaves nothing behind that the next one would trip over."""
    port = free_port()
    for _ in range(2):
        with served(file_server(clips, port)), socket.create_connection(("127.0.0.1", port), timeout=2):
            pass


def test_clips_are_what_they_should_be(tmp_path: Path) -> None:
    assert write_clip(tmp_path / "x.mp4", seconds=1).stat().st_size > 1000

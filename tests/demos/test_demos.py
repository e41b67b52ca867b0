"""Every program in demos/ runs as it says, here on a few seconds of the demo clip."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from reid_tracker import read_tracks
from tests.demos.conftest import FRAMES
from tests.outbound.servers import Subscriber, broker, wait_for

REPOSITORY = Path(__file__).resolve().parents[2]
DEMOS = sorted(file.name for file in (REPOSITORY / "demos").glob("*.py"))


def _run(demo: str, *arguments: object) -> str:
    done = subprocess.run(
        [sys.executable, str(REPOSITORY / "demos" / demo), *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def tracks(short_clip: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What track_two_cameras.py writes."""
    out = tmp_path_factory.mktemp("run") / "tracks.jsonl"
    assert f"wrote {out}" in _run("track_two_cameras.py", *short_clip, out)
    return out


@pytest.mark.slow
def test_track_two_cameras_writes_people_in_both(tracks: Path) -> None:
    frames = list(read_tracks(tracks))
    assert len(frames) == 2 * FRAMES
    assert {frame.camera_id for frame in frames if frame.people} == {"door", "hall"}


@pytest.mark.slow
def test_own_loop_says_who_is_where_every_second(short_clip: tuple[Path, Path]) -> None:
    lines = _run("own_loop.py", *short_clip).splitlines()
    assert [line.split()[0] for line in lines[:-1]] == ["0", "1", "2"]
    assert all("'door'" in line and "'hall'" in line for line in lines[:-1])
    assert lines[-1].startswith("at the end:")


@pytest.mark.slow
def test_own_detector_follows_what_it_was_given(short_clip: tuple[Path, Path]) -> None:
    lines = _run("own_detector.py", *short_clip).splitlines()
    assert lines
    assert all(line.startswith("person ") for line in lines)


@pytest.mark.slow
def test_read_results_follows_one_person(tracks: Path) -> None:
    seen = {person.identity for frame in read_tracks(tracks, ids="final") for person in frame.people}
    wanted = min(seen)

    assert _run("read_results.py", tracks, wanted).startswith(f"person {wanted}, in ")
    first, *stays = _run("read_results.py", tracks).splitlines()
    assert first.startswith("person ")
    assert any(line.split()[0] in ("door", "hall") for line in stays)


def test_people_count_counts_each_once(tracks: Path) -> None:
    seen = {person.identity for frame in read_tracks(tracks, ids="final") for person in frame.people}
    lines = _run("people_count.py", tracks, 1).splitlines()
    assert lines[-1] == f"in all: {len(seen)} different people"
    assert len(lines) == 1 + 3 + 1  # heading, seconds 0 to 2, sum


@pytest.mark.slow
def test_live_site_follows_the_clip_as_if_live() -> None:
    told = _run("live_site.py", 15)
    assert "started 1" in told
    assert "door: live" in told
    assert "hall: live" in told


@pytest.mark.slow
def test_mqtt_site_tells_home_assistant_and_frigates_subscribers(tmp_path: Path) -> None:
    server = broker(tmp_path)
    try:
        with Subscriber(server.port) as heard:
            told = _run("mqtt_site.py", f"127.0.0.1:{server.port}", 15)
            assert "mqtt: " in told
            assert "dropped {}, failure ''" in told
            wait_for(lambda: heard.messages[-1][:2] == ("reid_tracker/available", b"offline"))
        topics = {topic for topic, _, _ in heard.messages}
        assert {f"homeassistant/sensor/reid_tracker/{name}_people/config" for name in ("door", "hall")} <= topics
        started = [each["identity"] for each in heard.of("reid_tracker/events") if each["kind"] == "arrived"]
        assert started
        assert len(started) == len(set(started))
        counts = heard.of("reid_tracker/people")
        assert max(each["people"] for each in counts) >= 2
        begun = [each["after"]["id"] for each in heard.of("frigate/events") if each["type"] == "new"]
        assert len(begun) == len(set(begun)) >= 2
        # far fewer messages than frames: changes only
        assert len(heard.of("reid_tracker/events")) < 30
    finally:
        server.kill()


def test_every_demo_is_short_and_tested() -> None:
    tests = Path(__file__).read_text(encoding="utf-8")
    assert len(DEMOS) >= 5
    for name in DEMOS:
        assert len((REPOSITORY / "demos" / name).read_text(encoding="utf-8").splitlines()) < 60, name
        assert f'"{name}"' in tests, name

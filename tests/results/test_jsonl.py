"""tracks.jsonl: what goes in comes out, a crash loses nothing whole, and damage is named."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reid_tracker.errors import InputError, OutputError
from reid_tracker.results import JsonLinesSink, final_identities, read_tracks
from reid_tracker.results.jsonl import frame_to_json, plain
from reid_tracker.types import EventType, IdentityEvent, TrackedFrame, TrackedPerson

finite = st.floats(-1e4, 1e4, allow_nan=False)
people = st.builds(
    TrackedPerson,
    identity=st.integers(1, 2**40),
    tracklet=st.integers(1, 2**40),
    box=st.tuples(finite, finite, finite, finite),
    score=st.floats(0, 1),
    state=st.sampled_from(["provisional", "settled"]),
    quality=st.floats(0, 1),
)
events = st.builds(
    IdentityEvent,
    event_id=st.integers(1, 2**40),
    type=st.sampled_from(EventType),
    time=st.floats(0, 4e9),
    camera_id=st.text(),
    identity=st.integers(1, 2**40),
    tracklets=st.lists(st.integers(1, 2**40)).map(tuple),
    supersedes=st.lists(st.integers(1, 2**40)).map(tuple),
    evidence=st.dictionaries(st.text(), st.one_of(st.none(), st.text(), st.integers(), st.booleans())),
)
frames = st.builds(
    TrackedFrame,
    camera_id=st.text(),
    index=st.integers(0, 2**40),
    time=st.floats(0, 4e9),
    people=st.lists(people).map(tuple),
    events=st.lists(events).map(tuple),
    size=st.tuples(st.integers(0, 10000), st.integers(0, 10000)),
)


def written(path: Path, run: list[TrackedFrame]) -> Path:
    with JsonLinesSink(path) as sink:
        for tracked in run:
            sink.write(tracked)
    return path


@settings(max_examples=25, deadline=None)
@given(run=st.lists(frames, max_size=3))
def test_reading_gives_back_what_was_written_up_to_documented_rounding(
    tmp_path_factory: pytest.TempPathFactory, run: list[TrackedFrame]
) -> None:
    back = list(read_tracks(written(tmp_path_factory.mktemp("tracks") / "tracks.jsonl", run)))
    assert len(back) == len(run)
    for got, expected in zip(back, run, strict=True):
        assert (got.camera_id, got.index, got.size) == (expected.camera_id, expected.index, expected.size)
        assert got.time == pytest.approx(expected.time, abs=1e-6)
        assert [(e.event_id, e.type, e.tracklets, e.supersedes, e.evidence) for e in got.events] == [
            (e.event_id, e.type, e.tracklets, e.supersedes, e.evidence) for e in expected.events
        ]
        for person, original in zip(got.people, expected.people, strict=True):
            assert (person.identity, person.tracklet, person.state) == (
                original.identity,
                original.tracklet,
                original.state,
            )
            assert person.box == pytest.approx(original.box, abs=0.006)
            assert (person.score, person.quality) == pytest.approx((original.score, original.quality), abs=6e-5)


def test_folder_and_file_mean_the_same(tmp_path: Path, run: list[TrackedFrame]) -> None:
    written(tmp_path / "tracks.jsonl", run)
    assert list(read_tracks(tmp_path)) == list(read_tracks(tmp_path / "tracks.jsonl"))


def test_final_ids_replace_those_that_were_superseded(tmp_path: Path, run: list[TrackedFrame]) -> None:
    file = written(tmp_path / "tracks.jsonl", run)
    emitted = {person.identity for tracked in read_tracks(file) for person in tracked.people}
    final = {person.identity for tracked in read_tracks(file, ids="final") for person in tracked.people}
    assert emitted == {1, 2, 3}
    assert final == {1, 2}


def test_unknown_kind_of_ids_is_refused(tmp_path: Path, run: list[TrackedFrame]) -> None:
    with pytest.raises(InputError, match="'emitted' or 'final', got 'best'"):
        read_tracks(written(tmp_path / "tracks.jsonl", run), ids="best")  # type: ignore[arg-type]


def test_lines_are_on_disk_while_the_run_goes_on(tmp_path: Path, run: list[TrackedFrame]) -> None:
    with JsonLinesSink(tmp_path / "tracks.jsonl") as sink:
        for count, tracked in enumerate(run, 1):
            sink.write(tracked)
            assert len(list(read_tracks(tmp_path))) == count


def test_a_killed_process_leaves_every_line_it_wrote(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys\n"
        "from reid_tracker.results import JsonLinesSink\n"
        "from reid_tracker.types import TrackedFrame\n"
        "sink = JsonLinesSink(sys.argv[1])\n"
        "for index in range(50): sink.write(TrackedFrame('door', index, index / 10, ()))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    killed = subprocess.run([sys.executable, "-c", program, str(tmp_path / "tracks.jsonl")], env=environment)
    assert killed.returncode == -signal.SIGKILL
    assert [tracked.index for tracked in read_tracks(tmp_path)] == list(range(50))


@pytest.mark.parametrize("lost", [1, 2, 40, 150])  # bytes missing at the end, the line break alone included
def test_a_last_line_that_was_cut_off_is_left_out_and_reported(
    tmp_path: Path, run: list[TrackedFrame], lost: int, caplog: pytest.LogCaptureFixture
) -> None:
    file = written(tmp_path / "tracks.jsonl", run)
    file.write_bytes(file.read_bytes()[:-lost])
    with caplog.at_level(logging.WARNING):
        back = list(read_tracks(file))
    if lost == 1:  # nothing but the line break is missing: the line is whole
        assert len(back) == len(run)
        assert not caplog.records
    else:
        assert len(back) == len(run) - 1
        assert f"line {len(run)} was cut off" in caplog.text


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "line 3"),
        ("[]", "line 3"),
        ("\x00", "line 3"),
        ('{"version": 1, "camera": "a"}', "'size' is missing"),
        ('{"version": 2}', "version 2; this release reads 1"),
        ('{"frame": 1}', "'version' is missing"),
        ('{"version":1,"camera":"a","frame":0,"time":0,"size":[1,1],"people":[{"box":[1,2]}],"events":[]}', "line 3"),
        (
            '{"version":1,"camera":"a","frame":0,"time":0,"size":[1,1],"people":[],"events":[{"type":"eaten"}]}',
            "line 3",
        ),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, run: list[TrackedFrame], line: str, reason: str) -> None:
    file = written(tmp_path / "tracks.jsonl", run[:5])
    lines = file.read_text().splitlines()
    lines[2] = line
    file.write_text("\n".join(lines) + "\n")
    with pytest.raises(InputError, match=r"tracks\.jsonl: line 3") as failure:
        list(read_tracks(file))
    assert reason in str(failure.value)


def test_a_missing_file_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"tracks\.jsonl: no such file; give the output folder"):
        read_tracks(tmp_path)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("place", ["box", "score", "quality", "time"])
def test_numbers_that_are_not_finite_are_refused_and_leave_the_file_as_it_was(
    tmp_path: Path, run: list[TrackedFrame], value: float, place: str
) -> None:
    tracked = run[0]
    if place == "time":
        bad = replace(tracked, time=value)
    else:
        changed = {"box": (0.0, 0.0, value, 1.0)} if place == "box" else {place: value}
        bad = replace(tracked, people=(replace(tracked.people[0], **changed),))
    with JsonLinesSink(tmp_path / "tracks.jsonl") as sink:
        sink.write(tracked)
        with pytest.raises(InputError, match="camera 'door', frame 0: expected finite"):
            sink.write(bad)
        sink.write(run[1])
    assert len(list(read_tracks(tmp_path))) == 2


def test_evidence_of_numpy_becomes_plain_json() -> None:
    evidence = {"path": np.array([[0, 1]]), "p": np.float32(0.5), "n": np.int64(3), "inf": np.inf, "t": (1, 2)}
    assert plain(evidence) == {"path": [[0, 1]], "p": 0.5, "n": 3, "inf": None, "t": [1, 2]}
    json.dumps(plain(evidence), allow_nan=False)


def test_a_line_has_the_fixed_keys(run: list[TrackedFrame]) -> None:
    line = frame_to_json(run[0])
    assert {"camera", "frame", "time", "people", "events"} <= line.keys()
    assert {"identity", "tracklet", "box", "score", "state"} <= line["people"][0].keys()
    assert {"event_id", "type", "identity", "supersedes", "evidence"} <= line["events"][0].keys()


def test_writing_after_closing_is_refused(tmp_path: Path, run: list[TrackedFrame]) -> None:
    sink = JsonLinesSink(tmp_path / "tracks.jsonl")
    sink.close()
    sink.close()
    with pytest.raises(OutputError, match="already closed"):
        sink.write(run[0])


def test_a_full_disk_is_named(tmp_path: Path, run: list[TrackedFrame]) -> None:
    full = tmp_path / "tracks.jsonl"
    full.symlink_to("/dev/full")
    with JsonLinesSink(full) as sink, pytest.raises(OutputError, match=r"tracks\.jsonl: the disk is full"):
        sink.write(run[0])


def test_replaying_merges_and_splits() -> None:
    """merge 2 into 1, then split tracklet 12 out again under a new id, then link one more to it."""

    def event(number: int, kind: EventType, identity: int, tracklets: tuple[int, ...], ends: tuple[int, ...] = ()):
        return IdentityEvent(number, kind, 0.0, "door", identity, tracklets, ends)

    history = [
        event(1, EventType.STARTED, 1, (10,)),
        event(2, EventType.STARTED, 2, (11,)),
        event(3, EventType.LINKED, 2, (12,)),
        event(4, EventType.MERGED, 1, (11,), (2,)),
        event(5, EventType.SPLIT, 3, (12,), (1,)),
        event(6, EventType.LINKED, 3, (13,)),
        event(7, EventType.ENDED, 3, (13,)),
    ]
    assert final_identities(history[:4]) == {10: 1, 11: 1, 12: 1}
    assert final_identities(history) == {10: 1, 11: 1, 12: 3, 13: 3}

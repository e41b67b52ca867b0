"""Bad input through the real command line: one clear line that names the culprit and what to do, the right exit code,
never a traceback, and whatever was written stays readable."""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from reid_tracker import cli, read_tracks
from reid_tracker.recording import demo_config
from reid_tracker.results import read_run
from tests.runtime.networks import embedder

USAGE, FAILURE = 2, 1

# A dozen frames, with a person in each, are enough for everything here but a disk that fills up.
FRAMES = 12


@dataclass
class Site:
    """A folder with two short videos, detections for both and a tiny embedder; tests put their own fault into it."""

    folder: Path

    def __getattr__(self, name: str) -> Path:
        return self.folder / {"door": "door.avi", "hall": "hall.avi", "boxes": "boxes.txt", "out": "out"}[name]

    def write(self, name: str, text: str) -> Path:
        (self.folder / name).write_text(text, encoding="utf-8")
        return self.folder / name

    def boxes_with(self, line: str) -> Path:
        return self.write("broken.txt", self.boxes.read_text() + line + "\n")

    def track(self, *more: str | Path) -> list[str]:
        """The arguments of a run that works: both cameras with detections, and no large network to load."""
        cameras = ["--camera", f"door={self.door}", "--camera", f"hall={self.hall}"]
        detections = ["--detections", f"door={self.boxes}", "--detections", f"hall={self.boxes}"]
        network = ["--embedder", str(self.folder / "colours.onnx")]
        return ["track", *cameras, *detections, *network, "--out", str(self.out), *map(str, more)]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return _site(tmp_path, FRAMES)


def _site(folder: Path, frames: int) -> Site:
    picture = np.random.default_rng(0).integers(0, 255, (120, 160, 3), np.uint8)
    for name in ("door.avi", "hall.avi"):
        writer = cv2.VideoWriter(str(folder / name), cv2.VideoWriter.fourcc(*"MJPG"), 10.0, (160, 120))
        for _ in range(frames):
            writer.write(picture)
        writer.release()
    lines = [f"{frame},-1,{20 + frame % 60},20,30,80,0.9" for frame in range(1, frames + 1)]
    (folder / "boxes.txt").write_text("\n".join(lines) + "\n")
    _manifest(embedder(folder / "colours.onnx"))
    return Site(folder)


@dataclass
class Told:
    """What a command said, and how it ended."""

    code: int
    text: str


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Told]:
    """Runs the command line in this process; a traceback would be an exception here."""

    def run(*arguments: str | Path) -> Told:
        monkeypatch.setattr(sys, "argv", ["reid-tracker", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        captured = capfd.readouterr()
        code = ended.value.code
        assert code is None or isinstance(code, int)
        return Told(code or 0, captured.err)

    return run


def _error_of(told: Told) -> str:
    """The one line that a failure prints, beside the terms of the embedder.

    FFmpeg's own lines are silenced only where the program opens the first video of the process, which here the test
    did; tests/sources/test_opening.py has a process of its own for that.
    """
    lines = [line for line in told.text.splitlines() if not re.match(r"embedder \w+: |\[\S+ @ 0x", line)]
    assert len(lines) == 1, told.text
    assert lines[0].startswith("error: ")
    return lines[0]


def test_the_run_that_the_others_spoil_works(site: Site, command: Callable[..., Told]) -> None:
    told = command(*site.track("--save-crops", "--report"))
    assert told.code == 0, told.text
    assert sum(bool(frame.people) for frame in read_tracks(site.out)) > FRAMES
    assert read_run(site.out)["status"] == "finished"


def _camera(site: Site, source: Path | str) -> list[str]:
    return ["track", "--camera", f"door={source}", "--out", str(site.out)]


def _config(site: Site, text: str) -> list[str]:
    path = site.write("site.toml", text)
    return ["track", "--config", str(path), "--out", str(site.out)]


def _cameras_toml(site: Site, extra: str = "", names: tuple[str, str] = ("door", "hall")) -> str:
    first, second = names
    return (
        f'[[cameras]]\nid = "{first}"\nsource = "{site.door}"\n{extra}\n'
        f'[[cameras]]\nid = "{second}"\nsource = "{site.hall}"\n'
    )


def _empty(site: Site) -> Path:
    return site.write("empty.mp4", "")


def _text(site: Site) -> Path:
    return site.write("notes.mp4", "The video is in the other folder.\n" * 50)


def _unreadable(site: Site) -> Path:
    (site.folder / "noise.mp4").write_bytes(bytes(range(256)) * 40)
    return site.folder / "noise.mp4"


def _without_index(site: Site) -> Path:
    (site.folder / "cut.mp4").write_bytes(b"\0\0\0\x20ftypisom" + bytes(20) + b"\0\1\0\0mdat" + bytes(5000))
    return site.folder / "cut.mp4"


def _under_a_file(site: Site) -> list[str]:
    return [*site.track()[:-1], str(site.boxes / "out")]


def _from_elsewhere(site: Site) -> list[str]:
    site.out.mkdir()
    (site.out / "holiday.jpg").touch()
    return site.track()


def _second_run(site: Site) -> list[str]:
    site.out.mkdir()
    (site.out / "tracks.jsonl").write_text("")
    (site.out / "run.json").write_text("{}")
    return site.track()


def _manifest(network: Path, sha256: str | None = None) -> None:
    papers = {
        "format": 1,
        "name": "colours",
        "task": "embedder",
        "file": network.name,
        "input": {"name": "crops", "size_hw": [64, 32]},
        "outputs": {"global": {"shape": ["N", 3]}, "stripes": {"shape": ["N", 8, 3]}},
    }
    network.with_suffix(".json").write_text(json.dumps({**papers, **({"sha256": sha256} if sha256 else {})}))


def _wrong_checksum(site: Site) -> list[str]:
    _manifest(site.folder / "colours.onnx", "0" * 64)
    return site.track()


def _not_a_model(site: Site) -> list[str]:
    return site.track("--embedder", site.write("fake.onnx", "not a network"))


def _not_finite(site: Site) -> list[str]:
    embedder(site.folder / "colours.onnx", scale=float("nan"))
    return site.track()


def _detections(site: Site, line: str) -> list[str]:
    return [*_camera(site, site.door), "--detections", f"door={site.boxes_with(line)}"]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        # cameras
        (lambda s: _camera(s, s.folder / "gone.mp4"), FAILURE, r"'door'.*gone\.mp4: no such file; check"),
        (lambda s: _camera(s, _empty(s)), FAILURE, r"empty\.mp4: the file is empty.*record or copy it again"),
        (lambda s: _camera(s, _text(s)), FAILURE, r"notes\.mp4: this is text, not video; give"),
        (lambda s: _camera(s, _unreadable(s)), FAILURE, r"noise\.mp4: cannot be read as video.*convert"),
        (lambda s: _camera(s, _without_index(s)), FAILURE, r"cut\.mp4: cannot be read as video.*index.*repair"),
        (lambda s: _camera(s, s.folder / "hall_*.mp4"), FAILURE, r"no file matches .*hall_\*\.mp4.*check"),
        (lambda s: _camera(s, "97"), FAILURE, r"webcam 97 cannot be opened; check"),
        (lambda s: _camera(s, "rtsp://camera/1"), USAGE, r"rtsp:// is a live stream.*reid-tracker serve"),
        (lambda s: ["track", "--camera", str(s.door), "--out", str(s.out)], USAGE, r"--camera .*expected NAME=VALUE"),
        (lambda s: ["track", "--out", str(s.out)], USAGE, r"no camera: give --camera"),
        (lambda s: s.track("--camera", f"door={s.hall}"), USAGE, r"--camera: camera 'door' is given twice; give"),
        (
            lambda s: s.track("--detections", f"door={s.boxes}"),
            USAGE,
            r"--detections: camera 'door' is given twice; give",
        ),
        (
            lambda s: s.track(*["--start-time", "door=2026-05-01T08:00:00Z"] * 2),
            USAGE,
            r"--start-time: camera 'door' is given twice; give",
        ),
        (lambda s: s.track("--start-time", "dor=2026-05-01T08:00:00Z"), USAGE, r"no camera is called 'dor'.*door"),
        (lambda s: s.track("--start-time", "door=yesterday"), USAGE, r"camera 'door': start_time.*yesterday"),
        (
            lambda s: s.track("--start-time", "door=2026-05-01T08:00:00Z"),
            USAGE,
            r"'hall' has no start time, but camera 'door' has one; give every recording a start time, or none",
        ),
        # configuration
        (
            lambda s: ["track", "--config", "gone.toml", "--out", str(s.out)],
            USAGE,
            r"config gone\.toml: cannot be read",
        ),
        (lambda s: _config(s, "cameras = [[["), USAGE, r"site\.toml: not valid TOML"),
        (lambda s: _config(s, _cameras_toml(s, names=("door", "door"))), USAGE, r"two cameras are called 'door'"),
        (
            lambda s: _config(s, _cameras_toml(s, "neighbours = {hal = [1, 2]}")),
            USAGE,
            r"'door' names the neighbour 'hal', which is no camera; did you mean 'hall'",
        ),
        (
            lambda s: _config(s, _cameras_toml(s) + "[detection]\nnms_overlp = 0.5\n"),
            USAGE,
            r"site\.toml: unknown key 'detection\.nms_overlp'; did you mean 'nms_overlap'",
        ),
        (
            lambda s: _config(s, _cameras_toml(s) + "[tracker]\nx = 1\n"),
            USAGE,
            r"site\.toml: unknown key 'tracker'; did you mean 'tracking'",
        ),
        (
            lambda s: _config(s, _cameras_toml(s) + "[detection]\nnms_overlap = 5\n"),
            USAGE,
            r"site\.toml: detection\.nms_overlap: .*less than or equal to 1 \(got 5\)",
        ),
        (lambda s: s.track("--set", "detection.nms_overlp=1"), USAGE, r"unknown key 'detection\.nms_overlp'; did you"),
        # models
        (_wrong_checksum, FAILURE, r"colours\.onnx: expected sha256 0{64}, got \w+.*(damaged|replaced)"),
        (_not_a_model, FAILURE, r"fake\.onnx: not an ONNX network; give the right file"),
        (_not_finite, FAILURE, r"(colours|embedder).*(NaN|finite)"),
        (lambda s: s.track("--embedder", "alignedreid_smal"), USAGE, r"did you mean 'alignedreid_small'"),
        (lambda s: s.track("--embedder", str(s.folder / "gone.onnx")), USAGE, r"gone\.onnx: no such file; give"),
        (
            lambda s: [*_camera(s, s.door), "--detector", str(s.write("yolo.pt", "x"))],
            USAGE,
            r"\.pt files can run code.*--trust-model",
        ),
        # detections made before
        (lambda s: _detections(s, "13,-1,20,twenty,30,80,0.9"), FAILURE, r"broken\.txt, line 13: expected numbers"),
        (lambda s: _detections(s, "13,-1,20"), FAILURE, r"broken\.txt, line 13: expected at least 6 columns"),
        (lambda s: _detections(s, "13,-1,nan,20,30,80,0.9"), FAILURE, r"broken\.txt, line 13: a box with NaN"),
        (
            lambda s: _detections(s, "13,-1,1e39,20,30,80,0.9"),
            FAILURE,
            r"broken\.txt, line 13: no box in single precis",
        ),
        (lambda s: _detections(s, "13,-1,1e9,20,.1,80,0.9"), FAILURE, r"broken\.txt, line 13: no box in single precis"),
        (
            lambda s: _detections(s, "1e30,-1,10,20,30,80,0.9"),
            FAILURE,
            r"broken\.txt, line 13: frame numbers are whole",
        ),
        (lambda s: s.track("--detections", f"dor={s.boxes}"), USAGE, r"'dor'"),
        # the output folder
        (_under_a_file, FAILURE, r"boxes\.txt/out: cannot be written .*choose another output folder"),
        (_second_run, USAGE, r"out.*--overwrite"),
        # results of a run that does not exist
        (lambda s: ["export", "--tracks", str(s.out), "--format", "mot", "--out", "x"], FAILURE, r"out.*no such file"),
        (
            lambda s: ["evaluate", "--truth", str(s.folder), "--tracks", str(s.out), "--ids", "best"],
            USAGE,
            r"--ids 'best': expected emitted or final",
        ),
    ],
)
def test_bad_input_is_one_clear_line(
    site: Site,
    command: Callable[..., Told],
    arguments: Callable[[Site], list[str]],
    code: int,
    says: str,
) -> None:
    told = command(*arguments(site))

    assert re.search(says, _error_of(told)), told.text
    assert told.code == code


def test_a_folder_that_holds_other_things_is_not_touched(site: Site, command: Callable[..., Told]) -> None:
    """Neither without --overwrite nor with it is a file removed that no run wrote."""
    arguments = _from_elsewhere(site)
    command(*arguments)
    command(*arguments, "--overwrite")
    assert (site.out / "holiday.jpg").exists()


def test_a_run_is_replaced_only_on_request(site: Site, command: Callable[..., Told]) -> None:
    assert command(*site.track()).code == 0
    before = (site.out / "tracks.jsonl").read_bytes()

    assert "--overwrite" in _error_of(command(*site.track()))
    assert (site.out / "tracks.jsonl").read_bytes() == before
    assert command(*site.track("--overwrite")).code == 0


def test_the_demo_replaces_a_run_of_its_own_and_another_only_on_request(
    site: Site, command: Callable[..., Told], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []
    monkeypatch.setattr(cli, "_track", lambda _settings, _out, overwrite, **_: asked.append(overwrite))
    write = {"version": 1, "cameras": [{"source": camera.source} for camera in demo_config().cameras]}
    for name, run in (("demo", write), ("mine", {**write, "cameras": [{"source": "door.mp4"}]})):
        (site.folder / name).mkdir()
        (site.folder / name / "run.json").write_text(json.dumps(run))
    command("demo", "--out", site.folder / "demo")
    command("demo", "--out", site.folder / "mine")
    command("demo", "--out", site.folder / "mine", "--overwrite")
    command("demo")
    assert asked == [True, False, True, True]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_named(site: Site, command: Callable[..., Told]) -> None:
    site.folder.chmod(0o500)
    told = command(*site.track())
    site.folder.chmod(0o700)
    assert told.code == FAILURE
    assert re.search(r"out: not writable \(Permission denied\); choose another", _error_of(told))


def test_a_truncated_recording_runs_and_says_what_is_missing(
    site: Site, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    site.door.write_bytes(site.door.read_bytes()[: site.door.stat().st_size // 2])
    monkeypatch.setattr(sys, "argv", ["reid-tracker", *site.track()])
    with pytest.raises(SystemExit) as ended:
        cli.main()

    assert not ended.value.code
    assert re.search(r"camera 'door': door\.avi ended after \d+ of the 12 frames", capfd.readouterr().out)
    cameras = [frame.camera_id for frame in read_tracks(site.out)]
    assert 0 < cameras.count("door") < FRAMES == cameras.count("hall")


def test_vectors_that_are_not_finite_leave_a_readable_run(site: Site, command: Callable[..., Told]) -> None:
    assert command(*_not_finite(site)).code == FAILURE
    assert read_run(site.out)["status"] == "failed"
    list(read_tracks(site.out))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("room", "least_lines"),
    [
        (3_000, 0),  # not even the reserve that a run keeps for its last word
        (80_000, 100),  # in the middle of tracks.jsonl
    ],
)
def test_a_full_disk_is_said_and_what_was_written_stays_readable(
    tmp_path: Path, repository: Path, room: int, least_lines: int
) -> None:
    """A limit on the size of files stands in for the disk: the operating system refuses the write all the same."""
    site = _site(tmp_path, 200)

    def no_more_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))

    done = subprocess.run(
        [sys.executable, "-B", "-m", "reid_tracker.cli", *site.track()],
        cwd=repository,
        capture_output=True,
        text=True,
        preexec_fn=no_more_room,
    )

    assert done.returncode == FAILURE, done.stderr
    assert "Traceback" not in done.stderr
    assert re.search(r"error: .*out/.*(full|cannot be written).*choose another output folder", done.stderr)
    if least_lines:
        assert len(list(read_tracks(site.out))) >= least_lines
        assert read_run(site.out)["status"] == "failed"

"""The command line as a user meets it: real clip, real networks, exit codes and what is printed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import cv2
import pytest
from typer.core import TyperGroup
from typer.main import get_command
from typer.testing import CliRunner

from reid_tracker.__main__ import main
from reid_tracker.cli import app


def all_commands(group: TyperGroup, before: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The words that lead to each command and group of the program."""
    yield before
    for name, command in group.commands.items():
        words = (*before, name)
        if isinstance(command, TyperGroup):
            yield from all_commands(command, words)
        else:
            yield words


def reid_tracker(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "reid_tracker.cli", *map(str, arguments)], capture_output=True, text=True, timeout=300
    )


@pytest.fixture(scope="module")
def clip(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with 2.5 s of both cameras of the demo clip, from where somebody crosses."""
    folder = tmp_path_factory.mktemp("clip")
    for camera in ("door", "hall"):
        video = cv2.VideoCapture(str(repository / "demos" / "clip" / f"{camera}.mp4"))
        video.set(cv2.CAP_PROP_POS_FRAMES, 150)
        frames = [video.read()[1] for _ in range(25)]
        height, width = frames[0].shape[:2]
        short = cv2.VideoWriter(str(folder / f"{camera}.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 10, (width, height))
        for frame in frames:
            short.write(frame)
        short.release()
    return folder


@pytest.fixture(scope="module")
def run(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of tracking that clip."""
    out = tmp_path_factory.mktemp("run") / "out"
    done = reid_tracker("track", "--camera", f"door={clip}/door.mp4", "--camera", f"hall={clip}/hall.mp4", "--out", out)
    assert done.returncode == 0, done.stderr
    assert "results:" in done.stdout
    assert "time_base: relative" in done.stdout
    return out


@pytest.mark.parametrize("command", list(all_commands(get_command(app))), ids=" ".join)
def test_every_command_explains_itself(command: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(app, [*command, "--help"])
    assert shown.exit_code == 0
    assert "Usage" in shown.stdout


def test_track_writes_a_line_per_camera_frame(run: Path) -> None:
    lines = [json.loads(line) for line in (run / "tracks.jsonl").read_text().splitlines()]
    assert sorted((line["camera"], line["frame"]) for line in lines) == [
        (camera, frame) for camera in ("door", "hall") for frame in range(25)
    ]
    assert any(line["people"] for line in lines if line["camera"] == "door")
    assert any(line["people"] for line in lines if line["camera"] == "hall")
    facts = json.loads((run / "run.json").read_text())
    assert facts["status"] == "finished"
    assert facts["time_base"] == "relative"


@pytest.mark.slow
def test_terms_of_the_default_embedder_are_said_unless_it_was_chosen(clip: Path, tmp_path: Path) -> None:
    track = ("track", "--camera", f"door={clip}/door.mp4", "--out")
    assert "research" in reid_tracker(*track, tmp_path / "a").stderr
    chosen = reid_tracker(*track, tmp_path / "b", "--embedder", "alignedreid_small")
    assert chosen.returncode == 0
    assert chosen.stderr == ""


def test_a_run_scored_against_itself_is_perfect(run: Path, tmp_path: Path) -> None:
    pytest.importorskip("trackeval", reason="scores need the evaluation extra")
    exported = reid_tracker("export", "--tracks", run, "--format", "mot", "--out", tmp_path / "mot")
    assert exported.returncode == 0, exported.stderr
    for text in (tmp_path / "mot").glob("*.txt"):
        truth = tmp_path / "truth" / text.stem / "gt" / "gt.txt"
        truth.parent.mkdir(parents=True)
        truth.write_text(text.read_text())
    scored = reid_tracker("evaluate", "--truth", tmp_path / "truth", "--tracks", run / "tracks.jsonl", "--json")
    assert scored.returncode == 0, scored.stderr
    assert json.loads(scored.stdout)["across_cameras"]["idf1"] == pytest.approx(1)


def test_models_are_listed_with_their_terms_and_verify() -> None:
    listed = reid_tracker("models", "list")
    assert "alignedreid_small" in listed.stdout
    assert "nanodet_g" in listed.stdout
    assert "research" in listed.stdout
    verified = reid_tracker("models", "verify")
    assert verified.returncode == 0, verified.stderr


@pytest.mark.slow
@pytest.mark.parametrize("request_to_stop", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_completes_what_there_is(
    repository: Path, tmp_path: Path, request_to_stop: signal.Signals
) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-m", "reid_tracker.cli", "track", "--config", "demos/clip/site.toml", "--out", str(out)]
    process = subprocess.Popen(command, cwd=repository, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    tracks = out / "tracks.jsonl"
    deadline = time.monotonic() + 120
    while not (tracks.exists() and tracks.read_text().count("\n") > 5):
        assert time.monotonic() < deadline, "no frame was tracked"
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.1)
    process.send_signal(request_to_stop)
    stdout, stderr = process.communicate(timeout=120)

    assert process.returncode == 130, stderr
    assert "interrupted" in stdout
    assert json.loads((out / "run.json").read_text())["status"] == "interrupted"
    assert json.loads((out / "identities.json").read_text())["people"]
    assert all(json.loads(line) for line in tracks.read_text().splitlines())


def test_ctrl_c_while_the_program_is_loaded_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted(ModuleType):
        def __getattr__(self, _name: str) -> object:
            raise KeyboardInterrupt

    monkeypatch.setitem(sys.modules, "reid_tracker.cli", Interrupted("reid_tracker.cli"))
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 130


@pytest.mark.parametrize("source", ["rtsp://viewer:s3cret@10.0.0.7/live", "rtsps://10.0.0.7/live", "srt://10.0.0.7:9"])
def test_live_cameras_are_sent_to_serve(source: str, tmp_path: Path) -> None:
    """A recording ends and a live camera does not: said in a line, without the password."""
    done = reid_tracker("track", "--camera", f"gate={source}", "--out", tmp_path / "out")
    assert done.returncode == 2
    assert "reid-tracker serve --camera gate=" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: camera 'gate': ")
    assert "Traceback" not in done.stderr
    assert "s3cret" not in done.stderr

"""A real run of a stretch of the demo clip, made once for all tests that look at results of a run."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import pytest

from reid_tracker.config import Config
from reid_tracker.recording import track_recording

# People walk through both cameras then, several at once in each.
FIRST_FRAME, FRAMES = 240, 40
EVERY = 2  # frames: half the work, the same four seconds
FRAMES_PER_SECOND = 10


@pytest.fixture(scope="session")
def tracked_clip(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run; not to be written to."""
    folder = tmp_path_factory.mktemp("clip")
    cameras = [{"id": name, "source": str(_stretch(repository, folder, name))} for name in ("door", "hall")]
    config = Config.model_validate(
        {"cameras": cameras, "output": dict.fromkeys(("save_crops", "report", "video"), True)}
    )
    track_recording(config, folder / "out")
    return folder / "out"


@pytest.fixture
def run(tracked_clip: Path, tmp_path: Path) -> Path:
    """A copy of the run that a test may change."""
    shutil.copytree(tracked_clip, tmp_path / "run")
    return tmp_path / "run"


def _stretch(repository: Path, folder: Path, name: str) -> Path:
    video = cv2.VideoCapture(str(repository / "demos" / "clip" / f"{name}.mp4"))
    video.set(cv2.CAP_PROP_POS_FRAMES, FIRST_FRAME)
    frames = [video.read()[1] for _ in range(FRAMES)][::EVERY]
    height, width = frames[0].shape[:2]
    path = folder / f"{name}.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), FRAMES_PER_SECOND / EVERY, (width, height))
    for frame in frames:
        writer.write(frame)
    writer.release()
    return path

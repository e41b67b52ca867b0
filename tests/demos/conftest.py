"""A few seconds of the demo clip, for programs that are to run quickly."""

from __future__ import annotations

import itertools
from pathlib import Path

import cv2
import pytest

from reid_tracker import open_source

# Two people walk through door and three through hall then, and both cameras see somebody at once.
FIRST_FRAME, FRAMES = 250, 24


@pytest.fixture(scope="session")
def short_clip(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> tuple[Path, Path]:
    """Door and hall, FRAMES frames each, side by side as door.mp4 and hall.mp4."""
    folder = tmp_path_factory.mktemp("clip")
    for name in ("door", "hall"):
        source = open_source(repository / "demos/clip" / f"{name}.mp4", camera_id=name)
        stretch = list(itertools.islice(source, FIRST_FRAME, FIRST_FRAME + FRAMES))
        source.close()
        height, width = stretch[0].image.shape[:2]
        writer = cv2.VideoWriter(str(folder / f"{name}.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 10.0, (width, height))
        for frame in stretch:
            writer.write(frame.image)
        writer.release()
    return folder / "door.mp4", folder / "hall.mp4"

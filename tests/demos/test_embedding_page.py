"""Every program on docs/embedding.md runs as the page says; what is run is taken from the page itself."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from reid_tracker import open_source
from tests.demos.conftest import FRAMES

REPOSITORY = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```(?:python|toml)\n# (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILES = dict(BLOCK.findall((REPOSITORY / "docs" / "embedding.md").read_text(encoding="utf-8")))


def run(folder: Path, *arguments: str, path: str = "") -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (path, str(REPOSITORY))))},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def folder(tmp_path: Path, short_clip: tuple[Path, Path]) -> Path:
    """A folder with the clips and every file of the page."""
    for clip in short_clip:
        shutil.copy(clip, tmp_path)
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


@pytest.mark.slow
def test_own_loop_tells_of_everybody_who_comes(folder: Path) -> None:
    lines = run(folder, "own_loop.py").splitlines()
    assert {line.partition("s  ")[2].split(":")[0] for line in lines} == {"door", "hall"}
    assert any("started person 1" in line for line in lines)


@pytest.mark.slow
def test_own_boxes_are_followed(folder: Path) -> None:
    found = re.fullmatch(r"(\d+) people\n", run(folder, "own_boxes.py"))
    assert found
    assert int(found[1]) >= 1


@pytest.mark.slow
def test_supervision_goes_in_and_out(folder: Path) -> None:
    pytest.importorskip("supervision", reason="needs the extra 'supervision'")
    assert run(folder, "with_supervision.py") == "1 person, id 1, in door\n"
    drawn, plain = cv2.imread(str(folder / "drawn.png")), cv2.VideoCapture(str(folder / "door.mp4")).read()[1]
    assert drawn.shape == plain.shape
    assert (drawn != plain).any()


@pytest.mark.slow
def test_a_package_adds_its_parts_by_name(folder: Path) -> None:
    """The package is built and installed as pip does it, then named in a configuration."""
    pytest.importorskip("pip", reason="needs pip to install the package")
    site = folder / "site"
    package = folder / "package"
    package.mkdir()
    for name in ("pyproject.toml", "acme_reid.py"):
        (folder / name).rename(package / name)
    run(folder, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-index",
        "--no-build-isolation", "--target", str(site), str(package))  # fmt: skip
    source = open_source(folder / "door.mp4", camera_id="door")
    np.save(folder / "door.npy", np.stack([frame.image for frame in source]))
    source.close()
    (folder / "door.mp4").unlink()  # the frames come from the array

    run(folder, "-m", "reid_tracker.cli", "track", "--config", "site.toml", "--out", "out", path=str(site))
    rows = [line.split(",") for line in (folder / "out" / "counts.csv").read_text().splitlines()]
    assert len(rows) == FRAMES
    assert {row[0] for row in rows} == {"door"}
    assert any(int(row[2]) > 0 for row in rows)


def test_every_file_of_the_page_is_run() -> None:
    tests = Path(__file__).read_text(encoding="utf-8")
    assert len(FILES) == 6
    for name in FILES:
        assert f'"{name}"' in tests, name

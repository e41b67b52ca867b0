"""The GStreamer element runs as its page says, under the system's Python and GStreamer's own loader."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from reid_tracker.results.colours import identity_colour
from tests.demos.conftest import FRAMES

LOADED_PYTHON = "/usr/bin/python3"
MESSAGE = re.compile(r'reid-tracker, json=\(string\)("(?:[^"\\]|\\.)*")')


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Where the commands of the page find this Python; skips where GStreamer cannot load the element at all."""
    if not shutil.which("gst-launch-1.0") or not Path(LOADED_PYTHON).exists():
        pytest.skip("needs GStreamer's tools (gstreamer1.0-tools)")
    version = f"import sys, gi; assert sys.version_info[:2] == {sys.version_info[:2]}"
    if subprocess.run([LOADED_PYTHON, "-c", version], capture_output=True, check=False).returncode:
        pytest.skip("needs the system's Python to be of this version, with python3-gi")
    known = {
        **os.environ,
        "PATH": "/usr/bin:/bin",  # no virtual environment: the loader would follow it
        "PYTHON": sys.executable,
        "GST_REGISTRY": str(tmp_path / "registry.bin"),  # the user's own stays as it is
    }
    if subprocess.run(["gst-inspect-1.0", "python"], env=known, capture_output=True, check=False).returncode:
        pytest.skip("needs GStreamer's Python loader (gstreamer1.0-python3-plugin-loader)")
    if subprocess.run(["gst-inspect-1.0", "avdec_mpeg4"], env=known, capture_output=True, check=False).returncode:
        pytest.skip("needs GStreamer's decoders of FFmpeg (gstreamer1.0-libav)")
    return known


def run(repository: Path, environment: dict[str, str], clip: Path, sink: str) -> list[dict[str, object]]:
    """What the elements say when the page's commands run."""
    page = (repository / "demos" / "gstreamer" / "README.md").read_text(encoding="utf-8")
    (commands,) = re.findall(r"^```sh\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    done = subprocess.run(
        ["bash", "-ec", commands],
        cwd=repository,
        env={**environment, "CLIP": str(clip), "SINK": sink},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    # GStreamer escapes what is no letter or digit once more than JSON does
    return [json.loads(re.sub(r"\\(.)", r"\1", text[1:-1])) for text in MESSAGE.findall(done.stdout)]


@pytest.mark.slow
def test_two_cameras_are_followed_and_drawn(
    repository: Path, environment: dict[str, str], short_clip: tuple[Path, Path], tmp_path: Path
) -> None:
    sink = f"pngenc ! multifilesink location={tmp_path}/%05d.png max-files=1000"
    told = run(repository, environment, short_clip[0].parent, sink)
    for camera in ("door", "hall"):
        lines = [line for line in told if line["camera"] == camera]
        assert [line["frame"] for line in lines] == list(range(FRAMES))
        assert [line["time"] for line in lines] == pytest.approx([number / 10 for number in range(FRAMES)], abs=0.02)
        assert any(line["people"] for line in lines)
    started = [event["identity"] for line in told for event in line["events"] if event["type"] == "started"]  # type: ignore[attr-defined]
    assert len(started) == len(set(started)) >= 2  # both cameras number their people together

    sizes = {tuple(line["size"]): line["camera"] for line in told}  # type: ignore[arg-type]
    people = {(line["camera"], line["frame"]): line["people"] for line in told}
    drawn = 0
    for number, path in enumerate(sorted(tmp_path.glob("*.png"))):  # each number was written by one camera or the other
        image = cv2.imread(str(path))
        for person in people[sizes[image.shape[1::-1]], number]:  # type: ignore[attr-defined]
            drawn += int((image == identity_colour(person["identity"])[::-1]).all(axis=2).sum() > 20)
    assert drawn > FRAMES / 2

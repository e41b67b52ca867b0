"""Blurred faces, on real people of the demo clip: the top of each lost its detail, the rest did not."""

from __future__ import annotations

import base64
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from reid_tracker import Pipeline, open_source
from reid_tracker.results.blurring import blur_heads, head_of, without_faces
from reid_tracker.types import Image, TrackedFrame, TrackedPerson

Box = tuple[float, float, float, float]


@pytest.fixture(scope="module")
def scene(repository: Path) -> tuple[Image, list[Box]]:
    """A real picture and the boxes that the shipped detector finds in it."""
    source = open_source(repository / "demos" / "clip" / "door.mp4", camera_id="door")
    frame = next(frame for frame in source if frame.index == 150)
    source.close()
    (found,) = Pipeline.from_config().detector([frame])
    boxes: list[Box] = [tuple(map(float, box)) for box in found.boxes[found.scores > 0.5]]  # type: ignore[misc]
    assert boxes
    return frame.image, boxes


def detail(image: Image) -> float:
    """How much changes from pixel to pixel: mean absolute Laplacian of the brightness."""
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).astype(np.float32)
    return float(np.abs(cv2.Laplacian(grey, cv2.CV_32F)).mean())


def test_heads_lose_their_detail_and_nothing_else_changes(scene: tuple[Image, list[Box]]) -> None:
    image, boxes = scene
    before = image.copy()
    blurred = blur_heads(image, boxes)
    assert (image == before).all()
    touched = np.zeros(image.shape[:2], np.bool_)
    for box in boxes:
        left, top, right, bottom = head_of(box, image.shape[1], image.shape[0])
        touched[top:bottom, left:right] = True
        inside = slice(top + 1, bottom - 1), slice(left + 1, right - 1)
        assert detail(blurred[inside]) < 0.25 * detail(image[inside])
        assert bottom < box[1] + 0.5 * (box[3] - box[1])  # of somebody in full view the lower half stays
    assert (blurred[~touched] == image[~touched]).all()
    assert 0 < touched.mean() < 0.2


@pytest.mark.parametrize(
    ("box", "head"),
    [
        ((100, 100, 140, 200), (100, 95, 140, 130)),  # in full view: the shoulders' width tells as much as the height
        ((100, 100, 200, 200), (100, 95, 200, 175)),  # cut off at the waist: most of it
        ((-20, -10, 30, 90), (0, 0, 30, 28)),  # partly outside the picture
        ((400, 300, 420, 340), (400, 298, 320, 240)),  # wholly outside: nothing is left
    ],
)
def test_where_the_head_is(box: Box, head: tuple[int, int, int, int]) -> None:
    assert head_of(box, 320, 240) == head


def test_boxes_beyond_the_picture_and_none_at_all_are_no_trouble() -> None:
    image = np.random.default_rng(0).integers(0, 255, (240, 320, 3), np.uint8)
    far = [(400.0, 300.0, 420.0, 340.0), (-50.0, -90.0, -10.0, -20.0), (319.5, 0.0, 330.0, 4.0), (5.0, 5.0, 6.0, 6.5)]
    assert blur_heads(image, far).shape == image.shape
    assert (blur_heads(image, []) == image).all()
    person = TrackedPerson(1, 1, (10.0, 10.0, 60.0, 200.0), 0.9, "settled")
    assert without_faces(TrackedFrame("door", 0, 0.0, (person,))).image is None
    assert (without_faces(TrackedFrame("door", 0, 0.0, (), image=image)).image == image).all()


def pictures_of(page: Path) -> list[Image]:
    """The pictures in a report."""
    found = re.findall(r"data:image/jpeg;base64,([\w+/=]+)", page.read_text(encoding="utf-8"))
    return [cv2.imdecode(np.frombuffer(base64.b64decode(text), np.uint8), cv2.IMREAD_COLOR) for text in found]


@pytest.mark.slow
def test_no_picture_of_a_run_shows_a_face(repository: Path, tmp_path: Path) -> None:
    """Crops, report and video of the same recording, with and without: tops are blurred in all three, legs in none."""
    clip = tmp_path / "door.mp4"
    source = open_source(repository / "demos" / "clip" / "door.mp4", camera_id="door")
    frames = [frame.image for frame in source if 150 <= frame.index < 180]
    source.close()
    writer = cv2.VideoWriter(str(clip), cv2.VideoWriter.fourcc(*"mp4v"), 10, frames[0].shape[1::-1])
    for image in frames:
        writer.write(image)
    writer.release()

    out = {}
    for name, options in (("plain", []), ("blurred", ["--blur-faces"])):
        out[name] = tmp_path / name
        command = ["track", "--camera", f"door={clip}", "--out", str(out[name]), "--video", "--report", "--save-crops"]
        subprocess.run(
            [sys.executable, "-m", "reid_tracker.cli", *command, *options],
            cwd=repository, check=True, capture_output=True,
        )  # fmt: skip
    crops = sorted(path.name for path in (out["plain"] / "crops").glob("*.jpg"))
    assert crops == sorted(path.name for path in (out["blurred"] / "crops").glob("*.jpg"))
    pairs = [tuple(cv2.imread(str(out[name] / "crops" / crop)) for name in out) for crop in crops]
    pairs += list(zip(*(pictures_of(out[name] / "report.html") for name in out), strict=True))
    assert len(pairs) >= 2
    for plain, blurred in pairs:
        top, rest = len(plain) // 5, len(plain) // 2
        assert detail(blurred[2:top]) < 0.4 * detail(plain[2:top])
        assert detail(blurred[rest:]) > 0.8 * detail(plain[rest:])

    videos = [next((out[name] / "video").iterdir()) for name in out]
    shown = [np.stack([frame.image for frame in open_source(video, camera_id="door")]).astype(int) for video in videos]
    changed = (np.abs(shown[0] - shown[1]).max(axis=3) > 40).mean(axis=(1, 2))  # share of each frame
    assert changed.max() > 0.001  # while somebody is in view
    assert changed.max() < 0.1

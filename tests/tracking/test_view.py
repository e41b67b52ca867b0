"""What a camera looks at: real video that is turned, made grey, darkened or crowded."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import cv2
import numpy as np
import pytest

from reid_tracker.tracking.view import ViewWatch

Image = np.ndarray
SECONDS = 40


@pytest.fixture(scope="module")
def clip(repository: Path) -> dict[str, list[Image]]:
    """A picture a second of two places with people in them, both of one size."""
    return {name: list(_pictures(repository / "demos" / "clip" / f"{name}.mp4")) for name in ("door", "hall")}


def watched(pictures: Iterable[Image], watch: ViewWatch | None = None, begin: int = 0) -> tuple[ViewWatch, list[int]]:
    """The watch, and at which of the pictures it said that the camera was moved."""
    watch = watch or ViewWatch("c")
    return watch, [second for second, image in enumerate(pictures, begin) if watch(image, float(second))]


@pytest.mark.parametrize("name", ["door", "hall"])
def test_people_walking_through_do_not_move_a_camera(clip: dict[str, list[Image]], name: str) -> None:
    """Forty seconds of real people, some of whom fill half of the picture."""
    watch, moved = watched(clip[name])
    assert moved == []
    assert not watch.grey


@pytest.mark.parametrize(
    "turn",
    [
        pytest.param(lambda image: _warped(image, [[1, 0, 0.15], [0, 1, 0]]), id="panned by a seventh"),
        pytest.param(lambda image: _warped(image, [[1.25, 0, -0.12], [0, 1.25, -0.12]]), id="zoomed"),
        pytest.param(
            lambda image: _warped(image, [[0.98, -0.17, 0.1], [0.17, 0.98, -0.1]]), id="tilted by ten degrees"
        ),
    ],
)
def test_a_camera_that_was_turned_is_found_once(clip: dict[str, list[Image]], turn: Callable[[Image], Image]) -> None:
    """Within ten seconds, and from then on the new place is the place."""
    watch, _ = watched(clip["door"][:20])
    _, moved = watched(map(turn, clip["door"][:40]), watch, 20)
    assert len(moved) == 1
    assert 20 < moved[0] <= 30


def test_a_camera_that_was_put_elsewhere_is_found(clip: dict[str, list[Image]]) -> None:
    """From one room to another and back: two moves."""
    watch, _ = watched(clip["door"][:15])
    _, there = watched(clip["hall"][:15], watch, 15)
    _, back = watched(clip["door"][15:30], watch, 30)
    assert len(there) == 1
    assert len(back) == 1


def test_night_by_infrared_is_told_and_is_no_move(clip: dict[str, list[Image]]) -> None:
    """The same place without colour, with light from the camera: known within seconds, and so is the morning."""
    watch, _ = watched(clip["door"][:10])
    _, moved = watched([_infrared(image) for image in clip["door"][10:25]], watch, 10)
    assert watch.grey
    assert moved == []
    _, moved = watched(clip["door"][25:40], watch, 25)
    assert not watch.grey
    assert moved == []


def test_a_dark_picture_and_a_covered_lens_are_no_move(clip: dict[str, list[Image]]) -> None:
    """The light goes out; somebody holds a hand before the lens; then all is as before."""
    watch, _ = watched(clip["hall"][:10])
    dark = [(image * 0.02).astype(np.uint8) for image in clip["hall"][10:20]]
    covered = [np.full_like(image, (40, 60, 90)) for image in dark]
    _, moved = watched([*dark, *covered, *clip["hall"][20:40]], watch, 10)
    assert moved == []


def test_a_lorry_that_passes_is_no_move(clip: dict[str, list[Image]]) -> None:
    """For four seconds two thirds of the picture are something else."""
    watch, _ = watched(clip["hall"][:10])
    lorry = np.random.default_rng(0).integers(0, 255, (12, 8, 3), np.uint8)
    pictures = [image.copy() for image in clip["hall"][10:30]]
    for image in pictures[:4]:
        image[:, : 2 * image.shape[1] // 3] = cv2.resize(lorry, (2 * image.shape[1] // 3, image.shape[0]))
    assert watched(pictures, watch, 10)[1] == []


def _pictures(path: Path) -> Iterable[Image]:
    video = cv2.VideoCapture(str(path))
    for _ in range(SECONDS):
        for _ in range(9):
            video.grab()
        found, image = video.read()
        assert found
        yield cv2.resize(image, (288, 460))


def _warped(image: Image, to_unit: list[list[float]]) -> Image:
    """By a map of coordinates that run from 0 to 1; what is new in view mirrors what was there."""
    height, width = image.shape[:2]
    scale = np.diag([width, height, 1.0])
    matrix = scale @ np.array([*to_unit, [0, 0, 1]]) @ np.linalg.inv(scale)
    return cv2.warpAffine(image, matrix[:2], (width, height), borderMode=cv2.BORDER_REFLECT)


def _infrared(image: Image) -> Image:
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).astype(np.float32)
    height, width = grey.shape
    down, across = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    lit = np.clip(grey * (1.2 - 0.6 * np.sqrt(down**2 + across**2)), 0, 255)
    noisy = np.clip(lit + np.random.default_rng(0).normal(0, 4, lit.shape), 0, 255).astype(np.uint8)
    return np.repeat(noisy[..., None], 3, axis=2)

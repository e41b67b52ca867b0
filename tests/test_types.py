"""Values refuse what the rest of the program must not see."""

from __future__ import annotations

import numpy as np
import pytest

from reid_tracker.errors import InputError
from reid_tracker.types import Appearance, Detections, Frame


@pytest.mark.parametrize(
    ("boxes", "message"),
    [
        ([[0, 0, np.nan, 5]], "finite"),
        ([[0, 0, 0, 5]], "x2 > x1"),
        ([[5, 5, 1, 9]], "x2 > x1"),
    ],
)
def test_detections_refuse_unusable_boxes(boxes: list[list[float]], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Detections(np.array(boxes, np.float32), np.ones(1, np.float32))


def test_detections_refuse_scores_of_other_length() -> None:
    with pytest.raises(InputError, match=r"scores: expected shape \(1,\), got \(2,\)"):
        Detections(np.array([[0, 0, 1, 1]], np.float32), np.ones(2, np.float32))


def test_frame_names_camera_and_frame_of_a_wrong_picture() -> None:
    with pytest.raises(InputError, match="camera 'door', frame 7"):
        Frame("door", 7, 0.0, np.zeros((4, 4), np.uint8))


def test_empty_values_have_the_right_shapes() -> None:
    assert Detections.empty().boxes.shape == (0, 4)
    nothing = Appearance.empty(2, 256, 8, 128)
    assert nothing.stripes.shape == (2, 8, 128)
    assert not nothing.valid.any()


@pytest.mark.parametrize(
    ("part", "factor", "message"),
    [
        ("global_", np.nan, "global vectors: expected unit length, got nan; divide each by its length"),
        ("global_", 0, "global vectors: expected unit length, got 0"),
        ("global_", 5, "global vectors: expected unit length, got 5"),
        ("stripes", 1e30, "stripes: expected unit length, got inf"),
        ("quality", np.nan, "quality: expected finite numbers"),
    ],
)
def test_looks_that_no_distance_fits_are_refused(part: str, factor: float, message: str) -> None:
    """An application's own embedder that gave them made everybody one person, or nobody."""
    looks = {
        "global_": np.eye(2, 8, dtype=np.float32),
        "stripes": np.tile(np.eye(1, 4, dtype=np.float32), (2, 3, 1)),
        "quality": np.ones(2, np.float32),
    }
    Appearance(**looks, valid=np.array([True, True]))
    spoilt = {**looks, part: looks[part] * np.array([1, factor], np.float32).reshape(2, *[1] * (looks[part].ndim - 1))}
    with pytest.raises(InputError, match=message):
        Appearance(**spoilt, valid=np.array([True, True]))
    if part != "quality":
        Appearance(**spoilt, valid=np.array([True, False]))  # such a row means nothing


def test_looks_may_come_from_half_precision() -> None:
    exact = np.random.default_rng(0).normal(size=(50, 256))
    halves = (exact / np.linalg.norm(exact, axis=-1, keepdims=True)).astype(np.float16)
    for vectors in (halves, halves.astype(np.float64)):
        looks = Appearance(vectors, np.zeros((50, 0, 0), np.float32), np.ones(50, np.float32), np.ones(50, np.bool_))  # type: ignore[arg-type]
        assert len(looks) == 50

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

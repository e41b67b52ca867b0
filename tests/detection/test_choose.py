"""Input sizes and score levels."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reid_tracker.config import Config
from reid_tracker.detection import open_detector
from reid_tracker.detection.choose import DEFAULT_LEVELS, equivalent_side, input_size, levels_at

# frame (width, height) -> input (width, height)
CHOSEN = {
    (640, 480): (416, 320),
    (640, 360): (480, 288),
    (480, 640): (320, 416),  # a phone held upright costs the same
    (768, 576): (640, 480),  # PETS
    (345, 576): (288, 480),  # a part of that view keeps its scale
    (1280, 720): (800, 480),
    (1920, 1080): (960, 544),
    (1080, 1920): (544, 960),
    (3840, 2160): (1280, 736),
    (320, 240): (320, 256),  # small frames are not enlarged
}


@pytest.mark.parametrize(("frame_wh", "input_wh"), CHOSEN.items())
def test_input_follows_the_frame(frame_wh: tuple[int, int], input_wh: tuple[int, int]) -> None:
    assert input_size(frame_wh[::-1], None, 32) == input_wh[::-1]


def test_longer_side_can_be_set() -> None:
    assert input_size((576, 768), 416, 32) == (320, 416)
    assert input_size((768, 576), 416, 32) == (416, 320)


@given(st.integers(64, 4000), st.integers(64, 4000), st.sampled_from([1, 32, 64]))
def test_input_is_a_multiple_and_no_larger_than_the_frame_needs(height: int, width: int, multiple: int) -> None:
    chosen = input_size((height, width), None, multiple)
    for side, of_frame in zip(chosen, (height, width), strict=True):
        assert side > 0
        assert side % multiple == 0
        assert side <= of_frame + 1.5 * multiple


@given(st.floats(1, 5000))
def test_levels_lie_between_their_neighbours(side: float) -> None:
    known = {416: (0.4, 0.6), 640: (0.5, 0.7), 960: (0.45, 0.65)}
    weak, confident = levels_at(known, side)
    assert 0.4 <= weak <= 0.5
    assert 0.6 <= confident <= 0.7
    assert weak < confident


def test_levels_at_calibrated_sizes_are_those_given() -> None:
    known = {416: (0.4, 0.6), 640: (0.5, 0.7)}
    for side, levels in known.items():
        assert levels_at(known, side) == pytest.approx(levels)
    assert levels_at(known, equivalent_side((480, 640))) == pytest.approx((0.5, 0.7))
    assert levels_at({}, 640) == DEFAULT_LEVELS


def test_configuration_overrides_the_levels() -> None:
    config = Config().with_values({"detection.score_threshold": 0.11, "detection.confident_score": 0.22})
    assert open_detector(config.detection, config.runtime).score_levels == (0.11, 0.22)

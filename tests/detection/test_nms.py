"""Suppression against the rule written as loops."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from reid_tracker.boxes import overlap
from reid_tracker.detection.nms import suppress


def by_the_rule(boxes: np.ndarray, scores: np.ndarray, most_overlap: float) -> list[int]:
    """From the best down, keep what overlaps nothing that was kept; ties in the order given."""
    kept: list[int] = []
    for index in sorted(range(len(boxes)), key=lambda index: (-scores[index], index)):
        if all(overlap(boxes[[index]], boxes[[other]])[0, 0] <= most_overlap for other in kept):
            kept.append(index)
    return kept


@st.composite
def scenes(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, float]:
    count = draw(st.integers(0, 25))
    corners = draw(arrays(np.float32, (count, 2), elements=st.integers(-10, 30)))
    sides = draw(arrays(np.float32, (count, 2), elements=st.integers(1, 20)))
    scores = draw(arrays(np.float32, count, elements=st.sampled_from([0.1, 0.25, 0.5, 0.75, 1.0])))
    return np.concatenate([corners, corners + sides], axis=1), scores, draw(st.sampled_from([0.0, 0.3, 0.6, 1.0]))


@given(scenes())
def test_equals_the_rule(scene: tuple[np.ndarray, np.ndarray, float]) -> None:
    boxes, scores, most_overlap = scene
    before = boxes.copy(), scores.copy()
    assert suppress(boxes, scores, most_overlap).tolist() == by_the_rule(boxes, scores, most_overlap)
    np.testing.assert_array_equal(boxes, before[0])
    np.testing.assert_array_equal(scores, before[1])


def test_survivors_do_not_overlap_and_the_rest_do() -> None:
    random = np.random.default_rng(0)
    corners = random.uniform(0, 300, (800, 2))
    boxes = np.concatenate([corners, corners + random.uniform(20, 60, (800, 2))], axis=1)
    scores = random.uniform(size=800)
    stay = suppress(boxes, scores, 0.5)
    among = overlap(boxes[stay], boxes[stay]) - np.eye(len(stay))
    assert among.max() <= 0.5
    gone = np.setdiff1d(np.arange(800), stay)
    better = scores[stay][None] >= scores[gone][:, None]
    assert ((overlap(boxes[gone], boxes[stay]) > 0.5) & better).any(axis=1).all()

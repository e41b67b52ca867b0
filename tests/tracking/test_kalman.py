"""The batched filter against a slow 8 x 8 one, and what must hold of any prediction."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import expm

from reid_tracker.boxes import cxcywh_to_xyxy, xyxy_to_cxcywh
from reid_tracker.config import TrackingConfig
from reid_tracker.tracking.kalman import KalmanFilter, Motion

CONFIG = TrackingConfig()


class SlowFilter:
    """The textbook filter, one track, 8 x 8; state cx cy w h and their velocities. Q by the integral itself."""

    def __init__(self, box: np.ndarray) -> None:
        measured = xyxy_to_cxcywh(box.astype(np.float64))
        height = measured[3]
        self.x = np.concatenate([measured, np.zeros(4)])
        speed = np.array([1, 1, 0.25, 0.25]) * CONFIG.start_speed * height
        self.P = np.diag(np.concatenate([self._errors() * height, speed]) ** 2)

    @staticmethod
    def _errors() -> np.ndarray:
        return np.array([CONFIG.position_noise] * 2 + [CONFIG.size_noise] * 2)

    def predict(self, seconds: float) -> None:
        memory = np.array([CONFIG.velocity_memory_seconds] * 2 + [CONFIG.size_memory_seconds] * 2)
        change = np.array([CONFIG.position_change] * 2 + [CONFIG.size_change] * 2) * max(self.x[3], 1)
        drift = np.zeros((8, 8))
        drift[:4, 4:] = np.eye(4)
        drift[4:, 4:] = -np.diag(1 / memory)
        push = np.diag(np.concatenate([np.zeros(4), change**2]))
        # Van Loan 1978: one matrix exponential gives the transition and the integral of the noise
        block = np.block([[-drift, push], [np.zeros((8, 8)), drift.T]]) * seconds
        power = expm(block)
        transition = power[8:, 8:].T
        noise = transition @ power[:8, 8:]
        self.x = transition @ self.x
        self.P = transition @ self.P @ transition.T + noise

    def update(self, box: np.ndarray, score: float) -> None:
        measured = xyxy_to_cxcywh(box.astype(np.float64))
        seen = np.hstack([np.eye(4), np.zeros((4, 4))])
        error = np.diag((self._errors() * max(self.x[3], 1) * (1 + CONFIG.score_weight * (1 - score))) ** 2)
        gain = self.P @ seen.T @ np.linalg.inv(seen @ self.P @ seen.T + error)
        self.x = self.x + gain @ (measured - seen @ self.x)
        self.P = (np.eye(8) - gain @ seen) @ self.P


def random_boxes(rng: np.random.Generator, count: int) -> np.ndarray:
    size = rng.uniform(20, 200, (count, 2))
    return cxcywh_to_xyxy(np.hstack([rng.uniform(-50, 700, (count, 2)), size])).astype(np.float32)


def test_batched_filter_agrees_with_textbook_filter() -> None:
    rng = np.random.default_rng(0)
    boxes = random_boxes(rng, 5)
    batched = KalmanFilter(CONFIG)
    motion = batched.start(boxes)
    slow = [SlowFilter(box) for box in boxes]
    for seconds in (0.04, 0.2, 1.7, 0.033):
        motion = batched.predict(motion, seconds)
        boxes = (boxes + rng.normal(0, 4, (5, 1))).astype(np.float32)
        scores = rng.uniform(0.3, 1, 5).astype(np.float32)
        motion = batched.update(motion, boxes, scores)
        for track, box, score in zip(slow, boxes, scores, strict=True):
            track.predict(seconds)
            track.update(box, float(score))
    for row, track in enumerate(slow):
        np.testing.assert_allclose(motion.mean[row].T.ravel(), track.x, rtol=1e-6, atol=1e-6)
        pairs = np.stack([[track.P[i, i], track.P[i, i + 4], track.P[i + 4, i + 4]] for i in range(4)])
        got = motion.covariance[row][:, [0, 0, 1], [0, 1, 1]]
        np.testing.assert_allclose(got, pairs, rtol=1e-6)


@given(first=st.floats(0.001, 5), second=st.floats(0.001, 5))
def test_predicting_a_gap_at_once_equals_predicting_its_parts(first: float, second: float) -> None:
    """So 5 and 30 frames a second mean the same. Noise is scaled by the height, which must not change for this."""
    batched = KalmanFilter(CONFIG)
    start = batched.start(np.array([[10, 10, 50, 110]], np.float32))
    mean = start.mean.copy()
    mean[0, :2, 1] = (80, -30)
    moving = Motion(mean, start.covariance)
    whole = batched.predict(moving, first + second)
    parts = batched.predict(batched.predict(moving, first), second)
    np.testing.assert_allclose(whole.mean, parts.mean, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(whole.covariance, parts.covariance, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("seconds", [0.0, 1e-3, 60.0, 86_400.0])
def test_prediction_stays_finite_and_uncertain_whatever_the_gap(seconds: float) -> None:
    batched = KalmanFilter(CONFIG)
    motion = batched.predict(batched.start(np.array([[0, 0, 40, 100]], np.float32)), seconds)
    assert np.isfinite(motion.mean).all()
    assert (np.linalg.eigvalsh(motion.covariance) > 0).all()


def test_walker_is_expected_where_the_walk_leads() -> None:
    """100 pixels a second seen for two seconds at 10 frames a second; half a second later it is 50 pixels further."""
    batched = KalmanFilter(CONFIG)
    box = np.array([[0, 0, 40, 100]], np.float32)
    motion = batched.start(box)
    for _ in range(20):
        box = box + np.array([10, 0, 10, 0], np.float32)
        motion = batched.update(batched.predict(motion, 0.1), box, np.ones(1, np.float32))
    ahead = batched.predict(motion, 0.5).boxes
    assert abs(float(ahead[0, 0] - box[0, 0]) - 50) < 8


def test_weak_box_moves_the_track_less_than_a_certain_one() -> None:
    batched = KalmanFilter(TrackingConfig(score_weight=1.0))
    motion = batched.predict(batched.start(np.array([[0, 0, 40, 100]], np.float32)), 0.1)
    aside = np.array([[10, 0, 50, 100]], np.float32)
    certain = batched.update(motion, aside, np.array([1.0], np.float32)).boxes[0, 0]
    weak = batched.update(motion, aside, np.array([0.2], np.float32)).boxes[0, 0]
    assert 0 < weak < certain < 10


def test_noise_follows_the_size_of_the_person() -> None:
    """A picture twice as large gives the same belief, twice as large."""
    batched = KalmanFilter(CONFIG)
    box = np.array([[10, 20, 50, 120]], np.float32)
    small = batched.predict(batched.start(box), 0.3)
    large = batched.predict(batched.start(2 * box), 0.3)
    np.testing.assert_allclose(large.mean, 2 * small.mean)
    np.testing.assert_allclose(large.covariance, 4 * small.covariance)


def test_squared_distance_agrees_with_its_definition() -> None:
    rng = np.random.default_rng(1)
    batched = KalmanFilter(CONFIG)
    motion = batched.predict(batched.start(random_boxes(rng, 3)), 0.5)
    boxes = random_boxes(rng, 4)
    got = batched.squared_distance(motion, boxes)
    for row in range(3):
        spread = motion.covariance[row, :2, 0, 0] + (CONFIG.position_noise * motion.heights[row]) ** 2
        for column in range(4):
            gap = xyxy_to_cxcywh(boxes[column].astype(np.float64))[:2] - motion.mean[row, :2, 0]
            assert got[row, column] == pytest.approx((gap**2 / spread).sum())


def test_a_box_that_shows_others_too_moves_the_track_less_than_its_own() -> None:
    batched = KalmanFilter(TrackingConfig(score_weight=1.0))
    motion = batched.predict(batched.start(np.array([[0, 0, 40, 100]], np.float32)), 0.1)
    aside, score = np.array([[10, 0, 50, 100]], np.float32), np.array([1.0], np.float32)
    own, half, whole = (
        batched.update(motion, aside, score, np.array([share], np.float32)).boxes[0, 0] for share in (0.0, 0.5, 1.0)
    )
    assert own == batched.update(motion, aside, score).boxes[0, 0]
    assert 0 < whole < half < own

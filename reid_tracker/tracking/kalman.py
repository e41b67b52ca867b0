"""Where people will be: a Kalman filter over the boxes of one camera, batched over tracks, in seconds.

State of one track: centre x, centre y, width, height (pixels) and their velocities (pixels per second). The
velocity forgets itself with a time constant (an Ornstein-Uhlenbeck process), so somebody who is out of sight slows
down instead of flying off, and predicting once over a long gap equals predicting many times over its parts. Per
component, with e = exp(-dt / tau) and noise density q:

    F = [[1, tau (1 - e)], [0, e]]      H = [1, 0]      R = r
    Q = q [[tau² (dt - 2 tau (1 - e) + tau (1 - e²) / 2), tau² (1 - e)² / 2], [tau² (1 - e)² / 2, tau (1 - e²) / 2]]

All noise is given in box heights, so the filter behaves alike near to and far from the camera. Since F, Q and R
are the same 2 x 2 form for each component and never mix two of them, the 8 x 8 filter is exactly four 2 x 2
filters; that is how it is computed. Letters: T tracks, N detections.

References:
    Kalman 1960 (filter); Singer 1970 (correlated velocity or acceleration of a manoeuvring target); Du et al. 2021,
    "GIAOTracker" (measurement noise that follows the detection score, "NSA").
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reid_tracker.boxes import cxcywh_to_xyxy, xyxy_to_cxcywh
from reid_tracker.config import TrackingConfig
from reid_tracker.types import FloatArray

Array = NDArray[np.float64]

_LEAST_SIDE = 1.0  # pixels; a box thinner than a pixel has no overlap with anything


@dataclass(frozen=True, slots=True)
class Motion:
    """What the filter believes of T tracks.

    Attributes:
        mean: (T, 4, 2): cx, cy, w, h in pixels; each with its velocity in pixels per second.
        covariance: (T, 4, 2, 2): of value and velocity, per component.
    """

    mean: Array
    covariance: Array

    def __len__(self) -> int:
        return len(self.mean)

    @property
    def boxes(self) -> FloatArray:
        """(T, 4) float32 corners, at least a pixel wide and high."""
        values = self.mean[:, :, 0].copy()
        values[:, 2:] = np.maximum(values[:, 2:], _LEAST_SIDE)
        return cxcywh_to_xyxy(values).astype(np.float32)

    @property
    def heights(self) -> Array:
        """(T,) pixels, at least 1."""
        return np.maximum(self.mean[:, 3, 0], _LEAST_SIDE)

    def select(self, which: NDArray[np.bool_] | NDArray[np.intp]) -> Motion:
        """The tracks that a mask or index array picks."""
        return Motion(self.mean[which], self.covariance[which])

    def extended(self, others: Motion) -> Motion:
        """These tracks followed by the others."""
        return Motion(np.concatenate([self.mean, others.mean]), np.concatenate([self.covariance, others.covariance]))

    def replaced(self, rows: NDArray[np.intp], others: Motion) -> Motion:
        """These tracks with ``rows`` replaced by the others."""
        mean, covariance = self.mean.copy(), self.covariance.copy()
        mean[rows], covariance[rows] = others.mean, others.covariance
        return Motion(mean, covariance)

    @staticmethod
    def none() -> Motion:
        """No track."""
        return Motion(np.zeros((0, 4, 2)), np.zeros((0, 4, 2, 2)))


class KalmanFilter:
    """The filter's constants; its state travels in ``Motion`` values, so one filter serves any number of tracks."""

    def __init__(self, config: TrackingConfig) -> None:
        position, size = config.velocity_memory_seconds, config.size_memory_seconds
        self._memory = np.array([position, position, size, size])
        self._process = np.array([config.position_change] * 2 + [config.size_change] * 2)
        self._measurement = np.array([config.position_noise] * 2 + [config.size_noise] * 2)
        self._start_speed = np.array([config.start_speed] * 2 + [config.start_speed * 0.25] * 2)
        self._score_weight = config.score_weight
        self._rival_weight = config.rival_weight

    def start(self, boxes: FloatArray) -> Motion:
        """First belief from one box each: (N, 4) corners, velocity 0 with the spread of people walking."""
        measured = xyxy_to_cxcywh(boxes.astype(np.float64))
        heights = measured[:, 3:4]
        mean = np.stack([measured, np.zeros_like(measured)], axis=2)
        covariance = np.zeros((len(boxes), 4, 2, 2))
        covariance[:, :, 0, 0] = (self._measurement * heights) ** 2
        covariance[:, :, 1, 1] = (self._start_speed * heights) ** 2
        return Motion(mean, covariance)

    def predict(self, motion: Motion, seconds: float) -> Motion:
        """All tracks, ``seconds`` later (>= 0; any length)."""
        if len(motion) == 0 or seconds <= 0:
            return motion
        memory = self._memory
        keep = np.exp(-seconds / memory)
        reach = memory * (1 - keep)
        value, velocity = motion.mean[:, :, 0], motion.mean[:, :, 1]
        mean = np.stack([value + reach * velocity, keep * velocity], axis=2)

        density = (self._process * motion.heights[:, None]) ** 2
        spread = memory * (1 - keep**2) / 2
        old = motion.covariance
        covariance = np.empty_like(old)
        covariance[:, :, 0, 0] = (
            old[:, :, 0, 0]
            + 2 * reach * old[:, :, 0, 1]
            + reach**2 * old[:, :, 1, 1]
            + density * memory**2 * (seconds - 2 * reach + spread)
        )
        cross = keep * (old[:, :, 0, 1] + reach * old[:, :, 1, 1]) + density * reach**2 / 2
        covariance[:, :, 0, 1] = cross
        covariance[:, :, 1, 0] = cross
        covariance[:, :, 1, 1] = keep**2 * old[:, :, 1, 1] + density * spread
        return Motion(mean, covariance)

    def update(
        self, motion: Motion, boxes: FloatArray, scores: FloatArray, rivalry: FloatArray | None = None
    ) -> Motion:
        """Each track corrected by its own box; one of low score, or that shows others as well, counts for less.

        Args:
            motion: T tracks at the time of the boxes.
            boxes: (T, 4) corners.
            scores: (T,) 0..1.
            rivalry: (T,) 0..1, how much of the box is where somebody else is expected; absent: nobody is.
        """
        measured = xyxy_to_cxcywh(boxes.astype(np.float64))
        noise = self._noise(motion.heights, scores)
        if rivalry is not None:
            noise = noise * (1 + self._rival_weight * rivalry.astype(np.float64))[:, None] ** 2
        old = motion.covariance
        innovation = measured - motion.mean[:, :, 0]
        gain = old[:, :, :, 0] / (old[:, :, 0, 0] + noise)[..., None]  # shape (T, 4, 2)
        mean = motion.mean + gain * innovation[..., None]
        covariance = old - gain[..., :, None] * old[:, :, None, 0, :]
        return Motion(mean, covariance)

    def squared_distance(self, motion: Motion, boxes: FloatArray) -> Array:
        """Squared Mahalanobis distance of centres, all pairs: T tracks and (N, 4) corners to (T, N).

        Under the model it is chi-square distributed with 2 degrees of freedom: 9.21 holds 99 % of true pairs.
        """
        centres = xyxy_to_cxcywh(boxes.astype(np.float64))[:, :2]
        variance = motion.covariance[:, :2, 0, 0] + self._noise(motion.heights, None)[:, :2]
        difference = centres[None] - motion.mean[:, None, :2, 0]
        squared: Array = (difference**2 / variance[:, None]).sum(axis=2)
        return squared

    def _noise(self, heights: Array, scores: FloatArray | None) -> Array:
        """(T, 4) variance of a measurement."""
        noise = (self._measurement * heights[:, None]) ** 2
        if scores is None:
            return noise
        return noise * (1 + self._score_weight * (1 - scores.astype(np.float64)))[:, None] ** 2

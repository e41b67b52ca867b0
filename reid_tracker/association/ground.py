"""Where people stand, for cameras whose homography to the ground plane is configured.

Two passages at one time in two calibrated cameras are one person where their feet stand in one place. The distance
of simultaneous foot points is the evidence: a Gaussian around zero against a stranger anywhere on the site.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from reid_tracker.config import CameraConfig
from reid_tracker.types import FloatArray

_FOOT_ERROR = 0.5  # metres; detectors' lower box edges through a hand-made homography
_SITE_AREA = 400.0  # square metres on which a stranger could stand as well
_MOST_FOR, _MOST_AGAINST = 8.0, 100.0  # nats; people crowd together, but nobody stands in two places
_SAME_MOMENT = 0.25  # seconds between two boxes that count as simultaneous
_REMEMBERED = 64  # foot points of a passage
_PASSAGES = 4096  # with foot points; the longest known is dropped first


class GroundPlane:
    """Foot points of open passages in metres. One per site, not thread-safe."""

    def __init__(self, cameras: Sequence[CameraConfig] = ()) -> None:
        self._homographies = {
            camera.id: np.array(camera.homography) for camera in cameras if camera.homography is not None
        }
        self._paths: dict[int, tuple[NDArray[np.float64], NDArray[np.float64]]] = {}

    @property
    def known(self) -> bool:
        """Any camera's homography is configured."""
        return bool(self._homographies)

    def saw(self, tracklet: int, camera_id: str, time: float, box: FloatArray) -> None:
        """A person's box (4,) at one moment."""
        homography = self._homographies.get(camera_id)
        if homography is None:
            return
        point = homography @ np.array([(box[0] + box[2]) / 2, box[3], 1.0])
        if abs(point[2]) < 1e-9:
            return  # on the horizon: nowhere
        if len(self._paths) >= _PASSAGES and tracklet not in self._paths:
            del self._paths[next(iter(self._paths))]
        times, points = self._paths.get(tracklet, (np.zeros(0), np.zeros((0, 2))))
        times, points = np.append(times, time), np.concatenate([points, point[None, :2] / point[2]])
        self._paths[tracklet] = times[-_REMEMBERED:], points[-_REMEMBERED:]

    def forget(self, tracklets: Sequence[int]) -> None:
        """Passages that ended long enough ago."""
        for tracklet in tracklets:
            self._paths.pop(tracklet, None)

    def evidence(self, first: int, second: int) -> float:
        """Log-likelihood ratio of two tracklets being one person; 0 where they were never seen at one moment."""
        if first not in self._paths or second not in self._paths:
            return 0.0
        times, points = self._paths[first]
        other_times, other_points = self._paths[second]
        nearest = np.abs(times[:, None] - other_times[None]).argmin(axis=1)
        together = np.abs(times - other_times[nearest]) <= _SAME_MOMENT
        if not together.any():
            return 0.0
        apart = np.linalg.norm(points[together] - other_points[nearest[together]], axis=1)
        # The error of a foot point hardly changes from frame to frame: all moments together say what one says.
        squared = float(np.median(apart)) ** 2
        same = -np.log(2 * np.pi * _FOOT_ERROR**2) - squared / (2 * _FOOT_ERROR**2)
        return float(np.clip(same + np.log(_SITE_AREA), -_MOST_AGAINST, _MOST_FOR))

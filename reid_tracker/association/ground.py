"""Where people stand: on configured ground in metres, and on the ground that two cameras were found to share.

Two passages at one time in two cameras are one person where their feet stand in one place. The distance of
simultaneous foot points is the evidence: a Gaussian around zero against a stranger anywhere on the site. Configured
homographies are believed; maps that were learned (overlap.py) are trusted less, and only where people proved them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from reid_tracker.association.calibration import Calibration
from reid_tracker.association.feet import FootPath, together
from reid_tracker.association.homography import project
from reid_tracker.association.identities import Passage
from reid_tracker.association.overlap import OverlapLearner, Pair, SharedView
from reid_tracker.config import CameraConfig
from reid_tracker.types import FloatArray

_FOOT_ERROR = 0.5  # metres; detectors' lower box edges through a hand-made homography
_SITE_AREA = 400.0  # square metres on which a stranger could stand as well
_MOST_FOR, _MOST_AGAINST = 8.0, 100.0  # nats; people crowd together, but nobody stands in two places
_PASSAGES = 4096

_LEAST_ERROR = 0.06  # body heights; boxes shake by more than a good map is off
_RAYLEIGH_MEDIAN = 1.177  # median distance over standard deviation, two dimensions
_ASTRAY = 0.02  # share of simultaneous passages of one person that do not stand together: tracks that went astray
_NEARBY = 1.0  # body heights from where people proved a map; farther off it has nothing to say


class GroundPlane:
    """Foot points of remembered passages, and what they say. One per site, not thread-safe.

    Args:
        cameras: homographies of those that are configured.
        calibration: what looks mean here.
        most: passages with foot points; the longest known is dropped first.
    """

    def __init__(
        self,
        cameras: Sequence[CameraConfig] = (),
        calibration: Calibration | None = None,
        most: int = _PASSAGES,
    ) -> None:
        self._homographies = {
            camera.id: np.array(camera.homography, np.float64) for camera in cameras if camera.homography is not None
        }
        self._paths: dict[int, FootPath] = {}
        self._learner = OverlapLearner(self._paths, calibration or Calibration())
        self._most = most

    @property
    def known(self) -> bool:
        """Any camera's homography is configured, or two cameras were found to share ground."""
        return bool(self._homographies or self._learner.views)

    @property
    def shared(self) -> Mapping[Pair, SharedView]:
        """What was learned, by camera ids."""
        return self._learner.views

    def saw(
        self, tracklet: int, camera_id: str, time: float, box: FloatArray, size: tuple[int, int] | None = None
    ) -> None:
        """A person's box (4,) at one moment; ``size`` is that of the picture, whose edge may cut the box."""
        if tracklet not in self._paths:
            if len(self._paths) >= self._most:
                self.forget([next(iter(self._paths))])
            self._paths[tracklet] = FootPath(camera_id)
        self._paths[tracklet].add(time, box, size)

    def learn(self, open_: Sequence[Passage], now: float) -> None:
        """See what the passages in view teach of the ground that cameras share."""
        self._learner.learn(open_, now)

    def forget(self, tracklets: Sequence[int]) -> None:
        """Passages that ended long enough ago."""
        self._learner.forget(tracklets)
        for tracklet in tracklets:
            self._paths.pop(tracklet, None)

    def forget_camera(self, camera_id: str) -> None:
        """A camera looks elsewhere: its homography, maps with it and where people stood in it mean nothing any more."""
        self._homographies.pop(camera_id, None)
        self._learner.forget_camera(camera_id)
        for tracklet in [number for number, path in self._paths.items() if path.camera_id == camera_id]:
            self.forget([tracklet])

    def evidence(self, first: int, second: int) -> float:
        """Log-likelihood ratio of two tracklets being one person; 0 where they were never seen at one moment."""
        one, other = self._paths.get(first), self._paths.get(second)
        if one is None or other is None or one.camera_id == other.camera_id:
            return 0.0
        if one.camera_id in self._homographies and other.camera_id in self._homographies:
            return self._in_metres(one, other)
        if (one.camera_id, other.camera_id) in self._learner.views:
            return _on_shared(one, other, self._learner.views[one.camera_id, other.camera_id])
        if (other.camera_id, one.camera_id) in self._learner.views:
            return _on_shared(other, one, self._learner.views[other.camera_id, one.camera_id])
        return 0.0

    def _in_metres(self, one: FootPath, other: FootPath) -> float:
        mine, theirs = together(one, other)
        if not len(mine):
            return 0.0
        here = project(self._homographies[one.camera_id][None], mine[:, :2])[0]
        there = project(self._homographies[other.camera_id][None], theirs[:, :2])[0]
        nowhere = ~(np.isfinite(here).all(axis=1) & np.isfinite(there).all(axis=1))  # above the horizon
        if nowhere.all():
            return 0.0
        # The error of a foot point hardly changes from frame to frame: all moments together say what one says.
        apart = float(np.median(np.linalg.norm((here - there)[~nowhere], axis=1)))
        same = -np.log(2 * np.pi * _FOOT_ERROR**2) - apart**2 / (2 * _FOOT_ERROR**2)
        return float(np.clip(same + np.log(_SITE_AREA), -_MOST_AGAINST, _MOST_FOR))


def _on_shared(one: FootPath, other: FootPath, view: SharedView) -> float:
    """The same on ground that was learned, in body heights of the second camera."""
    mine, theirs = together(one, other, view.offset)
    if not len(mine):
        return 0.0
    near = _proved(mine, view)
    if not near.any():
        return 0.0
    expected = view.map(mine[near, :2])
    apart = float(np.median(np.linalg.norm(expected - theirs[near, :2], axis=1) / theirs[near, 2]))
    error = max(view.map.residual / _RAYLEIGH_MEDIAN, _LEAST_ERROR)
    density = np.exp(-(apart**2) / (2 * error**2)) / (2 * np.pi * error**2)
    ratio = (1 - _ASTRAY) * density * view.spread + _ASTRAY
    return float(min(np.log(ratio), _MOST_FOR))


def _proved(feet: NDArray[np.float64], view: SharedView) -> NDArray[np.bool_]:
    """(N,) which of (N, 3) feet in the first camera are where people proved the map."""
    apart = np.linalg.norm(feet[:, None, :2] - view.map.known[None, :, :2], axis=2)
    near: NDArray[np.bool_] = (apart <= _NEARBY * feet[:, None, 2]).any(axis=1)
    return near

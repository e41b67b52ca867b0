"""The values that travel along the main path.

Frozen, array-backed, validated once where they are made and trusted afterwards. One box convention
(x1, y1, x2, y2 in pixels of the frame, not clipped), one colour order (BGR, as OpenCV) and one clock
(UTC seconds as float) everywhere. Letters in the docstrings: N detections, L looks, D global
dimension, S stripes, d stripe dimension.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reid_tracker.errors import InputError

FloatArray = NDArray[np.float32]
BoolArray = NDArray[np.bool_]
Image = NDArray[np.uint8]

_UNIT_TOLERANCE = 0.02  # of a squared length: ten times what half precision rounds off


def _require(condition: bool, what: str, expected: str, got: object) -> None:
    if not condition:
        raise InputError(f"{what}: expected {expected}, got {got}")


def _require_unit(what: str, vectors: FloatArray, valid: BoolArray) -> None:
    """Distances mean something between vectors of unit length alone; NaN has none."""
    meant = vectors if valid.all() else vectors[valid]
    squares = np.einsum("...d,...d->...", meant, meant, dtype=np.float32, casting="unsafe")
    if not bool((np.abs(squares - 1) < _UNIT_TOLERANCE).all()):
        worst = float(np.sqrt(squares.flat[np.abs(squares - 1).argmax()]))
        raise InputError(f"{what}: expected unit length, got {worst:g}; divide each by its length (embedder)")


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture of one camera.

    Attributes:
        camera_id: name of the camera, unique in a run.
        index: frame number in its camera, from 0.
        time: capture time, UTC seconds.
        image: (H, W, 3) uint8, BGR.
    """

    camera_id: str
    index: int
    time: float
    image: Image = field(repr=False, compare=False)

    def __post_init__(self) -> None:
        _require(
            self.image.ndim == 3 and self.image.shape[2] == 3 and self.image.dtype == np.uint8,
            f"image of camera {self.camera_id!r}, frame {self.index}",
            "uint8 of shape (H, W, 3)",
            f"{self.image.dtype} of shape {self.image.shape}",
        )
        _require(
            bool(np.isfinite(self.time)),
            f"time of camera {self.camera_id!r}, frame {self.index}",
            "finite UTC seconds",
            self.time,
        )


@dataclass(frozen=True, slots=True)
class Detections:
    """People found in one frame.

    Attributes:
        boxes: (N, 4) float32, x1 y1 x2 y2 in pixels of the frame, not clipped to it, finite, x2 > x1, y2 > y1.
        scores: (N,) float32 in 0..1.
    """

    boxes: FloatArray
    scores: FloatArray

    def __post_init__(self) -> None:
        _require(
            self.boxes.ndim == 2 and self.boxes.shape[1] == 4,
            "boxes",
            "shape (N, 4)",
            self.boxes.shape,
        )
        _require(self.scores.shape == (len(self.boxes),), "scores", f"shape ({len(self.boxes)},)", self.scores.shape)
        _require(
            bool(np.isfinite(self.boxes).all() and np.isfinite(self.scores).all()),
            "detections",
            "finite boxes and scores",
            "NaN or infinity",
        )
        if len(self.boxes):
            _require(
                bool((self.boxes[:, 2:] > self.boxes[:, :2]).all()),
                "boxes",
                "x2 > x1 and y2 > y1",
                "a box without area",
            )

    def __len__(self) -> int:
        return len(self.boxes)

    def select(self, which: Any) -> Detections:
        """The rows that a mask or index array picks, in its order."""
        return Detections(self.boxes[which], self.scores[which])

    @staticmethod
    def empty() -> Detections:
        """No detection: arrays of length 0 with the right shapes."""
        return Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32))


@dataclass(frozen=True, slots=True)
class Appearance:
    """What the embedder says of N crops. Rows where ``valid`` is False hold zeros and mean nothing.

    Attributes:
        global_: (N, D) float32, unit length.
        stripes: (N, S, d) float32, each stripe of unit length, head to foot; S may be 0.
        quality: (N,) float32 in 0..1; how far the look can be trusted.
        valid: (N,) bool; a crop existed and was embedded.
    """

    global_: FloatArray
    stripes: FloatArray
    quality: FloatArray
    valid: BoolArray

    def __post_init__(self) -> None:
        count = len(self.global_)
        _require(self.global_.ndim == 2, "global vectors", "shape (N, D)", self.global_.shape)
        _require(
            self.stripes.ndim == 3 and len(self.stripes) == count,
            "stripes",
            f"shape ({count}, S, d)",
            self.stripes.shape,
        )
        _require(self.quality.shape == (count,), "quality", f"shape ({count},)", self.quality.shape)
        _require(
            self.valid.shape == (count,) and self.valid.dtype == np.bool_,
            "valid",
            f"bool of shape ({count},)",
            f"{self.valid.dtype} of shape {self.valid.shape}",
        )
        _require(bool(np.isfinite(self.quality).all()), "quality", "finite numbers", "NaN or infinity")
        _require_unit("global vectors", self.global_, self.valid)
        _require_unit("stripes", self.stripes, self.valid)

    def __len__(self) -> int:
        return len(self.global_)

    def select(self, which: Any) -> Appearance:
        """The rows that a mask or index array picks, in its order."""
        return Appearance(self.global_[which], self.stripes[which], self.quality[which], self.valid[which])

    @staticmethod
    def empty(count: int = 0, dimension: int = 0, stripes: int = 0, stripe_dimension: int = 0) -> Appearance:
        """``count`` rows that say nothing (valid False)."""
        return Appearance(
            np.zeros((count, dimension), np.float32),
            np.zeros((count, stripes, stripe_dimension), np.float32),
            np.zeros(count, np.float32),
            np.zeros(count, np.bool_),
        )


class TrackletState(StrEnum):
    """Where a tracklet stands: not yet believed, seen now, not seen now, over."""

    TENTATIVE = "tentative"
    CONFIRMED = "confirmed"
    LOST = "lost"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Tracklet:
    """One person's unbroken presence in one camera, as known at one moment.

    Attributes:
        id: unique in the run, over all cameras.
        camera_id: the camera it was seen in.
        state: see TrackletState.
        boxes: (K, 4) float32, the newest K boxes (bounded), oldest first; the last one is the present one.
        times: (K,) float64, UTC seconds of these boxes.
        score: detection score of the newest box.
        quality: quality of the newest look, 0 where the newest box was not embedded.
        started: UTC seconds of its first box.
        looks: bounded set of appearances chosen for quality and variety, all valid.
        look_times: (L,) float64, UTC seconds of the looks.
        look_boxes: (L, 4) float32, boxes of the looks.
        looks_version: grows whenever ``looks`` changed: new evidence.
    """

    id: int
    camera_id: str
    state: TrackletState
    boxes: FloatArray = field(repr=False)
    times: NDArray[np.float64] = field(repr=False)
    score: float
    quality: float
    started: float
    looks: Appearance = field(repr=False)
    look_times: NDArray[np.float64] = field(repr=False)
    look_boxes: FloatArray = field(repr=False)
    looks_version: int = 0

    @property
    def box(self) -> FloatArray:
        """(4,) float32: the present box."""
        box: FloatArray = self.boxes[-1]
        return box

    @property
    def updated(self) -> float:
        """UTC seconds of the newest box."""
        return float(self.times[-1])


@dataclass(frozen=True, slots=True)
class CameraTracks:
    """What a per-camera tracker says of one frame; the associator's input.

    Attributes:
        camera_id, index, time: of the frame.
        size: (width, height) of the frame in pixels.
        tracklets: believed and seen in this frame (state CONFIRMED).
        lost: believed, not seen in this frame, still looked for (state LOST).
        ended: over since the previous frame (state ENDED); each tracklet appears here exactly once.
        grey: the camera sees by infrared, in grey.
        moved: it has become clear with this frame that the camera looks elsewhere than before.
    """

    camera_id: str
    index: int
    time: float
    size: tuple[int, int]
    tracklets: tuple[Tracklet, ...]
    lost: tuple[Tracklet, ...] = ()
    ended: tuple[Tracklet, ...] = ()
    grey: bool = False
    moved: bool = False


@dataclass(frozen=True, slots=True)
class TrackedPerson:
    """One person in one frame, as a sink sees it. ``identity`` is the id as known at this moment.

    Attributes:
        identity: id over all cameras, from 1.
        tracklet: id of the tracklet.
        box: (x1, y1, x2, y2) in pixels of the frame.
        score: detection score, 0..1.
        state: ``provisional`` while the link may still change for want of evidence, else ``settled``.
        quality: of the look in this frame, 0 where none was taken.
    """

    identity: int
    tracklet: int
    box: tuple[float, float, float, float]
    score: float
    state: str
    quality: float = 0.0


class EventType(StrEnum):
    """What can happen to an identity."""

    STARTED = "started"
    LINKED = "linked"
    MERGED = "merged"
    SPLIT = "split"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class IdentityEvent:
    """A decision about an identity, and why.

    Replaying the events of a run in order gives the final identity of each tracklet: ``started`` and ``linked``
    give ``tracklets`` to ``identity``; ``merged`` gives it all tracklets of the identities in ``supersedes``;
    ``split`` moves ``tracklets`` out of ``supersedes`` into ``identity``; ``ended`` changes nothing.

    Attributes:
        event_id: grows by one, from 1, over the run.
        type: see EventType.
        time: UTC seconds when it was decided.
        camera_id: where the deciding tracklet was seen.
        identity: the identity that holds after it.
        tracklets: the tracklets the decision was about.
        supersedes: identities that no longer hold for these tracklets.
        evidence: for ``linked`` and ``merged``: rule, global_distance, aligned_distance, stripe_path, time_gap,
            probability, runner_up, margin (docs/output-format.md); plain numbers, strings, lists.
        key: the same however often it is told, where it may be told again under another ``event_id`` (by the
            districts of a cluster); else empty.
    """

    event_id: int
    type: EventType
    time: float
    camera_id: str
    identity: int
    tracklets: tuple[int, ...] = ()
    supersedes: tuple[int, ...] = ()
    evidence: Mapping[str, Any] = field(default_factory=dict)
    key: str = ""


@dataclass(frozen=True, slots=True)
class TrackedFrame:
    """One line of tracks.jsonl: the people in one frame of one camera and what was decided with it.

    Attributes:
        camera_id, index, time: of the frame.
        people: in the frame.
        events: decided with this frame (on the run's last frame: also what was decided at its end).
        size: (width, height) of the frame in pixels.
        finished: tracklets that ended with this frame, with their looks; on the run's last frame those of all
            cameras. Not part of the line; sinks that keep looks use it.
        image: the picture, for sinks that draw; None where the pipeline was told not to keep it.
    """

    camera_id: str
    index: int
    time: float
    people: tuple[TrackedPerson, ...]
    events: tuple[IdentityEvent, ...] = ()
    size: tuple[int, int] = (0, 0)
    finished: tuple[Tracklet, ...] = field(default=(), repr=False, compare=False)
    image: Image | None = field(default=None, repr=False, compare=False)

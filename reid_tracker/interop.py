"""Conversion to and from ``supervision.Detections``, for programs that detect, count or draw with that library.

Needs the extra ``supervision`` (MIT; its dependency PyAV bundles x264 and x265, which are GPL).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from reid_tracker.errors import ConfigError, InputError
from reid_tracker.types import Detections, TrackedFrame

PERSON = 0
"""The class of people where models number classes as COCO does, from 0."""


def from_supervision(found: Any, person_class: int | None = PERSON) -> Detections:
    """The people among ``found``, in their order; boxes without area are left out.

    Args:
        found: supervision.Detections: xyxy (N, 4) in pixels of the frame; confidence (N,) 0..1, None counts as 1.
        person_class: class_id of people; None takes every box. Also where ``found`` has no classes, every box counts.

    Raises:
        InputError: it is no supervision.Detections, or a box or confidence is not finite.
    """
    if not hasattr(found, "xyxy") or not hasattr(found, "confidence"):
        raise InputError(f"from_supervision: expected supervision.Detections, got {type(found).__name__}")
    boxes = np.asarray(found.xyxy, np.float32).reshape(-1, 4)
    scores = np.ones(len(boxes), np.float32) if found.confidence is None else np.asarray(found.confidence, np.float32)
    kept = ~((boxes[:, 2:] <= boxes[:, :2]).any(axis=1))  # NaN stays, to be refused below
    if person_class is not None and found.class_id is not None:
        kept &= np.asarray(found.class_id) == person_class
    return Detections(boxes[kept], scores[kept])


def to_supervision(tracked: TrackedFrame) -> Any:
    """The people of one frame as supervision.Detections, in their order.

    ``tracker_id`` is the identity over all cameras, so that what counts by it counts a person once over all of them;
    ``class_id`` is 0. ``data`` holds ``tracklet`` (N,) int64, ``state`` (N,) str and ``quality`` (N,) float32;
    ``metadata`` holds ``camera``, ``frame`` and ``time``.

    Raises:
        ConfigError: supervision is not installed.
    """
    try:
        import supervision
    except ImportError as error:
        raise ConfigError(
            f"to_supervision needs the extra 'supervision': pip install 'reid_tracker[supervision]' ({error})"
        ) from error
    people = tracked.people
    return supervision.Detections(
        xyxy=np.array([person.box for person in people], np.float32).reshape(-1, 4),
        confidence=np.array([person.score for person in people], np.float32),
        class_id=np.full(len(people), PERSON, np.int64),
        tracker_id=np.array([person.identity for person in people], np.int64),
        data={
            "tracklet": np.array([person.tracklet for person in people], np.int64),
            "state": np.array([person.state for person in people], np.str_),
            "quality": np.array([person.quality for person in people], np.float32),
        },
        metadata={"camera": tracked.camera_id, "frame": tracked.index, "time": tracked.time},
    )

"""A small scripted run that all tests of results share: two people, two cameras, one late merge."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from reid_tracker.types import (
    Appearance,
    EventType,
    IdentityEvent,
    TrackedFrame,
    TrackedPerson,
    Tracklet,
    TrackletState,
)

SIZES = {"door": (320, 240), "hall": (480, 270)}
EVIDENCE = {
    "rule": "appearance",
    "other_tracklet": 1,
    "global_distance": 0.31,
    "aligned_distance": 0.22,
    "stripe_path": [[0, 0], [1, 1], [1, 2], [2, 3], [3, 3], [4, 4], [5, 5], [6, 6], [7, 7]],
    "time_gap": 1.2,
    "probability": 0.97,
    "runner_up": {"identity": 2, "probability": 0.2},
    "margin": 0.77,
}


def looks_of(count: int, seed: int, dimension: int = 16) -> Appearance:
    """``count`` random looks: unit global vectors and eight unit stripes."""
    random = np.random.default_rng(seed)
    global_ = random.normal(size=(count, dimension)).astype(np.float32)
    stripes = random.normal(size=(count, 8, 4)).astype(np.float32)
    return Appearance(
        global_ / np.linalg.norm(global_, axis=-1, keepdims=True),
        stripes / np.linalg.norm(stripes, axis=-1, keepdims=True),
        random.uniform(0.2, 1, count).astype(np.float32),
        np.ones(count, np.bool_),
    )


def ended(tracklet: int, camera_id: str, times: list[float], looks: int = 3) -> Tracklet:
    """A tracklet as a tracker hands it over when it is over."""
    boxes = np.tile(np.array([[10, 20, 50, 120]], np.float32), (len(times), 1))
    return Tracklet(
        id=tracklet,
        camera_id=camera_id,
        state=TrackletState.ENDED,
        boxes=boxes,
        times=np.array(times),
        score=0.9,
        quality=0.8,
        started=times[0],
        looks=looks_of(looks, tracklet),
        look_times=np.linspace(times[0], times[-1], looks),
        look_boxes=np.tile(np.array([[10, 20, 50, 120]], np.float32), (looks, 1)),
    )


def event(number: int, kind: EventType, time: float, camera: str, identity: int, **details: object) -> IdentityEvent:
    """An identity event with the given details."""
    return IdentityEvent(number, kind, time, camera, identity, **details)  # type: ignore[arg-type]


def person(identity: int, tracklet: int, left: float, quality: float = 0.5) -> TrackedPerson:
    """Somebody 40 pixels wide and 100 tall whose box begins at ``left``."""
    return TrackedPerson(identity, tracklet, (left, 60.25, left + 40, 160.25), 0.875, "settled", quality)


def picture(camera: str, index: int, people: tuple[TrackedPerson, ...]) -> np.ndarray:
    """A grey picture with a coloured figure per person, so that crops and video have something to show."""
    width, height = SIZES[camera]
    image = np.full((height, width, 3), 90 + index % 20, np.uint8)
    for someone in people:
        x1, y1, x2, y2 = (max(int(corner), 0) for corner in someone.box)
        image[y1:y2, x1:x2] = (40, 60, 60 * someone.tracklet % 255)
        image[y1 : y1 + 25, x1:x2] = (150, 180, 220)
    return image


def scripted_run(images: bool = False) -> Iterator[TrackedFrame]:
    """Thirty moments at 10 a second.

    Person 1 walks through door (tracklet 1, 0.0 to 1.4 s), then hall (tracklet 3 from 1.8 s), where he is taken for
    somebody new (identity 3) until 2.5 s. Person 2 stays at the door (tracklet 2).
    """
    events = {
        ("door", 0): (
            event(1, EventType.STARTED, 0.0, "door", 1, tracklets=(1,)),
            event(2, EventType.STARTED, 0.0, "door", 2, tracklets=(2,)),
        ),
        ("hall", 18): (event(3, EventType.STARTED, 1.8, "hall", 3, tracklets=(3,)),),
        ("hall", 25): (event(4, EventType.MERGED, 2.5, "hall", 1, tracklets=(3,), supersedes=(3,), evidence=EVIDENCE),),
        ("hall", 29): (event(5, EventType.ENDED, 2.9, "hall", 1, tracklets=(3,)),),
    }
    finished = {
        ("door", 20): (ended(1, "door", [0.0, 1.4]),),
        ("hall", 29): (ended(2, "door", [0.0, 2.9], looks=2), ended(3, "hall", [1.8, 2.9], looks=0)),
    }
    for index in range(30):
        for camera in SIZES:
            people: tuple[TrackedPerson, ...] = ()
            if camera == "door":
                people = (person(2, 2, 200, quality=index / 30),)
                if index < 15:
                    people += (person(1, 1, 5.0 * index, quality=0.2 + index / 30),)
            elif index >= 18:
                people = (person(3 if index < 25 else 1, 3, 8.0 * index - 100),)
            yield TrackedFrame(
                camera,
                index,
                index / 10,
                people,
                events.get((camera, index), ()),
                SIZES[camera],
                finished.get((camera, index), ()),
                picture(camera, index, people) if images else None,
            )


@pytest.fixture
def run() -> list[TrackedFrame]:
    """The scripted run without pictures."""
    return list(scripted_run())


@pytest.fixture
def pictured_run() -> list[TrackedFrame]:
    """The scripted run with pictures."""
    return list(scripted_run(images=True))


@pytest.fixture
def make_event() -> Callable[..., IdentityEvent]:
    """Makes an identity event: number, type, time, camera, identity, details."""
    return event

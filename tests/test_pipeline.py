"""The main path with parts that can be read at a glance: order, batching, and how a run ends."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest

from reid_tracker.config import Config
from reid_tracker.errors import ConfigError
from reid_tracker.pipeline import Pipeline
from reid_tracker.types import (
    Appearance,
    BoolArray,
    CameraTracks,
    Detections,
    EventType,
    Frame,
    IdentityEvent,
    TrackedFrame,
    Tracklet,
    TrackletState,
)


def frame(camera: str, index: int, time: float) -> Frame:
    return Frame(camera, index, time, np.full((4, 6, 3), index, np.uint8))


def one_tracklet(camera: str, state: TrackletState) -> Tracklet:
    return Tracklet(
        1, camera, state, np.array([[0, 0, 1, 2]], np.float32), np.zeros(1), 0.9, 0.0, 0.0,
        Appearance.empty(), np.zeros(0), np.zeros((0, 4), np.float32),
    )  # fmt: skip


class Recorder:
    """Detector, embedder, tracker and associator in one, writing down who was called with what."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, object]] = []

    def detector(self, frames: Sequence[Frame]) -> list[Detections]:
        self.calls.append(("detect", [f.camera_id for f in frames]))
        return [Detections(np.array([[0, 0, 1, 2]], np.float32), np.ones(1, np.float32)) for _ in frames]

    def embedder(
        self, frames: Sequence[Frame], detections: Sequence[Detections], wanted: Sequence[BoolArray] | None = None
    ) -> list[Appearance]:
        assert wanted is not None
        assert len(frames) == len(detections) == len(wanted)
        self.calls.append(("embed", [bool(mask.all()) for mask in wanted]))
        return [Appearance.empty(len(found), 4) for found in detections]

    def new_tracker(self, camera_id: str) -> OneTracker:
        self.calls.append(("new tracker", camera_id))
        return OneTracker(camera_id)

    def __call__(self, tracks: Sequence[CameraTracks]) -> list[TrackedFrame]:
        self.calls.append(("associate", [t.camera_id for t in tracks]))
        return [TrackedFrame(t.camera_id, t.index, t.time, ()) for t in tracks]

    def finish(self, ended: Sequence[Tracklet]) -> tuple[IdentityEvent, ...]:
        return tuple(IdentityEvent(k, EventType.ENDED, 0.0, t.camera_id, k) for k, t in enumerate(ended, 1))


class OneTracker:
    def __init__(self, camera_id: str) -> None:
        self.camera_id = camera_id

    def wanted(self, frame: Frame, detections: Detections) -> BoolArray:
        assert frame.camera_id == self.camera_id
        return np.ones(len(detections), np.bool_)

    def __call__(self, frame: Frame, detections: Detections, appearance: Appearance) -> CameraTracks:
        assert len(detections) == len(appearance)
        return CameraTracks(frame.camera_id, frame.index, frame.time, (6, 4), ())

    def drop(self, tracklets: Collection[int]) -> None:
        pass

    def finish(self) -> tuple[Tracklet, ...]:
        return (one_tracklet(self.camera_id, TrackletState.ENDED),)


class Recording:
    """A source that plays frames at given times."""

    def __init__(self, camera_id: str, times: Sequence[float]) -> None:
        self.camera_id = camera_id
        self._times = times

    def __iter__(self) -> Iterator[Frame]:
        return (frame(self.camera_id, index, time) for index, time in enumerate(self._times))

    def close(self) -> None:
        pass


def pipeline(parts: Recorder, keep_images: bool = False) -> Pipeline:
    return Pipeline(parts.detector, parts.embedder, parts.new_tracker, parts, keep_images)


def test_step_takes_all_cameras_in_one_batch_and_keeps_their_order() -> None:
    parts = Recorder()
    tracked = pipeline(parts).step([frame("hall", 3, 1.0), frame("door", 5, 1.0)])

    assert [(t.camera_id, t.index) for t in tracked] == [("hall", 3), ("door", 5)]
    assert parts.calls == [
        ("detect", ["hall", "door"]),
        ("new tracker", "hall"),
        ("new tracker", "door"),
        ("embed", [True, True]),
        ("associate", ["hall", "door"]),
    ]


def test_a_camera_keeps_its_tracker() -> None:
    parts = Recorder()
    program = pipeline(parts)
    for index in range(3):
        program.step([frame("door", index, index / 10)])
    assert parts.calls.count(("new tracker", "door")) == 1


def test_images_travel_only_when_asked_for() -> None:
    moment = [frame("door", 7, 0.0)]
    assert pipeline(Recorder()).step(moment)[0].image is None
    kept = pipeline(Recorder(), keep_images=True).step(moment)[0].image
    assert kept is not None
    assert kept[0, 0, 0] == 7


def test_run_ends_with_what_was_decided_at_the_end() -> None:
    cameras = [Recording("door", [0.0, 0.1, 0.2]), Recording("hall", [0.0, 0.2])]
    tracked = list(pipeline(Recorder()).run(cameras))

    assert sorted((t.camera_id, t.index) for t in tracked) == [
        ("door", 0), ("door", 1), ("door", 2), ("hall", 0), ("hall", 1),
    ]  # fmt: skip
    assert [t.time for t in tracked] == sorted(t.time for t in tracked)
    assert all(not t.events and not t.finished for t in tracked[:-1])
    assert [event.type for event in tracked[-1].events] == [EventType.ENDED, EventType.ENDED]
    assert {tracklet.camera_id for tracklet in tracked[-1].finished} == {"door", "hall"}


def test_a_stopped_run_still_finishes() -> None:
    tracked = list(pipeline(Recorder()).run([Recording("door", [0.0, 0.1, 0.2])], stop=lambda: True))
    assert [t.index for t in tracked] == [0]
    assert tracked[-1].finished


def test_a_run_without_frames_yields_nothing() -> None:
    assert list(pipeline(Recorder()).run([Recording("door", [])])) == []


def test_own_parts_are_used_and_those_of_the_configuration_are_not_loaded() -> None:
    """The configuration names files that do not exist: loading them would fail."""
    parts = Recorder()
    config = Config().with_values({"detection.model": "absent.onnx", "embedding.model": "absent.onnx"})
    pipeline = Pipeline.from_config(config, detector=parts.detector, embedder=parts.embedder)
    pipeline.step([frame("door", 0, 0.0)])
    assert parts.calls == [("detect", ["door"]), ("embed", [True])]
    with pytest.raises(ConfigError, match=r"absent\.onnx"):
        Pipeline.from_config(config, embedder=parts.embedder)


def test_callbacks_hear_of_every_event_before_it_is_returned() -> None:
    """Of steps and of the end of a run; in the order of the events, and each callback."""
    parts = Recorder()
    told: list[tuple[str, int]] = []
    program = pipeline(parts)
    for name in ("first", "second"):
        program.on_event(lambda event, name=name: told.append((name, event.event_id)))  # type: ignore[misc]
    started = IdentityEvent(1, EventType.STARTED, 0.0, "door", 1, (1,))
    program.associator = Deciding((started, replace(started, event_id=2, identity=2)))
    program.step([frame("door", 0, 0.0)])
    assert told == [("first", 1), ("second", 1), ("first", 2), ("second", 2)]
    program.associator = parts
    program.finish()
    assert told[4:] == [("first", 1), ("second", 1)]


class Deciding:
    """An associator that has always decided the same."""

    def __init__(self, events: tuple[IdentityEvent, ...]) -> None:
        self._events = events

    def __call__(self, tracks: Sequence[CameraTracks]) -> list[TrackedFrame]:
        return [TrackedFrame(t.camera_id, t.index, t.time, (), self._events) for t in tracks]

    def finish(self, ended: Sequence[Tracklet]) -> tuple[IdentityEvent, ...]:
        del ended
        return ()

"""The main path: frames of many cameras go in, people with one id over all cameras come out.

    sources -> detector -> crops -> embedder -> per-camera tracker -> associator -> sinks

Nothing here knows of files, sockets, web pages or GPUs. An offline run, a live service, a worker of a cluster and
somebody's own loop all call ``step``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace

from reid_tracker.clock import SiteClock
from reid_tracker.config import Config
from reid_tracker.parts import Associator, Detector, Embedder, Source, Stage, Tracker, unwatched
from reid_tracker.types import CameraTracks, Frame, IdentityEvent, TrackedFrame, Tracklet


class Pipeline:
    """Detector, embedder, one tracker per camera and the associator, wired. Not thread-safe.

    Args:
        detector, embedder, associator: the parts (reid_tracker.parts says what they must do).
        new_tracker: makes the tracker of a camera that is seen for the first time.
        keep_images: hand pictures on to sinks that draw.
    """

    def __init__(
        self,
        detector: Detector,
        embedder: Embedder,
        new_tracker: Callable[[str], Tracker],
        associator: Associator,
        keep_images: bool = False,
    ) -> None:
        self.detector = detector
        self.embedder = embedder
        self.associator = associator
        self.trackers: dict[str, Tracker] = {}
        self.new_tracker = new_tracker
        self.stage: Stage = unwatched
        self.clock = SiteClock()
        self._keep_images = keep_images
        self._on_event: list[Callable[[IdentityEvent], None]] = []

    @classmethod
    def from_config(
        cls, config: Config | None = None, detector: Detector | None = None, embedder: Embedder | None = None
    ) -> Pipeline:
        """The pipeline that a configuration describes; the defaults where none is given.

        Args:
            detector, embedder: parts of one's own in place of the configuration's, which are then not loaded. A
                detector may say with ``score_levels_of(camera_id)`` which of its scores continue and begin tracks.
        """
        from reid_tracker.build import build_pipeline  # the parts know their runtimes; this file does not

        return build_pipeline(config or Config(), detector=detector, embedder=embedder)

    def on_event(self, callback: Callable[[IdentityEvent], None]) -> None:
        """Have ``callback`` called with every event from now on, in order, before ``step`` or ``finish`` returns it.

        It runs on the caller's thread and delays it; an error that it raises comes out of ``step`` or ``finish``.
        """
        self._on_event.append(callback)

    def step(self, frames: Sequence[Frame]) -> list[TrackedFrame]:
        """Take the frames of one moment, at most one a camera, and say who is in them, in the same order.

        Where a camera's clock jumps, runs back or is hours off, its frames count at the site's time (clock.py).
        """
        frames = self.clock(frames)
        tracks = self.follow(frames)
        with self.stage("associate"):
            tracked = self.associator(tracks)

        if self._keep_images:
            tracked = [replace(moment, image=frame.image) for moment, frame in zip(tracked, frames, strict=True)]
        self._tell(event for moment in tracked for event in moment.events)
        return tracked

    def follow(self, frames: Sequence[Frame]) -> list[CameraTracks]:
        """The cameras' half of a step: who is where in each frame, as tracklets without identities."""
        with self.stage("detect"):
            detections = self.detector(frames)
        trackers = [self._tracker_of(frame.camera_id) for frame in frames]
        wanted = [
            tracker.wanted(frame, found) for tracker, frame, found in zip(trackers, frames, detections, strict=True)
        ]
        with self.stage("embed"):
            appearance = self.embedder(frames, detections, wanted)
        with self.stage("track"):
            return [
                tracker(frame, found, looks)
                for tracker, frame, found, looks in zip(trackers, frames, detections, appearance, strict=True)
            ]

    def let_go(self, camera_id: str) -> tuple[Tracklet, ...]:
        """End what is open in one camera, for the associator to be told; its next frame begins anew."""
        tracker = self.trackers.pop(camera_id, None)
        return tracker.finish() if tracker is not None else ()

    def drop(self, tracklets: Collection[int]) -> None:
        """Have the trackers forget some tracklets; who of them is still in view begins a new one."""
        for tracker in self.trackers.values():
            tracker.drop(tracklets)

    def finish(self) -> tuple[tuple[IdentityEvent, ...], tuple[Tracklet, ...]]:
        """End what is still open: the last events, and the tracklets that ended with the run."""
        ended = tuple(tracklet for camera_id in tuple(self.trackers) for tracklet in self.let_go(camera_id))
        events = self.associator.finish(ended)
        self._tell(events)
        return events, ended

    def run(self, cameras: Iterable[Source], stop: Callable[[], bool] = lambda: False) -> Iterator[TrackedFrame]:
        """Advance all cameras together by time until they end or ``stop()`` says so, then finish.

        The last moment's frames come last and carry what was decided at the end of the run.
        """
        from reid_tracker.sources import moments  # aligns cameras on one clock

        held: list[TrackedFrame] = []
        for frames in moments(cameras):
            yield from held
            held = self.step(frames)
            if stop():
                break
        events, ended = self.finish()
        yield from with_ending(held, events, ended)

    def _tell(self, events: Iterable[IdentityEvent]) -> None:
        for event in events:
            for callback in self._on_event:
                callback(event)

    def _tracker_of(self, camera_id: str) -> Tracker:
        if camera_id not in self.trackers:
            self.trackers[camera_id] = self.new_tracker(camera_id)
        return self.trackers[camera_id]


def with_ending(
    last: Sequence[TrackedFrame], events: Sequence[IdentityEvent], ended: Sequence[Tracklet]
) -> list[TrackedFrame]:
    """The last moment's frames, with what was decided at the end of the run on the very last of them."""
    if not last:
        return []
    *before, frame = last
    return [*before, replace(frame, events=(*frame.events, *events), finished=(*frame.finished, *ended))]

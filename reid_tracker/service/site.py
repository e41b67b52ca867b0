"""The live loop: newest pictures of all cameras, one step of the pipeline, and everybody who wants to know is told.

One thread owns the pipeline. Whoever else needs it (a correction, a search by picture) hands it a function and gets the
result, so nothing in the pipeline needs a lock; whoever listens is called with finished values and must not block.
"""

from __future__ import annotations

import logging
import math
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeVar

from reid_tracker.association import CrossCameraAssociator
from reid_tracker.association.remembered import RememberedPassage
from reid_tracker.association.remembering import open_passages
from reid_tracker.config import CameraConfig
from reid_tracker.errors import ReidTrackerError, SourceError
from reid_tracker.live import HealthReport
from reid_tracker.parts import Associator, Stage
from reid_tracker.types import CameraTracks, Frame, IdentityEvent, TrackedFrame, Tracklet

_WAIT_SECONDS = 0.1  # for pictures, between two looks at what else is asked
_COMMAND_SECONDS = 30.0
_MOST_COMMANDS = 16  # each holds one of the forty threads that answer requests
_OBEY_SECONDS = 0.005  # between two moments for what is asked, or one thing where that takes longer

_log = logging.getLogger(__name__)
_Result = TypeVar("_Result")


class Cameras(Protocol):
    """Where moments come from: LiveCameras, or whoever is told of cameras that are read elsewhere. Thread-safe."""

    @property
    def cameras(self) -> tuple[CameraConfig, ...]:
        """Those that there are now."""
        ...

    def next_moment(self, timeout: float) -> Sequence[Any]:
        """What came next of one or more cameras, each with its ``camera_id``; empty after ``timeout`` seconds."""
        ...

    def add(self, camera: CameraConfig) -> None:
        """Have a camera read. Raises ConfigError: there is one of that name."""
        ...

    def remove(self, camera_id: str) -> None:
        """Have a camera forgotten. Raises ConfigError: there is none of that name."""
        ...

    def pause(self, camera_id: str) -> None:
        """Have a camera left alone until ``resume``. Raises ConfigError: there is none of that name."""
        ...

    def resume(self, camera_id: str) -> None:
        """Have a paused camera read again. Raises ConfigError: there is none of that name."""
        ...

    def report(self) -> dict[str, HealthReport]:
        """How each camera is."""
        ...

    def close(self) -> None:
        """Read no more; may be called twice."""
        ...


class Steps(Protocol):
    """What the loop asks of a pipeline: the whole one, or the half of it that is not elsewhere."""

    associator: Associator
    stage: Stage

    def step(self, frames: Sequence[Any], /) -> list[TrackedFrame]:
        """Take one moment; who is in each of its frames, in order."""
        ...

    def let_go(self, camera_id: str) -> tuple[Tracklet, ...]:
        """End what is open in one camera."""
        ...

    def drop(self, tracklets: Collection[int], /) -> None:
        """Forget some tracklets; who of them is still in view begins a new one."""
        ...

    def finish(self) -> tuple[tuple[IdentityEvent, ...], tuple[Tracklet, ...]]:
        """End all that is open: the last events, and the tracklets that ended."""
        ...


class Listener(Protocol):
    """Is told of every moment, on the tracking thread: must return at once and not raise."""

    def __call__(
        self, frames: Sequence[Frame], tracked: Sequence[TrackedFrame], events: Sequence[IdentityEvent], /
    ) -> None:
        """``events`` are those decided outside a frame (corrections, cameras that went away)."""
        ...


class Busy(ReidTrackerError):
    """Tracking is not running, or has too much to do to answer."""


@dataclass(slots=True)
class LoopReport:
    """How the loop goes.

    Attributes:
        steps, frames: moments and pictures processed.
        step_seconds: mean time of the last few dozen steps.
        failures: steps that failed, by error.
        last_failure: the newest one in words.
    """

    steps: int = 0
    frames: int = 0
    step_seconds: float = 0.0
    failures: Counter[str] = field(default_factory=Counter)
    last_failure: str = ""


class LiveSite:
    """Cameras, pipeline and the thread that runs them. Thread-safe but for what is said otherwise.

    Args:
        cameras: are read; not closed here.
        pipeline: owned by the loop's thread from ``start`` on.
        lost_seconds: without a picture, after which the people of a camera are taken to have left it.
    """

    def __init__(self, cameras: Cameras, pipeline: Steps, lost_seconds: float) -> None:
        self.cameras = cameras
        self.pipeline = pipeline
        self._lost_seconds = lost_seconds
        self._listeners: list[Listener] = []
        self._memory: list[Callable[[Sequence[TrackedFrame], Sequence[RememberedPassage]], None]] = []
        self._commands: queue.Queue[tuple[Callable[[], Any], Future[Any]]] = queue.Queue(_MOST_COMMANDS)
        self._newest: dict[str, tuple[TrackedFrame, float]] = {}
        self._report = LoopReport()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tracking", daemon=True)

    @property
    def associator(self) -> CrossCameraAssociator:
        """For functions handed to ``call``."""
        assert isinstance(self.pipeline.associator, CrossCameraAssociator)
        return self.pipeline.associator

    @property
    def running(self) -> bool:
        """Whether the loop's thread lives."""
        return self._thread.is_alive() and not self._stopping.is_set()

    def listen(self, listener: Listener) -> None:
        """Tell ``listener`` of every moment. Before ``start``."""
        self._listeners.append(listener)

    def remember(self, memory: Callable[[Sequence[TrackedFrame], Sequence[RememberedPassage]], None]) -> None:
        """Hand ``memory`` every moment with the passages that are open after it. Before ``start``."""
        self._memory.append(memory)

    def start(self) -> None:
        """Begin to track."""
        self._thread.start()

    def stop(self) -> None:
        """End what is open, tell the last events, and end the thread."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()

    def report(self) -> LoopReport:
        """How the loop goes."""
        report = self._report
        return LoopReport(
            report.steps, report.frames, report.step_seconds, Counter(report.failures), report.last_failure
        )

    def newest(self) -> list[TrackedFrame]:
        """The newest result of each camera that still sends pictures."""
        now = time.monotonic()
        return [tracked for tracked, when in tuple(self._newest.values()) if now - when < self._lost_seconds]

    def forget(self, identity: int) -> None:
        """Take a person out of the newest results. On the tracking thread."""
        for camera_id, (tracked, when) in list(self._newest.items()):
            self._newest[camera_id] = (without(tracked, identity), when)

    def call(self, function: Callable[[], _Result], timeout: float = _COMMAND_SECONDS) -> _Result:
        """Run ``function`` on the tracking thread between two moments.

        Raises:
            Busy: tracking is not running, or did not get to it in time.
            Exception: whatever the function raises.
        """
        future: Future[_Result] = Future()
        if not self.running:
            raise Busy("tracking is not running; look at the health page")
        try:
            self._commands.put_nowait((function, future))
            return future.result(timeout)
        except (queue.Full, FutureTimeout) as error:
            future.cancel()
            raise Busy("tracking has too much to do; try again in a moment") from error

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._obey(_OBEY_SECONDS)
            frames = self.cameras.next_moment(_WAIT_SECONDS if self._commands.empty() else 0.0)
            self._let_go_of_silent_cameras({frame.camera_id for frame in frames})
            if frames:
                self._step(frames)
        self._obey(math.inf)
        self._finish()

    def _step(self, frames: Sequence[Frame]) -> None:
        began = time.perf_counter()
        with self.pipeline.stage("moment", frames):
            try:
                self._let_go_of_changed_pictures(frames)
                tracked = self.pipeline.step(frames)
            except Exception as error:  # one moment is lost; a service for weeks must not end with it
                self._failed("step", error)
                return
            self._count(len(frames), time.perf_counter() - began)
            now = time.monotonic()
            for moment in tracked:
                self._newest[moment.camera_id] = (moment, now)
            with self.pipeline.stage("tell"):
                self._tell(frames, tracked, ())

    def _count(self, frames: int, seconds: float) -> None:
        report = self._report
        report.steps += 1
        report.frames += frames
        report.step_seconds += (seconds - report.step_seconds) * (1.0 if report.steps == 1 else 0.05)

    def _open_passages(self) -> list[RememberedPassage]:
        return open_passages(self.associator)

    def _obey(self, seconds: float) -> None:
        """Do what others asked for, one thing at least and no further one once ``seconds`` have gone by.

        However many search at once, tracking has its turn after each. Whoever is answered finds told what was decided.
        """
        began, done = time.monotonic(), False
        while not done or time.monotonic() - began < seconds:
            try:
                function, future = self._commands.get_nowait()
            except queue.Empty:
                return
            if not future.set_running_or_notify_cancel():
                continue
            try:
                result = function()
            except Exception as error:  # belongs to whoever asked
                future.set_exception(error)
            else:
                self._tell_loose_events()
                future.set_result(result)
            done = True

    def _let_go_of_silent_cameras(self, heard: set[str]) -> None:
        """Where no picture comes, no tracker grows older: end its people once they would have been given up."""
        now = time.monotonic()
        known = {camera.id for camera in self.cameras.cameras}
        for camera_id, (tracked, when) in list(self._newest.items()):
            if camera_id in heard:
                continue
            if camera_id not in known or now - when > self._lost_seconds:
                del self._newest[camera_id]
                self._let_go(camera_id, tracked)

    def _let_go_of_changed_pictures(self, frames: Sequence[Frame]) -> None:
        """Boxes of one resolution mean nothing in another."""
        for frame in frames:
            before = self._newest.get(frame.camera_id)
            if before is not None and before[0].size != (frame.image.shape[1], frame.image.shape[0]):
                self._let_go(frame.camera_id, before[0])

    def _let_go(self, camera_id: str, last: TrackedFrame) -> None:
        ended = self.pipeline.let_go(camera_id)
        try:
            gone = self.pipeline.associator([CameraTracks(camera_id, last.index, last.time, last.size, (), (), ended)])
        except Exception as error:  # the others go on
            self._failed("letting go of a camera", error)
            return
        self._tell((), gone, ())

    def _finish(self) -> None:
        try:
            events, ended = self.pipeline.finish()
        except Exception as error:  # what was told before stands
            self._failed("finishing", error)
            return
        if self._newest:
            last, _ = next(iter(self._newest.values()))
            closing = TrackedFrame(last.camera_id, last.index, last.time, (), events, last.size, ended)
            self._tell((), [closing], ())

    def _tell_loose_events(self) -> None:
        if isinstance(self.pipeline.associator, CrossCameraAssociator):
            events = self.pipeline.associator.book.take_events()
            if events:
                self._tell((), (), events)

    def _tell(self, frames: Sequence[Frame], tracked: Sequence[TrackedFrame], events: Sequence[IdentityEvent]) -> None:
        carried = [*tracked, TrackedFrame("", 0, 0.0, (), tuple(events))] if events else list(tracked)
        passages = self._open_passages() if self._memory else []
        for memory in self._memory:
            self._guarded(lambda memory=memory: memory(carried, passages))  # type: ignore[misc]
        for listener in self._listeners:
            self._guarded(lambda listener=listener: listener(frames, tracked, events))  # type: ignore[misc]

    def _guarded(self, tell: Callable[[], None]) -> None:
        try:
            tell()
        except Exception as error:  # a listener's fault is not the others'
            self._failed("telling", error)

    def _failed(self, what: str, error: Exception) -> None:
        kind = type(error).__name__
        self._report.failures[kind] += 1
        self._report.last_failure = f"{what}: {error}"
        if self._report.failures[kind] in (1, 10, 100) or self._report.failures[kind] % 1000 == 0:
            level = logging.WARNING if isinstance(error, SourceError) else logging.ERROR
            _log.log(level, "%s failed (%d times so far): %s", what, self._report.failures[kind], error, exc_info=True)


def without(tracked: TrackedFrame, identity: int) -> TrackedFrame:
    """A frame without one of its people."""
    return replace(tracked, people=tuple(person for person in tracked.people if person.identity != identity))

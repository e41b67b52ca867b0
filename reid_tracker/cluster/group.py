"""A group of live cameras: read, tracked, and told to the site as tracklets and looks. One worker of a cluster runs it.

The site decides which cameras a group has; the group asks it every heartbeat, and says how they are. While the site
does not answer (it is started again, or the network is cut) the group goes on tracking, and once it is back says all
that is open, so that nothing has to be known of what was missed.
"""

from __future__ import annotations

import logging
import platform
import queue
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Protocol

from reid_tracker.build import build_pipeline
from reid_tracker.cluster.lives import new_life
from reid_tracker.cluster.news import FrameNews, NewsWriter
from reid_tracker.config import CameraConfig, Config
from reid_tracker.errors import ReidTrackerError
from reid_tracker.live import HealthReport, LiveCameras
from reid_tracker.pipeline import Pipeline
from reid_tracker.telemetry import open_telemetry
from reid_tracker.types import CameraTracks, Frame

_WAIT_SECONDS = 0.1
_MOST_SENT_ON = 3  # from one associator to the next, at one time
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Duty:
    """What a group has to do.

    Attributes:
        cameras: to read and track.
        paused: names of those to leave alone for now.
        waits: nothing is known of the group here yet: it goes on with what it has, tells nothing and asks again.
        elsewhere: associator that has the group now; empty where it is this one.
    """

    cameras: tuple[CameraConfig, ...] = ()
    paused: frozenset[str] = frozenset()
    waits: bool = False
    elsewhere: str = ""


@dataclass(frozen=True, slots=True)
class GroupReport:
    """How a group is.

    Attributes:
        group: its name.
        epoch: of this life of it; another one after it was started again.
        cameras: how each is.
        step_seconds: mean time of the last few dozen moments.
        busy: share of the time since the report before that was work, 0..1.
        undelivered: frames that could not be told to the site.
        failures: moments that failed; the newest in words.
        node: machine that it runs on.
    """

    group: str
    epoch: str
    cameras: dict[str, HealthReport] = field(default_factory=dict)
    step_seconds: float = 0.0
    busy: float = 0.0
    undelivered: int = 0
    failures: int = 0
    last_failure: str = ""
    node: str = ""


class SiteLink(Protocol):
    """The site as a group knows it. Calls raise SiteAway where it does not answer."""

    def take(self, group: str, epoch: str, news: Sequence[FrameNews]) -> list[str]:
        """Take one moment; the cameras of which all has to be said with the next one."""
        ...

    def sync(self, report: GroupReport) -> Duty:
        """Say how the group is; what it has to do."""
        ...

    def turn_to(self, associator: str) -> None:
        """Talk to another associator of the site from now on."""
        ...


class SiteAway(ReidTrackerError):
    """The site does not answer."""


GroupPipelineOf = Callable[[Config], Pipeline]


def group_pipeline(config: Config) -> Pipeline:
    """The configuration's pipeline for a group, on as many processor cores as it was promised."""
    threads = config.runtime.threads or max(1, round(config.cluster.cpus))
    runtime = config.runtime.model_copy(update={"threads": threads})
    return build_pipeline(config.model_copy(update={"cameras": [], "runtime": runtime}))


class CameraGroup:
    """Readers and trackers of a group's cameras, and the thread that runs them.

    Args:
        name: of the group, unique on the site.
        config: settings of the site.
        site: where tracklets go.
        pipeline_of: makes the pipeline, whose first half is used.
    """

    def __init__(
        self, name: str, config: Config, site: SiteLink, pipeline_of: GroupPipelineOf = group_pipeline
    ) -> None:
        self.name = name
        self.epoch = new_life()
        self._config = config
        self._site = site
        self._pipeline = pipeline_of(config)
        self._telemetry = open_telemetry(config.telemetry, name)
        if self._telemetry is not None:
            self._pipeline.stage = self._telemetry.stage
        self._cameras = LiveCameras(config.live)
        self._paused: frozenset[str] = frozenset()
        self._writers: dict[str, NewsWriter] = {}
        self._last: dict[str, CameraTracks] = {}
        self._step_seconds = self._worked = 0.0
        self._reported = time.monotonic()
        self._undelivered = 0
        self._failures = 0
        self._last_failure = ""
        self._node = platform.node()
        self._next_sync = 0.0
        self._away = self._waits = self._turned = False
        self._asking: threading.Thread | None = None
        self._answers: queue.SimpleQueue[Duty] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"cameras of {name}", daemon=True)

    def start(self) -> None:
        """Begin to read and track."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread and the readers; what is open the site ends by itself."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()
        self._cameras.close()
        if self._telemetry is not None:
            self._telemetry.close()

    def report(self) -> GroupReport:
        """How the group is."""
        busy = min(1.0, self._worked / max(time.monotonic() - self._reported, 1e-9))
        return GroupReport(
            self.name,
            self.epoch,
            self._cameras.report(),
            self._step_seconds,
            busy,
            self._undelivered,
            self._failures,
            self._last_failure,
            self._node,
        )

    def _run(self) -> None:
        while not self._stopping.is_set():
            if time.monotonic() >= self._next_sync:
                self._sync()
            frames = self._cameras.next_moment(_WAIT_SECONDS)
            if not frames:
                continue
            began = time.perf_counter()
            try:
                with self._pipeline.stage("moment", frames):
                    self._tell(self._tracks(frames))
            except Exception as error:  # one moment is lost; the group must not end with it
                self._failed("moment", error)
            spent = time.perf_counter() - began
            self._step_seconds += 0.05 * (spent - self._step_seconds)
            self._worked += spent

    def _sync(self) -> None:
        self._next_sync = time.monotonic() + self._config.cluster.heartbeat_seconds
        report = self.report()
        self._reported, self._worked = time.monotonic(), 0.0
        try:
            if self._away:
                self._ask(report)
            else:
                self._take_up(self._sent_on(self._site.sync(report)))
        except SiteAway as error:  # goes on with the cameras that it has
            self._lost(error)
        except ReidTrackerError as error:
            self._failed("duty", error)

    def _ask(self, report: GroupReport) -> None:
        """Ask a site that is away in a thread of its own: waiting for it must not hold up the cameras."""
        while not self._answers.empty():
            self._away = False
            self._say_all()
            self._take_up(self._answers.get())
        if self._away and (self._asking is None or not self._asking.is_alive()):
            self._asking = threading.Thread(target=self._asked, args=(report,), name="asking", daemon=True)
            self._asking.start()

    def _asked(self, report: GroupReport) -> None:
        with suppress(SiteAway):
            self._answers.put(self._sent_on(self._site.sync(report)))

    def _sent_on(self, duty: Duty) -> Duty:
        """The duty, from whoever has the group now."""
        for _ in range(_MOST_SENT_ON):
            if not duty.elsewhere:
                break
            _log.info("group %s is with %s from now on", self.name, duty.elsewhere)
            self._site.turn_to(duty.elsewhere)
            self._turned = True
            duty = self._site.sync(self.report())
        return replace(duty, waits=True) if duty.elsewhere else duty

    def _say_all(self) -> None:
        for writer in self._writers.values():
            writer.say_all()

    def _lost(self, error: SiteAway) -> None:
        self._away = True
        _log.info("group %s: %s", self.name, error)

    def _take_up(self, duty: Duty) -> None:
        """Have exactly the cameras of a duty."""
        self._waits = duty.waits
        if duty.waits:
            return
        if self._turned:  # another one than before, who knows nothing of what was said
            self._turned = False
            self._say_all()
        wanted = {camera.id: camera for camera in duty.cameras}
        for camera in self._cameras.cameras:
            if wanted.get(camera.id) != camera:
                self._cameras.remove(camera.id)
                self._let_go(camera.id)
                self._writers.pop(camera.id, None)
        have = {camera.id for camera in self._cameras.cameras}
        for name in wanted.keys() - have:
            self._cameras.add(wanted[name])
        for name in (duty.paused - self._paused) & wanted.keys():
            self._cameras.pause(name)
        for name in (self._paused - duty.paused) & wanted.keys():
            self._cameras.resume(name)
        self._paused = duty.paused

    def _tracks(self, frames: Sequence[Frame]) -> list[CameraTracks]:
        gone, frames = [], self._pipeline.clock(frames)
        for frame in frames:
            before = self._last.get(frame.camera_id)
            size = (frame.image.shape[1], frame.image.shape[0])
            if before is not None and before.size != size:  # boxes of one resolution mean nothing in another
                gone += self._ended(frame.camera_id)
        tracks = self._pipeline.follow(frames)
        self._last.update({each.camera_id: each for each in tracks})
        return [*gone, *tracks]

    def _ended(self, camera_id: str) -> list[CameraTracks]:
        """What is left to say of a camera whose tracks end now."""
        last, ended = self._last.pop(camera_id, None), self._pipeline.let_go(camera_id)
        if last is None:
            return []
        return [CameraTracks(camera_id, last.index, last.time, last.size, (), (), ended)]

    def _let_go(self, camera_id: str) -> None:
        if last := self._ended(camera_id):
            self._tell(last)

    def _tell(self, tracks: Sequence[CameraTracks]) -> None:
        news = [self._writers.setdefault(each.camera_id, NewsWriter())(each) for each in tracks]
        if self._telemetry is not None:
            trace = self._telemetry.trace()
            news = [replace(each, trace=trace) for each in news]
        if self._away or self._waits or self._turned:
            self._undelivered += len(news)
            return
        try:
            for camera_id in self._site.take(self.name, self.epoch, news):
                self._writers.setdefault(camera_id, NewsWriter()).say_all()
        except SiteAway as error:
            self._undelivered += len(news)
            self._lost(error)

    def _failed(self, what: str, error: Exception) -> None:
        self._failures += 1
        self._last_failure = f"{what}: {error}"
        if self._failures in (1, 10, 100) or self._failures % 1000 == 0:
            _log.error("group %s: %s failed (%d so far): %s", self.name, what, self._failures, error, exc_info=True)

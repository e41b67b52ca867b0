"""A district in a worker of its own: takes what its groups send, and pushes what it decides to the front.

The way to the front may be cut: the district goes on, keeps what it decided, and pushes it when the front answers
again. Frames in which nothing was decided are let go first where too much waits.
"""

from __future__ import annotations

import logging
import platform
import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from reid_tracker.association import CrossCameraAssociator
from reid_tracker.association.remembered import RememberedPassage
from reid_tracker.association.remembering import open_passages
from reid_tracker.association.topology import CameraLink
from reid_tracker.cluster.arrivals import ClusterCameras
from reid_tracker.cluster.district import District
from reid_tracker.cluster.districts import associator_of
from reid_tracker.cluster.group import SiteAway
from reid_tracker.cluster.lives import new_life
from reid_tracker.cluster.orders import Beginning, CameraOrder, DistrictNews, DistrictReport, Push, Reply
from reid_tracker.cluster.site import ClusterLoop, SitePipeline
from reid_tracker.config import Config
from reid_tracker.errors import ConfigError
from reid_tracker.service.site import Busy
from reid_tracker.telemetry import open_telemetry
from reid_tracker.types import CameraTracks, Frame, IdentityEvent, TrackedFrame, Tracklet

_PUSH_SECONDS = 0.2
_MOST_FRAMES = 20_000  # that wait for a front that is away
_MOST_TRACES = 100  # of one push
_WAYS_SECONDS = 5.0

_log = logging.getLogger(__name__)


class FrontLink(Protocol):
    """The front as a district knows it. Calls raise SiteAway where it does not answer."""

    def begin(self, district: str) -> Beginning:
        """What the district begins with."""
        ...

    def push(self, push: Push) -> Reply:
        """Take news; what the district has to know and do."""
        ...


class _Part:
    """A district where the pipeline has its associator."""

    def __init__(self, district: District) -> None:
        self._district = district

    def __call__(self, tracks: Sequence[CameraTracks]) -> list[TrackedFrame]:
        return self._district.take(tracks)

    def finish(self, ended: Sequence[Tracklet]) -> tuple[IdentityEvent, ...]:
        return self._district.finish(ended)


class DistrictLoop(ClusterLoop):
    """The loop over a district's groups; what it decides waits to be fetched."""

    def __init__(
        self, cameras: ClusterCameras, pipeline: SitePipeline, district: District, lost_seconds: float
    ) -> None:
        super().__init__(cameras, pipeline, lost_seconds)
        self.district = district
        self._frames: list[TrackedFrame] = []
        self._told: dict[int, tuple[float, int, int]] = {}
        self._traces: list[str] = []
        self.trace: Callable[[], str] = str  # of the moment that runs; nothing where nothing is traced

    @property
    def associator(self) -> CrossCameraAssociator:
        """The district's."""
        return self.district.associator

    def news(self) -> DistrictNews:
        """What was decided since last asked. On the loop's thread."""
        frames, self._frames = tuple(self._frames), []
        passages = [each for each in open_passages(self.associator) if self._is_news(each)]
        for frame in frames:
            for tracklet in frame.finished:
                self._told.pop(tracklet.id, None)
        traces, self._traces = tuple(self._traces), []
        return DistrictNews(frames, tuple(passages), self.district.border_news(), traces)

    def let_go(self, cameras: Sequence[str]) -> None:
        """End what is open in cameras that are another district's by now. On the loop's thread."""
        for camera_id in cameras:
            if (newest := self._newest.pop(camera_id, None)) is not None:
                self._let_go(camera_id, newest[0])

    def say_all(self) -> None:
        """Begin the next news as if nothing had been told: the front is a new one. On the loop's thread."""
        self._told.clear()
        self.district.say_all()

    def _is_news(self, passage: RememberedPassage) -> bool:
        state = (passage.end, passage.identity, 0 if passage.looks is None else id(passage.looks))
        before, self._told[passage.tracklet] = self._told.get(passage.tracklet), state
        return before != state

    def _tell_loose_events(self) -> None:
        events = self.district.told(self.associator.book.take_events())
        if events:
            self._tell((), (), events)

    def _tell(self, frames: Sequence[Frame], tracked: Sequence[TrackedFrame], events: Sequence[IdentityEvent]) -> None:
        super()._tell(frames, tracked, events)
        self._frames += tracked
        if trace := self.trace():
            self._traces = [*self._traces[1 - _MOST_TRACES :], trace]
        if events:
            self._frames.append(TrackedFrame("", 0, 0.0, (), tuple(events)))
        if len(self._frames) > _MOST_FRAMES:
            self._frames = [frame for frame in self._frames if frame.events or frame.finished][-_MOST_FRAMES:]


class RemoteDistrict:
    """A district's associator, its loop, and the thread that pushes to the front. A context manager.

    Args:
        config: of the whole site.
        name: of the district.
        names: of all districts, in the order in which they number people.
        front: where news go. ``begin`` is asked until it answers.
        stop: asked while the front does not answer at the beginning; once true, the district does not begin.
    """

    def __init__(
        self,
        config: Config,
        name: str,
        names: Sequence[str],
        front: FrontLink,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self.name = name
        self._front = front
        self._epoch, self._number, self._front_epoch = new_life(), 0, ""
        self._pending: Push | None = None
        self._undone: Reply | None = None  # says once what to do: kept until the loop has done it
        self._ways: tuple[CameraLink, ...] = ()
        self._next_ways = 0.0
        cluster = config.cluster
        self.arrivals = ClusterCameras({}, cluster.heartbeat_seconds, cluster.group_cameras)
        beginning = _begun(name, front, stop)
        for charge in beginning.charges:
            (self.arrivals.take_on if charge.associator == name else self.arrivals.give)(charge)
        place, count = names.index(name) + 1, len(names)
        associator = associator_of(config, place, count, beginning.identity)
        district = District(name, associator, beginning.surroundings)
        district.remember(beginning.passages, frozenset(camera.id for camera in self.arrivals.cameras))
        first = _next_of(place, count, beginning.tracklet)
        pipeline = SitePipeline(_Part(district), config, first, count)
        self.loop = DistrictLoop(self.arrivals, pipeline, district, config.tracking.max_lost_seconds)
        self._telemetry = open_telemetry(config.telemetry, name)
        if self._telemetry is not None:
            pipeline.stage, self.loop.trace = self._telemetry.stage, self._telemetry.trace
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"news of {name}", daemon=True)

    def __enter__(self) -> RemoteDistrict:
        self.loop.start()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()
        self.loop.stop()
        self._push(self.loop.news())  # what the end decided
        self.arrivals.close()
        if self._telemetry is not None:
            self._telemetry.close()

    def report(self) -> DistrictReport:
        """How the district is."""
        loop = self.loop.report()
        return DistrictReport(
            self.arrivals.cameras,
            self.arrivals.report(),
            self.arrivals.losses(),
            self.arrivals.states(),
            loop.steps,
            loop.frames,
            loop.step_seconds,
            dict(loop.failures),
            loop.last_failure,
            self.arrivals.waiting,
            self._ways,
            platform.node(),
            self.arrivals.charges(),
            self.arrivals.elsewhere(),
        )

    def _run(self) -> None:
        while not self._stopping.wait(_PUSH_SECONDS):
            try:
                self._exchange()
            except SiteAway as error:
                _log.info("%s: %s", self.name, error)
            except Busy:
                continue
            except Exception:  # one exchange is lost; the district must not end with it
                _log.exception("%s: telling failed", self.name)

    def _exchange(self) -> None:
        """Push what waits, or what is new; do what is answered."""
        self._finish_reply()
        if self._pending is None:
            now = time.monotonic()
            if now >= self._next_ways:
                self._next_ways = now + _WAYS_SECONDS
                own = {camera.id for camera in self.arrivals.cameras}
                ways = self.loop.call(lambda: self.loop.associator.topology.links())
                self._ways = tuple(way for way in ways if way.destination in own)
            self._pending = self._new_push(self.loop.call(self.loop.news))
        reply = self._front.push(self._pending)
        if reply.replaced:
            self._give_up()
            return
        self._pending, self._undone = None, reply
        self._finish_reply()

    def _finish_reply(self) -> None:
        """Do what the front answered last, if that is not done. Raises Busy: the loop has no time, ask again."""
        reply = self._undone
        if reply is None:
            return
        if reply.epoch != self._front_epoch:
            if self._front_epoch:
                self.loop.call(self.loop.say_all)
            self._front_epoch = reply.epoch
        self.loop.call(lambda: self._follow(reply))
        self._undone = None
        for charge in reply.charges:
            if charge.associator == self.name:
                self.arrivals.take_on(charge)
        for order in reply.cameras:
            self._obey(order)

    def _give_up(self) -> None:
        """Decide and tell nothing any more: another life of this district has its place."""
        _log.warning("%s was begun again elsewhere; this life of it ends", self.name)
        self._stopping.set()
        self._pending = None
        self.arrivals.close()

    def _follow(self, reply: Reply) -> None:
        """Do what concerns the associator. On the loop's thread."""
        if reply.surroundings is not None:
            self.loop.district.surround(reply.surroundings)
        self.loop.district.obey(reply.answer)
        for charge in reply.charges:
            if charge.associator != self.name:
                self.loop.let_go(self.arrivals.give(charge))

    def _new_push(self, news: DistrictNews) -> Push:
        self._number += 1
        return Push(self.name, self._epoch, self._number, news, self.report())

    def _push(self, news: DistrictNews) -> None:
        """Push once more, whatever becomes of it."""
        try:
            for push in (self._pending, self._new_push(news)):
                if push is not None:
                    self._front.push(push)
        except SiteAway as error:
            _log.warning("%s: its end could not be told: %s", self.name, error)

    def _obey(self, order: CameraOrder) -> None:
        try:
            match order.what:
                case "add":
                    self.arrivals.add(order.camera)
                case "remove":
                    self.arrivals.remove(order.camera.id)
                case "pause":
                    self.arrivals.pause(order.camera.id)
                case "resume":
                    self.arrivals.resume(order.camera.id)
        except ConfigError as error:  # it was done before
            _log.warning("%s: %s", self.name, error)


def _begun(name: str, front: FrontLink, stop: Callable[[], bool]) -> Beginning:
    while not stop():
        try:
            return front.begin(name)
        except SiteAway as error:
            _log.info("%s waits for the front: %s", name, error)
            time.sleep(_PUSH_SECONDS)
    return Beginning()


def _next_of(place: int, count: int, last: int) -> int:
    """The first number above ``last`` that this one of ``count`` districts gives: place, place + count, ..."""
    return (last // count + 1) * count + place

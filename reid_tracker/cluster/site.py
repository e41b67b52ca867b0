"""The site of a cluster: one associator for all groups, with the store and the service of one machine.

It is the service of one machine (reid_tracker.service) whose pictures stay elsewhere: in the place of cameras stands
what arrives from the groups, in the place of a camera's tracker what is known of its tracklets.
"""

from __future__ import annotations

import platform
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from reid_tracker.cluster.arrivals import Arrived, ClusterCameras
from reid_tracker.cluster.condition import AssociatorState, SiteState
from reid_tracker.cluster.news import NewsReader
from reid_tracker.cluster.replay import Renumbering
from reid_tracker.config import CameraConfig, Config
from reid_tracker.errors import InputError
from reid_tracker.ids import IdAllocator
from reid_tracker.parts import Associator, Stage, unwatched
from reid_tracker.pipeline import Pipeline
from reid_tracker.service.runtime import PipelineOf, Service
from reid_tracker.service.site import Cameras, LiveSite
from reid_tracker.types import CameraTracks, Frame, IdentityEvent, TrackedFrame, Tracklet

_INSTANT = 1e-3  # seconds between the end of a passage and the beginning of the next in the same camera


class RemoteCamera:
    """What is known of one camera's tracklets; stands where its tracker stands on one machine.

    Args:
        history_length: boxes kept per tracklet.
        next_id: gives the site's numbers of tracklets.
    """

    def __init__(self, history_length: int, next_id: IdAllocator) -> None:
        self._history_length = history_length
        self._next_id = next_id
        self._epoch = ""
        self._reader = NewsReader(history_length)
        self._numbered = Renumbering(next_id)
        self._open: dict[int, Tracklet] = {}  # as the group numbers them
        self._not_before = self._time = float("-inf")

    def read(self, arrived: Arrived) -> CameraTracks:
        """The camera's next frame, under the site's numbers.

        Whoever was open and is not heard of any more (all was said anew, or the group was started again) ends here.

        Raises:
            InputError: something before it is missing; all has to be said.
        """
        news = arrived.news
        if arrived.epoch != self._epoch:
            if not news.whole:
                raise InputError(f"camera {news.camera_id!r}: the tracks before are not known")
            gone = self.finish()
            self._epoch, self._reader = arrived.epoch, NewsReader(self._history_length)
            self._numbered = Renumbering(self._next_id)
            if news.number:  # the group lives longer than this: what it saw before is another passage
                self._not_before = max(self._not_before, news.time)
            return self._told(self._reader(news), gone)
        return self._told(self._reader(news), ())

    def finish(self) -> tuple[Tracklet, ...]:
        """End what is open; who is heard of again is another passage from then on."""
        ended = self._numbered.ended(self._open.values())
        if self._open:
            self._not_before = self._time + _INSTANT
        self._open.clear()
        return ended

    def _told(self, tracks: CameraTracks, gone: tuple[Tracklet, ...]) -> CameraTracks:
        seen, lost, ended = (
            tuple(map(self._clipped, filter(self._counts, each)))
            for each in (tracks.tracklets, tracks.lost, tracks.ended)
        )
        self._time = tracks.time
        here = {each.id for each in (*seen, *lost, *ended)}
        silent = self._numbered.ended(each for number, each in self._open.items() if number not in here)
        self._open = {each.id: each for each in (*seen, *lost)}
        told = self._numbered(replace(tracks, tracklets=seen, lost=lost, ended=ended))
        return replace(told, ended=(*gone, *silent, *told.ended))

    def _counts(self, tracklet: Tracklet) -> bool:
        """Not who was out of sight already when this site first heard of the group."""
        return tracklet.updated >= self._not_before

    def _clipped(self, tracklet: Tracklet) -> Tracklet:
        return replace(tracklet, started=max(tracklet.started, self._not_before))


class SitePipeline:
    """The associator's half of the pipeline: takes what arrives from the groups, on the time line that they put it on.

    Not thread-safe.

    Args:
        first, step: how tracklets are numbered: first, first + step, ...
        stage: watches the stages.
    """

    def __init__(
        self, associator: Associator, config: Config, first: int, step: int = 1, stage: Stage = unwatched
    ) -> None:
        self.associator = associator
        self.stage = stage
        self.unclear: list[str] = []
        self._cameras: dict[str, RemoteCamera] = {}
        self._next_id = IdAllocator(first, step)
        self._history_length = config.tracking.history_length

    def step(self, moment: Sequence[Arrived]) -> list[TrackedFrame]:
        """Take one moment; who is in each of its frames, in order."""
        tracks = self.read(moment)
        with self.stage("associate"):
            return self.associator(tracks)

    def read(self, moment: Sequence[Arrived]) -> list[CameraTracks]:
        """What arrived, as tracks; a camera whose tracks are not known is told in ``unclear``."""
        with self.stage("read"):
            return [self._read(arrived) for arrived in moment]

    def let_go(self, camera_id: str) -> tuple[Tracklet, ...]:
        """End what is open in one camera; who is heard of again is another passage from then on."""
        camera = self._cameras.pop(camera_id, None)
        return camera.finish() if camera is not None else ()

    def drop(self, tracklets: Collection[int]) -> None:
        """Nothing: the groups follow on, and the associator hears no more of these tracklets until they end."""

    def finish(self) -> tuple[tuple[IdentityEvent, ...], tuple[Tracklet, ...]]:
        """End what is still open: the last events, and the tracklets that ended."""
        ended = tuple(tracklet for camera_id in tuple(self._cameras) for tracklet in self.let_go(camera_id))
        return self.associator.finish(ended), ended

    def _read(self, arrived: Arrived) -> CameraTracks:
        camera = self._cameras.get(arrived.camera_id)
        if camera is None:
            camera = self._cameras[arrived.camera_id] = RemoteCamera(self._history_length, self._next_id)
        try:
            return camera.read(arrived)
        except InputError:
            self.unclear.append(arrived.camera_id)
            news = arrived.news
            return CameraTracks(news.camera_id, news.index, news.time, news.size, (), (), camera.finish())


class ClusterLoop(LiveSite):
    """The site's loop; who listens gets no pictures."""

    def __init__(self, arrivals: ClusterCameras, pipeline: SitePipeline, lost_seconds: float) -> None:
        super().__init__(arrivals, pipeline, lost_seconds)
        self._arrivals, self._unclear = arrivals, pipeline.unclear

    def _step(self, frames: Sequence[Any]) -> None:
        super()._step(frames)
        for camera_id in self._unclear:
            self._arrivals.ask_all(camera_id)
        self._unclear.clear()

    def _let_go_of_changed_pictures(self, frames: Sequence[Frame]) -> None:
        """The group does that."""

    def _tell(self, frames: Sequence[Frame], tracked: Sequence[TrackedFrame], events: Sequence[IdentityEvent]) -> None:
        del frames
        super()._tell((), tracked, events)


class ClusterService(Service):
    """The service of a site whose cameras are tracked in groups elsewhere.

    Args:
        config: the effective configuration.
        groups: name -> its cameras.
        pipeline_of: makes the pipeline whose associator this is, and whose networks describe pictures that people are
            searched by.

    Raises:
        ConfigError, StoreError, ModelError: as Service does.
    """

    def __init__(
        self, config: Config, groups: Mapping[str, Sequence[CameraConfig]], pipeline_of: PipelineOf | None = None
    ) -> None:
        self.arrivals = ClusterCameras(groups, config.cluster.heartbeat_seconds, config.cluster.group_cameras)
        super().__init__(config, pipeline_of)

    def _wired(self, pipeline: Pipeline) -> tuple[Cameras, LiveSite]:
        first = self.store.numbers().tracklet + 1
        half = SitePipeline(pipeline.associator, self.config, first, stage=pipeline.stage)
        return self.arrivals, ClusterLoop(self.arrivals, half, self.config.tracking.max_lost_seconds)

    def _cameras_to_add(self) -> Sequence[CameraConfig]:
        return ()  # the groups have them from the beginning

    def site_state(self) -> SiteState:
        """How the groups and the associator are."""
        loop, cameras = self.site.report(), len(self.arrivals.cameras)
        own = AssociatorState(
            "site", cameras, platform.node(), 0.0, loop.steps, loop.step_seconds, self.arrivals.waiting,
            0, loop.failures.total(), loop.last_failure,
        )  # fmt: skip
        return SiteState(tuple(("site", each) for each in self.arrivals.states().values()), (own,))

"""A live site on Ray: its groups and its associator as actors, which Ray starts again where they are lost.

    group actors     read and track their cameras      as many as the placement has groups
    site actor       associator, store and service     one

The program that starts them only watches: nothing of the way from picture to identity runs in it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from reid_tracker.cluster.arrivals import Losses
from reid_tracker.cluster.engine import connected, load_ray
from reid_tracker.cluster.group import (
    CameraGroup,
    Duty,
    GroupPipelineOf,
    GroupReport,
    SiteAway,
    group_pipeline,
)
from reid_tracker.cluster.news import FrameNews
from reid_tracker.cluster.placement import group, links
from reid_tracker.config import CameraConfig, Config
from reid_tracker.errors import ConfigError
from reid_tracker.service.runtime import PipelineOf

_ANSWER_SECONDS = 5.0  # what a group waits for the site before it takes it to be away
_WATCH_SECONDS = 1.0
_SHARE = 0.001  # of a resource that only says where the site may be
_STARTED_AGAIN = -1  # as often as it takes

_log = logging.getLogger(__name__)


class RaySite:
    """The site as a group on Ray knows it (SiteLink).

    Args:
        actor: handle of the site's actor.
    """

    def __init__(self, actor: Any) -> None:
        self._ray = load_ray()
        self._actor = actor

    def take(self, group: str, epoch: str, news: Sequence[FrameNews]) -> list[str]:
        """Take one moment; the cameras of which all has to be said with the next one. Raises SiteAway."""
        del group
        cameras: list[str] = self._answer(self._actor.take.remote(epoch, news))
        return cameras

    def sync(self, report: GroupReport) -> Duty:
        """Say how the group is; what it has to do. Raises SiteAway."""
        duty: Duty = self._answer(self._actor.sync.remote(report))
        return duty

    def _answer(self, reference: Any) -> Any:
        try:
            return self._ray.get(reference, timeout=_ANSWER_SECONDS)
        except self._ray.exceptions.RayError as error:  # its timeout is one of them
            raise SiteAway(f"the site does not answer ({type(error).__name__})") from error


class GroupActor:
    """A group of cameras in a worker of its own."""

    def __init__(self, name: str, config: Config, site: Any, pipeline_of: GroupPipelineOf) -> None:
        self._group = CameraGroup(name, config, RaySite(site), pipeline_of)
        self._group.start()

    def report(self) -> GroupReport:
        """How the group is."""
        return self._group.report()

    def stop(self) -> None:
        """End its thread and its readers."""
        self._group.stop()


class SiteActor:
    """Associator, store and service in a worker of their own.

    Args:
        serving: listen for viewers as the configuration says; else the site only tracks and keeps.
    """

    def __init__(
        self,
        config: Config,
        groups: Mapping[str, Sequence[CameraConfig]],
        pipeline_of: PipelineOf | None,
        serving: bool,
    ) -> None:
        from reid_tracker.cluster.site import ClusterService  # needs the extra 'service'

        self._address = ""
        self._service = ClusterService(config, groups, pipeline_of)
        self._service.__enter__()
        self._stop = threading.Event()
        if serving:
            self._serve()

    def take(self, epoch: str, news: Sequence[FrameNews]) -> list[str]:
        """See ClusterCameras.take."""
        return self._service.arrivals.take(epoch, news)

    def sync(self, report: GroupReport) -> Duty:
        """See ClusterCameras.sync."""
        return self._service.arrivals.sync(report)

    def address(self) -> str:
        """Where the service listens; empty until it does, or where it does not."""
        return self._address

    def losses(self) -> dict[str, Losses]:
        """What of each camera did not arrive since this actor was started."""
        return self._service.arrivals.losses()

    def groups(self) -> dict[str, GroupReport | None]:
        """How each group is."""
        return self._service.arrivals.groups()

    def present(self) -> dict[str, list[int]]:
        """Camera -> identities in view now, from left to right."""
        return {
            frame.camera_id: [each.identity for each in sorted(frame.people, key=lambda person: person.box[0])]
            for frame in self._service.site.newest()
        }

    def stop(self) -> None:
        """End what is open and complete the store."""
        self._service.__exit__()

    def _serve(self) -> None:
        from reid_tracker.service.access import check_exposure, load_access
        from reid_tracker.service.server import listen

        access = load_access(self._service.config.service)
        check_exposure(self._service.config.service, access)

        def listening(address: str) -> None:
            self._address = address

        threading.Thread(target=listen, args=(self._service, access, listening), name="service", daemon=True).start()


class ClusterSite:
    """A site's actors, from their start to their end. A context manager.

    Args:
        ray: the package, connected (engine.connected).
        config: settings and cameras of the site.
        group_pipeline_of, site_pipeline_of: make the pipelines, for parts of one's own; travel to the actors.
        serving: listen for viewers.
    """

    def __init__(
        self,
        ray: Any,
        config: Config,
        group_pipeline_of: GroupPipelineOf = group_pipeline,
        site_pipeline_of: PipelineOf | None = None,
        serving: bool = True,
    ) -> None:
        self._ray = ray
        placed = placement(config)
        cluster = config.cluster
        always = {"max_restarts": _STARTED_AGAIN}
        where = {cluster.site_resource: _SHARE} if cluster.site_resource else None
        self.site = (
            ray.remote(SiteActor)
            .options(num_cpus=0, resources=where, max_concurrency=len(placed) + 8, **always)
            .remote(config, placed, site_pipeline_of, serving)
        )
        self.groups = {
            name: ray.remote(GroupActor)
            .options(num_cpus=cluster.cpus, num_gpus=cluster.gpus, **always)
            .remote(name, config, self.site, group_pipeline_of)
            for name in placed
        }

    def __enter__(self) -> ClusterSite:
        return self

    def __exit__(self, *_: object) -> None:
        for actor in (*self.groups.values(), self.site):  # the groups first, so that nobody is cut off
            with suppress(self._ray.exceptions.RayError):
                self._ray.get(actor.stop.remote(), timeout=_ANSWER_SECONDS)

    def ask(self, method: str, timeout: float = _ANSWER_SECONDS) -> Any:
        """The answer of the site's actor to a call without arguments.

        Raises:
            SiteAway: it does not answer; while it is started again, for instance.
        """
        try:
            return self._ray.get(getattr(self.site, method).remote(), timeout=timeout)
        except self._ray.exceptions.RayActorError as error:
            if error.actor_init_failed:  # starting it again will not help
                raise ConfigError(f"--cluster: the site cannot start ({_last_line(error)})") from error
            raise SiteAway(f"the site does not answer ({type(error).__name__})") from error
        except self._ray.exceptions.RayError as error:
            raise SiteAway(f"the site does not answer ({type(error).__name__})") from error


def _last_line(error: Exception) -> str:
    """What went wrong, of a text that ends with it."""
    return str(error).strip().rpartition("\n")[2]


def placement(config: Config) -> dict[str, list[CameraConfig]]:
    """The configuration's cameras in groups: name -> cameras.

    Raises:
        ConfigError: there is no camera.
    """
    if not config.cameras:
        raise ConfigError("no camera: give --camera NAME=ADDRESS, or a --config with [[cameras]]")
    known = {camera.id: camera for camera in config.cameras}
    grouped = group(list(known), links(config.cameras), config.cluster.group_cameras)
    return {f"group {number}": [known[name] for name in members] for number, members in enumerate(grouped, 1)}


def serve_on_cluster(
    config: Config,
    address: str,
    stop: Callable[[], bool],
    listening: Callable[[str], None] = lambda _address: None,
) -> None:
    """Track the configuration's live cameras on a cluster and serve them until ``stop()``.

    Args:
        address: of the cluster (engine.connected).
        listening: told the address once the service answers, and again where it changes.

    Raises:
        ConfigError: there is no cluster, no camera, or the site cannot start.
    """
    placement(config)  # what is wrong with it is told before anything starts
    with connected(address, config.cluster) as ray, ClusterSite(ray, config) as site:
        told = ""
        while not stop():
            try:
                now = site.ask("address")
                if now and now != told:
                    listening(now)
                    told = now
            except SiteAway as error:
                _log.warning("%s", error)
            time.sleep(_WATCH_SECONDS)

"""Starts a live site on Ray and watches it: its parts are actors, which Ray starts again where they are lost.

    group actors      read and track their cameras               as many as the placement has groups
    site actor        associator, store and service              one, where one associator serves all cameras
    district actors   associators of a part of the cameras each  where it does not, and then also:
    front actor       store and service                          one

Nothing of the way from picture to identity runs in the program that starts them.
"""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from reid_tracker.cluster.actors import ANSWER_SECONDS, DistrictActor, FrontActor, GroupActor, SiteActor
from reid_tracker.cluster.districts import plan
from reid_tracker.cluster.engine import connected
from reid_tracker.cluster.group import GroupPipelineOf, SiteAway, group_pipeline
from reid_tracker.cluster.partition import Pair, traffic
from reid_tracker.cluster.placement import group, links
from reid_tracker.config import CameraConfig, Config
from reid_tracker.errors import ConfigError

if TYPE_CHECKING:
    from reid_tracker.service.runtime import PipelineOf

_WATCH_SECONDS = 1.0
_SHARE = 0.001  # of a resource that only says where the site may be
_ALWAYS = {"max_restarts": -1}  # as often as it takes
_PEOPLE_READ = 5000  # newest ones, of whom ways are counted
_PLAN_SECONDS = 120.0
_SPARE_CALLS = 8  # at once, beside one of each actor that calls

_log = logging.getLogger(__name__)


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
        cluster = config.cluster
        self._where = {cluster.site_resource: _SHARE} if cluster.site_resource else None
        parts = self._parts(config)
        placed = placement(config, parts)
        self.districts: dict[str, Any] = {}
        if len(parts) == 1:
            (groups,) = placed.values()
            self.site = self._front(SiteActor, len(groups), config, groups, site_pipeline_of, serving)
        else:
            self.site = self._front(FrontActor, len(parts), config, placed, site_pipeline_of, serving)
            self.districts = {
                name: ray.remote(DistrictActor)
                .options(num_cpus=cluster.associator_cpus, max_concurrency=len(groups) + _SPARE_CALLS, **_ALWAYS)
                .remote(config, name, list(placed), [self.site])
                for name, groups in placed.items()
            }
        self.groups = {
            name: ray.remote(GroupActor)
            .options(num_cpus=cluster.cpus, num_gpus=cluster.gpus, **_ALWAYS)
            .remote(name, config, self.districts or {district: self.site}, district, group_pipeline_of)
            for district, groups in placed.items()
            for name in groups
        }

    def __enter__(self) -> ClusterSite:
        return self

    def __exit__(self, *_: object) -> None:
        # the groups first, so that nobody is cut off, and the districts before whom they tell
        for actors in (self.groups.values(), self.districts.values(), [self.site]):
            for ending in [actor.stop.remote() for actor in actors]:
                with suppress(self._ray.exceptions.RayError):
                    self._ray.get(ending, timeout=ANSWER_SECONDS)

    def _front(self, kind: type, callers: int, *arguments: Any) -> Any:
        options = {"num_cpus": 0, "resources": self._where, "max_concurrency": callers + _SPARE_CALLS, **_ALWAYS}
        return self._ray.remote(kind).options(**options).remote(*arguments)

    def _parts(self, config: Config) -> dict[str, list[str]]:
        """District -> cameras; where there are several, cut by what the store knows of how people walk."""
        if len(config.cameras) <= config.cluster.associator_cameras:
            return plan(config)
        walked = self._ray.remote(_walked).options(num_cpus=0, resources=self._where).remote(config)
        try:
            known: dict[Pair, float] = self._ray.get(walked, timeout=_PLAN_SECONDS)
        except self._ray.exceptions.RayError as error:
            raise ConfigError(f"--cluster: the site's store cannot be read ({_last_line(error)})") from error
        return plan(config, known)

    def ask(self, method: str, timeout: float = ANSWER_SECONDS) -> Any:
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


def placement(config: Config, parts: Mapping[str, Sequence[str]]) -> dict[str, dict[str, list[CameraConfig]]]:
    """The cameras of each district in groups: district -> name of the group -> cameras."""
    known, numbers = {camera.id: camera for camera in config.cameras}, itertools.count(1)
    strength = links(config.cameras)
    return {
        district: {
            f"group {next(numbers)}": [known[name] for name in members]
            for members in group(cameras, strength, config.cluster.group_cameras)
        }
        for district, cameras in parts.items()
    }


def _walked(config: Config) -> dict[Pair, float]:
    """How people walk, as far as the site's store knows. On the machine that keeps it."""
    from reid_tracker.service.memory import open_store

    store = open_store(config.store)
    try:
        since = time.time() - config.association.memory_seconds
        return traffic(store.remembered(since, config.association.passages_per_camera, _PEOPLE_READ))
    finally:
        store.close()


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
    if not config.cameras:
        raise ConfigError("no camera: give --camera NAME=ADDRESS, or a --config with [[cameras]]")
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

"""The parts of a live site as Ray's actors, and how they reach one another (launch.py starts them)."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from reid_tracker.cluster.charge import Losses
from reid_tracker.cluster.condition import GroupState
from reid_tracker.cluster.engine import load_ray
from reid_tracker.cluster.group import CameraGroup, Duty, GroupPipelineOf, GroupReport, SiteAway
from reid_tracker.cluster.news import FrameNews
from reid_tracker.cluster.orders import Beginning, Push, Reply
from reid_tracker.config import CameraConfig, Config

if TYPE_CHECKING:
    from reid_tracker.service.runtime import PipelineOf, Service  # need the extra 'service'

ANSWER_SECONDS = 5.0
"""What one part waits for another before it takes it to be away."""


class RaySite:
    """The site as a group on Ray knows it (SiteLink).

    Args:
        actors: name -> handle, of the associators' actors.
        associator: the one that the group begins with.
    """

    def __init__(self, actors: Mapping[str, Any], associator: str) -> None:
        self._actors = actors
        self._actor = actors[associator]

    def turn_to(self, associator: str) -> None:
        """Talk to another associator of the site from now on."""
        self._actor = self._actors[associator]

    def take(self, group: str, epoch: str, news: Sequence[FrameNews]) -> list[str]:
        """Take one moment; the cameras of which all has to be said with the next one. Raises SiteAway."""
        del group
        cameras: list[str] = answer_of(self._actor.take.remote(epoch, news))
        return cameras

    def sync(self, report: GroupReport) -> Duty:
        """Say how the group is; what it has to do. Raises SiteAway."""
        duty: Duty = answer_of(self._actor.sync.remote(report))
        return duty


def answer_of(reference: Any) -> Any:
    """The answer of another actor. Raises SiteAway where none comes."""
    ray = load_ray()
    try:
        return ray.get(reference, timeout=ANSWER_SECONDS)
    except ray.exceptions.RayError as error:  # its timeout is one of them
        raise SiteAway(f"the site does not answer ({type(error).__name__})") from error


class GroupActor:
    """A group of cameras in a worker of its own."""

    def __init__(
        self, name: str, config: Config, sites: Mapping[str, Any], associator: str, pipeline_of: GroupPipelineOf
    ) -> None:
        self._group = CameraGroup(name, config, RaySite(sites, associator), pipeline_of)
        self._group.start()

    def report(self) -> GroupReport:
        """How the group is."""
        return self._group.report()

    def stop(self) -> None:
        """End its thread and its readers."""
        self._group.stop()


class ServingActor:
    """A service in a worker of its own.

    Args:
        service: opened here, and closed by ``stop``.
        serving: listen for viewers as the configuration says; else it only tracks and keeps.
    """

    def __init__(self, service: Service, serving: bool) -> None:
        self._address = ""
        self._service = service
        self._service.__enter__()
        if serving:
            self._serve()

    def address(self) -> str:
        """Where the service listens; empty until it does, or where it does not."""
        return self._address

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


class SiteActor(ServingActor):
    """Associator, store and service of a site with one associator."""

    def __init__(
        self,
        config: Config,
        groups: Mapping[str, Sequence[CameraConfig]],
        pipeline_of: PipelineOf | None,
        serving: bool,
    ) -> None:
        from reid_tracker.cluster.site import ClusterService  # needs the extra 'service'

        service = ClusterService(config, groups, pipeline_of)
        self._arrivals = service.arrivals
        super().__init__(service, serving)

    def take(self, epoch: str, news: Sequence[FrameNews]) -> list[str]:
        """See ClusterCameras.take."""
        return self._arrivals.take(epoch, news)

    def sync(self, report: GroupReport) -> Duty:
        """See ClusterCameras.sync."""
        return self._arrivals.sync(report)

    def losses(self) -> dict[str, Losses]:
        """What of each camera did not arrive since this actor was started."""
        return self._arrivals.losses()

    def groups(self) -> dict[str, GroupState]:
        """How each group is."""
        return self._arrivals.states()


class RayFront:
    """The front as a district on Ray knows it (FrontLink).

    Args:
        actor: handle of the front's actor.
    """

    def __init__(self, actor: Any) -> None:
        self._actor = actor

    def begin(self, district: str) -> Beginning:
        """What the district begins with. Raises SiteAway."""
        beginning: Beginning = answer_of(self._actor.begin.remote(district))
        return beginning

    def push(self, push: Push) -> Reply:
        """Take news; what the district has to know and do. Raises SiteAway."""
        reply: Reply = answer_of(self._actor.push.remote(push))
        return reply


class FrontActor(ServingActor):
    """Store and service of a site of several districts, and what holds over all of them."""

    def __init__(
        self,
        config: Config,
        placed: Mapping[str, Mapping[str, Sequence[CameraConfig]]],
        pipeline_of: PipelineOf | None,
        serving: bool,
    ) -> None:
        from reid_tracker.cluster.front import FrontService

        self._front = FrontService(config, placed, pipeline_of)
        super().__init__(self._front, serving)

    def begin(self, district: str) -> Beginning:
        """See FrontService.begin."""
        return self._front.begin(district)

    def move(self, group: str, to: str) -> None:
        """See Districts.move."""
        self._front.districts.move(group, to)

    def push(self, push: Push) -> Reply:
        """See Districts.push."""
        return self._front.districts.push(push)

    def losses(self) -> dict[str, Losses]:
        """What of each camera did not arrive, as the districts say."""
        return self._front.districts.losses()

    def groups(self) -> dict[str, GroupState]:
        """How each group of all districts is."""
        return self._front.districts.states()


class DistrictActor:
    """The associator of a part of the site in a worker of its own.

    Args:
        front: handle of the front's actor, in a list: where a handle is an argument, Ray warns that restarts may fail.
    """

    def __init__(self, config: Config, name: str, names: Sequence[str], front: Sequence[Any]) -> None:
        from reid_tracker.cluster.remote_district import RemoteDistrict  # needs the extra 'service'

        self._district = RemoteDistrict(config, name, names, RayFront(front[0]))
        self._district.__enter__()

    def take(self, epoch: str, news: Sequence[FrameNews]) -> list[str]:
        """See ClusterCameras.take."""
        return self._district.arrivals.take(epoch, news)

    def sync(self, report: GroupReport) -> Duty:
        """See ClusterCameras.sync."""
        return self._district.arrivals.sync(report)

    def stop(self) -> None:
        """End what is open and tell the front."""
        self._district.__exit__()

"""The districts of a site as its front knows them: what they push, what they are answered, which cameras they have."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from reid_tracker.association.remembered import RememberedPassage
from reid_tracker.association.topology import CameraLink
from reid_tracker.cluster.allotment import Allotment
from reid_tracker.cluster.charge import Charge, Losses
from reid_tracker.cluster.condition import AssociatorState, GroupState, SiteState
from reid_tracker.cluster.districts import surroundings
from reid_tracker.cluster.moments import Moments
from reid_tracker.cluster.orders import CameraOrder, DistrictReport, Order, Push, Reply, Surroundings
from reid_tracker.cluster.placement import group_links, least_loaded, links, relief
from reid_tracker.cluster.registry import Registry
from reid_tracker.config import CameraConfig
from reid_tracker.errors import ConfigError
from reid_tracker.live import CameraState, HealthReport
from reid_tracker.parts import Stage, unwatched
from reid_tracker.types import IdentityEvent, TrackedFrame

_MOST_WAITING = 2000  # pushes; more than a front that keeps up ever has
_SILENT_SECONDS = 5.0
_RELIEF_SECONDS = 60.0  # between two looks for a district that cannot keep up
_MOST_LIVES = 100  # of a district, that are remembered not to be heard again
_BEHIND = 20  # moments that wait for an associator; fewer come and go

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Peer:
    """What the front knows of a district."""

    epoch: str = ""
    replaced: tuple[str, ...] = ()  # lives that were followed by another one
    number: int = -1
    reply: Reply | None = None
    report: DistrictReport = field(default_factory=DistrictReport)
    heard: float = 0.0
    restarts: int = 0
    lies: Surroundings | None = None  # as it was told
    steps: int = 0  # when it was last looked at how busy it is
    cameras: list[CameraOrder] = field(default_factory=list)
    sent: tuple[CameraOrder, ...] = ()  # with the newest reply

    def begins(self) -> None:
        """Hear no more of the life so far: another one begins."""
        if self.epoch and self.epoch not in self.replaced:
            self.replaced = (*self.replaced, self.epoch)[-_MOST_LIVES:]

    def is_replaced(self, epoch: str) -> bool:
        """Whether another life has the place of this one."""
        return epoch in self.replaced or (epoch < self.epoch and self.epoch not in self.replaced)


class Districts(Moments[TrackedFrame]):
    """The districts as they tell of themselves. Stands where LiveCameras stands on one machine. Thread-safe.

    Args:
        placed: district -> its groups -> their cameras, to begin with.
        registry: of the site; used under this object's lock alone.
    """

    def __init__(self, placed: Mapping[str, Mapping[str, Sequence[CameraConfig]]], registry: Registry) -> None:
        super().__init__()
        self._epoch = uuid.uuid4().hex
        self._registry = registry
        self._allotment = Allotment(placed)
        self._peers = {name: _Peer() for name in placed}
        self._cameras = {name: self._allotment.cameras(name) for name in placed}
        self._surroundings: dict[str, Surroundings] = {}  # empty: to be found anew
        self._counted = self._allotment.version  # when the cameras were counted
        self._looked = time.monotonic()
        self._passages: list[RememberedPassage] = []
        self._highest = (0, 0)
        self.stage: Stage = unwatched

    # towards the districts

    def begin(self, district: str) -> tuple[tuple[Charge, ...], dict[str, Surroundings]]:
        """The groups of the site, and how all districts lie, for one that begins."""
        with self._lock:
            self._peers[district].begins()
            charges = self._allotment.begins(district)
            self._recount()
            return charges, dict(self._lie())

    def push(self, push: Push) -> Reply:
        """Take a district's news, once however often they come; what it has to know and do."""
        with self._lock:
            peer = self._peers[push.district]
            if peer.epoch == push.epoch and push.number == peer.number and peer.reply is not None:
                return peer.reply
            if peer.is_replaced(push.epoch):
                return Reply(self._epoch, replaced=True)
            if peer.epoch != push.epoch:
                peer.begins()
                peer.restarts += bool(peer.epoch)
                peer.epoch, peer.lies, peer.steps = push.epoch, None, 0
                self._registry.remind(push.district)  # it may have missed some, or this front has
            peer.number, peer.report, peer.heard = push.number, push.report, time.monotonic()
            self._counted = self._counted if not peer.sent else -1
            peer.sent = ()
            self._allotment.hear(push.district, push.report.charges, push.report.elsewhere)
            self._recount()
            with self.stage("publish", push.news.traces):
                frames, passages = self._registry.take(push.district, push.news, push.epoch)
            self._note_numbers(frames, passages)
            self._passages += passages
            self._put(frames)
            self._relieve()
            peer.reply = self._reply(push.district, peer)
            return peer.reply

    def move(self, group: str, to: str) -> None:
        """Have a group go to another district. Raises ConfigError: no such group or district."""
        with self._lock:
            self._move(group, to)

    def groups(self) -> dict[str, dict[str, tuple[str, ...]]]:
        """District -> its groups -> names of their cameras, as it is to be."""
        with self._lock:
            return self._allotment.groups()

    def highest(self) -> tuple[int, int]:
        """The highest identity and tracklet that were told of."""
        with self._lock:
            return self._highest

    def order(self, *orders: Order) -> None:
        """Have all districts do something."""
        with self._lock:
            for order in orders:
                self._registry.order(order)

    def say(self, event: IdentityEvent) -> IdentityEvent | None:
        """Have an event told that was not decided in a district (Registry.say)."""
        with self._lock:
            return self._registry.say(event)

    def number(self, identity: int) -> int:
        """The number that an identity has by now."""
        with self._lock:
            return self._registry.number(identity)

    def take_passages(self) -> list[RememberedPassage]:
        """Passages that changed since last asked."""
        with self._lock:
            passages, self._passages = self._passages, []
            return passages

    def reports(self) -> dict[str, tuple[DistrictReport, float, int]]:
        """By district: its newest report, seconds since then (0 before the first), and how often it began anew."""
        with self._lock:
            now = time.monotonic()
            return {
                name: (peer.report, now - peer.heard if peer.epoch else 0.0, peer.restarts)
                for name, peer in self._peers.items()
            }

    def losses(self) -> dict[str, Losses]:
        """What of each camera did not arrive."""
        return {name: each for report, _, _ in self.reports().values() for name, each in report.losses.items()}

    def states(self) -> dict[str, GroupState]:
        """How each group of all districts is; of a district that is silent all groups are."""
        return {state.name: state for _, state in self.site_state().groups}

    def site_state(self) -> SiteState:
        """How the groups and the districts are."""
        groups, associators = [], []
        for name, (report, silent, restarts) in self.reports().items():
            for state in report.groups.values():
                if silent > _SILENT_SECONDS:
                    why = f"its associator ({name}) does not answer for {silent:.0f} s, begun {restarts} times anew"
                    state = replace(state, condition="silent", why=why)
                groups.append((name, state))
            failures = sum(report.failures.values())
            associators.append(
                AssociatorState(
                    name,
                    len(report.cameras),
                    report.node,
                    silent,
                    report.steps,
                    report.step_seconds,
                    report.waiting,
                    restarts,
                    failures,
                    report.last_failure,
                )
            )
        return SiteState(tuple(groups), tuple(associators))

    def ways(self) -> list[CameraLink]:
        """The ways that people are known to have taken."""
        return [way for report, _, _ in self.reports().values() for way in report.ways]

    # towards the service: as LiveCameras

    @property
    def cameras(self) -> tuple[CameraConfig, ...]:
        """The cameras of all districts."""
        with self._lock:
            return tuple(self._all())

    def add(self, camera: CameraConfig) -> None:
        """Give a camera to the district that has the fewest. Raises ConfigError: there is one of that name."""
        with self._lock:
            if self._find(camera.id) is not None:
                raise ConfigError(f"two cameras are called {camera.id!r}; give each its own id")
            name = least_loaded({name: len(cameras) for name, cameras in self._cameras.items()})
            self._peers[name].cameras.append(CameraOrder("add", camera))
            self._count()

    def remove(self, camera_id: str) -> None:
        """Have a camera forgotten. Raises ConfigError: there is none of that name."""
        with self._lock:
            name, camera = self._known(camera_id)
            self._peers[name].cameras.append(CameraOrder("remove", camera))
            self._count()

    def pause(self, camera_id: str) -> None:
        """Have a camera left alone until ``resume``. Raises ConfigError: there is none of that name."""
        with self._lock:
            name, camera = self._known(camera_id)
            self._peers[name].cameras.append(CameraOrder("pause", camera))

    def resume(self, camera_id: str) -> None:
        """Have a paused camera read again. Raises ConfigError: there is none of that name."""
        with self._lock:
            name, camera = self._known(camera_id)
            self._peers[name].cameras.append(CameraOrder("resume", camera))

    def report(self) -> dict[str, HealthReport]:
        """How each camera is, as its district said last; waiting where that one is silent."""
        silent = {name for name, (_, seconds, _) in self.reports().items() if seconds > _SILENT_SECONDS}
        with self._lock:
            found = {}
            for name, cameras in self._cameras.items():
                for camera in cameras:
                    health = self._peers[name].report.health.get(camera.id, HealthReport(CameraState.CONNECTING))
                    if name in silent:
                        message = f"{name} of the cluster does not answer; it is started again"
                        health = replace(health, state=CameraState.WAITING, message=message)
                    found[camera.id] = health
            return found

    def _put(self, frames: list[TrackedFrame]) -> None:
        """Leave frames for the loop; where it is far behind, those in which nothing was decided are let go."""
        if len(self._waiting) >= _MOST_WAITING:
            frames = [frame for frame in frames if frame.events or frame.finished]
        if frames:
            self._waiting.append(frames)
            self._changed.notify_all()

    def _note_numbers(self, frames: Sequence[TrackedFrame], passages: Sequence[RememberedPassage]) -> None:
        events = [event for frame in frames for event in frame.events]
        identity, tracklet = self._highest
        self._highest = (
            max([identity, *(event.identity for event in events), *(each.identity for each in passages)]),
            max([tracklet, *(each.tracklet for each in passages)]),
        )

    def _reply(self, name: str, peer: _Peer) -> Reply:
        lies, told = self._lie()[name], peer.lies
        peer.lies = lies
        orders = self._allotment.orders(name)
        if self._allotment.settled(name):  # else they may be about cameras that it does not have yet
            peer.sent = tuple(peer.cameras)
            peer.cameras.clear()
        answer = self._registry.answer(name)
        return Reply(self._epoch, answer, peer.sent, lies if lies != told else None, orders)

    def _move(self, group: str, to: str) -> None:
        self._allotment.move(group, to)
        self._recount()

    def _relieve(self) -> None:
        """Move a group where a district cannot keep up and others have room; seldom: its tracklets end there."""
        now = time.monotonic()
        seconds = now - self._looked
        if seconds < _RELIEF_SECONDS:
            return
        self._looked, busy = now, {}
        for name, peer in self._peers.items():
            steps, peer.steps = peer.report.steps - peer.steps, peer.report.steps
            if now - peer.heard <= _SILENT_SECONDS:
                late = peer.report.waiting > _BEHIND
                busy[name] = 1.0 if late else min(1.0, steps * peer.report.step_seconds / seconds)
        if not self._allotment.settled():
            return
        groups = self._allotment.groups()
        cameras = {group: names for members in groups.values() for group, names in members.items()}
        strength = group_links(cameras, links(self._all()))
        found = relief({name: [*members] for name, members in groups.items()}, busy, strength, most=len(cameras))
        if found is not None:
            _log.warning("%s goes to %s: its associator cannot keep up", *found)
            self._move(*found)

    def _lie(self) -> dict[str, Surroundings]:
        if not self._surroundings:
            parts = {name: [camera.id for camera in cameras] for name, cameras in self._cameras.items()}
            self._surroundings = surroundings(parts, self._all(), self._allotment.moved())
        return self._surroundings

    def _all(self) -> list[CameraConfig]:
        return [camera for cameras in self._cameras.values() for camera in cameras]

    def _recount(self) -> None:
        """Find out which cameras each district has, where that may have changed."""
        if self._counted != self._allotment.version:
            self._counted = self._allotment.version
            self._count()

    def _count(self) -> None:
        self._cameras = {name: self._expected(name, peer) for name, peer in self._peers.items()}
        self._surroundings = {}

    def _expected(self, name: str, peer: _Peer) -> list[CameraConfig]:
        """The cameras that a district will have once it has done what it was not told yet."""
        cameras = {camera.id: camera for camera in self._allotment.cameras(name)}
        for order in (*peer.sent, *peer.cameras):
            if order.what == "add":
                cameras[order.camera.id] = order.camera
            elif order.what == "remove":
                cameras.pop(order.camera.id, None)
        return list(cameras.values())

    def _find(self, camera_id: str) -> tuple[str, CameraConfig] | None:
        for name, cameras in self._cameras.items():
            for camera in cameras:
                if camera.id == camera_id:
                    return name, camera
        return None

    def _known(self, camera_id: str) -> tuple[str, CameraConfig]:
        found = self._find(camera_id)
        if found is None:
            names = ", ".join(camera.id for each in self._cameras.values() for camera in each) or "none"
            raise ConfigError(f"no camera is called {camera_id!r} (cameras: {names})")
        return found

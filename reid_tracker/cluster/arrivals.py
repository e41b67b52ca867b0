"""The site's side of the way from the groups: what arrived, in order and once; what is missing, in seconds."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from reid_tracker.cluster.charge import Charge, Losses, Progress
from reid_tracker.cluster.condition import GroupState, judged
from reid_tracker.cluster.group import Duty, GroupReport
from reid_tracker.cluster.moments import Moments
from reid_tracker.cluster.news import FrameNews
from reid_tracker.cluster.placement import least_loaded, links, relief
from reid_tracker.config import CameraConfig
from reid_tracker.errors import ConfigError
from reid_tracker.live import CameraState, HealthReport, Loss

_BEHIND = 20  # moments; fewer come and go
_MOST_WAITING = 200  # moments; more than a site that keeps up ever has
_SILENT_BEATS = 5  # heartbeats without a word from a group after which its cameras count as not answered for
_RELIEF_SECONDS = 60.0  # between two looks for a group that cannot keep up
_USUAL_SECONDS = 1.0  # between two frames of a camera whose group lives; more than that is told as lost

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Arrived:
    """A frame's news, with the life of the group that it comes from."""

    epoch: str
    news: FrameNews

    @property
    def camera_id(self) -> str:
        """Of the frame."""
        return self.news.camera_id


@dataclass(slots=True)
class _Group:
    """What the site knows of a group."""

    cameras: list[CameraConfig] = field(default_factory=list)
    turn: int = 0  # how often it has gone from one associator to another
    report: GroupReport | None = None
    heard: float = 0.0
    restarts: int = 0
    processed: int = 0
    rate: float = 0.0  # pictures a second that it processes

    def is_spoken_for_by(self, epoch: str, now: float, silent_seconds: float) -> bool:
        """Whether a life of the group has its place: the newest one, an older one only where that is silent."""
        return self.report is None or epoch >= self.report.epoch or now - self.heard > silent_seconds

    def hear(self, report: GroupReport, now: float) -> None:
        """Take a report."""
        processed = sum(each.processed for each in report.cameras.values())
        if self.report is not None and self.report.epoch == report.epoch:
            self.rate = max(0, processed - self.processed) / max(now - self.heard, 1e-3)
        elif self.report is not None:
            self.restarts += 1
        self.report, self.heard, self.processed = report, now, processed


class ClusterCameras(Moments[Arrived]):
    """The cameras of a site as its groups tell of them. Stands where LiveCameras stands on one machine. Thread-safe.

    Args:
        groups: name -> cameras, to begin with.
        heartbeat_seconds: between two reports of a group.
        most: cameras of one group.
    """

    def __init__(self, groups: Mapping[str, Sequence[CameraConfig]], heartbeat_seconds: float, most: int = 8) -> None:
        super().__init__()
        self._most = most
        self._next_relief = time.monotonic() + _RELIEF_SECONDS
        self._groups = {name: _Group(list(cameras)) for name, cameras in groups.items()}
        self._home = {camera.id: name for name, cameras in groups.items() for camera in cameras}
        self._silent_seconds = _SILENT_BEATS * heartbeat_seconds
        self._paused: set[str] = set()
        self._progress: dict[str, Progress] = {}
        self._losses: dict[str, Losses] = {}
        self._unclear: set[str] = set()
        self._given: dict[str, Charge] = {}  # groups that are another associator's by now

    # towards the groups

    def take(self, epoch: str, news: Sequence[FrameNews]) -> list[str]:
        """Take one moment of a group; the cameras of which all has to be said with the next one."""
        with self._lock:
            if self._closed:
                return []
            if len(self._waiting) >= _MOST_WAITING:  # the loop is behind: what is old by now is not worth more of it
                return [each.camera_id for each in news]
            fresh = [Arrived(epoch, each) for each in news if self._is_of(epoch, each) and self._is_next(epoch, each)]
            if fresh:
                self._waiting.append(fresh)
                self._changed.notify_all()
            return sorted(self._unclear & {each.camera_id for each in news})

    def sync(self, report: GroupReport) -> Duty:
        """Hear how a group is; what it has to do.

        A group that is not known here waits, or is sent to who has it. A life of it that another one has followed
        (it was taken for dead, and was not) has nothing to do for as long as that one is heard.
        """
        with self._lock:
            if self._closed:
                return Duty(waits=True)
            group = self._groups.get(report.group)
            if group is None:
                given = self._given.get(report.group)
                return Duty(waits=True) if given is None else Duty(elsewhere=given.associator)
            now = time.monotonic()
            if not group.is_spoken_for_by(report.epoch, now, self._silent_seconds):
                return Duty()
            group.hear(report, now)
            self._relieve()
            names = {camera.id for camera in group.cameras}
            return Duty(tuple(group.cameras), frozenset(self._paused & names))

    def ask_all(self, camera_id: str) -> None:
        """Have everything said anew of a camera whose tracks are not known."""
        with self._lock:
            self._unclear.add(camera_id)

    # towards the other associators of the site

    def charges(self) -> tuple[Charge, ...]:
        """The groups that are here, and those that were given away, as they were then."""
        with self._lock:
            left = (charge for charge in self._given.values() if charge.cameras)
            return (*left, *(self._charge(name) for name in self._groups))

    def elsewhere(self) -> dict[str, tuple[str, int]]:
        """Whose the groups are that are not here, as far as that is known: associator and turn."""
        with self._lock:
            return {name: (charge.associator, charge.turn) for name, charge in self._given.items()}

    def give(self, charge: Charge) -> tuple[str, ...]:
        """Know a group to be another associator's by now; the cameras that go with it, if it was here until now."""
        with self._lock:
            name = charge.group
            if name not in self._groups:
                if name not in self._given or self._given[name].associator != charge.associator:
                    self._given[name] = Charge(name, charge.associator, charge.turn)
                return ()
            left = self._given[name] = replace(self._charge(name), associator=charge.associator, turn=charge.turn)
            del self._groups[name]
            gone = {camera.id for camera in left.cameras}
            self._forget(gone)
            for _ in range(len(self._waiting)):
                if others := [each for each in self._waiting.popleft() if each.camera_id not in gone]:
                    self._waiting.append(others)
            return tuple(camera.id for camera in left.cameras)

    def take_on(self, charge: Charge) -> None:
        """Have a group that another associator had before, or this one before it was started again."""
        with self._lock:
            if charge.group in self._groups:
                return
            self._given.pop(charge.group, None)
            self._groups[charge.group] = _Group([], charge.turn)
            for camera in charge.cameras:
                self._house(camera, charge.group)
            self._paused |= charge.paused
            self._progress |= charge.progress
            self._losses |= {name: replace(each) for name, each in charge.losses.items()}

    def losses(self) -> dict[str, Losses]:
        """What did not arrive, by camera; those without a loss are left out."""
        with self._lock:
            return {name: replace(losses) for name, losses in self._losses.items()}

    def groups(self) -> dict[str, GroupReport | None]:
        """How each group is; None where it was not heard of."""
        with self._lock:
            return {name: group.report for name, group in self._groups.items()}

    @property
    def waiting(self) -> int:
        """Moments that the associator has not taken yet."""
        with self._lock:
            return len(self._waiting)

    def states(self) -> dict[str, GroupState]:
        """How each group is, and why it is behind where it is."""
        with self._lock:
            now = time.monotonic()
            return {name: self._state(name, group, now) for name, group in self._groups.items()}

    # towards the service: as LiveCameras

    @property
    def cameras(self) -> tuple[CameraConfig, ...]:
        """The cameras of all groups."""
        with self._lock:
            return tuple(camera for group in self._groups.values() for camera in group.cameras)

    def add(self, camera: CameraConfig) -> None:
        """Give a camera to the group that has the fewest.

        Raises:
            ConfigError: there is one of that name, or no group.
        """
        with self._lock:
            if self._group_of(camera.id) is not None:
                raise ConfigError(f"two cameras are called {camera.id!r}; give each its own id")
            if not self._groups:
                raise ConfigError(f"camera {camera.id!r}: the cluster has no group to read it")
            counts = {name: len(group.cameras) for name, group in self._groups.items()}
            self._house(camera, least_loaded(counts))

    def remove(self, camera_id: str) -> None:
        """Have a camera forgotten. Raises ConfigError: there is none of that name."""
        with self._lock:
            group = self._known(camera_id)
            group.cameras = [camera for camera in group.cameras if camera.id != camera_id]
            self._forget({camera_id})

    def move(self, camera_id: str, to: str) -> None:
        """Give a camera to another group. Raises ConfigError: no such camera or group."""
        with self._lock:
            if to not in self._groups:
                raise ConfigError(f"no group is called {to!r} (groups: {', '.join(self._groups)})")
            self._move(camera_id, to)

    def pause(self, camera_id: str) -> None:
        """Have a camera left alone until ``resume``. Raises ConfigError: there is none of that name."""
        with self._lock:
            self._known(camera_id)
            self._paused.add(camera_id)

    def resume(self, camera_id: str) -> None:
        """Have a paused camera read again. Raises ConfigError: there is none of that name."""
        with self._lock:
            self._known(camera_id)
            self._paused.discard(camera_id)

    def report(self) -> dict[str, HealthReport]:
        """How each camera is, as its group said last; waiting where the group is not heard of."""
        with self._lock:
            now = time.monotonic()
            return {
                camera.id: self._health(name, group, camera.id, now)
                for name, group in self._groups.items()
                for camera in group.cameras
            }

    def _relieve(self) -> None:
        """Move a camera where a group cannot keep up and another has room; seldom, because it breaks its tracklets."""
        now = time.monotonic()
        if now < self._next_relief:
            return
        self._next_relief = now + _RELIEF_SECONDS
        heard = {
            name: group.report.busy
            for name, group in self._groups.items()
            if group.report is not None and now - group.heard <= self._silent_seconds
        }
        cameras = {name: [camera.id for camera in group.cameras] for name, group in self._groups.items()}
        strength = links([camera for group in self._groups.values() for camera in group.cameras])
        if (found := relief(cameras, heard, strength, self._most)) is not None:
            _log.warning("camera %r goes to %s: its group cannot keep up", *found)
            self._move(*found)

    def _move(self, camera_id: str, to: str) -> None:
        group = self._known(camera_id)
        camera = next(each for each in group.cameras if each.id == camera_id)
        group.cameras.remove(camera)
        self._house(camera, to)

    def _house(self, camera: CameraConfig, name: str) -> None:
        self._groups[name].cameras.append(camera)
        self._home[camera.id] = name

    def _is_of(self, epoch: str, news: FrameNews) -> bool:
        """Whether a frame is told by whoever has its camera: not by a group that has not heard yet that it has not."""
        owner = self._group_of(news.camera_id)
        if owner is None:
            return False
        if owner.report is not None:
            return owner.report.epoch == epoch
        before = self._progress.get(news.camera_id)
        if before is not None and epoch < before.epoch:
            return False  # perhaps of a life that another one has followed; its report will tell
        lives = (group.report.epoch for group in self._groups.values() if group.report is not None)
        return epoch not in lives

    def _charge(self, name: str) -> Charge:
        group = self._groups[name]
        names = {camera.id for camera in group.cameras}
        return Charge(
            name,
            "",
            group.turn,
            tuple(group.cameras),
            frozenset(self._paused & names),
            {camera: progress for camera, progress in self._progress.items() if camera in names},
            {camera: replace(losses) for camera, losses in self._losses.items() if camera in names},
        )

    def _forget(self, cameras: set[str]) -> None:
        self._paused -= cameras
        self._unclear -= cameras
        for camera_id in cameras:
            self._home.pop(camera_id, None)
            self._progress.pop(camera_id, None)
            self._losses.pop(camera_id, None)

    def _is_next(self, epoch: str, news: FrameNews) -> bool:
        """Whether a frame is to be taken; keeps account of what lies between it and the one before."""
        camera_id, before = news.camera_id, self._progress.get(news.camera_id)
        if before is not None and before.epoch == epoch and news.number <= before.number:
            self._losses.setdefault(camera_id, Losses()).repeated += 1
            return False
        if not news.whole and (before is None or before.epoch != epoch or news.number > before.number + 1):
            self._unclear.add(camera_id)
            return False  # means nothing without what came before; the gap is counted when all was said
        if before is not None and (before.epoch != epoch or news.whole or news.number > before.number + 1):
            self._count(before, epoch, news)  # all is said anew where something may be missing
        if news.whole:
            self._unclear.discard(camera_id)
        self._progress[camera_id] = Progress(epoch, news.number, news.time)
        return True

    def _count(self, before: Progress, epoch: str, news: FrameNews) -> None:
        losses = self._losses.setdefault(news.camera_id, Losses())
        restarted = before.epoch != epoch
        losses.restarts += restarted
        losses.frames += 0 if restarted else news.number - before.number - 1
        missing = news.time - before.time
        if missing > (0 if restarted else _USUAL_SECONDS):  # a restart loses what it takes, however little
            losses.seconds += missing
            why = "its group was started again, or another has it" if restarted else "its group could not deliver"
            _log.warning("camera %r: %.1f s are lost: %s", news.camera_id, missing, why)

    def _health(self, name: str, group: _Group, camera_id: str, now: float) -> HealthReport:
        known = group.report.cameras.get(camera_id) if group.report else None
        health = known or HealthReport(CameraState.CONNECTING)
        if losses := self._losses.get(camera_id):
            lost = f"{losses.seconds:.0f} s did not reach the site; its group has begun {losses.restarts} times anew"
            undelivered = Counter({"undelivered": losses.frames})
            health = replace(health, lost=health.lost + undelivered, message=health.message or lost)
        if group.report is not None and now - group.heard > self._silent_seconds:
            silent = f"{name} of the cluster does not answer; it is started again"
            health = replace(health, state=CameraState.WAITING, message=silent)
        return health

    def _state(self, name: str, group: _Group, now: float) -> GroupState:
        names = tuple(camera.id for camera in group.cameras)
        lost = sum(losses.seconds for camera in names if (losses := self._losses.get(camera)))
        report = group.report
        if report is None:
            return judged(GroupState(name, names, lost=lost), {}, self._silent_seconds, 0)
        health = {camera: each for camera, each in report.cameras.items() if camera in names}
        told = GroupState(
            name,
            names,
            report.node or "unknown",
            now - group.heard,
            report.busy,
            report.step_seconds,
            sum(each.fps for each in health.values()),
            group.rate,
            max((each.lag for each in health.values()), default=0.0),
            sum(each.lost[Loss.DROPPED] for each in health.values()),
            report.undelivered,
            lost,
            group.restarts,
            report.failures,
            report.last_failure,
        )
        behind = len(self._waiting) if len(self._waiting) > _BEHIND else 0
        return judged(told, health, self._silent_seconds, behind)

    def _group_of(self, camera_id: str) -> _Group | None:
        home = self._home.get(camera_id)
        return None if home is None else self._groups[home]

    def _known(self, camera_id: str) -> _Group:
        group = self._group_of(camera_id)
        if group is None:
            names = ", ".join(camera.id for each in self._groups.values() for camera in each.cameras) or "none"
            raise ConfigError(f"no camera is called {camera_id!r} (cameras: {names})")
        return group

"""Several associators where the pipeline expects one: recorded archives, and whoever steps a site by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from reid_tracker.association import CrossCameraAssociator
from reid_tracker.cluster.district import District
from reid_tracker.cluster.orders import DistrictNews, Surroundings
from reid_tracker.cluster.partition import borders, districts, joined
from reid_tracker.cluster.placement import links
from reid_tracker.cluster.registry import Registry, first_identity
from reid_tracker.config import CameraConfig, Config
from reid_tracker.types import CameraTracks, IdentityEvent, TrackedFrame, Tracklet

EXCHANGE_SECONDS = 0.5  # between two rounds of post


class DistrictAssociator:
    """Districts, each with an associator of its own, as one (reid_tracker.parts.Associator). Not thread-safe.

    Args:
        parts: name -> district.
        of: camera -> name of its district.
        exchange_seconds: of the cameras' time between two rounds of post.
    """

    def __init__(
        self, parts: Mapping[str, District], of: Mapping[str, str], exchange_seconds: float = EXCHANGE_SECONDS
    ) -> None:
        self.parts = dict(parts)
        self._of = dict(of)
        self._registry = Registry(list(parts))
        self._exchange_seconds = exchange_seconds
        self._next_exchange = float("-inf")

    def __call__(self, tracks: Sequence[CameraTracks]) -> list[TrackedFrame]:
        """Take what all cameras saw at one moment; one result per input, in order."""
        told: dict[str, TrackedFrame] = {}
        for name, moment in self.split(tracks).items():
            frames, _ = self._registry.take(name, DistrictNews(tuple(self.parts[name].take(moment))))
            told |= {frame.camera_id: frame for frame in frames}
        now = max((moment.time for moment in tracks), default=self._next_exchange)
        if now >= self._next_exchange:
            self._next_exchange = now + self._exchange_seconds
            self.exchange()
        return [told[moment.camera_id] for moment in tracks]

    def split(self, tracks: Sequence[CameraTracks]) -> dict[str, list[CameraTracks]]:
        """Tracks by district."""
        found: dict[str, list[CameraTracks]] = {}
        for moment in tracks:
            found.setdefault(self._of[moment.camera_id], []).append(moment)
        return found

    def exchange(self) -> None:
        """One round of post."""
        for name, part in self.parts.items():
            self._registry.take(name, DistrictNews(border=part.border_news()))
        for name, part in self.parts.items():
            part.obey(self._registry.answer(name))

    def finish(self, ended: Sequence[Tracklet]) -> tuple[IdentityEvent, ...]:
        """The run is over: all districts end it one after the other, each knowing what the ones before decided."""
        events: list[IdentityEvent] = []
        self.exchange()
        for name, part in self.parts.items():
            part.obey(self._registry.answer(name))
            own = [tracklet for tracklet in ended if self._of[tracklet.camera_id] == name]
            events += [told for event in part.finish(own) if (told := self._registry.say(event)) is not None]
        return tuple(events)


def plan(config: Config, traffic: Mapping[tuple[str, str], float] | None = None) -> dict[str, list[str]]:
    """District -> its cameras: one where the site is small enough."""
    strength = joined(links(config.cameras), traffic or {})
    cut = districts([camera.id for camera in config.cameras], strength, config.cluster.associator_cameras)
    return {f"district {number}": cameras for number, cameras in enumerate(cut, 1)}


def surroundings(
    parts: Mapping[str, Sequence[str]], cameras: Sequence[CameraConfig], moved: frozenset[str] = frozenset()
) -> dict[str, Surroundings]:
    """How each district lies among the others.

    Args:
        moved: cameras that other districts had before: those have people who were last seen there.
    """
    exits = borders(parts, links(cameras))
    for name, members in parts.items():
        for other in parts:
            if other != name and (here := moved.intersection(members)):
                exits[other][name] = exits[other].get(name, frozenset()) | here
    entrances = {name: frozenset(camera for other in exits for camera in exits[other].get(name, ())) for name in parts}
    return {name: Surroundings(exits[name], entrances[name]) for name in parts}


def associator_of(config: Config, place: int, count: int, last: int) -> CrossCameraAssociator:
    """The associator of a district, which numbers people as no other one does.

    Args:
        place: of the district, from 1, of ``count``.
        last: the highest identity ever given.
    """
    associator = CrossCameraAssociator(config.association, config.cameras)
    first, step = first_identity(place, count, last)
    associator.book.continue_after(first - 1, 0, step)
    return associator


def in_districts(config: Config, parts: Mapping[str, Sequence[str]]) -> DistrictAssociator:
    """All districts of a plan in this process."""
    lie = surroundings(parts, config.cameras)
    made = {
        name: District(name, associator_of(config, place, len(parts), 0), lie[name])
        for place, name in enumerate(parts, 1)
    }
    return DistrictAssociator(made, {camera: name for name, cameras in parts.items() for camera in cameras})

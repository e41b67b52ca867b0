"""Hand-made scenes: people with looks of their own, seen as tracklets in named cameras."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from reid_tracker.association import CrossCameraAssociator
from reid_tracker.types import Appearance, CameraTracks, EventType, IdentityEvent, TrackedFrame, Tracklet, TrackletState

SIZE = (640, 480)
DIMENSION = 64


@dataclass
class Wardrobe:
    """Looks of numbered people: (1 - noise) person and noise that differs from look to look, of unit length.

    Attributes:
        common: share of all looks that everybody has in common, as embedders without centring give it.
        stripes: stripes a look, 0 for an embedder without them.
    """

    seed: int = 0
    noise: float = 0.45
    common: float = 0.0
    stripes: int = 0
    _people: dict[int, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._generator = np.random.default_rng(self.seed)
        self._everybody = unit(self._generator.standard_normal(DIMENSION))

    def looks(self, person: int, count: int, quality: float = 1.0) -> Appearance:
        """``count`` looks of a person."""
        if person not in self._people:
            self._people[person] = unit(np.random.default_rng(1000 + person).standard_normal(DIMENSION))
        noise = unit(self._generator.standard_normal((count, DIMENSION)))
        own = unit(np.sqrt(1 - self.noise) * self._people[person] + np.sqrt(self.noise) * noise)
        vectors = unit(np.sqrt(1 - self.common) * own + np.sqrt(self.common) * self._everybody).astype(np.float32)
        stripes = np.repeat(vectors[:, None], self.stripes, axis=1)
        return Appearance(vectors, stripes, np.full(count, quality, np.float32), np.ones(count, np.bool_))


def tracklet(
    number: int,
    camera: str,
    started: float,
    now: float,
    looks: Appearance,
    state: TrackletState = TrackletState.CONFIRMED,
    box: Sequence[float] = (100, 100, 150, 220),
) -> Tracklet:
    """A tracklet whose looks came evenly over its time."""
    count = max(1, len(looks))
    times = np.linspace(started, now, count)
    boxes = np.tile(np.array([box], np.float32), (count, 1))
    return Tracklet(
        id=number,
        camera_id=camera,
        state=state,
        boxes=boxes,
        times=times,
        score=0.9,
        quality=1.0,
        started=started,
        looks=looks,
        look_times=times[: len(looks)],
        look_boxes=boxes[: len(looks)],
        looks_version=len(looks),
    )


@dataclass(frozen=True)
class Visit:
    """One person in one camera for a while."""

    number: int
    person: int
    camera: str
    start: float
    end: float
    box: tuple[float, float, float, float] = (100, 100, 150, 220)


@dataclass
class Story:
    """What an associator said of a scene.

    Attributes:
        frames: all results, in order.
        events: all events, in order.
    """

    frames: list[TrackedFrame] = field(default_factory=list)
    events: list[IdentityEvent] = field(default_factory=list)

    @property
    def emitted(self) -> dict[int, int]:
        """Tracklet to the identity last shown for it."""
        return {person.tracklet: person.identity for frame in self.frames for person in frame.people}

    @property
    def final(self) -> dict[int, int]:
        """Tracklet to identity by replaying the events, as the interface promises."""
        held: dict[int, int] = {}
        for event in self.events:
            if event.type in (EventType.STARTED, EventType.LINKED, EventType.SPLIT):
                held.update(dict.fromkeys(event.tracklets, event.identity))
            elif event.type is EventType.MERGED:
                held |= {number: event.identity for number, now in held.items() if now in event.supersedes}
        return held

    def of(self, kind: EventType) -> list[IdentityEvent]:
        """The events of one kind."""
        return [event for event in self.events if event.type is kind]


def play(
    associator: CrossCameraAssociator,
    visits: Sequence[Visit],
    wardrobe: Wardrobe,
    step: float = 0.5,
    finish: bool = True,
) -> Story:
    """Run visits through an associator, a look a step, all cameras of a moment in one call."""
    story = Story()
    looks = {visit.number: wardrobe.looks(visit.person, 1 + int((visit.end - visit.start) / step)) for visit in visits}
    cameras = sorted({visit.camera for visit in visits})
    begin, over = min(visit.start for visit in visits), max(visit.end for visit in visits)
    ended: set[int] = set()
    open_: list[Tracklet] = []
    for index, time in enumerate(np.arange(begin, over + step / 2, step)):
        open_ = []
        tracks = []
        for camera in cameras:
            here = [visit for visit in visits if visit.camera == camera and visit.start <= time]
            seen = [_seen(visit, time, looks, step) for visit in here if visit.end >= time]
            gone = [
                _seen(visit, visit.end, looks, step, TrackletState.ENDED)
                for visit in here
                if visit.end < time and visit.number not in ended
            ]
            ended |= {one.id for one in gone}
            open_ += seen
            tracks.append(CameraTracks(camera, index, float(time), SIZE, tuple(seen), (), tuple(gone)))
        for frame in associator(tracks):
            story.frames.append(frame)
            story.events += frame.events
    if finish:
        story.events += associator.finish(open_)
    return story


def _seen(
    visit: Visit, time: float, looks: dict[int, Appearance], step: float, state: TrackletState = TrackletState.CONFIRMED
) -> Tracklet:
    count = 1 + int((time - visit.start) / step)
    return tracklet(
        visit.number, visit.camera, visit.start, time, looks[visit.number].select(slice(0, count)), state, visit.box
    )


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors (..., D) at length one."""
    scaled: np.ndarray = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return scaled

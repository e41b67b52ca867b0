"""People who walk over a floor that cameras see from different sides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from reid_tracker.association import CrossCameraAssociator
from reid_tracker.types import Appearance, CameraTracks, Tracklet, TrackletState
from tests.association.scenes import Story, Wardrobe

SIZE = (1000, 1000)
STEP = 0.25
TALL = 1.7


@dataclass(frozen=True)
class Viewpoint:
    """A camera above the floor, looking down along its own y axis.

    Attributes:
        turned: radians by which it is turned around the middle of the floor.
        middle: what it looks at, metres.
        ahead: seconds by which its clock is.
    """

    turned: float = 0.0
    middle: tuple[float, float] = (0.0, 0.0)
    ahead: float = 0.0

    def box(self, place: np.ndarray) -> np.ndarray | None:
        """(4,) the box of somebody who stands there, None where it is not in view."""
        cosine, sine = np.cos(self.turned), np.sin(self.turned)
        aside, along = np.array([[cosine, sine], [-sine, cosine]]) @ (place - self.middle)
        depth = 14.0 + along
        scale = 1100 / depth
        x, y, tall = 500 + aside * scale, 250 + 5 * scale, TALL * scale
        box = np.array([x - tall / 5, y - tall, x + tall / 5, y], np.float32)
        return box if depth > 2 and box[0] > 0 and box[2] < SIZE[0] and 0 < y < SIZE[1] else None


@dataclass
class Floor:
    """Walkers and the cameras that see them.

    Attributes:
        walkers: person, start in seconds, from where to where in metres; all walk at 1.3 m a second.
        shake: standard deviation of the boxes' edges in body heights.
        begins: seconds on the clock when it begins.
        first_number: of its tracklets.
    """

    viewpoints: Mapping[str, Viewpoint]
    walkers: Sequence[tuple[int, float, tuple[float, float], tuple[float, float]]]
    wardrobe: Wardrobe = field(default_factory=lambda: Wardrobe(noise=0.3))
    shake: float = 0.03
    seed: int = 0
    begins: float = 0.0
    first_number: int = 1

    def play(self, associator: CrossCameraAssociator) -> tuple[Story, dict[int, int]]:
        """Show it all; what was said, and the walker (its place in the list) of each tracklet."""
        generator, story, owner = np.random.default_rng(self.seed), Story(), dict[int, int]()
        open_: dict[tuple[str, int], Tracklet] = {}
        looks: dict[int, Appearance] = {}
        for index, moment in enumerate(np.arange(0, self._over(), STEP)):
            tracks = []
            for camera, viewpoint in self.viewpoints.items():
                time, seen, ended = self.begins + float(moment) + viewpoint.ahead, [], []
                for walker in range(len(self.walkers)):
                    box, key = self._box(walker, float(moment), viewpoint, generator), (camera, walker)
                    if box is not None:
                        known = open_.get(key)
                        number = known.id if known else len(owner) + self.first_number
                        if known is None:
                            owner[number] = walker
                            looks[number] = self.wardrobe.looks(self.walkers[walker][0], 8)
                        open_[key] = _grown(known, number, camera, time, box, looks[number])
                        seen.append(open_[key])
                    elif key in open_:
                        ended.append(_ended(open_.pop(key)))
                tracks.append(CameraTracks(camera, index, time, SIZE, tuple(seen), (), tuple(ended)))
            for frame in associator(tracks):
                story.frames.append(frame)
                story.events += frame.events
        story.events += associator.finish(list(open_.values()))
        return story, owner

    def _over(self) -> float:
        return max(start + np.linalg.norm(np.subtract(end, begin)) / 1.3 for _, start, begin, end in self.walkers) + 2

    def _box(
        self, walker: int, moment: float, viewpoint: Viewpoint, generator: np.random.Generator
    ) -> np.ndarray | None:
        _, start, begin, end = self.walkers[walker]
        way = np.subtract(end, begin)
        gone = (moment - start) * 1.3 / np.linalg.norm(way)
        box = viewpoint.box(np.add(begin, gone * way)) if 0 <= gone <= 1 else None
        if box is None:
            return None
        return (box + self.shake * (box[3] - box[1]) * generator.standard_normal(4)).astype(np.float32)


def _grown(
    known: Tracklet | None, number: int, camera: str, time: float, box: np.ndarray, looks: Appearance
) -> Tracklet:
    times = np.append(known.times if known else [], time)
    count = min(len(times), len(looks))
    return Tracklet(
        id=number,
        camera_id=camera,
        state=TrackletState.CONFIRMED,
        boxes=box[None],
        times=times,
        score=0.9,
        quality=1.0,
        started=float(times[0]),
        looks=looks.select(slice(0, count)),
        look_times=times[:count],
        look_boxes=np.repeat(box[None], count, axis=0),
        looks_version=count,
    )


def _ended(known: Tracklet) -> Tracklet:
    return Tracklet(
        **{name: getattr(known, name) for name in Tracklet.__slots__ if name != "state"}, state=TrackletState.ENDED
    )

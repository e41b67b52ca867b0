"""A site that is made up: cameras over a floor plan, people who walk through it, and what goes wrong with cameras.

Knows nothing of the product. The site is a square of cells, SPACING metres wide, a camera in the middle of each (the
last cells of an incomplete row have none). A camera sees a square of ground around its cell's middle: most see less
than their cell, so there are blind gaps; the rest see into their neighbours' ground. People walk from cell to cell at
their own speeds; the number at once stays as it is: whoever leaves makes room for somebody new, or for somebody who was
here before. One seed gives one result.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SPACING = 20.0  # metres
SIZE = (1920, 1080)
_GAP_SIGHT, _OVERLAP_SIGHT = 0.4, 0.6  # half the side of the ground that a camera sees, in SPACING
_BACK, _UP, _AIM = 6.0, 5.0, 0.8  # a camera stands behind its ground, above it, and looks at the middle's hips; metres
_TALL, _SLIM = 1.7, 0.4  # a person: metres, and width over height
_SPEED, _SPEED_SPREAD, _SLOWEST = 1.3, 0.2, 0.6  # metres a second
_LEAVES = 0.08  # share of the cells entered at which somebody leaves
_BACK_AGAIN = 0.5  # share of those who come in that were here before, once somebody was
_SHAKE = 0.02  # error of a box's sides, heights
_HIDDEN = 0.9  # share covered from which nobody could be asked to see somebody
_GHOST_SECONDS = 1.0, 3.0

Array = NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Plan:
    """What site, and how bad.

    Attributes:
        cameras, people: how many; people at once.
        population: people who may turn up in all, at least ``people``.
        seconds, rate: how long, and steps a second.
        seed: of everything.
        overlapping: share of the cameras that see into their neighbours' ground.
        missed: chance that a person in full view is not detected in a step; those who are covered are missed more.
        ghosts: false boxes that begin, a camera and second.
        wrong_clocks: share of the cameras whose clocks are wrong, by up to ``clock_error`` seconds.
        dropouts: share of the cameras that are away for a fifth of the time.
    """

    cameras: int = 8
    people: int = 60
    population: int = 90
    seconds: float = 120.0
    rate: float = 2.0
    seed: int = 0
    overlapping: float = 0.3
    missed: float = 0.05
    ghosts: float = 0.02
    wrong_clocks: float = 0.0
    clock_error: float = 5.0
    dropouts: float = 0.0


@dataclass(frozen=True, slots=True)
class View:
    """One camera's frame.

    Attributes:
        camera: number.
        clock: seconds by its own clock.
        keys: (N,) whom it shows, from 0; negative for false boxes.
        boxes: (N, 4) corners in pixels.
        detected: (N,) bool; of those who could be seen at all.
    """

    camera: int
    clock: float
    keys: NDArray[np.int64]
    boxes: Array
    detected: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Moment:
    """One step.

    Attributes:
        time: true seconds.
        present: (people,) who is on the site.
        places: (people, 2) where they stand, metres.
        views: of the cameras that are there.
    """

    time: float
    present: NDArray[np.int64]
    places: Array
    views: tuple[View, ...]


class Site:
    """The cameras of a plan and what they see."""

    def __init__(self, plan: Plan) -> None:
        generator = np.random.default_rng([plan.seed, 1])
        self.plan = plan
        self.side = int(np.ceil(np.sqrt(plan.cameras)))
        cells = np.arange(plan.cameras)
        self.centres: Array = SPACING * (np.stack([cells % self.side, cells // self.side], axis=1) + 0.5)
        wide = generator.permutation(plan.cameras) < round(plan.overlapping * plan.cameras)
        self.sights: Array = SPACING * np.where(wide, _OVERLAP_SIGHT, _GAP_SIGHT)
        self.matrices = [_matrix(*each) for each in zip(self.centres, self.sights, strict=True)]
        chosen = generator.permutation(plan.cameras)
        wrong = chosen < round(plan.wrong_clocks * plan.cameras)
        self.clock_errors: Array = wrong * generator.uniform(-plan.clock_error, plan.clock_error, plan.cameras)
        drops = generator.permutation(plan.cameras) < round(plan.dropouts * plan.cameras)
        begins = generator.uniform(0.2, 0.6, plan.cameras) * plan.seconds
        self.outages: Array = np.where(drops[:, None], np.stack([begins, begins + 0.2 * plan.seconds], axis=1), -1.0)

    def overlap(self, first: int, second: int) -> bool:
        """Two cameras see a piece of the same ground."""
        apart = np.abs(self.centres[first] - self.centres[second]).max()
        return bool(apart < self.sights[first] + self.sights[second])

    def in_sight(self, camera: int, places: Array) -> NDArray[np.bool_]:
        """(N, 2) places on the ground to (N,): a camera sees them."""
        inside: NDArray[np.bool_] = np.abs(places - self.centres[camera]).max(axis=1) < self.sights[camera]
        return inside

    def homography(self, camera: int) -> Array:
        """(3, 3): pixels to metres on the ground."""
        inverse: Array = np.linalg.inv(self.matrices[camera][:, [0, 1, 3]])
        return inverse

    def boxes(self, camera: int, places: Array) -> Array:
        """(N, 2) places to (N, 4) corners of the people who stand there."""
        feet = _projected(self.matrices[camera], places, 0.0)
        heads = _projected(self.matrices[camera], places, _TALL)
        heights = feet[:, 1] - heads[:, 1]
        half = _SLIM * heights / 2
        return np.stack([feet[:, 0] - half, heads[:, 1], feet[:, 0] + half, feet[:, 1]], axis=1)


def simulate(plan: Plan) -> Iterator[Moment]:
    """The steps of a plan."""
    site, crowd = Site(plan), Crowd(plan)
    faults = np.random.default_rng([plan.seed, 3])
    ghosts = [_Ghosts(plan, camera) for camera in range(plan.cameras)]
    for step in range(round(plan.seconds * plan.rate)):
        time = step / plan.rate
        views = []
        for camera in range(plan.cameras):
            begin, end = site.outages[camera]
            view = _view(site, camera, time, crowd, ghosts[camera], faults)
            if not begin <= time < end:
                views.append(view)
        yield Moment(time, crowd.present.copy(), crowd.places.copy(), tuple(views))
        crowd.walk(1 / plan.rate)


class Crowd:
    """People on the site, always as many.

    Attributes:
        present: (people,) who.
        places: (people, 2) where, metres.
    """

    def __init__(self, plan: Plan) -> None:
        if plan.population < plan.people:
            raise ValueError(f"population: at least {plan.people} people, got {plan.population}")
        self._generator = np.random.default_rng([plan.seed, 2])
        self._side = int(np.ceil(np.sqrt(plan.cameras)))
        self.present = np.arange(plan.people, dtype=np.int64)
        self.places: Array = self._generator.uniform(0, SPACING * self._side, (plan.people, 2))
        self._targets = np.stack([self._beside(place) for place in self.places])
        speeds = self._generator.normal(_SPEED, _SPEED_SPREAD, plan.population)
        self._speeds = np.maximum(speeds, _SLOWEST)
        self._unseen = list(range(plan.people, plan.population))
        self._left: list[int] = []

    def walk(self, seconds: float) -> None:
        """Everybody goes on towards the next cell; who gets there turns to another, or leaves."""
        way = self._targets - self.places
        distance = np.linalg.norm(way, axis=1)
        reach = self._speeds[self.present] * seconds
        there = distance <= reach
        self.places = np.where(
            there[:, None], self._targets, self.places + way * (reach / np.maximum(distance, 1e-9))[:, None]
        )
        for row in np.flatnonzero(there):
            if self._generator.random() < _LEAVES and (self._unseen or self._left):
                self._replace(int(row))
            self._targets[row] = self._beside(self.places[row])

    def _replace(self, row: int) -> None:
        """Somebody leaves the site, and somebody else comes in at its edge."""
        back = self._left and (not self._unseen or self._generator.random() < _BACK_AGAIN)
        comes = self._left.pop(0) if back else self._unseen.pop(0)
        self._left.append(int(self.present[row]))
        self.present[row] = comes
        along = self._generator.uniform(0, SPACING * self._side)
        edges = (0.0, along), (SPACING * self._side, along), (along, 0.0), (along, SPACING * self._side)
        self.places[row] = edges[self._generator.integers(4)]

    def _beside(self, place: Array) -> Array:
        """Somewhere in a cell beside that of a place."""
        cell = np.clip(place // SPACING, 0, self._side - 1)
        steps = np.array([(1, 0), (-1, 0), (0, 1), (0, -1)])
        cells = cell + steps
        inside = ((cells >= 0) & (cells < self._side)).all(axis=1)
        chosen = cells[inside] if inside.any() else cell[None]
        goal: Array = SPACING * (chosen[self._generator.integers(len(chosen))] + self._generator.uniform(0.15, 0.85, 2))
        return goal


class _Ghosts:
    """False boxes of one camera: they stand still for a while."""

    def __init__(self, plan: Plan, camera: int) -> None:
        self._generator = np.random.default_rng([plan.seed, 4, camera])
        self._chance = plan.ghosts / plan.rate
        self._next = -1 - camera
        self._apart = plan.cameras
        self._standing: list[tuple[float, int, Array]] = []

    def __call__(self, time: float) -> tuple[list[int], list[Array]]:
        self._standing = [ghost for ghost in self._standing if ghost[0] > time]
        if self._generator.random() < self._chance:
            left, top = self._generator.uniform(0, SIZE[0] - 60), self._generator.uniform(0, SIZE[1] - 150)
            until = time + self._generator.uniform(*_GHOST_SECONDS)
            self._standing.append((until, self._next, np.array([left, top, left + 60, top + 150])))
            self._next -= self._apart
        return [ghost[1] for ghost in self._standing], [ghost[2] for ghost in self._standing]


def _view(site: Site, camera: int, time: float, crowd: Crowd, ghosts: _Ghosts, faults: np.random.Generator) -> View:
    here = np.flatnonzero(site.in_sight(camera, crowd.places))
    boxes = site.boxes(camera, crowd.places[here])
    covered = _covered(boxes)
    chance = site.plan.missed + (1 - site.plan.missed) * np.clip((covered - 0.3) / 0.5, 0, 1)
    detected = faults.random(len(here)) >= chance
    heights = (boxes[:, 3] - boxes[:, 1])[:, None]
    boxes = boxes + _SHAKE * heights * faults.uniform(-1, 1, boxes.shape)
    visible = covered < _HIDDEN
    false_keys, false_boxes = ghosts(time)
    return View(
        camera=camera,
        clock=time + float(site.clock_errors[camera]),
        keys=np.concatenate([crowd.present[here][visible], np.array(false_keys, np.int64)]),
        boxes=np.concatenate([boxes[visible], np.array(false_boxes).reshape(-1, 4)]),
        detected=np.concatenate([detected[visible], np.ones(len(false_keys), np.bool_)]),
    )


def _covered(boxes: Array) -> Array:
    """(N, 4) to (N,): the largest share of each that one nearer person hides."""
    if len(boxes) == 0:
        return np.zeros(0)
    corner = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    sides = np.clip(np.minimum(boxes[:, None, 2:], boxes[None, :, 2:]) - corner, 0, None)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    shares = sides.prod(axis=2) / areas[:, None]
    nearer = boxes[None, :, 3] > boxes[:, None, 3]
    covered: Array = np.where(nearer, shares, 0).max(axis=1)
    return covered


def _matrix(centre: Array, sight: float) -> Array:
    """(3, 4) projection of a camera that looks over its ground from behind."""
    place = np.array([centre[0], centre[1] - sight - _BACK, _UP])
    forward = np.array([centre[0], centre[1], _AIM]) - place
    forward /= np.linalg.norm(forward)
    right = np.array([1.0, 0.0, 0.0])
    rotation = np.stack([right, np.cross(forward, right), forward])
    focal = 0.9 * SIZE[0] * np.hypot(_BACK, _UP) / (2 * sight)
    intrinsic = np.array([[focal, 0, SIZE[0] / 2], [0, focal, SIZE[1] / 2], [0, 0, 1]])
    matrix: Array = intrinsic @ np.column_stack([rotation, -rotation @ place])
    return matrix


def _projected(matrix: Array, places: Array, height: float) -> Array:
    """(N, 2) ground places at a height to (N, 2) pixels."""
    points = np.column_stack([places, np.full(len(places), height), np.ones(len(places))])
    pixels = points @ matrix.T
    flat: Array = pixels[:, :2] / pixels[:, 2:]
    return flat

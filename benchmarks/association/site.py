"""The made-up site as cases: how quality and cost grow with cameras, people, density and the embedder's quality.

Quality is measured with real looks, of which there are 750 people; cost, which hardly depends on what the looks are,
with made-up ones as well, so that it can be measured at any size without embedding anything.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.association.cases import Case, Step
from benchmarks.association.material import Album, Material
from benchmarks.association.simulator import SIZE, Plan, Site, simulate
from benchmarks.association.stage import Stage
from benchmarks.association.wardrobe import Wardrobe, unit
from reid_tracker.config import CameraConfig
from reid_tracker.evaluation.ranking import Looks
from reid_tracker.training.data import PeopleSet

BASE = Plan(wrong_clocks=0.0, dropouts=0.0)
_QUICK_SECONDS = 40.0
_GROWTH_SECONDS = {True: 15.0, False: 60.0}  # by quick
_MADE_UP = 24  # looks of a made-up person, in six cameras
_SPREAD = 0.7  # length of what differs between them


def site(material: Material, quick: bool) -> Iterator[Case]:
    """One thing changed at a time, from eight cameras and 60 people."""
    base = replace(BASE, seconds=_QUICK_SECONDS) if quick else BASE
    yield site_case("site, 8 cameras, 60 people", base, material.market)
    for cameras, people in ((4, 30), (16, 120)) if quick else ((4, 30), (16, 120), (32, 240), (64, 500)):
        yield replace(
            site_case(f"site, {cameras} cameras, {people} people", sized(base, cameras, people), material.market),
            deep=False,
        )
    for name, (plan, looks) in _changes(base).items():
        yield replace(site_case(f"site, {name}", plan, material.market, **looks), deep=False)


def _changes(base: Plan) -> dict[str, tuple[Plan, dict[str, Any]]]:
    """What is changed, one at a time: the plan, and how people are dressed."""
    return {
        "half as many people": (sized(base, base.cameras, base.people // 2), {}),
        "twice as many people": (sized(base, base.cameras, 2 * base.people), {}),
        "looks with noise 0.5": (base, {"noise": 0.5}),
        "looks with noise 1": (base, {"noise": 1.0}),
        "half of the people in teams dressed alike": (base, {"alike": 0.5}),
        "half of the clocks wrong by up to 5 s": (replace(base, wrong_clocks=0.5), {}),
        "half of the cameras away for a fifth of the time": (replace(base, dropouts=0.5), {}),
        "many missed and false boxes": (replace(base, missed=0.3, ghosts=0.2), {}),
        "homographies given": (base, {"calibrated": True}),
    }


def growth(quick: bool) -> Iterator[tuple[Plan, Case]]:
    """Larger and larger sites, as dense as one another, with made-up looks."""
    for cameras, people in ((8, 60), (16, 120), (32, 250), (64, 500)):
        plan = sized(replace(BASE, seconds=_GROWTH_SECONDS[quick]), cameras, people)
        yield plan, site_case(f"{cameras} cameras, {people} people", plan, made_up(plan.population))


def sized(plan: Plan, cameras: int, people: int) -> Plan:
    """A plan of another size; two in five of those who turn up are not there at first."""
    return replace(plan, cameras=cameras, people=people, population=int(1.4 * people))


def made_up(people: int) -> Album:
    """Looks of the shipped embedder's shape around one of each person's own, and some of nobody."""
    generator = np.random.default_rng(0)
    persons = np.repeat(np.arange(people + 1), _MADE_UP)
    vectors, stripes = (
        unit(
            (generator.standard_normal((people + 1, *shape)).astype(np.float32))[persons]
            + _SPREAD * generator.standard_normal((len(persons), *shape)).astype(np.float32)
        )
        for shape in ((256,), (8, 128))
    )
    cameras = np.tile(1 + np.arange(_MADE_UP) % 6, people + 1)
    paths = tuple(Path(f"{row}") for row in range(len(persons)))
    return Album(PeopleSet("made up", paths, persons, cameras), Looks(vectors, stripes), Path())


def site_case(
    name: str, plan: Plan, album: Album, noise: float = 0.0, alike: float = 0.0, calibrated: bool = False
) -> Case:
    """A plan, simulated and dressed.

    Args:
        name: of the case.
        plan: what is simulated.
        album: real people to dress in.
        noise, alike: see ``Wardrobe``.
        calibrated: the cameras' homographies are given.
    """
    names = [f"c{camera:02}" for camera in range(plan.cameras)]
    stage = Stage(names, SIZE, Wardrobe(album, plan.population, plan.seed, noise, alike))
    steps = [
        Step(
            moment.time,
            tuple(
                stage.see(names[view.camera], view.clock, moment.time, view.keys, view.boxes, view.detected)
                for view in moment.views
            ),
        )
        for moment in simulate(plan)
    ]
    return stage.case(name, steps, _cameras(Site(plan), names) if calibrated else ())


def _cameras(site: Site, names: list[str]) -> tuple[CameraConfig, ...]:
    return tuple(
        CameraConfig(id=name, source="-", homography=tuple(map(tuple, site.homography(camera).tolist())))
        for camera, name in enumerate(names)
    )

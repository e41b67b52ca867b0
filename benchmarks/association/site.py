"""The made-up site as cases: how quality and cost grow with cameras, people, density and the embedder's quality."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from benchmarks.association.cases import Case, Step
from benchmarks.association.material import Album, Material
from benchmarks.association.simulator import SIZE, Plan, Site, simulate
from benchmarks.association.stage import Stage
from benchmarks.association.wardrobe import Wardrobe
from reid_tracker.config import CameraConfig

BASE = Plan(wrong_clocks=0.0, dropouts=0.0)
_QUICK_SECONDS = 60.0


def site(material: Material, quick: bool) -> Iterator[Case]:
    """One thing changed at a time, from eight cameras and 60 people; then the large site."""
    base = replace(BASE, seconds=_QUICK_SECONDS) if quick else BASE
    yield site_case("site, 8 cameras, 60 people", base, material.market)
    sizes = ((4, 30), (16, 120)) if quick else ((4, 30), (16, 120), (32, 240), (64, 500))
    for cameras, people in sizes:
        plan = replace(base, cameras=cameras, people=people, population=int(1.4 * people))
        yield replace(site_case(f"site, {cameras} cameras, {people} people", plan, material.market), deep=False)
    changed: dict[str, tuple[Plan, dict[str, Any]]] = {
        "half as many people": (replace(base, people=30, population=45), {}),
        "twice as many people": (replace(base, people=120, population=180), {}),
        "embedder with noise 0.5": (base, {"noise": 0.5}),
        "embedder with noise 1": (base, {"noise": 1.0}),
        "half of the people in teams dressed alike": (base, {"alike": 0.5}),
        "half of the clocks wrong by up to 5 s": (replace(base, wrong_clocks=0.5), {}),
        "half of the cameras away for a fifth of the time": (replace(base, dropouts=0.5), {}),
        "many missed and false boxes": (replace(base, missed=0.3, ghosts=0.2), {}),
    }
    for name, (plan, looks) in changed.items():
        yield replace(site_case(f"site, {name}", plan, material.market, **looks), deep=False)
    yield replace(site_case("site, homographies given", base, material.market, calibrated=True), deep=False)


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

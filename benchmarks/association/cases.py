"""What every case of the association benchmarks comes down to: what trackers said, and who it really was."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reid_tracker.config import CameraConfig
from reid_tracker.evaluation.linking import NOBODY
from reid_tracker.types import Appearance, CameraTracks, Image, Tracklet


@dataclass(frozen=True, slots=True)
class Step:
    """What all cameras said at one moment.

    Attributes:
        time: seconds by the one true clock; cameras' own clocks, which may be wrong, stand in ``tracks``.
        tracks: at most one a camera.
    """

    time: float
    tracks: tuple[CameraTracks, ...]


@dataclass(frozen=True, slots=True)
class Sightings:
    """All boxes that the trackers reported, in the order of time.

    Attributes:
        times: (N,) seconds by the true clock.
        tracklets: (N,) the tracklet of each.
        people: (N,) whom each shows; NOBODY for a false box.
    """

    times: NDArray[np.float64]
    tracklets: NDArray[np.int64]
    people: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.times)

    @staticmethod
    def of(rows: Sequence[tuple[float, int, int]]) -> Sightings:
        """From (time, tracklet, person) in any order; those of one time keep theirs."""
        table = sorted(rows, key=lambda row: row[0])
        return Sightings(
            np.array([row[0] for row in table], np.float64),
            np.array([row[1] for row in table], np.int64),
            np.array([row[2] for row in table], np.int64),
        )


def no_pictures(_: Tracklet) -> Sequence[Image]:
    """Of a case whose people nobody sees."""
    return ()


@dataclass(frozen=True)
class Case:
    """One case.

    Attributes:
        name: for tables.
        steps: in the order of time.
        ended: tracklets that end with the run.
        sightings: the truth about all boxes.
        missed: boxes of people that no tracker reported.
        cameras: what is configured of the cameras.
        facts: what a reader should know, for the JSON file.
        deep: ablations and other thresholds are worth their time.
        pictures: of the person whom a tracklet shows, oldest first; borrowed ones where looks are borrowed.
    """

    name: str
    steps: Sequence[Step]
    ended: tuple[Tracklet, ...]
    sightings: Sightings
    missed: int = 0
    cameras: tuple[CameraConfig, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    deep: bool = True
    pictures: Callable[[Tracklet], Sequence[Image]] = no_pictures

    def tracklets(self) -> list[Tracklet]:
        """Every tracklet as it was at last, in the order of its end."""
        last: dict[int, Tracklet] = {}
        for step in self.steps:
            for moment in step.tracks:
                last.update({one.id: one for one in (*moment.tracklets, *moment.ended)})
        last.update({one.id: one for one in self.ended})
        return sorted(last.values(), key=lambda one: (one.updated, one.id))

    def with_looks(self, change: Callable[[Appearance], Appearance]) -> Case:
        """The same case with every tracklet's looks changed."""

        def changed(tracklets: tuple[Tracklet, ...]) -> tuple[Tracklet, ...]:
            return tuple(replace(one, looks=change(one.looks)) for one in tracklets)

        steps = [
            Step(
                step.time,
                tuple(
                    replace(
                        moment,
                        tracklets=changed(moment.tracklets),
                        lost=changed(moment.lost),
                        ended=changed(moment.ended),
                    )
                    for moment in step.tracks
                ),
            )
            for step in self.steps
        ]
        return replace(self, steps=steps, ended=changed(self.ended))


def owners(sightings: Sightings) -> dict[int, int]:
    """Tracklet to the person whom at least half of its boxes show, else NOBODY."""
    found: dict[int, int] = {}
    order = np.argsort(sightings.tracklets, kind="stable")
    tracklets, people = sightings.tracklets[order], sightings.people[order]
    numbers, begins = np.unique(tracklets, return_index=True)
    for number, shown in zip(numbers.tolist(), np.split(people, begins[1:]), strict=True):
        values, counts = np.unique(shown, return_counts=True)
        best = int(np.argmax(counts))
        found[number] = int(values[best]) if 2 * counts[best] >= len(shown) else NOBODY
    return found

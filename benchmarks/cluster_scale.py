"""How many cameras a site's associators serve, fed with tracklets of a site that is made up.

    python -m benchmarks.cluster_scale [--cameras 50 200 1000] [--associators one several] [--seconds 30] [--json OUT]

Detection and embedding are replaced by recorded load: people who walk over a floor plan (benchmarks/association/
simulator.py), followed by a tracker that makes no mistakes, with made-up vectors for looks in the shipped embedder's
dimensions: they differ from person to person, less from camera to camera, and least from look to look. Everything from
there on is real: what the groups write, its bytes as they would travel, what the site or its districts read, their
associators, and what the districts tell one another. So this says how fast a site is, how much travels to it, and what
cutting it costs; how good its answers are with real looks is benchmarks/association's to say.

Time is virtual: all frames of one step are given at once, as fast as they are taken. Processor time, one thread; the
real-time factor is virtual seconds over the processor seconds of the busiest associator, which has a core of its own on
a cluster, so above 1 the site keeps up. A case that takes longer than --patience processor seconds is ended, and its
figures are those of the part that was done.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import pickle
import resource
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.association.simulator import SIZE, Moment, Plan, View, simulate
from benchmarks.association.stand_in import Seen, StandInTracker
from benchmarks.site_quality import Judge
from reid_tracker.cluster.arrivals import ClusterCameras
from reid_tracker.cluster.district import District
from reid_tracker.cluster.districts import associator_of, plan, surroundings
from reid_tracker.cluster.news import NewsWriter
from reid_tracker.cluster.orders import DistrictNews
from reid_tracker.cluster.registry import Registry
from reid_tracker.cluster.site import SitePipeline
from reid_tracker.config import CameraConfig, Config
from reid_tracker.types import CameraTracks, FloatArray, TrackedFrame

DIMENSION, STRIPES, STRIPE_DIMENSION = 256, 8, 128
PERSON, PASSAGE, LOOK = 0.75, 0.5, 0.25  # lengths of what differs between people, their passages, and looks
PEOPLE_PER_CAMERA = 3
GROUP = 8  # cameras
WALK = [0.0, 60.0]  # seconds between two neighbours
EXCHANGE_SECONDS = 0.5
DISTRICT = 100  # cameras of one associator where there are several


class Looks:
    """Made-up looks: of one person much the same, of one passage even more."""

    def __init__(self) -> None:
        self._generator = np.random.default_rng(0)
        self.taken = 0

    def of(self, camera: int) -> Any:
        """What takes the looks of a camera."""

        def describe(one: Seen) -> tuple[tuple[FloatArray, FloatArray], float]:
            self.taken += 1
            person = np.random.default_rng(abs(one.key) + 1)
            passage = np.random.default_rng([abs(one.key) + 1, camera + 1])
            made = [
                self._unit(
                    PERSON * person.standard_normal(shape)
                    + PASSAGE * passage.standard_normal(shape)
                    + LOOK * self._generator.standard_normal(shape)
                )
                for shape in ((DIMENSION,), (STRIPES, STRIPE_DIMENSION))
            ]
            return (made[0], made[1]), 1 - one.covered

        return describe

    @staticmethod
    def _unit(vectors: np.ndarray) -> FloatArray:
        return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


def site_of(cameras: int, most: int) -> Config:
    """A square of cameras, each a neighbour of those beside it."""
    side = int(np.ceil(np.sqrt(cameras)))
    names = [f"c{number}" for number in range(cameras)]

    def beside(number: int) -> list[str]:
        row, column = divmod(number, side)
        places = ((row, column - 1), (row, column + 1), (row - 1, column), (row + 1, column))
        inside = [side * one + other for one, other in places if one >= 0 and 0 <= other < side]
        return [names[each] for each in inside if each < cameras]

    configs = [
        CameraConfig(id=name, source="recorded", neighbours=dict.fromkeys(beside(number), WALK))
        for number, name in enumerate(names)
    ]
    return Config(cameras=configs).with_values({"cluster.associator_cameras": most})


class Part:
    """One district of the site, with what the groups' messages go through on their way to it."""

    def __init__(self, config: Config, names: Sequence[str], district: District, place: int, step: int) -> None:
        known = {camera.id: camera for camera in config.cameras}
        self.arrivals = ClusterCameras({district.name: [known[each] for each in names]}, 1.0)
        self.district = district
        self.pipeline = SitePipeline(district.associator, config, place, step)
        self.spent = 0.0
        self.steps: list[float] = []

    def step(self, messages: Sequence[bytes]) -> list[TrackedFrame]:
        """One moment of its cameras."""
        began, told = time.process_time(), []
        for message in messages:
            self.arrivals.take("life", pickle.loads(message))
        while arrived := self.arrivals.next_moment(0):
            told += self.district.take(self.pipeline.read(arrived))
        self.steps.append(time.process_time() - began)
        self.spent += self.steps[-1]
        return told


@dataclass
class Site:
    """A site and its groups, in one process; bytes travel between them."""

    config: Config
    sent: int = 0
    bytes: int = 0
    between: int = 0
    registry_seconds: float = 0.0
    looks: Looks = field(default_factory=Looks)

    def __post_init__(self) -> None:
        parts = plan(self.config)
        lie = surroundings(parts, self.config.cameras)
        self.of = {camera: name for name, cameras in parts.items() for camera in cameras}
        self.parts = {
            name: Part(
                self.config,
                cameras,
                District(name, associator_of(self.config, place, len(parts), 0), lie[name]),
                place,
                len(parts),
            )
            for place, (name, cameras) in enumerate(parts.items(), 1)
        }
        self.registry = Registry(list(parts))
        self.names = [camera.id for camera in self.config.cameras]
        numbers = iter(range(1, 1 << 60))
        self.trackers = [
            StandInTracker(name, SIZE, self.looks.of(number), numbers) for number, name in enumerate(self.names)
        ]
        self.writers = [NewsWriter() for _ in self.names]
        self.judge = Judge()
        self.next_exchange = 0.0

    def step(self, moment: Moment) -> None:
        """One moment of all cameras: groups write, the site reads and answers."""
        seen = {self.names[view.camera]: seen_in(view) for view in moment.views}
        tracks = [self.trackers[view.camera](moment.time, seen[self.names[view.camera]]) for view in moment.views]
        self.sent += len(tracks)
        frames = []
        for name, own in self._by_part(tracks).items():
            messages = [
                pickle.dumps([self._news(each) for each in own[start : start + GROUP]], protocol=5)
                for start in range(0, len(own), GROUP)
            ]
            self.bytes += sum(map(len, messages))
            frames += self._told(name, DistrictNews(tuple(self.parts[name].step(messages))))
        if len(self.parts) > 1 and moment.time >= self.next_exchange:
            self.next_exchange = moment.time + EXCHANGE_SECONDS
            self.exchange()
        self.judge.saw(moment.time, frames, {name: [one.key for one in each] for name, each in seen.items()})

    def exchange(self) -> None:
        """One round of post between the districts."""
        for name, part in self.parts.items():
            news = DistrictNews(border=self._timed(part, part.district.border_news))
            self.between += len(pickle.dumps(news.border, protocol=5))
            self._told(name, news)
        for name, part in self.parts.items():
            answer = self.registry.answer(name)
            self._timed(part, lambda part=part, answer=answer: part.district.obey(answer))

    def finish(self) -> None:
        """The run is over."""
        for name, part in self.parts.items():
            if len(self.parts) > 1:
                part.district.obey(self.registry.answer(name))
            ended = [each for camera in part.arrivals.cameras for each in part.pipeline.let_go(camera.id)]
            for event in part.district.finish(ended):
                if (told := self.registry.say(event)) is not None:
                    self.judge.decided([told])

    def _told(self, name: str, news: DistrictNews) -> list[TrackedFrame]:
        began = time.process_time()
        frames, _ = self.registry.take(name, news)
        self.registry_seconds += time.process_time() - began
        return frames

    def _timed(self, part: Part, call: Any) -> Any:
        began = time.process_time()
        answer = call()
        part.spent += time.process_time() - began
        return answer

    def _by_part(self, tracks: Sequence[CameraTracks]) -> dict[str, list[CameraTracks]]:
        found: dict[str, list[CameraTracks]] = {}
        for each in tracks:
            found.setdefault(self.of[each.camera_id], []).append(each)
        return found

    def _news(self, tracks: CameraTracks) -> Any:
        return self.writers[int(tracks.camera_id[1:])](tracks)


def seen_in(view: View) -> list[Seen]:
    """The boxes of a frame that were detected."""
    return [
        Seen(int(key), box.astype(np.float32), 0.0)
        for key, box, found in zip(view.keys, view.boxes, view.detected, strict=True)
        if found
    ]


def measured(cameras: int, most: int, seconds: float, rate: float, patience: float) -> dict[str, Any]:
    """What a site of so many cameras costs, with one associator per ``most`` of them."""
    people = PEOPLE_PER_CAMERA * cameras
    load = Plan(cameras=cameras, people=people, population=2 * people, seconds=seconds, rate=rate)
    with threadpool_limits(1):
        site, done = Site(site_of(cameras, most)), 0.0
        for moment in simulate(load):
            site.step(moment)
            done = moment.time + 1 / rate
            if sum(part.spent for part in site.parts.values()) > patience:
                break
        steps = [part.steps for part in site.parts.values()]
        spent = [part.spent for part in site.parts.values()]
        site.finish()
    slowest = np.max(steps, axis=0)
    return {
        "cameras": cameras,
        "associators": len(site.parts),
        "people at once": people,
        "virtual seconds": round(done, 1),
        "frames a second and camera": rate,
        "real-time factor": round(done / max(spent), 2),
        "processor seconds, busiest associator": round(max(spent), 2),
        "processor seconds, all associators": round(sum(spent), 2),
        "processor seconds, registry": round(site.registry_seconds, 2),
        "camera-frames a second of all": round(site.sent / max(spent)),
        "step ms p50": round(float(np.median(slowest)) * 1000, 1),
        "step ms p95": round(float(np.percentile(slowest, 95)) * 1000, 1),
        "kB a second to the associators": round(site.bytes / done / 1000),
        "kB a second between associators": round(site.between / done / 1000),
        "share of boxes without a new look": round(1 - site.looks.taken / max(1, site.judge.boxes), 3),
        **site.judge.verdict(),
        "peak MB of the process": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cameras", type=int, nargs="+", default=[50, 200, 1000])
    parser.add_argument("--associators", nargs="+", choices=["one", "several"], default=["one", "several"])
    parser.add_argument("--most", type=int, default=DISTRICT, help="cameras of one associator where there are several")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--rate", type=float, default=2.0, help="frames a second and camera that reach the site")
    parser.add_argument("--patience", type=float, default=600.0, help="processor seconds after which a case is ended")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    report = []
    for cameras in arguments.cameras:
        for how in arguments.associators:
            most = cameras if how == "one" else arguments.most
            if how == "several" and cameras <= most and "one" in arguments.associators:
                continue  # the same again
            # a process for each, so that memory is the case's own
            with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
                case = (cameras, most, arguments.seconds, arguments.rate, arguments.patience)
                report.append(process.submit(measured, *case).result())
            print("; ".join(f"{name} {value}" for name, value in report[-1].items()), flush=True)
            if arguments.json:
                text = {"load": "detection and embedding replaced by recorded load", "sites": report}
                arguments.json.write_text(json.dumps(text, indent=2) + "\n")


if __name__ == "__main__":
    main()

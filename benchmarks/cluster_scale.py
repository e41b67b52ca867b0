"""How many cameras one site's associator serves, fed with tracklets of a site that is made up.

    python -m benchmarks.cluster_scale [--cameras 50 200 1000] [--seconds 30] [--json OUT]

Detection and embedding are replaced by recorded load: people who walk over a floor plan (benchmarks/association/
simulator.py), followed by a tracker that makes no mistakes, with random vectors for looks that differ from person to
person and a little from look to look, in the shipped embedder's dimensions. Everything from there on is real: what the
groups write, its bytes as they would travel, what the site reads, its associator. So this says how fast the site is and
how much travels to it, and nothing of how good its answers are (see benchmarks/association for that).

Time is virtual: all frames of one step are given at once, as fast as the site takes them. Processor time of the site
alone, one thread; the real-time factor is virtual seconds over its processor seconds, so above 1 it keeps up.
"""

from __future__ import annotations

import argparse
import itertools
import json
import pickle
import resource
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.association.simulator import SIZE, Plan, simulate
from benchmarks.association.stand_in import Seen, StandInTracker
from reid_tracker.association import CrossCameraAssociator
from reid_tracker.cluster.arrivals import Arrived, ClusterCameras
from reid_tracker.cluster.news import NewsWriter
from reid_tracker.cluster.site import SitePipeline
from reid_tracker.config import CameraConfig, Config
from reid_tracker.types import FloatArray

DIMENSION, STRIPES, STRIPE_DIMENSION = 256, 8, 128
NOISE = 0.04  # of a look, in each direction
PEOPLE_PER_CAMERA = 3
GROUP = 8  # cameras


class Looks:
    """Random looks, of each person much the same."""

    def __init__(self) -> None:
        self._generator = np.random.default_rng(0)

    def __call__(self, one: Seen) -> tuple[tuple[FloatArray, FloatArray], float]:
        own = np.random.default_rng(abs(one.key) + 1)
        vector = self._noisy(own.standard_normal(DIMENSION) / np.sqrt(DIMENSION))
        stripes = self._noisy(own.standard_normal((STRIPES, STRIPE_DIMENSION)) / np.sqrt(STRIPE_DIMENSION))
        return (vector, stripes), 1 - one.covered

    def _noisy(self, middle: np.ndarray) -> FloatArray:
        vectors = middle + NOISE * self._generator.standard_normal(middle.shape)
        return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


@dataclass
class Site:
    """A site and its groups, in one process; bytes travel between them."""

    cameras: int
    sent: int = 0
    bytes: int = 0
    steps: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        names = [f"c{number}" for number in range(self.cameras)]
        numbers = itertools.count(1)
        self.trackers = [StandInTracker(name, SIZE, Looks(), numbers) for name in names]
        self.writers = [NewsWriter() for _ in names]
        configs = [CameraConfig(id=name, source="recorded") for name in names]
        self.arrivals = ClusterCameras({"all": configs}, 1.0)
        config = Config(cameras=configs)
        associator = CrossCameraAssociator(config.association, config.cameras)
        self.pipeline = SitePipeline(_no_network, _no_network, associator, config, 1)

    def step(self, views: Sequence[Any], now: float) -> None:
        """One moment of all cameras: groups write, the site reads and answers."""
        messages = []
        for start in range(0, len(views), GROUP):
            news = [self._news(view, now) for view in views[start : start + GROUP]]
            messages.append(pickle.dumps(news, protocol=5))
        self.sent += len(views)
        self.bytes += sum(map(len, messages))
        began = time.process_time()
        for message in messages:
            self.arrivals.take("life", pickle.loads(message))
        while arrived := self.arrivals.next_moment(0):
            self._take(arrived)
        self.steps.append(time.process_time() - began)

    def _take(self, arrived: Sequence[Arrived]) -> None:
        self.pipeline.step(arrived)  # type: ignore[arg-type]  # what arrived stands for frames here

    def _news(self, view: Any, now: float) -> Any:
        seen = [
            Seen(int(key), box.astype(np.float32), 0.0)
            for key, box, found in zip(view.keys, view.boxes, view.detected, strict=True)
            if found
        ]
        return self.writers[view.camera](self.trackers[view.camera](now, seen))


def _no_network(*_: object) -> Any:
    raise RuntimeError("networks are replaced by recorded load here")


def measured(cameras: int, seconds: float, rate: float) -> dict[str, Any]:
    """What a site of so many cameras costs."""
    people = PEOPLE_PER_CAMERA * cameras
    plan = Plan(cameras=cameras, people=people, population=2 * people, seconds=seconds, rate=rate)
    site = Site(cameras)
    for moment in simulate(plan):
        site.step(moment.views, moment.time)
    spent = sum(site.steps)
    associator = site.pipeline.associator
    assert isinstance(associator, CrossCameraAssociator)
    return {
        "cameras": cameras,
        "people at once": people,
        "virtual seconds": seconds,
        "frames a second and camera": rate,
        "processor seconds of the site": round(spent, 2),
        "real-time factor": round(seconds / spent, 2),
        "camera-frames a second": round(site.sent / spent),
        "step ms p50": round(float(np.median(site.steps)) * 1000, 1),
        "step ms p95": round(float(np.percentile(site.steps, 95)) * 1000, 1),
        "kB a second to the site": round(site.bytes / seconds / 1000),
        "identities": len(associator.book.identities),
        "peak MB of the process": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cameras", type=int, nargs="+", default=[50, 200, 1000])
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--rate", type=float, default=2.0, help="frames a second and camera that reach the site")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    report = []
    with threadpool_limits(1):
        for cameras in arguments.cameras:  # growing, because the peak of memory is the process's
            report.append(measured(cameras, arguments.seconds, arguments.rate))
            print("; ".join(f"{name} {value}" for name, value in report[-1].items()), flush=True)
    if arguments.json:
        text = {"load": "detection and embedding replaced by recorded load", "sites": report}
        arguments.json.write_text(json.dumps(text, indent=2) + "\n")


if __name__ == "__main__":
    main()

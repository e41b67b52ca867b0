"""One step of the associator with many open tracklets against very many remembered people.

    python -m benchmarks.association.scale [--tracklets 100] [--people 10000] [--stripes 8] [--json OUT]

Ten cameras see ten tracklets each, all of which got a new look, every one of them a remembered person with other
noise; then the same step with nothing new. Looks are random unit vectors of 256 numbers: the work hardly depends on
what is in them. Processor time of the associator alone, one thread, median over the steps.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from reid_tracker.association import CrossCameraAssociator
from reid_tracker.config import AssociationConfig
from reid_tracker.types import Appearance, CameraTracks, Tracklet, TrackletState

CAMERAS, DIMENSION, STRIPE_DIMENSION, LOOKS = 10, 256, 128, 4
SIZE = (1920, 1080)
NOISE = 0.04
PASSAGE, PAUSE = 5.0, 60.0


class People:
    """Looks of numbered people."""

    def __init__(self, stripes: int) -> None:
        self._generator = np.random.default_rng(0)
        self._stripes = stripes

    def looks(self, person: int) -> Appearance:
        """A few looks of a person, never the same twice."""
        own = np.random.default_rng(person + 1)
        vectors = self._noisy(own.standard_normal(DIMENSION) / np.sqrt(DIMENSION))
        parts = own.standard_normal((self._stripes, STRIPE_DIMENSION)) / np.sqrt(STRIPE_DIMENSION)
        ones = np.ones(LOOKS, np.float32)
        return Appearance(vectors, self._noisy(parts), ones, ones.astype(np.bool_))

    def _noisy(self, middle: np.ndarray) -> np.ndarray:
        vectors = middle + NOISE * self._generator.standard_normal((LOOKS, *middle.shape))
        return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


def tracklet(number: int, camera: int, start: float, end: float, looks: Appearance, version: int) -> Tracklet:
    """A tracklet with all its looks."""
    boxes = np.tile(np.array([[100, 100, 164, 228]], np.float32), (LOOKS, 1))
    times = np.linspace(start, end, LOOKS)
    state = TrackletState.CONFIRMED
    return Tracklet(
        id=number,
        camera_id=f"c{camera}",
        state=state,
        boxes=boxes,
        times=times,
        score=1.0,
        quality=1.0,
        started=start,
        looks=looks,
        look_times=times,
        look_boxes=boxes,
        looks_version=version,
    )


def remembering(people: int, everybody: People) -> tuple[CrossCameraAssociator, float]:
    """An associator that has seen so many people, ten at a time, and the time when the last had gone."""
    associator = CrossCameraAssociator(AssociationConfig(max_identities=2 * people, memory_seconds=1e9))
    now = 0.0
    for begin in range(0, people, CAMERAS):
        seen = [
            (camera, tracklet(person + 1, camera, now, now + PASSAGE, everybody.looks(person), 1))
            for camera, person in enumerate(range(begin, min(begin + CAMERAS, people)))
        ]
        associator([CameraTracks(f"c{camera}", 0, now + PASSAGE, SIZE, (one,)) for camera, one in seen])
        associator([CameraTracks(f"c{camera}", 1, now + PASSAGE, SIZE, (), ended=(one,)) for camera, one in seen])
        now += PAUSE
    return associator, now


def steps(associator: CrossCameraAssociator, everybody: People, now: float, tracklets: int, people: int) -> list[float]:
    """Milliseconds of processor time of steps in which every tracklet has a new look, then of one without news."""
    chosen = np.random.default_rng(1).choice(people, tracklets, replace=False)
    spent = []
    for step in range(1, 12):
        time_ = now + step
        looks = [everybody.looks(int(person)) if step < 11 else None for person in chosen]
        if step < 11:
            kept = looks
        version = min(step, 10)
        moments = [
            CameraTracks(
                f"c{camera}",
                step,
                time_,
                SIZE,
                tuple(
                    tracklet(people + 1 + row, camera, now, time_, kept[row], version)
                    for row in range(camera, tracklets, CAMERAS)
                ),
            )
            for camera in range(CAMERAS)
        ]
        began = time.process_time()
        associator(moments)
        spent.append((time.process_time() - began) * 1000)
    return spent


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tracklets", type=int, default=100)
    parser.add_argument("--people", type=int, default=10_000)
    parser.add_argument("--stripes", type=int, default=8)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    everybody = People(arguments.stripes)
    with threadpool_limits(1):
        began = time.process_time()
        associator, now = remembering(arguments.people, everybody)
        filled = time.process_time() - began
        remembered = len(associator.gallery)
        *changed, idle = steps(associator, everybody, now, arguments.tracklets, arguments.people)
    report = {
        "tracklets": arguments.tracklets,
        "remembered": remembered,
        "stripes": arguments.stripes,
        "first step ms": changed[0],
        "step ms p50": float(np.median(changed[1:])),
        "step without news ms": idle,
        "seconds to get there": filled,
    }
    print(f"{arguments.tracklets} tracklets against {remembered:,} people, {arguments.stripes} stripes, processor ms")
    print(f"all new {changed[0]:.1f}, all changed p50 {report['step ms p50']:.1f}, nothing new {idle:.1f}")
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()

"""One step of the associator with many open tracklets against very many remembered people.

    python -m benchmarks.association.scale [--tracklets 100] [--people 10000] [--stripes 8] [--json OUT]

Ten cameras see ten tracklets each, every one of them a remembered person with other noise. Three kinds of step: all
hundred got new looks, the worst there is; a fifth of them did, which is what happens in the pipeline, where looks are
taken of a fifth of the boxes (``python -m benchmarks.pipeline speed``); nothing is new. Looks are random unit vectors
of 256 numbers: the work hardly depends on what is in them. Processor time of the associator alone, one thread, median
over the steps.
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


def steps(
    associator: CrossCameraAssociator, everybody: People, now: float, tracklets: int, people: int, news: list[int]
) -> list[float]:
    """Milliseconds of processor time of steps, in each of which every ``news``-th tracklet has new looks; 0: none."""
    chosen = np.random.default_rng(1).choice(people, tracklets, replace=False)
    kept = [everybody.looks(int(person)) for person in chosen]
    versions = [0] * tracklets
    spent = []
    for step, every in enumerate(news, start=1):
        for row in range(tracklets):
            if every and row // CAMERAS % every == step % every:
                kept[row], versions[row] = everybody.looks(int(chosen[row])), versions[row] + 1
        moments = [
            CameraTracks(
                f"c{camera}",
                step,
                now + step,
                SIZE,
                tuple(
                    tracklet(people + 1 + row, camera, now, now + step, kept[row], versions[row])
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
        spent = steps(associator, everybody, now, arguments.tracklets, arguments.people, [1] * 11 + [5] * 10 + [0])
    report = {
        "tracklets": arguments.tracklets,
        "remembered": remembered,
        "stripes": arguments.stripes,
        "first step ms": spent[0],
        "step ms p50": float(np.median(spent[1:11])),
        "step with news of a fifth ms p50": float(np.median(spent[11:21])),
        "step without news ms": spent[21],
        "seconds to get there": filled,
    }
    print(f"{arguments.tracklets} tracklets against {remembered:,} people, {arguments.stripes} stripes, processor ms")
    for name in ("first step ms", "step ms p50", "step with news of a fifth ms p50", "step without news ms"):
        print(f"{name:34}{report[name]:7.1f}")
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()

"""How long a search over a million sightings takes, and how much of the exact answer it finds.

    python -m benchmarks.sighting_index --sightings 1000000

Vectors are made: people with 256 numbers whose variance falls off as embedders' does, several noisy sightings each.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from pathlib import Path

import numpy as np

from reid_tracker.store import IndexedLook, LookIndex

RESULTS = Path(__file__).parent / "results" / "sighting_index.json"
DIMENSION, PER_PERSON, NOISE, AT_ONCE, QUERIES, FOUND = 256, 20, 0.6, 50_000, 40, 50


def processor_seconds() -> float:
    """Of this process, all threads."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def unit(vectors: np.ndarray) -> np.ndarray:
    """Rows of unit length, single precision."""
    scaled: np.ndarray = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return scaled.astype(np.float32)


def sighting(number: int, look: np.ndarray) -> IndexedLook:
    """One a second, in one of sixteen cameras."""
    return IndexedLook(number, look, f"camera {number % 16}", float(number), float(number))


def main(sightings: int) -> None:
    """Build, search, compare, print, write."""
    generator = np.random.default_rng(0)
    spread = generator.standard_normal((DIMENSION, DIMENSION)) * np.sqrt(0.97 ** np.arange(DIMENSION))[:, None]
    people = unit(generator.standard_normal((max(1, sightings // PER_PERSON), DIMENSION)) @ spread)
    index, kept, began = LookIndex(), [], processor_seconds()
    for start in range(0, sightings, AT_ONCE):
        count = min(AT_ONCE, sightings - start)
        noise = NOISE * generator.standard_normal((count, DIMENSION)) / np.sqrt(DIMENSION)
        looks = unit(people[np.arange(start, start + count) % len(people)] + noise)
        kept.append(looks.astype(np.float16))
        index.add(sighting(start + row, looks[row]) for row in range(count))
    built = processor_seconds() - began
    walls, processors, filtered, recalls = [], [], [], []
    for query in people[:QUERIES]:
        wall, used = time.perf_counter(), processor_seconds()
        found = index.search(query, FOUND)
        walls.append(time.perf_counter() - wall)
        processors.append(processor_seconds() - used)
        wall = time.perf_counter()
        index.search(query, FOUND, camera_id="camera 3", since=0.1 * sightings, until=0.9 * sightings)
        filtered.append(time.perf_counter() - wall)
        if len(recalls) < 5:
            exact = np.concatenate([part.astype(np.float32) @ query for part in kept])
            best = set(np.argpartition(-exact, FOUND)[:FOUND].tolist())
            recalls.append(len(best & {number for number, _ in found}) / FOUND)
    figures = {
        "sightings": sightings,
        "build_processor_seconds": round(built, 1),
        "search_milliseconds_median": round(1e3 * float(np.median(walls)), 1),
        "search_milliseconds_p95": round(1e3 * float(np.percentile(walls, 95)), 1),
        "filtered_search_milliseconds_median": round(1e3 * float(np.median(filtered)), 1),
        "search_processor_milliseconds_median": round(1e3 * float(np.median(processors)), 1),
        f"recall_at_{FOUND}": round(float(np.mean(recalls)), 3),
    }
    for name, value in figures.items():
        print(f"{name:40} {value}")
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sightings", type=int, default=1_000_000)
    main(parser.parse_args().sightings)

"""Speed and exactness of the DP-aligned distance.

    python -m benchmarks.aligned_distance [--queries 3368] [--gallery 15913] [--threads 2] [--json OUT]

Times the whole matrix, with the process's peak memory beyond the inputs, and the live forms (20 people against 200),
and compares a sample of pairs, identical ones included, with the recursion in float64. Random unit stripes: the work
does not depend on what is in them.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reid_tracker.distance import aligned_distance, aligned_distance_shortlist

STRIPES, DIMENSION = 8, 128


def unit_stripes(count: int, seed: int) -> NDArray[np.float32]:
    """(count, 8, 128) random stripes of unit length."""
    stripes = np.random.default_rng(seed).standard_normal((count, STRIPES, DIMENSION), np.float32)
    stripes /= np.linalg.norm(stripes, axis=2, keepdims=True)
    return stripes


def recursion(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    """The definition, in float64."""
    costs = np.tanh(np.linalg.norm(first.astype(np.float64)[:, None] - second.astype(np.float64), axis=2) / 2)
    sums = np.full((STRIPES + 1, STRIPES + 1), np.inf)
    sums[0, 1] = 0
    for i in range(STRIPES):
        for j in range(STRIPES):
            sums[i + 1, j + 1] = costs[i, j] + min(sums[i, j + 1], sums[i + 1, j])
    return float(sums[-1, -1] / (2 * STRIPES - 1))


def fastest(work: Callable[[], object], repeats: int) -> tuple[float, float]:
    """Best and median seconds."""
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return min(seconds), float(np.median(seconds))


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=int, default=3368)
    parser.add_argument("--gallery", type=int, default=15913)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()

    queries, gallery = unit_stripes(arguments.queries, 1), unit_stripes(arguments.gallery, 2)
    gallery[: min(50, len(gallery), len(queries))] = queries[: min(50, len(gallery))]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began, worked = time.perf_counter(), time.process_time()
    distances = aligned_distance(queries, gallery, threads=arguments.threads)
    whole, cpu = time.perf_counter() - began, time.process_time() - worked
    memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024 - distances.nbytes / 2**20

    sample = [(row, row) for row in range(min(50, *distances.shape))]
    generator = np.random.default_rng(3)
    sample += [(int(generator.integers(len(queries))), int(generator.integers(len(gallery)))) for _ in range(200)]
    error = max(abs(float(distances[m, n]) - recursion(queries[m], gallery[n])) for m, n in sample)

    people, candidates = unit_stripes(20, 4), unit_stripes(200, 5)
    everyone = np.tile(np.arange(200), (20, 1))
    live = fastest(lambda: aligned_distance(people, candidates, threads=1), 200)
    shortlist = fastest(lambda: aligned_distance_shortlist(people, candidates, everyone), 200)
    report = {
        "pairs": distances.size,
        "matrix_seconds": whole,
        "matrix_cpu_seconds": cpu,
        "threads": arguments.threads,
        "working_memory_mib": memory,
        "largest_error": error,
        "live_20x200_ms": {"best": live[0] * 1000, "median": live[1] * 1000},
        "shortlist_20x200_ms": {"best": shortlist[0] * 1000, "median": shortlist[1] * 1000},
    }
    print(f"{distances.size:,} pairs: {whole:.1f} s ({cpu:.1f} s of CPU, {arguments.threads} threads)")
    print(f"working memory {memory:.0f} MiB beside the result; largest error {error:.1e} (identical pairs included)")
    print(f"20 x 200, all pairs: {live[0] * 1000:.2f} ms best, {live[1] * 1000:.2f} median")
    print(f"20 x 200, shortlist: {shortlist[0] * 1000:.2f} ms best, {shortlist[1] * 1000:.2f} median")
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()

"""How fast the shipped networks run on each inference engine, and how far their answers lie apart.

    python -m benchmarks.engines [--threads 1 2] [--repeats 20]

Prints, per network, engine and batch, wall-clock milliseconds and processor milliseconds a picture (the latter hold on
a machine that is busy with something else, given one thread), the first call of a new batch size, and the largest
difference to ONNX Runtime in float32. Engines take turns, so that a busy spell hits all of them. Writes
benchmarks/results/engines.json.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from reid_tracker.config import RuntimeConfig
from reid_tracker.errors import ConfigError
from reid_tracker.runtime import Session, open_session, shipped_models
from reid_tracker.runtime.registry import ShippedModel

RESULTS = Path(__file__).parent / "results" / "engines.json"
DETECTOR_INPUTS = ((1, 320, 416), (1, 480, 640), (1, 544, 960), (4, 320, 416))
EMBEDDER_BATCHES = (1, 2, 6, 16)


def pictures(model: ShippedModel) -> list[np.ndarray]:
    """Batches of noise in the model's input form."""
    random = np.random.default_rng(0)
    size = model.manifest.input.size_hw
    shapes = [(batch, *size) for batch in EMBEDDER_BATCHES] if size else list(DETECTOR_INPUTS)
    return [random.integers(0, 256, (*shape, 3), np.uint8) for shape in shapes]


def open_engines(model: ShippedModel, threads: int) -> dict[str, Session]:
    """The engines that can run a model on this machine, by name and precision."""
    sessions = {}
    for backend, precision in (("onnxruntime", "fp32"), ("openvino", "fp32"), ("openvino", "bf16")):
        config = RuntimeConfig.model_validate({"backend": backend, "precision": precision, "threads": threads})
        try:
            sessions[f"{backend} {precision}"] = open_session(model.path, config)
        except ConfigError as refusal:
            print(f"  {backend} {precision}: {refusal}")
    return sessions


def measure(sessions: dict[str, Session], name: str, batch: np.ndarray, repeats: int) -> list[dict[str, Any]]:
    """One row per engine for one batch."""
    first, reference, apart = {}, None, {}
    for engine, session in sessions.items():
        started = time.perf_counter()
        outputs = session.run({name: batch})
        first[engine] = time.perf_counter() - started
        reference = reference or outputs
        apart[engine] = max(float(np.abs(outputs[key] - reference[key]).max()) for key in outputs)
    walls: dict[str, list[float]] = {engine: [] for engine in sessions}
    processors: dict[str, list[float]] = {engine: [] for engine in sessions}
    for _ in range(repeats):
        for engine, session in sessions.items():
            wall, processor = time.perf_counter(), time.process_time()
            session.run({name: batch})
            walls[engine].append(time.perf_counter() - wall)
            processors[engine].append(time.process_time() - processor)
    return [
        {
            "engine": engine,
            "batch": list(batch.shape[:3]),
            "wall_ms": 1e3 * float(np.median(walls[engine])) / len(batch),
            "processor_ms": 1e3 * float(np.median(processors[engine])) / len(batch),
            "first_ms": 1e3 * first[engine],
            "apart": apart[engine],
        }
        for engine in sessions
    ]


def main() -> None:
    """Measure, print a table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=20)
    options = parser.parse_args()
    rows = []
    for model in shipped_models():
        for threads in options.threads:
            print(f"{model.name}, {threads} threads")
            sessions = open_engines(model, threads)
            for batch in pictures(model):
                for row in measure(sessions, model.manifest.input.name, batch, options.repeats):
                    rows.append({"model": model.name, "threads": threads, **row})
                    size = "x".join(map(str, row["batch"]))
                    print(
                        f"  {size:>12} {row['engine']:<17} {row['wall_ms']:7.1f} ms wall, {row['processor_ms']:7.1f} ms"
                        f" processor a picture; first call {row['first_ms']:6.0f} ms; apart {row['apart']:.1e}"
                    )
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(rows, indent=2) + "\n")
    print(f"written: {RESULTS}")


if __name__ == "__main__":
    main()

"""Re-identification figures of a shipped embedder, through the package's own crops and engine.

    REID_DATA=/data python benchmarks/reid_market.py --model engines/alignedreid_small --json out/reid.json

REID_DATA (or --data) holds ``Market-1501-v15.09.15`` and, for the strangers' figure, ``cuhk01``. Market-1501: single
query, 3,368 queries against 15,913 pictures (junk left out, distractors kept). CUHK01: camera 1 asks, one picture of
camera 2 a person answers, all 971 people, mean over the two choices. ``--peer`` puts any OpenVINO IR or ONNX file that
takes BGR 0..255 in NCHW beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import openvino
from numpy.typing import NDArray

from reid_tracker.distance import aligned_distance_shortlist, fused_distance
from reid_tracker.evaluation.reid import Labels, score_blocks
from reid_tracker.runtime.manifest import read_manifest
from reid_tracker.training.data import JUNK_PERSON, PeopleSet, decode_people, read_people

MARKET = "Market-1501-v15.09.15"
SHORTLIST = 100
BATCH = 32
Answers = dict[str, NDArray[np.float32]]
Ask = Callable[[NDArray[np.uint8]], Answers]
Scores = dict[str, dict[str, float]]


def open_shipped(folder: Path, threads: int) -> tuple[Ask, tuple[int, int]]:
    """A shipped embedder and its input size."""
    manifest = read_manifest(folder / "model.json")
    compiled = _compile(folder / manifest.file, threads)
    name, size_hw = manifest.input.name, manifest.input.size_hw
    assert size_hw is not None

    def ask(crops: NDArray[np.uint8]) -> Answers:
        found = compiled({name: np.array(crops)})
        return {output: np.array(found[output]) for output in ("global", "stripes")}

    return ask, size_hw


def open_peer(file: Path, threads: int) -> tuple[Ask, tuple[int, int]]:
    """An embedder with one output that takes BGR 0..255, (N, 3, H, W)."""
    model = openvino.Core().read_model(file)
    height, width = (model.input(0).partial_shape[axis].get_length() for axis in (2, 3))
    model.reshape([-1, 3, height, width])
    compiled = openvino.Core().compile_model(model, "CPU", _settings(threads))

    def ask(crops: NDArray[np.uint8]) -> Answers:
        found = compiled({0: np.ascontiguousarray(crops.transpose(0, 3, 1, 2), dtype=np.float32)})[0]
        vectors = found.reshape(len(crops), -1)
        return {"global": vectors / np.linalg.norm(vectors, axis=1, keepdims=True)}

    return ask, (height, width)


def _compile(file: Path, threads: int) -> Any:
    return openvino.Core().compile_model(str(file), "CPU", _settings(threads))


def _settings(threads: int) -> dict[str, Any]:
    return {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads}


def answers_for(ask: Ask, people: PeopleSet, size_hw: tuple[int, int], cache: Path) -> Answers:
    """Vectors of every picture of a set, cut and resized by the package's own code."""
    pixels, readable = decode_people(people, size_hw, cache)
    if not readable.all():
        raise SystemExit(f"{people.name}: {int((~readable).sum())} pictures do not decode; the figures would be wrong")
    parts = [ask(pixels[start : start + BATCH]) for start in range(0, len(pixels), BATCH)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def score(queries: Answers, gallery: Answers, of_queries: Labels, of_gallery: Labels) -> Scores:
    """Scores by global distance, and where there are stripes with the aligned distance on the first 100."""

    def by_global(rows: slice) -> NDArray[np.float32]:
        return np.asarray(1 - queries["global"][rows] @ gallery["global"].T, dtype=np.float32)

    def by(share: float) -> Callable[[slice], NDArray[np.float32]]:
        def distances(rows: slice) -> NDArray[np.float32]:
            wide = by_global(rows)
            near = np.argpartition(wide, min(SHORTLIST, wide.shape[1] - 1), axis=1)[:, :SHORTLIST]
            aligned = aligned_distance_shortlist(queries["stripes"][rows], gallery["stripes"], near)
            judged = fused_distance(np.take_along_axis(wide, near, axis=1), aligned, share)
            ordered = wide + 10  # what is not on the shortlist stays behind it, in its own order
            np.put_along_axis(ordered, near, judged, axis=1)
            return np.asarray(ordered, dtype=np.float32)

        return distances

    found = {"global": score_blocks(by_global, of_queries, of_gallery).to_row()}
    if "stripes" in queries:
        found["aligned"] = score_blocks(by(1.0), of_queries, of_gallery).to_row()
        found["fused"] = score_blocks(by(0.5), of_queries, of_gallery).to_row()
    return found


def labels_of(people: PeopleSet) -> Labels:
    """Junk is what the file names call person -1."""
    return Labels(people.persons, people.cameras, people.persons == JUNK_PERSON)


def market_figures(ask: Ask, size_hw: tuple[int, int], data: Path, cache: Path, most_queries: int) -> Scores:
    """Market-1501, single query."""
    queries = read_people(data / MARKET / "query", "market-query")
    if most_queries:
        queries = queries.only(np.arange(len(queries)) % max(1, len(queries) // most_queries) == 0)
    gallery = read_people(data / MARKET / "bounding_box_test", "market-gallery")
    gallery = gallery.only(gallery.persons != JUNK_PERSON)  # junk counts for nothing: no need to embed it
    answers = [answers_for(ask, people, size_hw, cache) for people in (queries, gallery)]
    return score(answers[0], answers[1], labels_of(queries), labels_of(gallery))


def cuhk01_figures(ask: Ask, size_hw: tuple[int, int], data: Path, cache: Path) -> Scores:
    """CUHK01, people never trained on: both pictures of camera 1 ask, one of camera 2 answers, mean of both choices."""
    people = read_people(data / "cuhk01", "cuhk01")
    answers = answers_for(ask, people, size_hw, cache)
    asking = np.flatnonzero(people.cameras == 1)
    found = []
    for choice in (0, 1):
        second = np.flatnonzero(people.cameras == 2)
        answering = np.array([second[people.persons[second] == person][choice] for person in np.unique(people.persons)])
        found.append(
            score(
                {name: value[asking] for name, value in answers.items()},
                {name: value[answering] for name, value in answers.items()},
                labels_of(people.only(np.isin(np.arange(len(people)), asking))),
                Labels(people.persons[answering], people.cameras[answering], np.zeros(len(answering), dtype=np.bool_)),
            )
        )
    return {
        kind: {name: round((found[0][kind][name] + found[1][kind][name]) / 2, 2) for name in found[0][kind]}
        for kind in found[0]
    }


def milliseconds_a_crop(ask: Ask, size_hw: tuple[int, int], batch: int = 8, repeats: int = 30) -> float:
    """Median time of a batch of 8, a crop."""
    crops = np.random.default_rng(0).integers(0, 256, (batch, *size_hw, 3), dtype=np.uint8)
    ask(crops)
    times = []
    for _ in range(repeats):
        begun = time.perf_counter()
        ask(crops)
        times.append(time.perf_counter() - begun)
    return round(float(np.median(times)) * 1000 / batch, 2)


def figures(ask: Ask, size_hw: tuple[int, int], options: argparse.Namespace) -> dict[str, Any]:
    """All figures of one embedder."""
    found: dict[str, Any] = {"input": list(size_hw), "ms_a_crop_batch_8": milliseconds_a_crop(ask, size_hw)}
    found["market1501"] = market_figures(ask, size_hw, options.data, options.cache, options.queries)
    if (options.data / "cuhk01").is_dir() and not options.market_only:
        found["cuhk01"] = cuhk01_figures(ask, size_hw, options.data, options.cache)
    return found


def print_table(results: dict[str, dict[str, Any]]) -> None:
    """One line per model, set and distance."""
    heads = " ".join(f"{head:>7}" for head in ("rank-1", "rank-5", "mAP", "mINP"))
    print(f"{'model':<40} {'set':<11} {'distance':<8} {heads} {'ms/crop':>8}")
    for model, found in results.items():
        for data in ("market1501", "cuhk01"):
            for kind, row in found.get(data, {}).items():
                values = " ".join(f"{row[name]:7.2f}" for name in ("rank1", "rank5", "mAP", "mINP"))
                print(f"{model:<40} {data:<11} {kind:<8} {values} {found['ms_a_crop_batch_8']:8.2f}")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, action="append", default=[], help="folder with model.onnx and model.json")
    parser.add_argument("--peer", type=Path, action="append", default=[], help="another embedder's .xml or .onnx")
    parser.add_argument("--data", type=Path, default=os.environ.get("REID_DATA"), help="default: REID_DATA")
    parser.add_argument("--cache", type=Path, default=Path("out/reid-cache"), help="for decoded pictures")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    parser.add_argument("--queries", type=int, default=0, help="about so many queries only, for a quick look")
    parser.add_argument("--market-only", action="store_true")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    if options.data is None:
        parser.error("say where the data sets are: --data or REID_DATA")
    opened = {str(folder): open_shipped(folder, options.threads) for folder in options.model}
    opened |= {file.stem: open_peer(file, options.threads) for file in options.peer}
    results = {name: figures(ask, size_hw, options) for name, (ask, size_hw) in opened.items()}
    print_table(results)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps({"threads": options.threads, "models": results}, indent=2) + "\n")


if __name__ == "__main__":
    main()

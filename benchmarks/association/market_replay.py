"""Real people through six cameras: our associator beside what is usually done, on Market-1501 replayed in time.

    REID_DATA=/data python -m benchmarks.association.market_replay --embedder alignedreid_small [--embedder FILE.xml]
        --cache /tmp/looks --json benchmarks/results/market_replay.json

Rules in replay.py. Compared: always new; the nearest remembered tracklet and the nearest mean of a remembered person,
each with its best threshold of the other half; offline average linkage, likewise; ours, whose settings are the
defaults, with ids as emitted when a tracklet had its last picture (online) and as known at the end (final). Both
halves, and their mean. The associator's temper and credit were chosen on these halves (both agree); nothing else was.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage

from benchmarks.association.replay import (
    Passage,
    halves,
    identification,
    market_passages,
    moments,
    splits_and_merges,
)
from reid_tracker.association import CrossCameraAssociator
from reid_tracker.config import AssociationConfig
from reid_tracker.embedding.embedder import NetworkEmbedder
from reid_tracker.training.reid_evaluation import open_judged
from reid_tracker.types import Appearance, EventType, IdentityEvent

MARKET = "Market-1501-v15.09.15"
ENGINES = Path(__file__).resolve().parents[2] / "engines"
THRESHOLDS = np.arange(0.2, 0.91, 0.02)
BATCH = 32
Guess = NDArray[np.int64]
Method = Callable[[NDArray[np.float32], float], Guess]


def embed(passages: Sequence[Passage], root: Path, embedder: str, threads: int, cache: Path | None) -> list[Appearance]:
    """The looks of every passage, from the cache where they are there."""
    files = sorted({name for passage in passages for name in passage.files})
    shipped = ENGINES / embedder
    judged = open_judged(str(shipped if shipped.is_dir() else embedder), threads)
    # By the network's checksum: another one may ship under the same name.
    kept = cache / f"replay-{judged.key}.npz" if cache else None
    if kept is not None and kept.exists():
        found = np.load(kept)
        vectors, stripes = found["global"], found["stripes"]
    else:
        vectors, stripes = _ask(files, root, judged.embedder)
        if kept is not None:
            kept.parent.mkdir(parents=True, exist_ok=True)
            np.savez(kept, **{"global": vectors, "stripes": stripes})
    place = {name: row for row, name in enumerate(files)}
    looks = []
    for passage in passages:
        rows = [place[name] for name in passage.files]
        ones = np.ones(len(rows), np.float32)
        looks.append(Appearance(vectors[rows], stripes[rows], ones, ones.astype(np.bool_)))
    return looks


def nearest_tracklet(means: NDArray[np.float32], threshold: float) -> Guess:
    """Each tracklet joins the person of the most similar earlier one, or is new below the threshold."""
    likeness = means @ means.T
    people = np.zeros(len(means), np.int64)
    known = 0
    for row in range(len(means)):
        best = int(likeness[row, :row].argmax()) if row else -1
        if best >= 0 and likeness[row, best] > threshold:
            people[row] = people[best]
        else:
            people[row], known = known, known + 1
    return people


def nearest_mean(means: NDArray[np.float32], threshold: float) -> Guess:
    """Each tracklet joins the person whose tracklets are most similar on average, or is new below the threshold."""
    sums, counts = np.zeros_like(means), np.zeros(len(means), np.float32)
    people = np.zeros(len(means), np.int64)
    known = 0
    for row, look in enumerate(means):
        likeness = sums[:known] @ look / counts[:known]
        best = int(likeness.argmax()) if known else -1
        if best < 0 or likeness[best] <= threshold:
            best, known = known, known + 1
        people[row] = best
        sums[best] += look
        counts[best] += 1
    return people


def average_linkage(means: NDArray[np.float32]) -> Method:
    """Offline agglomerative clustering by mean cosine distance; knows the whole recording."""
    tree = linkage(means, method="average", metric="cosine")
    return lambda _, threshold: fcluster(tree, 1 - threshold, criterion="distance").astype(np.int64)


def ours(passages: Sequence[Passage], looks: Sequence[Appearance]) -> tuple[Guess, Guess, list[float]]:
    """Ids as emitted last for each passage, ids at the end, and the seconds of each step."""
    associator = CrossCameraAssociator(AssociationConfig())
    emitted: dict[int, int] = {}
    events: list[IdentityEvent] = []
    seconds = []
    for moment in moments(passages, looks):
        began = time.perf_counter()
        frames = associator([moment])
        seconds.append(time.perf_counter() - began)
        for frame in frames:
            events += frame.events
            emitted |= {person.tracklet: person.identity for person in frame.people}
    events += associator.finish([])
    final = replayed(events)
    numbers = [passage.number for passage in passages]
    return (
        np.array([emitted[number] for number in numbers]),
        np.array([final[number] for number in numbers]),
        seconds,
    )


def replayed(events: Sequence[IdentityEvent], before: Mapping[int, int] | None = None) -> dict[int, int]:
    """Tracklet to identity after all events; ``before`` is how it was."""
    held = dict(before or {})
    for event in events:
        if event.type in (EventType.STARTED, EventType.LINKED, EventType.SPLIT):
            held.update(dict.fromkeys(event.tracklets, event.identity))
        elif event.type is EventType.MERGED:
            held |= {number: event.identity for number, now in held.items() if now in event.supersedes}
    return held


def compare(passages: Sequence[Passage], looks: Sequence[Appearance]) -> dict[str, dict[str, float]]:
    """Mean figures of all methods over both halves."""
    place = {passage.number: row for row, passage in enumerate(passages)}
    parts = [(half, [looks[place[one.number]] for one in half]) for half in halves(passages)]
    means = [np.stack([_mean(look) for look in part_looks]) for _, part_looks in parts]
    guesses: dict[str, list[Guess]] = {"always new": [np.arange(len(half)) for half, _ in parts]}
    tunable: dict[str, list[Method]] = {
        "nearest tracklet": [nearest_tracklet] * 2,
        "nearest mean": [nearest_mean] * 2,
        "offline average linkage": [average_linkage(mean) for mean in means],
    }
    for name, methods in tunable.items():
        tried = [
            {threshold: method(mean, threshold) for threshold in THRESHOLDS}
            for method, mean in zip(methods, means, strict=True)
        ]
        best = [
            max(found, key=lambda threshold: _identification(found[threshold], half))
            for found, (half, _) in zip(tried, parts, strict=True)
        ]
        guesses[name] = [tried[0][best[1]], tried[1][best[0]]]  # each half judged by the other one's threshold
    answers = [ours(half, part_looks) for half, part_looks in parts]
    guesses["ours, online"] = [answer[0] for answer in answers]
    guesses["ours, final"] = [answer[1] for answer in answers]
    figures = {name: _figures(found, [half for half, _ in parts]) for name, found in guesses.items()}
    steps = np.concatenate([answer[2] for answer in answers]) * 1000
    figures["ours, online"] |= {"step ms p50": float(np.median(steps)), "step ms p95": float(np.quantile(steps, 0.95))}
    return figures


def _figures(guesses: Sequence[Guess], parts: Sequence[Sequence[Passage]]) -> dict[str, float]:
    scores = [_identification(guess, half) for guess, half in zip(guesses, parts, strict=True)]
    truth = [[one.person for one in half] for half in parts]
    surplus = [splits_and_merges(guess.tolist(), true) for guess, true in zip(guesses, truth, strict=True)]
    return {
        "IDF1": float(np.mean(scores)),
        "IDF1 even": scores[0],
        "IDF1 odd": scores[1],
        "split": sum(split for split, _ in surplus),
        "merged": sum(merged for _, merged in surplus),
        "people": sum(len(np.unique(guess)) for guess in guesses) / sum(len(set(true)) for true in truth),
    }


def _identification(guess: Guess, half: Sequence[Passage]) -> float:
    return identification(guess.tolist(), [one.person for one in half], [len(one.files) for one in half])


def _mean(looks: Appearance) -> NDArray[np.float32]:
    mean = looks.global_.mean(axis=0)
    unit: NDArray[np.float32] = mean / np.linalg.norm(mean)
    return unit


def _ask(files: Sequence[str], root: Path, opened: NetworkEmbedder) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    height, width = opened.size_hw
    global_, stripes = [], []
    for start in range(0, len(files), BATCH):
        crops = [cv2.imread(str(root / name)) for name in files[start : start + BATCH]]
        answer = opened.embed(np.stack([cv2.resize(crop, (width, height)) for crop in crops]))
        global_.append(answer[0])
        stripes.append(answer[1])
    return np.concatenate(global_), np.concatenate(stripes)


def main() -> None:
    """Embed, compare, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("REID_DATA"), help=f"folder that holds {MARKET}")
    parser.add_argument("--embedder", action="append", default=[], help="shipped model or .xml/.onnx; may be repeated")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--cache", type=Path, help="folder that keeps the looks between runs")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    if not arguments.data:
        parser.error(f"say where {MARKET} lies: --data or REID_DATA")
    root = Path(arguments.data) / MARKET
    passages = market_passages(root)
    report: dict[str, Any] = {"tracklets": len(passages), "people": len({one.person for one in passages})}
    for embedder in arguments.embedder or ["alignedreid_small"]:
        figures = compare(passages, embed(passages, root, embedder, arguments.threads, arguments.cache))
        report[Path(embedder).stem] = figures
        print(f"\n{Path(embedder).stem}: {len(passages)} tracklets\n{'':26} IDF1   even   odd   split merged people")
        for name, row in figures.items():
            print(
                f"{name:26} {row['IDF1']:.3f}  {row['IDF1 even']:.3f}  {row['IDF1 odd']:.3f}  "
                f"{row['split']:5.0f} {row['merged']:6.0f} {row['people']:6.2f}"
            )
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()

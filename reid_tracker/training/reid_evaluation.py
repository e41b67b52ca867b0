"""A shipped embedder, or any other, judged on data sets by all ways of ranking, whole bodies and partial ones.

What is judged is what ships: the network file through the package's own crops and engine, nothing of torch.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from reid_tracker.config import EmbeddingConfig, RuntimeConfig
from reid_tracker.embedding.embedder import NetworkEmbedder, open_embedder
from reid_tracker.errors import InputError
from reid_tracker.evaluation.ranking import WAYS, Looks, distances_by_rows, ways_of
from reid_tracker.evaluation.reid import ReidScores, mean_of, score_ways
from reid_tracker.runtime.manifest import read_manifest
from reid_tracker.runtime.registry import find_model
from reid_tracker.training.data import PeopleSet, decode_people, fingerprint
from reid_tracker.training.keeping import network_digest
from reid_tracker.training.partial import PartialBody
from reid_tracker.training.protocols import Protocol

BATCH = 32
MANIFEST = "model.json"


@dataclass(frozen=True, slots=True)
class Judged:
    """An embedder that is to be judged.

    Attributes:
        name: for tables.
        embedder: ready to run.
        key: tells apart caches of different networks.
    """

    name: str
    embedder: NetworkEmbedder
    key: str


def open_judged(model: str, threads: int = 0, precision: Literal["fp32", "bf16"] = "fp32") -> Judged:
    """An embedder by shipped name, by its folder under ``engines/``, or by its file.

    Raises:
        ConfigError: no such model.
        ModelError: it is damaged, or no embedder.
    """
    path = Path(model)
    if path.is_dir():
        manifest = read_manifest(path / MANIFEST)
        file, name = path / manifest.file, manifest.name
    else:
        file = find_model(model, "embedder").path
        name = file.stem if path.suffix else model
    chosen = str(file) if path.exists() else model
    runtime = RuntimeConfig(threads=threads, precision=precision)
    embedder = open_embedder(EmbeddingConfig(model=chosen, batch=BATCH), runtime)
    key = network_digest(file)[:16]
    return Judged(name, embedder, key if precision == "fp32" else f"{key}-{precision}")


def numbered(names: Sequence[str]) -> list[str]:
    """The names, those that came before with a number behind them: results of two models or folders are kept apart."""
    found: list[str] = []
    for name in names:
        others = (f"{name}-{number}" for number in count(2))
        found.append(name if name not in found else next(other for other in others if other not in (*found, *names)))
    return found


def looks_of(judged: Judged, people: PeopleSet, cache: Path, partial: PartialBody | None = None) -> Looks:
    """Looks of every picture of a set, computed once and kept in ``cache`` (vectors, no pictures).

    Raises:
        InputError: a picture does not decode; figures without it would be other figures.
    """
    kind = f"{partial.key}-" if partial else ""
    kept = cache / f"{people.name}-looks-{kind}{judged.key}-{fingerprint(people)}.npz"
    if kept.exists():
        with np.load(kept) as found:
            return Looks(found["global_"], found["stripes"])
    pixels, readable = decode_people(people, judged.embedder.size_hw, cache, partial)
    if not readable.all():
        first = people.paths[int(np.argmin(readable))]
        raise InputError(f"{people.name}: {int((~readable).sum())} pictures do not decode, the first is {first}")
    global_, stripes = judged.embedder.embed(pixels)
    young = kept.with_suffix(".new.npz")
    np.savez(young, global_=global_, stripes=stripes)
    young.replace(kept)
    return Looks(global_, stripes)


def score_protocol(
    protocol: Protocol, looks: Looks, ways: Sequence[str] = WAYS, shortlist: int = 0, threads: int | None = None
) -> dict[str, ReidScores]:
    """Scores of a protocol by each way of ranking that the looks allow; means over its trials.

    Args:
        protocol: who asks, who answers.
        looks: of all its pictures.
        ways: see ``reid_tracker.evaluation.ranking``.
        shortlist: the aligned distance orders only so many of the globally nearest; 0 takes all.
        threads: for the aligned distance; all cores where None.
    """
    chosen = ways_of(looks, ways)
    trials = []
    for asking, answering in protocol.trials:
        distances = distances_by_rows(looks.rows(asking), looks.rows(answering), chosen, shortlist, threads)
        trials.append(score_ways(distances, protocol.labels(asking), protocol.labels(answering)))
    return {way: mean_of([trial[way] for trial in trials]) for way in chosen}


def fewer_queries(protocol: Protocol, most: int) -> Protocol:
    """The protocol with about ``most`` queries spread evenly, for a quick look; 0 keeps all."""
    if not most:
        return protocol

    def thinned(rows: NDArray[np.int64]) -> NDArray[np.int64]:
        return rows[np.linspace(0, len(rows) - 1, min(most, len(rows))).astype(np.int64)]

    return Protocol(
        protocol.name, protocol.pictures, tuple((thinned(asking), answering) for asking, answering in protocol.trials)
    )


def milliseconds_a_crop(embedder: NetworkEmbedder, batch: int = 8, repeats: int = 30) -> float:
    """Median time a crop, by the clock on the wall, of batches of random pictures."""
    crops = np.random.default_rng(0).integers(0, 256, (batch, *embedder.size_hw, 3), dtype=np.uint8)
    embedder.embed(crops)
    times = []
    for _ in range(repeats):
        begun = time.perf_counter()
        embedder.embed(crops)
        times.append(time.perf_counter() - begun)
    return round(float(np.median(times)) * 1000 / batch, 2)

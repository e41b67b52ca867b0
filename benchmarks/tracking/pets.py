"""Tracking in one camera on PETS09-S2L1 with the default detector and embedder, beside peers on the same detections.

    python -m benchmarks.tracking.pets [--cache FOLDER] [--detector nanodet_g --results tracking_pets_fp32]

The tracker's settings were chosen by benchmarks.tracking.tune, which does not see frames 401-795; the associator's with
the whole sequence in view. The published truth gives a person who leaves and comes back a new id; pets_returns.csv says
who is who, and the scores are also given with it, for the tracker alone (which does not look for people who left) and
with the associator's identities. It leaves out somebody who walks by in full view, far off: pets_left_out.csv has the
boxes, drawn by hand, and everybody is also scored with that person in the truth. Peers run in the environment whose
Python $REID_TRACKER_PEERS names (norfair, trackers), with their defaults and with the best of several configurations
chosen in hindsight on the frames scored. Needs the video (see common.shared_data).
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.tracking.common import (
    Scene,
    best_and_default,
    identify,
    milliseconds,
    read_truth,
    run_peers,
    score,
    shared_data,
    table,
    track,
    write_json,
)
from benchmarks.tracking.peers import PETS
from reid_tracker.config import Config
from reid_tracker.detection import detector_name, open_detector
from reid_tracker.embedding import open_embedder
from reid_tracker.evaluation import LabelledBoxes
from reid_tracker.runtime import find_model
from reid_tracker.sources import open_source
from reid_tracker.types import Appearance, Detections

PARTS = {"1-400 (tuned)": range(400), "401-795": range(400, 795), "all": range(795)}
RATE = 10.0  # of the file; the scene was captured at about 7


def scene(
    folder: Path, cache: Path, config: Config, looks_from: float | None = None
) -> tuple[Scene, tuple[float, float]]:
    """The sequence with the default detections and looks (kept in ``cache``), and the detector's score levels.

    Args:
        looks_from: least score of a detection that gets its look; absent: the detector's confident level.
    """
    cache.mkdir(parents=True, exist_ok=True)
    video = folder / "vtest.avi"
    detector = fingerprint(detector_name(config.detection, config.runtime), "detector")
    found_file = cache / f"pets_detections_{detector}.npz"
    if not found_file.is_file():
        np.savez(found_file, **_detect(video, config))
    with np.load(found_file) as data:
        ends = np.cumsum(data["counts"])[:-1]
        rows = zip(np.split(data["boxes"], ends), np.split(data["scores"], ends), strict=True)
        found = [Detections(boxes, scores) for boxes, scores in rows]
        levels = (float(data["levels"][0]), float(data["levels"][1]))
    suffix = "" if looks_from is None else f"_from_{looks_from:.2f}"
    looks_file = cache / f"pets_appearance_{detector}_{fingerprint(config.embedding.model, 'embedder')}{suffix}.npz"
    if not looks_file.is_file():
        np.savez(looks_file, **_embed(video, config, found, levels[1] if looks_from is None else looks_from))
    with np.load(looks_file) as data:
        columns = (np.split(data[name], ends) for name in ("vectors", "stripes", "quality", "valid"))
        looks = [Appearance(*one) for one in zip(*columns, strict=True)]
    return Scene("PETS09-S2L1", RATE, (768, 576), found, read_truth(folder / "gt" / "gt.txt"), looks), levels


def fingerprint(model: str, part: str) -> str:
    """Of a model's file: what was kept of another one is of no use."""
    return hashlib.sha256(find_model(model, part).path.read_bytes()).hexdigest()[:12]


def _detect(video: Path, config: Config) -> dict[str, np.ndarray]:
    detector = open_detector(config.detection, config.runtime)
    found = [detector([frame])[0] for frame in open_source(str(video), "pets")]
    return {
        "counts": np.array([len(one) for one in found]),
        "boxes": np.concatenate([one.boxes for one in found]),
        "scores": np.concatenate([one.scores for one in found]),
        "levels": np.array(detector.score_levels),
    }


def _embed(video: Path, config: Config, found: list[Detections], confident: float) -> dict[str, np.ndarray]:
    """Looks of all that the tracker could ask for: the confident detections."""
    embedder = open_embedder(config.embedding, config.runtime)
    frames = zip(open_source(str(video), "pets"), found, strict=True)
    looks = [embedder([frame], [one], [one.scores >= confident])[0] for frame, one in frames]
    return {
        "vectors": np.concatenate([look.global_ for look in looks]),
        "stripes": np.concatenate([look.stripes for look in looks]),
        "quality": np.concatenate([look.quality for look in looks]),
        "valid": np.concatenate([look.valid for look in looks]),
    }


def with_returns(truth: LabelledBoxes) -> LabelledBoxes:
    """The truth with the first id of each person, by the committed table."""
    same = {}
    with Path(__file__).with_name("pets_returns.csv").open(encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            same[int(row["id"])] = int(row["same_person_as"])
    return replace(truth, ids=np.array([same.get(number, number) for number in truth.ids.tolist()], np.int64))


def completed(truth: LabelledBoxes) -> LabelledBoxes:
    """The truth with the person whom it leaves out, between the boxes of the committed table."""
    with Path(__file__).with_name("pets_left_out.csv").open(encoding="utf-8") as lines:
        drawn = np.array([[float(value) for value in row.values()] for row in csv.DictReader(lines)])
    frames = np.arange(drawn[0, 0], drawn[-1, 0] + 1)
    boxes = np.stack([np.interp(frames, drawn[:, 0], side) for side in drawn[:, 1:].T], axis=1)
    ids = np.full(len(frames), truth.ids.max() + 1)
    return LabelledBoxes.of(
        np.concatenate([truth.frames, frames]),
        np.concatenate([truth.ids, ids]),
        np.concatenate([truth.boxes, boxes]),
    )


def main() -> None:
    """Run all of it, print a table, write benchmarks/results/tracking_pets.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--cache", type=Path, default=Path(tempfile.gettempdir()) / "reid_tracker_benchmarks", help="keeps looks"
    )
    parser.add_argument("--detector", default=Config().detection.model)
    parser.add_argument("--results", default="tracking_pets", help="name of the JSON file")
    arguments = parser.parse_args()
    shared = shared_data()
    if shared is None:
        print("skipped: no measuring material (REID_TRACKER_SHARED)")
        return
    config = Config().with_values({"detection.model": arguments.detector})
    pets, levels = scene(shared / "PETS09-S2L1", arguments.cache, config)
    tracks, asked = track(pets, config.tracking, levels)
    every, _ = track(pets, config.tracking, levels, every_look=True)
    motion, _ = track(replace(pets, looks=None), config.tracking, levels)
    emitted, final = identify(pets, config, levels)
    peers = run_peers(pets, PETS)
    returns, whole = with_returns(pets.truth), completed(pets.truth)

    results = {}
    for name, frames in PARTS.items():
        rows = [
            ("ours", score(pets.truth, tracks, frames)),
            ("ours, every look taken", score(pets.truth, every, frames)),
            ("ours, motion alone", score(pets.truth, motion, frames)),
            ("ours, returning people are one: tracklets", score(returns, tracks, frames)),
            ("ours, returning people are one: identities as emitted", score(returns, emitted, frames)),
            ("ours, returning people are one: identities as known at the end", score(returns, final, frames)),
        ]
        rows += best_and_default(pets.truth, peers, frames)
        with_all = [("ours", score(whole, tracks, frames)), *best_and_default(whole, peers, frames)]
        rows += [(f"completed truth: {who}", got) for who, got in with_all]
        print(f"frames {name}\n{table(rows)}\n")
        results[name] = dict(rows)
    cost = {
        "ours": milliseconds(pets, config.tracking, levels),
        "ours, motion alone": milliseconds(replace(pets, looks=None), config.tracking, levels),
        **{f"{run.peer} {run.version}": run.milliseconds for run in peers if run.options == PETS[run.peer][0]},
    }
    print("tracking alone, ms a frame:", ", ".join(f"{name} {taken:.2f}" for name, taken in cost.items()))
    print(f"looks taken of {100 * asked:.0f} % of the confident detections; score levels {levels}")
    write_json(
        arguments.results,
        {
            "detector": detector_name(config.detection, config.runtime),
            "embedder": config.embedding.model,
            "precision": config.runtime.precision,
            "score_levels": levels,
            "share_of_looks_taken": asked,
            "frames": results,
            "milliseconds_a_frame": cost,
        },
    )


if __name__ == "__main__":
    main()

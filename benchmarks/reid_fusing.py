"""How best to fuse the global with the aligned distance: forms and shares, on people whose figures are not reported.

    REID_DATA=/data python -m benchmarks.reid_fusing --model engines/alignedreid_small

The choice is made on ``train`` (Market-1501's training people, four pictures each, every picture asks, all others
answer) and ``cuhk03`` (detected boxes, likewise); ``cuhk01`` shows people the embedder never saw. Market-1501's test
people are left out on purpose: a share that was tuned on them would make their figure look better than it is.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

import numpy as np

from reid_tracker.distance import aligned_distance, fused_distance, global_distance
from reid_tracker.evaluation.reid import score_ways
from reid_tracker.training.data import at_most_per_person, read_people
from reid_tracker.training.protocols import Protocol, each_asks, read_protocol
from reid_tracker.training.reid_evaluation import fewer_queries, looks_of, open_judged
from reid_tracker.types import FloatArray

SHARES = (0.2, 0.3, 0.4, 0.5, 0.6)


def forms(global_: FloatArray, aligned: FloatArray) -> dict[str, FloatArray]:
    """Every way tried of making one number of two, by name."""
    apart = np.sqrt(np.maximum(2 * global_, 0))
    found = {"global alone": global_, "aligned alone": aligned, "paper: e + sum of cells": apart + 15 * aligned}
    for share in SHARES:
        found[f"cosine / 2, share {share}"] = (1 - share) * global_ / 2 + share * aligned
        found[f"e / 2, share {share}"] = (1 - share) * apart / 2 + share * aligned
        found[f"tanh(e / 2), share {share}"] = fused_distance(global_, aligned, share)
    return found


def protocols(data: Path) -> list[Protocol]:
    """Those named above that are there."""
    found = []
    folders = {"train": "Market-1501-v15.09.15/bounding_box_train", "cuhk03": "cuhk03_p1/detected"}
    for name, folder in folders.items():
        if (data / folder).is_dir():
            found.append(each_asks(at_most_per_person(read_people(data / folder, f"fusing-{name}"), 4)))
    if (data / "cuhk01").is_dir():
        found.append(read_protocol("cuhk01", data))
    return found


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="engines/alignedreid_small")
    parser.add_argument("--data", type=Path, default=os.environ.get("REID_DATA"), help="default: REID_DATA")
    parser.add_argument("--cache", type=Path, default=Path("out/reid-cache"))
    parser.add_argument("--queries", type=int, default=1000, help="about so many queries a set; 0: all")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.data is None:
        parser.error("say where the data sets are: --data or REID_DATA")
    judged = open_judged(options.model, options.threads)
    results: dict[str, dict[str, dict[str, float]]] = {}
    for whole in protocols(Path(options.data)):
        protocol = fewer_queries(whole, options.queries)
        looks = looks_of(judged, protocol.pictures, options.cache)
        asking, answering = protocol.trials[0]
        queries, gallery = looks.rows(asking), looks.rows(answering)

        def distances(rows: slice, queries=queries, gallery=gallery) -> dict[str, FloatArray]:  # type: ignore[no-untyped-def]
            wide = global_distance(queries.global_[rows], gallery.global_)
            return forms(wide, aligned_distance(queries.stripes[rows], gallery.stripes, options.threads))

        scores = score_ways(distances, protocol.labels(asking), protocol.labels(answering))
        results[protocol.name] = {form: one.to_row() for form, one in scores.items()}
        print(f"\n{protocol.name}: {len(asking)} queries, {len(answering)} pictures\n{'':28} rank-1    mAP   mINP")
        for form, row in results[protocol.name].items():
            print(f"{form:28} {row['rank1']:6.2f} {row['mAP']:6.2f} {row['mINP']:6.2f}", flush=True)
    if options.json:
        options.json.write_text(json.dumps({"model": judged.name, "sets": results}, indent=2) + "\n")


if __name__ == "__main__":
    main()

"""Re-identification figures of a shipped embedder, through the package's own crops and engine.

    REID_DATA=/data python -m benchmarks.reid_market --model engines/alignedreid_small --json out/reid.json

REID_DATA (or --data) holds ``Market-1501-v15.09.15`` and, for the strangers' figure, ``cuhk01``. Market-1501: single
query, 3,368 queries against 15,913 pictures (junk left out, distractors kept). CUHK01: camera 1 asks, one picture of
camera 2 a person answers, all 971 people, mean over the two choices. Ranked by the global distance, and by the aligned
one and both fused on the first 100, as tracking does it; ``reid-tracker evaluate-reid`` has the other ways, partial
bodies and plots. ``--peer`` puts any OpenVINO IR or ONNX file that takes BGR 0..255 beside it.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

from reid_tracker.training.protocols import read_protocol
from reid_tracker.training.reid_evaluation import (
    Judged,
    fewer_queries,
    looks_of,
    milliseconds_a_crop,
    open_judged,
    score_protocol,
)

SHORTLIST = 100
WAYS = ("global", "aligned", "fused")


def figures(judged: Judged, options: argparse.Namespace) -> dict[str, Any]:
    """All figures of one embedder."""
    found: dict[str, Any] = {
        "input": list(judged.embedder.size_hw),
        "runs_on": judged.embedder.describe(),
        "ms_a_crop_batch_8": milliseconds_a_crop(judged.embedder),
    }
    sets = ["market1501"]
    if (options.data / "cuhk01").is_dir() and not options.market_only:
        sets.append("cuhk01")
    for name in sets:
        protocol = fewer_queries(read_protocol(name, options.data), options.queries if name == "market1501" else 0)
        looks = looks_of(judged, protocol.pictures, options.cache)
        scores = score_protocol(protocol, looks, WAYS, SHORTLIST, options.threads)
        found[name] = {way: one.to_row() for way, one in scores.items()}
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
    parser.add_argument("--model", action="append", default=[], help="folder with model.onnx and model.json")
    parser.add_argument("--peer", action="append", default=[], help="another embedder's .xml or .onnx")
    parser.add_argument("--data", type=Path, default=os.environ.get("REID_DATA"), help="default: REID_DATA")
    parser.add_argument("--cache", type=Path, default=Path("out/reid-cache"), help="for decoded pictures and vectors")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    parser.add_argument("--queries", type=int, default=0, help="about so many queries only, for a quick look")
    parser.add_argument("--market-only", action="store_true")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32", help="arithmetic of the networks")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    if options.data is None:
        parser.error("say where the data sets are: --data or REID_DATA")
    options.data = Path(options.data)
    names = {name: name for name in options.model} | {Path(name).stem: name for name in options.peer}
    opened = {name: open_judged(model, options.threads, options.precision) for name, model in names.items()}
    results = {name: figures(judged, options) for name, judged in opened.items()}
    print_table(results)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps({"threads": options.threads, "models": results}, indent=2) + "\n")


if __name__ == "__main__":
    main()

"""How far our automatic threshold is from the best possible one, case by case.

    REID_DATA=/data python -m benchmarks.association.threshold [--quick] [--only CASE ...] [--embedder NAME]
        [--reference FILE.xml] [--offsets -6 -4 -2 2 4 6] [--cache FOLDER] [--json OUT]

Every decision of the associator weighs "somebody known" against "somebody new". Here a constant is taken from the log
odds of the first, the same for all decisions of a run: above 0 fewer are known again, below 0 more. Nobody could
choose such a constant without the truth; its best value on the very case that is scored is the best possible threshold
in hindsight, and what it gains over 0 is what being automatic costs. Asked: at most 2 points of IDF1.

Cases as in ``benchmarks.association.all`` (README.md), with its cache; ids two seconds after each box (online) and as
known at the end (final). What was done is written after every case.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.association.all import CASES
from benchmarks.association.contest import FINAL, ONLINE, automatic
from benchmarks.association.material import Material
from benchmarks.association.ours import associate
from benchmarks.tracking.common import RESULTS, shared_data
from reid_tracker.errors import ReidTrackerError

OFFSETS = (-6.0, -4.0, -2.0, 2.0, 4.0, 6.0)  # nats
ASKED = 0.02  # of IDF1, lost to the best threshold at most


def print_case(name: str, report: dict[str, Any]) -> None:
    """One case: IDF1 at each offset, ours and the best, for online and final ids."""
    for kind in (ONLINE, FINAL):
        row = report[kind]
        by_nats = {float(nats): idf1 for nats, idf1 in row["IDF1 by nats"].items()}
        best = max(by_nats, key=lambda nats: (by_nats[nats], -abs(nats)))
        lost = row["lost to hindsight"]
        verdict = "" if lost <= ASKED else f"  {100 * (lost - ASKED):.1f} points more than asked"
        print(
            f"{name:48} {kind:13} ours {by_nats[0.0]:.3f}  best {by_nats[best]:.3f} at {best:+g}  lost {lost:.3f}   "
            + " ".join(f"{nats:+g}: {idf1:.3f}" for nats, idf1 in sorted(by_nats.items()))
            + verdict,
            flush=True,
        )


def sweep(material: Material, groups: Sequence[str], offsets: Sequence[float], quick: bool, path: Path) -> None:
    """All cases of one embedder, printed and written as each is done."""
    kept: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    done = kept.setdefault(material.name, {})
    for group in groups:
        try:
            for case in CASES[group](material, quick):
                done[case.name] = automatic(case, associate(case), offsets) | {"quick": quick}
                path.write_text(json.dumps(kept, indent=2) + "\n")
                print_case(f"{case.name}, {material.name}", done[case.name])
        except ReidTrackerError as absent:
            print(f"{group}, {material.name}: left out, {absent}", flush=True)


def main() -> None:
    """Run, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("REID_DATA"), help="folder of the sets of people")
    parser.add_argument("--embedder", default="alignedreid_small", help="shipped model")
    parser.add_argument("--reference", help="another embedder's .xml or .onnx, beside it")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "reid_tracker_looks")
    parser.add_argument("--json", type=Path, default=RESULTS / "association_threshold.json")
    parser.add_argument("--quick", action="store_true", help="every fourth person, shorter scenes")
    parser.add_argument("--only", nargs="*", choices=list(CASES), default=list(CASES), metavar="CASE")
    parser.add_argument("--offsets", nargs="*", type=float, default=list(OFFSETS), metavar="NATS")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="of the embedder")
    arguments = parser.parse_args()
    if arguments.data is None:
        parser.error("say where the sets of people lie: --data or REID_DATA (benchmarks/README.md)")
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    for embedder in filter(None, (arguments.embedder, arguments.reference)):
        material = Material.open(
            embedder, Path(arguments.data), shared_data(), arguments.cache, arguments.threads, arguments.quick
        )
        sweep(material, arguments.only, arguments.offsets, arguments.quick, arguments.json)


if __name__ == "__main__":
    main()

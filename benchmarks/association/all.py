"""Every case of linking people across cameras, beside what is usually done, from one command.

    REID_DATA=/data python -m benchmarks.association.all [--quick] [--only CASE ...] [--reference FILE.xml]
        [--cache FOLDER] [--json benchmarks/results/association_all.json] [--resume] [--confusions FOLDER]

Cases (README.md says what each is made of): market, market-hard, cuhk01, wildtrack, pose2sim, epfl, pets, site; and
growth, the cost of larger and larger sites.
Methods: always new; nearest mean and offline average linkage, each with the threshold that is best on this very case
in hindsight (*); ours with ids as emitted two seconds after each box (online), two seconds after a passage's last box,
as known at the end (final), and solved once more over the finished run (refined); and perfect linking of the same
tracklets. Then what the best of some shifts of our threshold would have gained in hindsight, and our IDF1 with one
ingredient at a time switched off. Everything with the shipped embedder, and with --reference as well. Looks are
computed once and kept in --cache; they are found again as long as the embedder's file is the same. Every case is
written as soon as it is done; --resume goes on after an interruption: it keeps what the same associator made of the
same embedder's looks and runs the rest. --confusions writes what our online, final and refined ids get wrong, with the
pictures where the case has some, into a folder: real people of research sets, so keep it to yourself.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.association import pets_case, replays, site, views, wildtrack
from benchmarks.association.cases import Case
from benchmarks.association.confusions import write_confusions
from benchmarks.association.contest import (
    AT_END,
    FINAL,
    LINKAGE,
    NEAREST,
    NEW,
    ONLINE,
    PERFECT,
    REFINED,
    SHIFTS,
    Depth,
    compete,
    cost,
)
from benchmarks.association.material import Material
from benchmarks.association.ours import associate
from benchmarks.association.scoring import Ids
from benchmarks.tracking.common import RESULTS, shared_data
from reid_tracker import association, review
from reid_tracker.errors import ReidTrackerError

Cases = Callable[[Material, bool], Iterator[Case]]

CASES: dict[str, Cases] = {
    "market": lambda material, quick: replays.market(material.market, quick),
    "market-hard": lambda material, _: replays.market_cut_by_looks(material.market),
    "cuhk01": lambda material, _: replays.cuhk01(material.cuhk01),
    "wildtrack": wildtrack.wildtrack,
    "pose2sim": views.pose2sim,
    "epfl": views.epfl,
    "pets": pets_case.pets,
    "site": site.site,
}


GROWTH = "growth"


def print_report(name: str, report: dict[str, Any]) -> None:
    """One case as a table."""
    facts = report["facts"]
    print(f"\n{name}: {facts['people']} people, {facts['tracklets']} tracklets, {facts['boxes']} boxes")
    print(f"{'':22}  IDF1  pair precision  recall  split  merged  identities")
    for method, row in report["methods"].items():
        print(
            f"{method:22} {row['idf1']:.3f}  {row['precision']:14.3f}  {row['recall']:6.3f}  {row['split']:5.0f}  "
            f"{row['merged']:6.0f}  {row['identities']:10.0f}"
        )
    for kind, row in report.get("automatic threshold", {}).items():
        print(f"{kind}: the best shifted threshold in hindsight gains {row['lost to hindsight']:.3f}")
    for variant, row in report.get("ablations", {}).items():
        print(f"{variant:22} " + "  ".join(f"{kind} {row[kind]:.3f}" for kind in (ONLINE, AT_END, FINAL)))
    if worth := report.get("worth"):
        print("worth in nats, by refine's objective: " + ", ".join(f"{who} {nats:.0f}" for who, nats in worth.items()))
    cost = report["cost"]
    print(
        f"{cost['step ms mean']:.2f} ms a step, {cost['ms per open tracklet']:.3f} ms per open tracklet, "
        f"{cost['state MB']:.1f} MB remembered"
    )


def summary(kept: dict[str, Any]) -> list[str]:
    """All that a JSON file holds as one table in Markdown, a case a line; * thresholds chosen in hindsight."""
    methods = (NEW, NEAREST, LINKAGE, ONLINE, FINAL, REFINED, PERFECT)
    lines = [
        f"| case | {' | '.join(methods)} | pairs P / R, final | lost to hindsight, online / final |",
        "|---" * (len(methods) + 3) + "|",
    ]
    for embedder, cases in kept.items():
        for name, report in cases.items() if embedder != GROWTH else ():
            rows = report["methods"]
            lost = [row["lost to hindsight"] for row in report.get("automatic threshold", {}).values()]
            figures = [f"{rows[method]['idf1']:.3f}" if method in rows else "" for method in methods]
            pairs = f"{rows[FINAL]['precision']:.2f} / {rows[FINAL]['recall']:.2f}"
            hindsight = " / ".join(f"{gain:.3f}" for gain in lost)
            lines.append(f"| {name}, {embedder} | {' | '.join(figures)} | {pairs} | {hindsight} |")
    return lines


def growth(quick: bool) -> dict[str, dict[str, float]]:
    """Cost of larger and larger sites, printed as it comes."""
    print(
        "\nsites with made-up looks\n                         ms a step  ms per open tracklet  MB  kB per person known"
    )
    rows = {}
    for plan, case in site.growth(quick):
        row = cost(case, associate(case, weigh=True))
        row["kB per person"] = 1000 * row["state MB"] / plan.population
        rows[case.name] = row
        print(
            f"{case.name:24} {row['step ms mean']:9.1f}  {row['ms per open tracklet']:20.3f}  "
            f"{row['state MB']:6.1f}  {row['kB per person']:6.1f}",
            flush=True,
        )
    return rows


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("REID_DATA"), help="folder of the sets of people")
    parser.add_argument("--embedder", default="alignedreid_small", help="shipped model")
    parser.add_argument("--reference", help="another embedder's .xml or .onnx, beside it")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "reid_tracker_looks")
    parser.add_argument("--json", type=Path, default=RESULTS / "association_all.json")
    parser.add_argument("--quick", action="store_true", help="every fourth person, shorter scenes, fewer thresholds")
    parser.add_argument("--only", nargs="*", choices=[*CASES, GROWTH], default=[*CASES, GROWTH], metavar="CASE")
    parser.add_argument("--methods-only", action="store_true", help="neither ablations nor other thresholds")
    parser.add_argument("--resume", action="store_true", help="keep cases that are in --json and still hold")
    parser.add_argument(
        "--confusions", type=Path, metavar="FOLDER", help="write pages of wrong merges and splits there"
    )
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="of the embedder")
    arguments = parser.parse_args()
    if arguments.data is None:
        parser.error("say where the sets of people lie: --data or REID_DATA (benchmarks/README.md)")
    return arguments


def main() -> None:
    """Run, print and write after every case, so that what was done stays."""
    arguments = _parsed()
    quick, tracking = arguments.quick, shared_data()
    depth = Depth(False, ()) if arguments.methods_only else Depth(True, SHIFTS[1:3] if quick else SHIFTS)
    kept: dict[str, Any] = json.loads(arguments.json.read_text()) if arguments.json.exists() else {}
    if GROWTH in arguments.only:
        kept[GROWTH] = growth(quick) | {"quick": quick}
        _write(arguments.json, kept)
    for embedder in filter(None, (arguments.embedder, arguments.reference)):
        material = Material.open(embedder, Path(arguments.data), tracking, arguments.cache, arguments.threads, quick)
        done = kept.setdefault(material.name, {})
        for group in filter(CASES.get, arguments.only):
            try:
                for case in CASES[group](material, quick):
                    made = made_of(material, quick, depth)
                    if not (arguments.resume and done.get(case.name, {}).get("made of") == made):
                        done[case.name] = _competed(case, material, depth, arguments.confusions) | {"made of": made}
                        _write(arguments.json, kept)
                    print_report(f"{case.name}, {material.name}", done[case.name])
            except ReidTrackerError as absent:
                print(f"\n{group}, {material.name}: left out, {absent}", flush=True)
    print("", *summary(kept), sep="\n")


def _competed(case: Case, material: Material, depth: Depth, confusions: Path | None) -> dict[str, Any]:
    """One case, telling on the way what goes on."""
    name = f"{case.name}, {material.name}"
    began = time.perf_counter()

    def say(step: str) -> None:
        waited = time.perf_counter() - began
        print(f"[{waited:6.0f} s] {name}: {step}", file=sys.stderr, flush=True)

    def show(kind: str, ids: Ids) -> None:
        if confusions:
            print(write_confusions(confusions, f"{name}, {kind}", case, ids))

    report = compete(case, depth, say, show)
    report["seconds"] = round(time.perf_counter() - began)
    return report


def made_of(material: Material, quick: bool, depth: Depth) -> dict[str, Any]:
    """What a report depends on: a report of the same is the same."""
    folders = (Path(package.__file__).parent for package in (association, review))  # refined ids are made in both
    sources = [path for folder in folders for path in sorted(folder.glob("*.py"))]
    code = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()
    return {"embedder": material.judged.key, "associator": code[:16], "quick": quick, "deep": bool(depth.shifts)}


def _write(path: Path, report: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()

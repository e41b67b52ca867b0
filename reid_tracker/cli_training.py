"""Commands that judge, train and export embedders. What needs torch is imported when a command runs."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from reid_tracker.errors import OutputError

out = Console(highlight=False, soft_wrap=True)

DataOption = Annotated[
    Path | None,
    typer.Option("--data", envvar="REID_DATA", help="Folder that holds the data sets (Market-1501-v15.09.15, ...)."),
]


def evaluate_reid(
    model: Annotated[
        list[str],
        typer.Option("--model", help="Shipped name, folder as under engines/, or .onnx or .xml file; may be repeated."),
    ],
    data: DataOption = None,
    sets: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME",
            help="market1501 (default), dukemtmc, cuhk01, cuhk03, or any folder of <person>_c<camera>... pictures; may "
            "be repeated.",
        ),
    ] = None,
    ways: Annotated[
        list[str] | None,
        typer.Option("--way", help="global, unaligned, aligned, fused, reranked; default: all. May be repeated."),
    ] = None,
    partial: Annotated[
        bool,
        typer.Option("--partial", help="Also with partial bodies: all pictures keep 50-100 % of their height."),
    ] = False,
    shortlist: Annotated[
        int, typer.Option(min=0, help="Aligned distance on so many of the globally nearest, as in tracking; 0: on all.")
    ] = 0,
    queries: Annotated[int, typer.Option(min=0, help="About so many queries only, for a quick look; 0: all.")] = 0,
    plots: Annotated[
        Path | None, typer.Option(help="Folder for CMC curves, histograms and alignments (holds pictures of people).")
    ] = None,
    as_json: Annotated[Path | None, typer.Option("--json", help="Also write the figures to this file.")] = None,
    cache: Annotated[
        Path, typer.Option(help="Folder for decoded pictures and vectors; keep it out of any repository.")
    ] = Path("out/reid-cache"),
    threads: Annotated[int, typer.Option(min=0, help="CPU threads; 0: all cores.")] = 0,
) -> None:
    """Judge embedders by CMC, mAP and mINP, as Market-1501's protocol has it.

    Example: `reid-tracker evaluate-reid --model engines/alignedreid_small --data /data --set market1501 --set cuhk01`
    """
    from reid_tracker.training.partial import PartialBody
    from reid_tracker.training.protocols import read_protocol
    from reid_tracker.training.reid_evaluation import fewer_queries, looks_of, open_judged, score_protocol

    protocols = [fewer_queries(read_protocol(name, data), queries) for name in sets or ["market1501"]]
    kinds = [None, PartialBody()] if partial else [None]
    results: dict[str, dict[str, Any]] = {}
    for name in model:
        judged = open_judged(name, threads)
        found: dict[str, Any] = {}
        for protocol in protocols:
            for kind in kinds:
                looks = looks_of(judged, protocol.pictures, cache, kind)
                chosen = ways or list(_all_ways())
                scores = score_protocol(protocol, looks, chosen, shortlist, threads or os.cpu_count())
                label = f"{protocol.name}, partial" if kind else protocol.name
                found[label] = {way: score.to_row() for way, score in scores.items()}
                if plots is not None:
                    _write_plots(plots, protocol, looks, scores, kind)
        results[judged.name] = found
    out.print(_table(results))
    if as_json is not None:
        _write_json(as_json, {"shortlist": shortlist, "queries": queries or "all", "models": results})


def _all_ways() -> tuple[str, ...]:
    from reid_tracker.evaluation.ranking import WAYS

    return WAYS


def _write_plots(folder: Path, protocol: Any, looks: Any, scores: Any, partial: Any) -> None:
    from reid_tracker.training.reid_report import write_plots

    for path in write_plots(folder, protocol, looks, scores, partial):
        out.print(str(path), markup=False)


def _table(results: dict[str, dict[str, Any]]) -> Table:
    table = Table("model", "set", "ranked by", "rank-1", "rank-5", "mAP", "mINP", box=None, pad_edge=False)
    for model, found in results.items():
        for name, ways in found.items():
            for way, row in ways.items():
                values = (f"{row[figure]:.2f}" for figure in ("rank1", "rank5", "mAP", "mINP"))
                table.add_row(model, name, way, *values)
    return table


def _write_json(file: Path, document: dict[str, Any]) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise OutputError(f"figures {file}: cannot be written ({error.strerror})") from error


def register(app: typer.Typer) -> None:
    """Add these commands to the program."""
    app.command("evaluate-reid")(evaluate_reid)

"""Commands that judge, train and export embedders. What needs torch is imported when a command runs."""

from __future__ import annotations

import functools
import importlib.util
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, ParamSpec

import typer
from rich.console import Console
from rich.table import Table

from reid_tracker.errors import ConfigError, OutputError

Parameters = ParamSpec("Parameters")

_RECIPES = Path(__file__).parent / "training" / "recipes"

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)

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
            help="market1501 (default), dukemtmc, msmt17, cuhk01, cuhk03, or any folder of PERSON_cCAMERA... "
            "pictures; may be repeated.",
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


def train(
    recipe: Annotated[Path, typer.Option("--recipe", help="What to do (TOML); see reid_tracker/training/recipes.")],
    output: Annotated[Path, typer.Option("--out", help="Folder for checkpoints; a run in it goes on by itself.")],
    data: DataOption = None,
    cache: Annotated[
        Path | None,
        typer.Option(help="Folder for decoded pictures; default: OUT/cache. Keep it out of any repository."),
    ] = None,
    start: Annotated[Path | None, typer.Option(help="Published weights of the backbone to start from.")] = None,
    partner_start: Annotated[Path | None, typer.Option(help="The same for the recipe's partner network.")] = None,
    teacher: Annotated[Path | None, typer.Option(help="OpenVINO or ONNX embedder to learn from.")] = None,
    state: Annotated[
        Path | None, typer.Option(help="Kept state to begin from, e.g. engines/training/alignedreid_small.fp16.pt.")
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(help="Kept state of this very run to go on from where OUT holds no checkpoint.")
    ] = None,
    pack: Annotated[
        Path | None,
        typer.Option(help="Pictures, teacher's answers and start weights in one file: tools/pack_training.py."),
    ] = None,
    minutes: Annotated[float | None, typer.Option(min=0, help="End with a checkpoint after so many minutes.")] = None,
    keep: Annotated[
        Path | None, typer.Option("--keep-state", help="At the end also write a small state, for --state or --resume.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda or auto; overrides the recipe.")] = None,
    precision: Annotated[str | None, typer.Option(help="fp32, bf16 or fp16; overrides the recipe.")] = None,
    tensorboard: Annotated[
        Path | None, typer.Option(help="Folder for TensorBoard's event files (needs the package tensorboard).")
    ] = None,
    threads: Annotated[int, typer.Option(min=0, help="CPU threads; 0 leaves the choice to torch.")] = 0,
) -> None:
    """Train an embedder, or go on training it: the same command continues exactly where it was stopped.

    Example: `reid-tracker train --recipe mine.toml --data /data --out runs/mine
    --state engines/training/alignedreid_small.fp16.pt`
    """
    from reid_tracker.training.checkpoints import CHECKPOINT, keep_state
    from reid_tracker.training.feed import use_threads
    from reid_tracker.training.recipe import read_recipe, with_compute
    from reid_tracker.training.reporting import reporting
    from reid_tracker.training.train import Places, StopRequest, run

    if data is None and pack is None:
        raise ConfigError("say where the pictures are: --data (or the variable REID_DATA), or --pack")
    stop = StopRequest(minutes)
    stop.listen()
    use_threads(threads)
    wanted = with_compute(read_recipe(recipe), device, precision)
    places = Places(
        data=data or Path(),
        out=output,
        cache=cache or output / "cache",
        start=start,
        teacher=teacher,
        state=state,
        resume=resume,
        pack=pack,
        partner_start=partner_start,
    )
    with reporting(wanted, tensorboard, err) as report:
        trainer = run(wanted, places, stop=stop, report=report)
    done = trainer.seen >= wanted.pictures
    if minutes is not None and not done and not trainer.steps:
        raise ConfigError(f"--minutes {minutes:g}: over before the first step, because loading took as long; give more")
    if keep is not None:
        keep_state(output / CHECKPOINT, keep)
    out.print(f"{'finished' if done else 'stopped'} after {trainer.seen} of {wanted.pictures} pictures: {output}")


def export_model(
    checkpoint: Annotated[Path, typer.Option(help="Checkpoint or kept state of a training run.")],
    output: Annotated[Path, typer.Option("--out", help="Folder of the model; what lies there is replaced at the end.")],
    crops: Annotated[Path, typer.Option(help="Folder of PERSON_cCAMERA... pictures to compare the vectors on.")],
    cache: Annotated[Path, typer.Option(help="Folder for decoded pictures; keep it out of any repository.")] = Path(
        "out/reid-cache"
    ),
    papers: Annotated[
        Path | None,
        typer.Option(
            help="JSON with licence, terms, training_data, provenance and figures, told to whoever uses the model; "
            "default: OUT/papers.json."
        ),
    ] = None,
    size: Annotated[
        tuple[int, int] | None, typer.Option(metavar="H W", help="Input size; default: the recipe's last stage.")
    ] = None,
    int8: Annotated[
        Path | None, typer.Option("--int8", help="Folder for the same model in 8-bit integers, with what that costs.")
    ] = None,
    keep: Annotated[
        Path | None, typer.Option("--keep-state", help="Also write a small state to go on training from.")
    ] = None,
) -> None:
    """Export a trained embedder to ONNX, compared at each step with the network, with its manifest.

    Example: `reid-tracker export-model --checkpoint runs/mine/checkpoint.pt --crops /data/mine --out engines/mine`
    """
    from reid_tracker.training.checkpoints import keep_state
    from reid_tracker.training.export import export
    from reid_tracker.training.recipe import StageRecipe

    stage = StageRecipe(pictures=1, size_hw=size) if size is not None else None
    export(checkpoint, crops, cache, output, stage, papers)
    if keep is not None:
        keep_state(checkpoint, keep)
    if int8 is not None:
        from reid_tracker.training.quantise import export_int8

        figures = export_int8(output, crops, cache, int8)
        shown = ", ".join(f"{name} {value:.4f}" for name, value in figures.items())
        out.print(f"{int8 / 'model.onnx'}: cosine with float32: {shown}", markup=False)
    out.print(f"{output / 'model.onnx'}: use it with --embedder {output / 'model.onnx'}", markup=False)


def adapt(
    tracks: Annotated[Path, typer.Option("--tracks", help="Output folder of a run with --save-crops.")],
    output: Annotated[Path, typer.Option("--out", help="Folder for the adapted model, if it is better.")],
    state: Annotated[
        Path | None,
        typer.Option(help="Training state of the present embedder; default: the shipped one's, in a checkout."),
    ] = None,
    recipe: Annotated[
        Path | None, typer.Option(help="How to learn (TOML); default: recipes/alignedreid_small_adapted.toml.")
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Times that the site's crops are asked anew.")] = 2,
    pictures: Annotated[int, typer.Option(min=0, help="Crops seen in each round; 0: as the recipe says.")] = 0,
    cache: Annotated[
        Path | None, typer.Option(help="Folder for decoded crops; default: OUT/cache. Keep it out of any repository.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda or auto; overrides the recipe.")] = None,
    precision: Annotated[str | None, typer.Option(help="fp32, bf16 or fp16; overrides the recipe.")] = None,
    threads: Annotated[int, typer.Option(min=0, help="CPU threads; 0 leaves the choice to torch.")] = 0,
) -> None:
    """Improve the embedder on a site's own recordings, without labels; what is no better on held-out people is refused.

    Example: `reid-tracker track --camera door=door.mp4 --camera hall=hall.mp4 --out out/ --save-crops`,
    then `reid-tracker adapt --tracks out/ --out mine/` and `reid-tracker track --embedder mine/model.onnx ...`
    """
    from reid_tracker.training.adapting import adapt_run, shipped_state
    from reid_tracker.training.feed import use_threads
    from reid_tracker.training.recipe import read_recipe, with_compute

    use_threads(threads)
    wanted = with_compute(read_recipe(recipe or _RECIPES / "alignedreid_small_adapted.toml"), device, precision)
    if pictures:
        stage = wanted.stages[0].model_copy(update={"pictures": pictures})
        wanted = wanted.model_copy(update={"stages": (stage,)})
    adapted = adapt_run(tracks, output, state or shipped_state(), wanted, rounds, cache or output / "cache", err.print)
    out.print(f"agreement on held-out people {adapted.before:.4f} -> {adapted.after:.4f}")
    out.print(f"{output / 'model.onnx'}: use it with --embedder {output / 'model.onnx'}", markup=False)


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


def _needing_torch(command: Callable[Parameters, None]) -> Callable[Parameters, None]:
    """The command, with one line on what to install where torch is missing."""

    @functools.wraps(command)
    def checked(*arguments: Parameters.args, **options: Parameters.kwargs) -> None:
        if importlib.util.find_spec("torch") is None:
            raise ConfigError("training needs torch; run: pip install 'reid_tracker[training]'")
        command(*arguments, **options)

    return checked


def register(app: typer.Typer) -> None:
    """Add these commands to the program."""
    app.command("train")(_needing_torch(train))
    app.command("evaluate-reid")(evaluate_reid)
    app.command("export-model")(_needing_torch(export_model))
    app.command("adapt")(_needing_torch(adapt))

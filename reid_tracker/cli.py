"""The command line: parse, build, run, print. Everything it does, the library does without it."""

from __future__ import annotations

import functools
import json
import logging
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from reid_tracker import __version__, cli_association, cli_cluster, cli_engines, cli_serve, cli_training
from reid_tracker.config import Config, load_config
from reid_tracker.errors import ConfigError, ReidTrackerError

if TYPE_CHECKING:
    from reid_tracker.recording import RunSummary

Ids = Literal["emitted", "final"]
USAGE, FAILURE, INTERRUPTED = 2, 1, 130
_DEMO_FOLDER = Path("out/demo")

app = typer.Typer(
    name="reid-tracker",
    help="Follow people across cameras: one id per person, over all of them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
models_app = typer.Typer(no_args_is_help=True, help="The networks that ship: list them, check them.")
app.add_typer(models_app, name="models")

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)

CameraOption = Annotated[
    list[str] | None,
    typer.Option(
        "--camera",
        metavar="ID=SOURCE",
        help="A camera: its name and a video file, a pattern of segment files ('hall_*.mp4'), a folder of images or a "
        "webcam number. Give one per camera.",
    ),
]
TracksOption = Annotated[Path, typer.Option("--tracks", help="Results of a run: its folder, or its tracks.jsonl.")]
IdsOption = Annotated[
    str,
    typer.Option("--ids", help="Which ids: **final**, as known at the end, or **emitted**, as written at the time."),
]


@app.command()
def track(
    output: Annotated[
        Path,
        typer.Option(
            "--out",
            help="Folder for the results. Other files in it stay; results of an earlier run need --overwrite.",
        ),
    ],
    camera: CameraOption = None,
    config: Annotated[
        Path | None, typer.Option(help="Settings and cameras of a site (TOML, docs/configuration.md).")
    ] = None,
    start_time: Annotated[
        list[str] | None,
        typer.Option(metavar="ID=TIME", help="When a camera's first frame was taken, e.g. door=2026-05-01T08:00:00Z."),
    ] = None,
    detections: Annotated[
        list[str] | None,
        typer.Option(metavar="ID=DET.TXT", help="Detections of a camera as a MOT file, in place of a detector."),
    ] = None,
    detector: Annotated[
        str | None, typer.Option(help="Shipped model, .onnx file, or .pt file with --trust-model.")
    ] = None,
    embedder: Annotated[str | None, typer.Option(help="Shipped model or .onnx file.")] = None,
    trust_model: Annotated[
        bool, typer.Option("--trust-model", help="Allow a .pt detector: such files can run code.")
    ] = False,
    setting: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Any setting, e.g. tracking.max_lost_seconds=3."),
    ] = None,
    no_build: Annotated[
        bool, typer.Option("--no-build", help="Do not build TensorRT engines that are missing; see docs/engines.md.")
    ] = False,
    video: Annotated[
        bool, typer.Option("--video", help="Write an annotated video per camera (pictures of people).")
    ] = False,
    report: Annotated[bool, typer.Option("--report", help="Write report.html (pictures of people).")] = False,
    save_crops: Annotated[
        bool, typer.Option("--save-crops", help="Write the best crops of each person (pictures of people).")
    ] = False,
    blur_faces: Annotated[
        bool, typer.Option("--blur-faces", help="Blur the top of each tracked person in all of these pictures.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the results of an earlier run in --out.")
    ] = False,
    cluster: cli_cluster.ClusterOption = None,
) -> None:
    """Follow people through recorded videos.

    Example: `reid-tracker track --camera door=door.mp4 --camera hall='hall_*.mp4' --out out/ --report`
    """
    settings = _settings(
        config,
        camera or [],
        start_time or [],
        {
            **dict(_assignment(text, "--set") for text in setting or []),
            **({"detection.model": detector} if detector else {}),
            **({"embedding.model": embedder} if embedder else {}),
            **({"detection.trust_model": True} if trust_model else {}),
            **({"runtime.build": False} if no_build else {}),
            **({"output.video": True} if video else {}),
            **({"output.report": True} if report else {}),
            **({"output.save_crops": True} if save_crops else {}),
            **({"privacy.blur_faces": True} if blur_faces else {}),
        },
    )
    detection_files = {name: Path(file) for name, file in _named(detections or [], "--detections").items()}
    _track(settings, output, overwrite, detection_files, cluster)


@app.command()
def demo(
    output: Annotated[
        Path,
        typer.Option("--out", help="Folder for the results. Those of an earlier demo in it are replaced."),
    ] = _DEMO_FOLDER,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the results of any other run in --out as well.")
    ] = False,
) -> None:
    """Follow people through the two-camera clip that comes with the program, with video and report."""
    from reid_tracker.recording import demo_config, holds_demo

    settings = demo_config().with_values({"output.video": True, "output.report": True})
    _track(settings, output, overwrite or output == _DEMO_FOLDER or holds_demo(output), detection_files={})


@app.command()
def evaluate(
    truth: Annotated[Path, typer.Option(help="Ground truth: folder with CAMERA/gt/gt.txt in MOTChallenge form.")],
    tracks: TracksOption,
    ids: IdsOption = "final",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Score a run against ground truth: HOTA, IDF1, MOTA per camera and across cameras."""
    from reid_tracker.evaluation import evaluate as score

    result = score(truth, tracks, ids=_ids(ids))
    out.print_json(json.dumps(result.to_json())) if as_json else out.print(result.to_text(), markup=False)


@app.command()
def export(
    tracks: TracksOption,
    output: Annotated[Path, typer.Option("--out", help="Folder for the exported files.")],
    format_: Annotated[str, typer.Option("--format", help="What to write; an unknown name lists what there is.")],
    ids: IdsOption = "final",
) -> None:
    """Write a run's tracks in another program's format."""
    from reid_tracker.results import export as write_export

    for path in write_export(tracks, output, format_, ids=_ids(ids)):
        out.print(str(path), markup=False)


@models_app.command("list")
def models_list() -> None:
    """The shipped networks, what they are for and on what terms."""
    from reid_tracker.runtime.registry import shipped_models

    table = Table("model", "task", "input", "size", "terms", box=None, pad_edge=False)
    for model in shipped_models():
        table.add_row(model.name, model.task, model.input_text, f"{model.size / 1e6:.1f} MB", model.terms)
    out.print(table)


@models_app.command("verify")
def models_verify() -> None:
    """Check the shipped networks against their recorded checksums."""
    from reid_tracker.runtime.registry import shipped_models

    for model in shipped_models():
        model.verify()
        out.print(f"{model.name}: sha256 {model.sha256[:16]}… as recorded", markup=False)


@app.command()
def settings() -> None:
    """Print every setting with its default, as a site.toml to start from."""
    from reid_tracker.config import settings_as_toml

    out.print(settings_as_toml(), markup=False, end="")


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say more about what happens.")] = False,
) -> None:
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING,
        format="%(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    if version:
        out.print(f"reid-tracker {__version__}")
        raise typer.Exit


def _track(
    settings: Config, output: Path, overwrite: bool, detection_files: dict[str, Path], cluster: str | None = None
) -> None:
    from reid_tracker.recording import track_recording

    if "model" not in settings.embedding.model_fields_set:
        from reid_tracker.runtime.registry import shipped_model

        model = shipped_model(settings.embedding.model)
        err.print(
            f"embedder {model.name}: {model.terms} (--embedder {model.name} accepts; or name your own)", markup=False
        )
    cli_engines.prepare(settings)
    with _stop_on_interrupt() as stop, _progress() as watched:
        follow: Callable[..., RunSummary] = (
            functools.partial(track_recording, drawing=watched("drawing videos", "pictures"))
            if cluster is None
            else cli_cluster.on(cluster)
        )
        summary = follow(
            settings,
            output,
            overwrite=overwrite,
            detection_files=detection_files,
            stop=stop,
            progress=watched("tracking", "camera-frames"),
        )
    out.print(summary.to_text(), markup=False)
    if summary.interrupted:
        raise typer.Exit(INTERRUPTED)
    if summary.failures:
        raise typer.Exit(FAILURE)


def _settings(path: Path | None, cameras: list[str], start_times: list[str], values: dict[str, Any]) -> Config:
    """File, then environment, then the command line's cameras and values."""
    settings = load_config(path)
    entries = {entry.id: entry.model_dump() for entry in settings.cameras}
    for name, source in _named(cameras, "--camera").items():
        entries[name] = {**entries.get(name, {"id": name}), "source": source}
    for name, moment in _named(start_times, "--start-time").items():
        if name not in entries:
            raise ConfigError(f"--start-time: no camera is called {name!r} (cameras: {', '.join(entries) or 'none'})")
        entries[name]["start_time"] = moment
    if not entries:
        raise ConfigError("no camera: give --camera NAME=VIDEO, or a --config with [[cameras]]")
    return settings.with_values({**values, "cameras": list(entries.values())})


def _assignment(text: str, option: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name or not value:
        raise ConfigError(f"{option} {text!r}: expected NAME=VALUE")
    return name, value


def _named(texts: list[str], option: str) -> dict[str, str]:
    """Camera -> what an option says of it."""
    named: dict[str, str] = {}
    for text in texts:
        name, value = _assignment(text, option)
        if name in named:
            raise ConfigError(f"{option}: camera {name!r} is given twice; give each camera once")
        named[name] = value
    return named


def _ids(value: str) -> Ids:
    if value not in ("emitted", "final"):
        raise ConfigError(f"--ids {value!r}: expected emitted or final")
    return cast(Ids, value)


@contextmanager
def _stop_on_interrupt() -> Iterator[Any]:
    """Ctrl-C or a request to terminate asks the run to finish what it has; a second one ends it at once."""
    asked = False
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def ask(*_: object) -> None:
        nonlocal asked
        asked = True
        restore()
        err.print("stopping; results so far are completed (Ctrl-C again to drop them)")

    for number in before:
        signal.signal(number, ask)
    try:
        yield lambda: asked
    finally:
        restore()


_Advance = Callable[[int, int | None], None]


@contextmanager
def _progress() -> Iterator[Callable[[str, str], _Advance]]:
    """What is done, its rate and the time left, where somebody watches: a bar per stage, from its first step on."""
    if not err.is_terminal:
        yield lambda _stage, _unit: lambda _done, _total: None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[unit]}, {task.fields[rate]:.0f}/s"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err, transient=True) as bars:

        def watched(stage: str, unit: str) -> _Advance:
            begun: list[TaskID] = []

            def advance(done: int, total: int | None) -> None:
                if not begun:
                    begun.append(bars.add_task(stage, total=total, unit=unit, rate=0.0))
                elapsed = bars.tasks[begun[0]].elapsed or 0.0
                bars.update(begun[0], completed=done, total=total, rate=done / elapsed if elapsed else 0.0)

            return advance

        yield watched


# Behind the commands above, because help lists them in this order.
cli_association.register(app)
cli_serve.register(app)
cli_training.register(app)
cli_engines.register(app)


def main() -> None:
    """Entry point: errors become one line and an exit code, never a traceback."""
    try:
        app()
    except ConfigError as error:
        err.print(f"error: {error}", markup=False, style="red")
        sys.exit(USAGE)
    except ReidTrackerError as error:
        err.print(f"error: {error}", markup=False, style="red")
        sys.exit(FAILURE)
    except OSError as error:
        err.print(f"error: {error.filename or ''}: {error.strerror or error}", markup=False, style="red")
        sys.exit(FAILURE)


if __name__ == "__main__":
    main()

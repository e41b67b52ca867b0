"""Commands for TensorRT engines: build them, list them, take them in, delete them."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast, get_args

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from reid_tracker.config import Config
from reid_tracker.errors import ConfigError, ModelError

if TYPE_CHECKING:
    from reid_tracker.runtime.cuda import Device
    from reid_tracker.runtime.tensorrt.cache import EngineCache, Entry

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)
_INTERRUPTED = 130

engines_app = typer.Typer(
    no_args_is_help=True, help="TensorRT engines of networks: build them for a GPU, list what is built."
)

CacheOption = Annotated[
    Path | None, typer.Option("--cache", help="Folder of built engines (default: in the user's cache folder).")
]


def register(app: typer.Typer) -> None:
    """Add the commands to the program's."""
    app.add_typer(engines_app, name="engines")


@engines_app.command()
def build(
    name: Annotated[str, typer.Argument(help="Shipped model or .onnx file.")],
    precision: Annotated[str, typer.Option(help="**fp32**, **fp16**, **bf16**, **int8** or **fp8**.")] = "fp16",
    batch: Annotated[str, typer.Option(help="Least, best and most pictures at once.")] = "1,16,64",
    size: Annotated[
        str, typer.Option(help="Least, best and most HEIGHTxWIDTH, for networks that leave the size free.")
    ] = "192x256,480x640,1088x1920",
    flavour: Annotated[
        str | None, typer.Option(help="**tensorrt** or **tensorrt_rtx**; by default the first that is installed.")
    ] = None,
    compute: Annotated[
        str | None,
        typer.Option(
            help="Compute capabilities to build for, e.g. 8.6,8.9 (tensorrt_rtx, which needs no GPU to build)."
        ),
    ] = None,
    workspace: Annotated[
        int | None, typer.Option(metavar="MIB", help="Most scratch memory that layers may use.")
    ] = None,
    pictures: Annotated[
        Path | None,
        typer.Option(help="Folder of real pictures to calibrate and compare on (default: the clip that ships)."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Keep an engine that differs too much from float32.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Build although it is there.")] = False,
    cache: CacheOption = None,
) -> None:
    """Build a network's engine, compare it with float32 on real pictures, and keep it.

    Example: `reid-tracker engines build alignedreid_small --precision fp16 --batch 1,16,64`
    """
    from reid_tracker.compilation import EngineOptions, build_engines
    from reid_tracker.runtime.tensorrt.cache import EngineCache
    from reid_tracker.runtime.tensorrt.flavours import FLAVOURS, FlavourName, Interrupted
    from reid_tracker.runtime.tensorrt.records import Precision

    options = EngineOptions(
        precision=cast(Precision, _one_of("--precision", precision, get_args(Precision))),
        batch=_three("--batch", batch, int),
        sizes_hw=_three("--size", size, _size),
        flavour=cast(FlavourName, _one_of("--flavour", flavour, FLAVOURS)) if flavour else None,
        capabilities=tuple(compute.split(",")) if compute else (),
        workspace=None if workspace is None else workspace << 20,
        pictures=pictures,
        force=force,
        again=again,
    )
    try:
        with build_progress() as watch:
            built = build_engines(name, options, EngineCache(cache), watch)
    except Interrupted:
        err.print("interrupted: nothing was kept")
        raise typer.Exit(_INTERRUPTED) from None
    record = built.record
    did = "already built" if built.already_there else f"built in {record.seconds:.0f} s"
    out.print(f"{record.name}: {did}, {record.engine_bytes / 1e6:.1f} MB, for {record.key.built_for()}", markup=False)
    for subject, figures in (record.parity or {}).items():
        out.print(f"  {subject}: {_parity_text(figures)}", markup=False)
    out.print(f"  {built.folder}", markup=False)


@engines_app.command("list")
def list_(cache: CacheOption = None) -> None:
    """What is built, for what, and which of it would be taken here."""
    from reid_tracker.runtime import cuda
    from reid_tracker.runtime.tensorrt.cache import EngineCache
    from reid_tracker.runtime.tensorrt.opening import versions_here

    kept = EngineCache(cache)
    device = cuda.probe().device
    versions = versions_here()
    here = f"{device.name}, compute capability {device.capability_text}" if device else cuda.probe().reason
    libraries = ", ".join(f"{name} {version}" for name, version in versions.items())
    out.print(f"here: {libraries or 'no TensorRT installed'}; {here}", markup=False)
    table = Table(box=None, pad_edge=False)
    table.add_column("engine", no_wrap=True, overflow="fold")  # `engines remove` wants all of it
    for title in ("built for", "size", "least cosine", "here"):
        table.add_column(title)
    entries = kept.entries()
    standings = _standings(kept, entries, versions, device) if device else {}
    for entry in entries:
        record = entry.record
        if record is None:
            table.add_row(entry.folder.name, "", "", "", entry.problem)
            continue
        table.add_row(
            entry.folder.name,
            record.key.built_for(),
            f"{record.engine_bytes / 1e6:.1f} MB",
            _least_cosine(record.parity) + (" (forced)" if record.forced else ""),
            standings.get(entry.folder.name, "no GPU"),
        )
    if table.row_count:
        out.print(table)
    else:
        out.print(f"no engines in {kept.folder}; reid-tracker engines build NAME makes one", markup=False)


@engines_app.command()
def adopt(
    folder: Annotated[Path, typer.Argument(help="Folder with engine.plan and build.json.")],
    sha256: Annotated[str, typer.Option(help="Checksum of engine.plan, from somebody you trust, by another way.")],
    cache: CacheOption = None,
) -> None:
    """Take in an engine that was built elsewhere. Engines are code: the checksum must not come with the engine."""
    from reid_tracker.runtime.tensorrt.cache import EngineCache

    out.print(str(EngineCache(cache).adopt(folder, sha256)), markup=False)


@engines_app.command()
def remove(
    name: Annotated[str, typer.Argument(help="As `engines list` shows it.")],
    cache: CacheOption = None,
) -> None:
    """Delete a built engine."""
    from reid_tracker.runtime.tensorrt.cache import EngineCache

    EngineCache(cache).remove(name)


def prepare(settings: Config) -> None:
    """Build the engines that a run will need, with a bar; does nothing for other backends."""
    if settings.runtime.backend != "tensorrt" or not settings.runtime.build:
        return
    from reid_tracker.compilation import prepare_engines

    with build_progress() as watch:
        prepare_engines(settings, watch)


@contextmanager
def build_progress() -> Iterator[Callable[[Any], bool]]:
    """A bar over the builder's phases where somebody watches; Ctrl-C stops the build at its next step."""
    asked = False

    def ask(*_: object) -> None:
        nonlocal asked
        asked = True
        signal.signal(signal.SIGINT, before)  # a second one ends the program at once
        err.print("stopping at the builder's next step (Ctrl-C again to end at once)")

    before = signal.signal(signal.SIGINT, ask)
    try:
        if not err.is_terminal:
            yield lambda _progress: not asked
            return
        columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
        with Progress(*columns, console=err, transient=True) as bar:
            rows: dict[str, Any] = {}

            def watch(progress: Any) -> bool:
                phase = progress.path[-1]
                if phase not in rows:
                    rows[phase] = bar.add_task("  " * (len(progress.path) - 1) + phase, total=progress.steps or None)
                done = progress.done >= progress.steps and len(progress.path) > 1
                bar.update(rows[phase], completed=progress.done, visible=not done)
                return not asked

            yield watch
    finally:
        signal.signal(signal.SIGINT, before)


def _standings(cache: EngineCache, entries: list[Entry], versions: Mapping[str, str], device: Device) -> dict[str, str]:
    """Name of the entry -> whether a run would take it here, else why not."""
    from reid_tracker.runtime.tensorrt.choice import Wanted, choose

    standings = {}
    keys = [entry.record.key for entry in entries if entry.record is not None]
    for model_sha256, precision in {(key.model_sha256, key.precision) for key in keys}:
        found = choose(entries, Wanted(model_sha256, precision, versions, device))
        standings.update({name: fault.partition("; here: ")[0] for name, fault in found.passed_over.items()})
        taken = ""
        for entry in found.fitting:
            name = entry.folder.name
            try:
                cache.read(entry)
            except ModelError as error:
                standings[name] = str(error)
                continue
            standings[name] = f"runs, but {taken} is newer" if taken else "taken"
            taken = taken or name
    return standings


def _one_of(option: str, value: str, known: tuple[str, ...]) -> str:
    if value not in known:
        raise ConfigError(f"{option} {value!r}: expected {', '.join(known)}")
    return value


def _three(option: str, text: str, parse: Callable[[str], Any]) -> tuple[Any, Any, Any]:
    parts = text.split(",")
    try:
        least, best, most = (parse(part) for part in (parts * 3 if len(parts) == 1 else parts))
    except ValueError as error:
        raise ConfigError(f"{option} {text!r}: expected least,best,most, or one value for all") from error
    return least, best, most


def _size(text: str) -> tuple[int, int]:
    height, width = text.lower().split("x")
    return int(height), int(width)


def _parity_text(figures: dict[str, Any] | None) -> str:
    if figures is None:
        return "not compared; no GPU was there to run it"
    cosines = ", ".join(f"{name} {output['least_cosine']:.5f}" for name, output in figures["outputs"].items())
    text = f"least cosine with float32 on {figures['pictures']} pictures: {cosines}"
    if figures["same_nearest"] is not None:
        text += f"; nearest person the same for {figures['same_nearest']:.1%}"
    if figures["aligned_change"] is not None:
        text += f"; aligned distance within {figures['aligned_change']:.4f}"
    return text


def _least_cosine(parity: dict[str, Any] | None) -> str:
    figures = (parity or {}).get("engine") or (parity or {}).get("network")
    if not figures:
        return ""
    return f"{min(output['least_cosine'] for output in figures['outputs'].values()):.5f}"

"""The commands of a live site: ``reid-tracker serve``, and ``decoders`` to see what its machine can decode on."""

from __future__ import annotations

import ctypes
import logging
import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from reid_tracker import cli_cluster
from reid_tracker.config import Config, load_config
from reid_tracker.errors import ConfigError

_ARGUMENTS_START = 48  # field of /proc/self/stat, counted from 1: where the command line lies in memory (proc(5))
_AFTER_NAME = 3  # the field that follows the program's name, which may hold spaces


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command()(serve)
    app.command()(decoders)


def serve(
    config: Annotated[Path | None, typer.Option(help="Settings and cameras of a site (TOML, docs/live.md).")] = None,
    camera: Annotated[
        list[str] | None,
        typer.Option(
            "--camera",
            metavar="ID=SOURCE",
            help="A camera: its name and an rtsp:// address (a password as ${NAME}, from the environment), a video "
            "file played as if live, or a webcam number.",
        ),
    ] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.")] = None,
    behind_proxy: Annotated[bool, typer.Option("--behind-proxy", help="A proxy in front ends TLS.")] = False,
    blur_faces: Annotated[
        bool, typer.Option("--blur-faces", help="Blur the top of each tracked person in all pictures, stored or shown.")
    ] = False,
    setting: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Any setting, e.g. store.path=people.db."),
    ] = None,
    cluster: cli_cluster.ClusterOption = None,
) -> None:
    """Track live cameras and serve a page, an interface and a memory of who was where.

    Example: `reid-tracker serve --camera gate='rtsp://viewer:${GATE_PASSWORD}@10.0.0.7/live'`
    """
    settings = _settings(config, camera or [], host, port, behind_proxy, setting or [])
    if blur_faces:
        settings = settings.with_values({"privacy.blur_faces": True})
    hide_arguments([text.partition("=")[2] for text in [*(camera or []), *(setting or [])]])
    try:
        from reid_tracker.service.server import SecretsFilter
        from reid_tracker.service.server import serve as run
    except ImportError as error:
        raise ConfigError(
            f"serving needs the extra 'service': pip install 'reid_tracker[service]' ({error})"
        ) from error
    for handler in logging.getLogger().handlers:
        handler.addFilter(SecretsFilter())

    def listening(address: str) -> None:
        typer.echo(f"listening on {address}")

    if cluster is None:
        run(settings, listening=listening)
    else:
        cli_cluster.serve(settings, cluster, listening)


def decoders() -> None:
    """Try the devices of this machine that could decode video, and say what `live.decode = "auto"` would take.

    Each device that the installed FFmpeg offers decodes a few pictures in a process of its own, and they must be those
    of the CPU. A device that is offered need not be there: the reason is shown.
    """
    from reid_tracker.live.decoding import Decoding, known_devices, try_device

    devices = known_devices()
    reasons = {device: try_device(device) for device in devices}
    if reasons:
        table = Table("device", "trial")
        for device, reason in reasons.items():
            table.add_row(device, reason or "passed")
        Console(highlight=False).print(table)
    typer.echo(Decoding("auto", devices, reasons.__getitem__).describe())


def hide_arguments(values: list[str]) -> None:
    """Overwrite passwords in addresses of the command line where the system shows it (``ps``), on Linux.

    Whoever looked before, or reads the shell's history, has seen them: ``${NAME}`` in the address is better.
    """
    from reid_tracker.live.address import Address  # the cameras' room loads OpenCV

    exposed = [value for value in values if str(Address(value)) != value]
    if not exposed or not sys.platform.startswith("linux"):
        return
    with suppress(OSError, ValueError, IndexError):  # a courtesy: where the system has no such file, nothing shows
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        start, end = (int(fields[_ARGUMENTS_START - _AFTER_NAME + each]) for each in (0, 1))
        place = start
        for argument in ctypes.string_at(start, end - start).split(b"\0"):
            place += len(argument) + 1  # where the next one begins
            value = max((each for each in exposed if argument.endswith(each.encode())), key=len, default="").encode()
            replacement = str(Address(value.decode())).encode()[: len(value)].ljust(len(value), b"*")
            ctypes.memmove(place - 1 - len(value), replacement, len(value))


def _settings(
    path: Path | None, cameras: list[str], host: str | None, port: int | None, behind_proxy: bool, values: list[str]
) -> Config:
    settings = load_config(path)
    known = {entry.id: entry.model_dump() for entry in settings.cameras}
    for text in cameras:
        name, equals, source = text.partition("=")
        if not equals or not name or not source:
            raise ConfigError("--camera: expected NAME=SOURCE")  # what was given may hold a password
        known[name] = {**known.get(name, {"id": name}), "source": source}
    changes: dict[str, object] = {"cameras": list(known.values())}
    for text in values:
        key, equals, value = text.partition("=")
        if not equals:
            raise ConfigError(f"--set {text.partition('://')[0]!r}: expected KEY=VALUE")  # beyond it may be a password
        changes[key] = value
    changes |= {} if host is None else {"service.host": host}
    changes |= {} if port is None else {"service.port": port}
    changes |= {"service.behind_proxy": True} if behind_proxy else {}
    return settings.with_values(changes)

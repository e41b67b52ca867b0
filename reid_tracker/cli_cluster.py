"""The option that makes a command run on more than one machine: ``--cluster``."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reid_tracker.config import Config

if TYPE_CHECKING:
    from reid_tracker.recording import RunSummary

ClusterOption = Annotated[
    str | None,
    typer.Option(
        "--cluster",
        metavar="ADDRESS",
        help="Run on a Ray cluster: **local** (a cluster of its own on this machine), **auto** (the one that this "
        "machine is part of), host:port or ray://host:port. Needs the extra 'cluster'; see docs/cluster.md.",
    ),
]


def on(address: str) -> Callable[..., RunSummary]:
    """``track_recording`` for the cluster at an address."""

    def track(config: Config, out: Path, **options: Any) -> RunSummary:
        from reid_tracker.cluster.archive import track_archive
        from reid_tracker.cluster.engine import RayTasks, connected

        with connected(address, config.cluster) as ray:
            return track_archive(config, out, RayTasks(ray, config.cluster), **options)

    return track


def serve(config: Config, address: str, listening: Callable[[str], None]) -> None:
    """Track live cameras on the cluster at an address until this process is asked to stop."""
    from reid_tracker.cluster.launch import serve_on_cluster

    asked = threading.Event()
    before = {number: signal.signal(number, lambda *_: asked.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        serve_on_cluster(config, address, asked.is_set, listening)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

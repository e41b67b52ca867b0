"""The option that makes a command run on more than one machine: ``--cluster``."""

from __future__ import annotations

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

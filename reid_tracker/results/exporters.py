"""Writing a finished run's tracks in another program's format, chosen by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import cast

from reid_tracker.errors import ConfigError
from reid_tracker.parts import find_part
from reid_tracker.results.ai_city import export_ai_city
from reid_tracker.results.csv_table import export_csv
from reid_tracker.results.files import make_folder
from reid_tracker.results.frigate import export_frigate
from reid_tracker.results.jsonl import IdKind, tracks_file
from reid_tracker.results.metropolis import export_metropolis
from reid_tracker.results.mot import export_mot
from reid_tracker.results.nvmsgconv import export_nvmsgconv, export_nvmsgconv_minimal
from reid_tracker.results.onvif import export_onvif
from reid_tracker.results.parquet import export_parquet

Exporter = Callable[[Path, Path, IdKind], list[Path]]
"""Reads tracks.jsonl (first argument), writes into a folder that exists (second) under one kind of ids (third), and
returns the files it wrote. Registered by other packages in the entry-point group ``reid_tracker.exporters``."""

SHIPPED: Mapping[str, Exporter] = {
    "mot": export_mot,
    "csv": export_csv,
    "aicity": export_ai_city,
    "metropolis": export_metropolis,
    "nvmsgconv": export_nvmsgconv,
    "nvmsgconv-minimal": export_nvmsgconv_minimal,
    "onvif": export_onvif,
    "frigate": export_frigate,
    "parquet": export_parquet,
}


def export(tracks: str | Path, out: str | Path, format: str, ids: str = "final") -> list[Path]:
    """Write the tracks of a run into ``out`` and return the files written.

    Args:
        tracks: folder of a run, or its tracks.jsonl.
        out: folder for the files; created where missing, files of the same name are replaced.
        format: a name in ``SHIPPED`` (``mot``, ``csv``, ``onvif`` ...), or one registered by another package.
        ids: ``final``: as known at the end of the run; ``emitted``: as given at the time.

    Raises:
        ConfigError: no such format or kind of ids, or the format's package is not installed.
        InputError: the tracks cannot be read.
        OutputError: a file cannot be written.
    """
    if ids not in ("emitted", "final"):
        raise ConfigError(f"ids {ids!r}: expected 'emitted' or 'final'")
    exporter = find_exporter(format)
    file = tracks_file(tracks)
    make_folder(Path(out))
    return exporter(file, Path(out), cast(IdKind, ids))


def find_exporter(name: str) -> Exporter:
    """The exporter called ``name``: a shipped one, else one that another package registered.

    Raises:
        ConfigError: there is none.
    """
    if name in SHIPPED:
        return SHIPPED[name]
    registered = {entry.name for entry in entry_points(group="reid_tracker.exporters")}
    if name not in registered:
        known = ", ".join(sorted({*SHIPPED, *registered}))
        raise ConfigError(f"format {name!r}: not known; expected one of {known}")
    return cast(Exporter, find_part("exporters", name))

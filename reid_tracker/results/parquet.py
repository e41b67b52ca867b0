"""tracks.parquet: the rows of tracks.csv, typed and by columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from reid_tracker.errors import ConfigError
from reid_tracker.results.csv_table import COLUMNS, rows_of
from reid_tracker.results.files import writing_bytes
from reid_tracker.results.jsonl import IdKind, read_tracks

_ROWS = 65_536  # a group of rows: what is in memory at once
_TEXT, _WHOLE = {"camera", "state"}, {"frame", "identity", "tracklet"}  # the other columns are float64


def export_parquet(tracks: Path, out: Path, ids: IdKind) -> list[Path]:
    """Write ``tracks.parquet``; columns, units and order as in ``tracks.csv``. Needs the extra ``parquet``.

    Args:
        tracks: tracks.jsonl.
        out: folder that exists.
        ids: which identities.

    Raises:
        ConfigError: pyarrow is not installed.
        InputError, OutputError: tracks cannot be read, the file not written.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise ConfigError(
            f"format 'parquet' needs the extra 'parquet': pip install 'reid_tracker[parquet]' ({error})"
        ) from error
    kinds = {name: pyarrow.string() for name in _TEXT} | {name: pyarrow.int64() for name in _WHOLE}
    schema = pyarrow.schema([(name, kinds.get(name, pyarrow.float64())) for name in COLUMNS])
    path = out / "tracks.parquet"
    rows = (row for tracked in read_tracks(tracks, ids) for row in rows_of(tracked))
    with writing_bytes(path) as file, parquet.ParquetWriter(file, schema) as table:
        for columns in _columns(rows):
            table.write_table(pyarrow.table(columns, schema=schema))
    return [path]


def _columns(rows: Iterable[tuple[Any, ...]]) -> Iterator[dict[str, list[Any]]]:
    """A bounded number of rows at a time, turned on their side."""
    rows = iter(rows)
    while group := list(islice(rows, _ROWS)):
        yield {name: [row[place] for row in group] for place, name in enumerate(COLUMNS)}

"""looks.npy: what each tracklet looked like, as vectors, appended as tracklets end (docs/output-format.md).

The file is a row of numpy blocks (``numpy.save`` one after the other): first a header, then one structured array per
tracklet with a row per look. Half precision on disk: it moves a distance by less than 0.001.
"""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib.format import read_array
from numpy.typing import NDArray

from reid_tracker.errors import InputError
from reid_tracker.results.closing import Closing
from reid_tracker.results.files import AppendFile
from reid_tracker.results.jsonl import plain
from reid_tracker.types import Appearance, FloatArray, TrackedFrame, Tracklet

VERSION = 1
LOOKS_FILE = "looks.npy"
FORMAT = "reid_tracker looks"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TrackletLooks:
    """The looks that one tracklet kept: L of them, chosen for quality and variety.

    Attributes:
        looks: global vectors (L, D), stripes (L, S, d), quality (L,); all valid, unit length.
        times: (L,) float64, UTC seconds.
        boxes: (L, 4) float32, x1 y1 x2 y2 in pixels.
        started, ended: UTC seconds of the tracklet's first and last box.
    """

    tracklet: int
    camera_id: str
    looks: Appearance
    times: NDArray[np.float64]
    boxes: FloatArray
    started: float
    ended: float


class LooksSink(Closing):
    """Appends the looks of each tracklet when it ends.

    Args:
        path: the file; replaced where it exists.
        embedder: what made the vectors (name, sha256), kept in the header: looks of different models do not compare.
    """

    def __init__(self, path: str | Path, embedder: Mapping[str, Any] | None = None) -> None:
        self._file = AppendFile(Path(path))
        header = {"format": FORMAT, "version": VERSION, "embedder": plain(embedder or {})}
        self._file.append(_block(np.array(json.dumps(header))))

    def write(self, tracked: TrackedFrame) -> None:
        """Append the tracklets that ended with this frame; those without a look leave nothing.

        Raises:
            OutputError: they cannot be written.
        """
        for tracklet in tracked.finished:
            if len(tracklet.looks):
                self._file.append(_block(_rows(tracklet)))

    def close(self) -> None:
        """Close the file; may be called twice."""
        self._file.close()


def read_looks(path: str | Path) -> Iterator[TrackletLooks]:
    """The looks of each tracklet that ended, in order of ending, as unit vectors in single precision.

    A last block that was cut off (the run was killed while writing it) is left out, with a warning in the log.

    Args:
        path: looks.npy or the folder that holds it.

    Raises:
        InputError: no such file, not this format, or a newer version of it.
    """
    file = _looks_file(path)
    read_looks_header(file)
    return _tracklets(file)


def read_looks_header(path: str | Path) -> dict[str, Any]:
    """The header of looks.npy: ``format``, ``version``, ``embedder`` (name, sha256 of the model that made them).

    Raises:
        InputError: no such file, not this format, or a newer version of it.
    """
    file = _looks_file(path)
    with file.open("rb") as blocks:
        try:
            header: dict[str, Any] = json.loads(str(read_array(blocks, allow_pickle=False)))
            found = (header["format"], header["version"])
        except (ValueError, EOFError, KeyError, TypeError) as error:
            raise InputError(f"{file}: no file of looks ({error}); expected {LOOKS_FILE} of a run") from error
    if found != (FORMAT, VERSION):
        raise InputError(f"{file}: format {found[0]!r} version {found[1]!r}; this release reads version {VERSION}")
    return header


def _looks_file(path: str | Path) -> Path:
    path = Path(path)
    file = path / LOOKS_FILE if path.is_dir() else path
    if not file.is_file():
        raise InputError(
            f"{file}: no such file; give the output folder of a run (looks are kept unless output.looks is off)"
        )
    return file


def _rows(tracklet: Tracklet) -> NDArray[np.void]:
    """(L,) structured array: one row per look."""
    looks = tracklet.looks
    layout = np.dtype(
        [
            ("tracklet", "<i8"),
            ("camera", f"<U{max(1, len(tracklet.camera_id))}"),
            ("started", "<f8"),
            ("ended", "<f8"),
            ("time", "<f8"),
            ("box", "<f4", (4,)),
            ("quality", "<f2"),
            ("global", "<f2", looks.global_.shape[1:]),
            ("stripes", "<f2", looks.stripes.shape[1:]),
        ]
    )
    rows = np.zeros(len(looks), layout)
    rows["tracklet"] = tracklet.id
    rows["camera"] = tracklet.camera_id
    rows["started"] = tracklet.started
    rows["ended"] = tracklet.updated
    rows["time"] = tracklet.look_times
    rows["box"] = tracklet.look_boxes
    rows["quality"] = looks.quality
    rows["global"] = looks.global_
    rows["stripes"] = looks.stripes
    return rows


def _block(array: NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _tracklets(file: Path) -> Iterator[TrackletLooks]:
    size = file.stat().st_size
    with file.open("rb") as blocks:
        read_array(blocks, allow_pickle=False)  # the header
        while blocks.tell() < size:
            rows = _next_block(blocks, file)
            if rows is None:
                return
            yield TrackletLooks(
                tracklet=int(rows["tracklet"][0]),
                camera_id=str(rows["camera"][0]),
                looks=Appearance(
                    global_=_unit(rows["global"]),
                    stripes=_unit(rows["stripes"]),
                    quality=rows["quality"].astype(np.float32),
                    valid=np.ones(len(rows), np.bool_),
                ),
                times=rows["time"].copy(),
                boxes=rows["box"].copy(),
                started=float(rows["started"][0]),
                ended=float(rows["ended"][0]),
            )


def _next_block(blocks: BinaryIO, file: Path) -> NDArray[Any] | None:
    start = blocks.tell()
    try:
        rows: NDArray[Any] = read_array(blocks, allow_pickle=False)
    except (ValueError, EOFError) as error:
        if blocks.read(1):
            raise InputError(
                f"{file}: damaged after byte {start} ({error}); what lies before it can be read"
            ) from error
        _log.warning("%s: the block at byte %d was cut off (the run was ended while writing); left out", file, start)
        return None
    return rows


def _unit(vectors: NDArray[np.float16]) -> FloatArray:
    """Half-precision unit vectors back to single precision and to unit length."""
    exact = vectors.astype(np.float32)
    lengths = np.linalg.norm(exact, axis=-1, keepdims=True)
    return np.asarray(exact / np.maximum(lengths, 1e-12), np.float32)

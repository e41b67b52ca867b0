"""Recordings cut by camera and time into pieces, and what tracking a piece leaves on disk."""

from __future__ import annotations

import hashlib
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from reid_tracker import __version__
from reid_tracker.cluster.news import FrameNews, LooksNews
from reid_tracker.config import Config
from reid_tracker.detection import detector_name
from reid_tracker.errors import ConfigError, InputError
from reid_tracker.runtime.registry import checksum, find_model
from reid_tracker.sources import Extent, Place, VideoSource
from reid_tracker.types import Appearance

FORMAT = 2
_ENDS = 1 << 16  # bytes at both ends of a video file that tell it from another of the same name and length
_LEAST_SHARE = 0.25  # a last piece shorter than this share of a piece is joined to the one before


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of one camera's recording that one task tracks.

    Attributes:
        camera_id: whose.
        number: place among the camera's pieces, from 0.
        source: as open_source takes it, where ``files`` is empty: then the piece is the whole recording.
        files: the files of the whole recording, in order.
        start_time: UTC seconds of the recording's first frame, None where nobody knows.
        shift: seconds added to times (reid_tracker.sources.shift_of).
        place: of the file to begin reading with.
        begin, end: seconds since the recording's first frame; the tracks up to ``end`` are this piece's own.
        overlap: seconds tracked beyond ``end``, to recognise who is followed by the next piece too.
        frames: how many are its own, as far as known.
        fps: of a folder of pictures.
        detections: MOT file in place of a detector.
    """

    camera_id: str
    number: int
    source: str = ""
    files: tuple[str, ...] = ()
    start_time: float | None = None
    shift: float = 0.0
    place: Place = field(default_factory=Place)
    begin: float = 0.0
    end: float = math.inf
    overlap: float = 0.0
    frames: int = 0
    fps: float | None = None
    detections: str = ""


def cut(
    source: VideoSource,
    extents: Sequence[Extent | None],
    piece_seconds: float,
    overlap_seconds: float,
    shift: float = 0.0,
    detections: str = "",
) -> list[Piece]:
    """The pieces of a recording; those without a frame are left out.

    Args:
        extents: of the source's files, None where one cannot be read.
        piece_seconds, overlap_seconds: length of a piece, and how far it goes on into the next one.
    """
    *places, end = source.places(extents)
    spans = [
        (place, place.seconds, place.seconds + extent.seconds, extent.frames)
        for place, extent in zip(places, extents, strict=True)
        if extent is not None and extent.frames
    ]
    if not spans:
        return []
    count = max(1, math.ceil(end.seconds / piece_seconds - _LEAST_SHARE))
    pieces = []
    for number in range(count):
        begin = number * piece_seconds
        until = math.inf if number == count - 1 else begin + piece_seconds
        inside = [span for span in spans if span[2] >= begin and span[1] < until]
        if inside:
            frames = sum(round(each[3] * _share(each[1], each[2], begin, until)) for each in inside)
            pieces.append(
                Piece(
                    source.camera_id,
                    number,
                    "",
                    tuple(map(str, source.files)),
                    source.start_time,
                    shift,
                    inside[0][0],
                    begin,
                    until,
                    overlap_seconds if until < math.inf else 0.0,
                    frames,
                    None,
                    detections,
                )
            )
    return pieces


def _share(first: float, last: float, begin: float, until: float) -> float:
    """Of a file's pictures, evenly spread from ``first`` to ``last``, those inside a piece."""
    if last <= first:
        return 1.0
    return max(0.0, min(last, until) - max(first, begin)) / (last - first)


def key_of(piece: Piece, config: Config, maker: str = "") -> str:
    """What a finished piece is known by: the same for the same pictures, settings and networks, and no other.

    Args:
        maker: name of what made the pipeline.
    """
    files = piece.files[piece.place.file :] or ((piece.source,) if piece.source else ())
    told = {
        "format": (FORMAT, __version__, maker),
        "piece": asdict(piece) | {"files": [Path(file).name for file in piece.files]},
        "files": [_fingerprint(Path(file)) for file in files],
        "detections": _fingerprint(Path(piece.detections)) if piece.detections else None,
        "settings": config.model_dump(mode="json", include={"detection", "embedding", "tracking"}),
        "runtime": config.runtime.model_dump(mode="json", include={"backend", "precision"}),
        "models": [
            _model(detector_name(config.detection, config.runtime), "detector"),
            _model(config.embedding.model, "embedder"),
        ],
    }
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:32]


def _fingerprint(path: Path) -> Any:
    """Of a file: name, length, time and both ends; of a folder those of what lies in it."""
    try:
        if path.is_dir():
            return [(each.name, each.stat().st_size, each.stat().st_mtime_ns) for each in sorted(path.rglob("*"))]
        state = path.stat()
        with path.open("rb") as file:
            head = file.read(_ENDS)
            file.seek(max(0, state.st_size - _ENDS))
            ends = hashlib.sha256(head + file.read(_ENDS)).hexdigest()
    except OSError as error:
        return f"{path.name}: {error.strerror}"
    return path.name, state.st_size, state.st_mtime_ns, ends


def _model(name: str, part: str) -> str:
    try:
        return checksum(find_model(name, part).path)
    except ConfigError:  # a registered part of another package, or a file whose kind the registry does not know
        return name


@dataclass(frozen=True, slots=True)
class TrackedPiece:
    """What tracking a piece came to.

    Attributes:
        news: of each frame, in order, those of the overlap too.
        frames: how many of them lie before the overlap.
        undecodable: frames that did not decode before the overlap.
        problems: a line for whatever went wrong with the recording.
        models: what run.json says of the networks (reid_tracker.results.facts.models_to_json).
        seconds: it took.
    """

    news: Sequence[FrameNews] = field(repr=False)
    frames: int = 0
    undecodable: int = 0
    problems: tuple[str, ...] = ()
    models: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0


def to_bytes(piece: TrackedPiece) -> bytes:
    """A tracked piece as a file: numpy's .npz, each field of the news as one array."""
    news, looks = piece.news, [each for frame in piece.news for each in frame.looks]
    facts = {
        "format": FORMAT,
        "camera_id": news[0].camera_id if news else "",
        "frames": piece.frames,
        "undecodable": piece.undecodable,
        "problems": piece.problems,
        "models": piece.models,
        "seconds": piece.seconds,
    }
    columns = {
        "facts": np.array(json.dumps(facts)),
        "frame": np.array([(n.index, n.number, n.whole, *n.size, len(n.ids), len(n.looks)) for n in news], np.int64),
        "time": np.array([n.time for n in news], np.float64),
        "view": np.array([(n.grey, n.moved) for n in news], np.bool_).reshape(-1, 2),
        "look": np.array([(e.tracklet, e.version, len(e.times), len(e.fresh)) for e in looks], np.int64),
        **{name: _stacked([getattr(n, name) for n in news]) for name in ("ids", "states", "boxes", "times", "scores")},
        "look_times": _stacked([e.times for e in looks]),
        "look_fresh": _stacked([e.fresh for e in looks]),
        "look_boxes": _stacked([e.boxes for e in looks]),
        **{
            f"look_{name}": _stacked([getattr(e.vectors, name) for e in looks if len(e.fresh)])
            for name in ("global_", "stripes", "quality", "valid")
        },
    }
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, **columns)
    return file.getvalue()


def from_bytes(data: bytes) -> TrackedPiece:
    """The piece that ``to_bytes`` wrote.

    Raises:
        InputError: it is none, or damaged.
    """
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            columns = {name: file[name] for name in file.files}
        facts = json.loads(str(columns.pop("facts")))
        if facts.pop("format") != FORMAT:
            raise InputError("of another release")
        camera_id = facts.pop("camera_id")
        return TrackedPiece(_news(camera_id, columns), **facts | {"problems": tuple(facts["problems"])})
    except (ValueError, KeyError, TypeError, IndexError, EOFError, BadZipFile, OSError) as error:
        raise InputError(f"not a tracked piece ({error})") from error


def _news(camera_id: str, columns: Mapping[str, NDArray[Any]]) -> list[FrameNews]:
    frames = columns["frame"].reshape(-1, 7).tolist()
    looks = _looks(columns)
    rows, taken, news = 0, 0, []
    views = columns["view"].tolist()
    for frame, time, (grey, moved) in zip(frames, columns["time"], views, strict=True):
        index, number, whole, width, height, people, changed = frame
        ids, states, boxes, times, scores = (
            columns[name][rows : rows + people] for name in ("ids", "states", "boxes", "times", "scores")
        )
        told = tuple(looks[taken : taken + changed])
        size = (width, height)
        news.append(
            FrameNews(
                camera_id,
                index,
                float(time),
                size,
                number,
                bool(whole),
                ids,
                states,
                boxes,
                times,
                scores,
                told,
                grey=grey,
                moved=moved,
            )
        )
        rows, taken = rows + people, taken + changed
    return news


def _looks(columns: Mapping[str, NDArray[Any]]) -> list[LooksNews]:
    kept, sent, looks = 0, 0, []
    for tracklet, version, count, fresh in columns["look"].reshape(-1, 4).tolist():
        rows = slice(sent, sent + fresh)
        vectors = Appearance(*(columns[f"look_{name}"][rows] for name in ("global_", "stripes", "quality", "valid")))
        looks.append(
            LooksNews(
                tracklet,
                version,
                columns["look_times"][kept : kept + count],
                columns["look_fresh"][rows],
                vectors,
                columns["look_boxes"][rows],
            )
        )
        kept, sent = kept + count, sent + fresh
    return looks


def _stacked(arrays: Sequence[NDArray[Any]]) -> NDArray[Any]:
    return np.concatenate(arrays) if arrays else np.zeros(0)

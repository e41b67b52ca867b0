"""The task of one piece: its pictures to tracklets, on whichever machine has room."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from reid_tracker.build import build_pipeline, model_facts
from reid_tracker.cluster.news import FrameNews, NewsWriter
from reid_tracker.cluster.pieces import Piece, TrackedPiece, to_bytes
from reid_tracker.config import Config
from reid_tracker.parts import Source
from reid_tracker.pipeline import Pipeline
from reid_tracker.results.facts import models_to_json
from reid_tracker.sources import Problem, Problems, VideoPart, open_source
from reid_tracker.types import Frame

PipelineOf = Callable[[Config, Piece], Pipeline]


def configured_pipeline(config: Config, piece: Piece) -> Pipeline:
    """The configuration's pipeline for the piece's camera, on as many processor cores as the task was promised."""
    threads = config.runtime.threads or max(1, round(config.cluster.cpus))
    alone = config.model_copy(update={"cameras": [], "runtime": config.runtime.model_copy(update={"threads": threads})})
    return build_pipeline(alone, {piece.camera_id: Path(piece.detections)} if piece.detections else None)


def track_piece(config: Config, piece: Piece, pipeline_of: PipelineOf = configured_pipeline) -> bytes:
    """Track a piece.

    Args:
        config: settings; its cameras do not matter.
        pipeline_of: makes the pipeline whose first half is used.

    Returns:
        The tracked piece as a file (`pieces.from_bytes`).

    Raises:
        SourceError: the recording cannot be read.
        ModelError: a network cannot be used.
    """
    began = time.perf_counter()
    with closing(_open(piece)) as source:
        pipeline = pipeline_of(config, piece)
        tracked = _Tracked(source)
        news = list(tracked.follow(pipeline, piece))
    return to_bytes(
        TrackedPiece(
            news,
            tracked.frames,
            tracked.undecodable,
            _lines(source),
            models_to_json(model_facts(config, pipeline)),
            time.perf_counter() - began,
        )
    )


class _Tracked:
    """Counts what belongs to the piece itself, and not to its overlap with the next one."""

    def __init__(self, source: Source) -> None:
        self.frames = 0
        self.undecodable = 0
        self._source = source

    def follow(self, pipeline: Pipeline, piece: Piece) -> Iterator[FrameNews]:
        writer = NewsWriter()
        before: int | None = None
        first = piece.start_time or 0.0
        for frame in self._source:
            before = _undecodable(self._source) if before is None else before
            own = not piece.files or frame.time - first < piece.end
            (tracks,) = pipeline.follow([_shifted(frame, piece.shift)])
            yield writer(tracks)
            if own:
                self.frames += 1
                self.undecodable = _undecodable(self._source) - before
        if not piece.overlap:
            self.undecodable = _undecodable(self._source) - (before or 0)  # those after the last picture too


def _open(piece: Piece) -> Source:
    if not piece.files:
        return open_source(piece.source, piece.camera_id, piece.start_time, piece.fps)
    files = [Path(file) for file in piece.files]
    return VideoPart(files, piece.camera_id, piece.start_time, piece.place, piece.begin, piece.end + piece.overlap)


def _shifted(frame: Frame, seconds: float) -> Frame:
    return replace(frame, time=frame.time + seconds) if seconds else frame


def _undecodable(source: Source) -> int:
    problems = getattr(source, "problems", None)
    return problems.counts[Problem.UNDECODABLE] if isinstance(problems, Problems) else 0


def _lines(source: Source) -> tuple[str, ...]:
    problems = getattr(source, "problems", None)
    return problems.lines() if isinstance(problems, Problems) else ()

"""Recorded archives on a cluster: cut by camera and time, tracked in parallel, stitched, and given identities.

    measure   how many pictures each file holds               a task per file
    track     pieces of some minutes, up to tracklets         a task per piece; finished ones are kept on disk
    stitch    one camera's pieces to one stream of tracks     here
    identify  all cameras in one pass, in order of time       here

What cannot be read is left out and told at the end. A run that was ended goes on where it was: a finished piece is
found again by what went into it, and is not tracked twice.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from reid_tracker.association import CrossCameraAssociator
from reid_tracker.cluster.districts import in_districts, plan
from reid_tracker.cluster.engine import Outcome, Tasks
from reid_tracker.cluster.news import FrameNews
from reid_tracker.cluster.pieces import Piece, TrackedPiece, cut, from_bytes, key_of
from reid_tracker.cluster.replay import associate
from reid_tracker.cluster.stitch import Stitcher
from reid_tracker.cluster.track_piece import PipelineOf, configured_pipeline, track_piece
from reid_tracker.config import CameraConfig, Config
from reid_tracker.errors import ConfigError, InputError, SourceError
from reid_tracker.parts import Associator, Source
from reid_tracker.recording import RunSummary, camera_facts, summary_of
from reid_tracker.results import ModelFacts, RunFacts, RunFolder
from reid_tracker.results.files import make_folder, write_atomically
from reid_tracker.results.lock import FolderLock
from reid_tracker.results.run_folder import claim_folder
from reid_tracker.sources import (
    Extent,
    ImageSource,
    TimeBase,
    VideoSource,
    common_time_base,
    measure,
    open_source,
    shift_of,
)
from reid_tracker.sources.clock import moment_window
from reid_tracker.types import CameraTracks

PIECES_FOLDER = "pieces"
_WAIT_SECONDS = 0.5
# Of a recording's problems what is told for the whole of it: frames, added up, and files, among the failures.
_TOLD_ONCE = ("did not decode", "left out: ")

_log = logging.getLogger(__name__)

Stop = Callable[[], bool]
Key = tuple[str, int]
"""What tasks go by: camera, and number of the file or piece."""
Progress = Callable[[int, int | None], None]


@dataclass(slots=True)
class _Plan:
    """What there is to do.

    Attributes:
        sources: the cameras that can be read.
        pieces: of all of them, with the file that keeps each.
        failures: a line for every file and piece that was left out.
    """

    sources: list[Source]
    time_base: TimeBase
    pieces: list[tuple[Piece, Path]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @property
    def frames(self) -> int:
        """Camera-frames in all, about."""
        return sum(piece.frames for piece, _ in self.pieces)


def track_archive(
    config: Config,
    out: Path,
    tasks: Tasks[Key],
    overwrite: bool = False,
    detection_files: Mapping[str, Path] | None = None,
    stop: Stop = lambda: False,
    progress: Progress = lambda _done, _total: None,
    pipeline_of: PipelineOf = configured_pipeline,
) -> RunSummary:
    """Track the configuration's recordings by tasks and write the results to ``out``.

    Args:
        tasks: where they run; they must see the recordings under the same paths.
        overwrite: replace the results of an earlier run in ``out``; tracked pieces are kept all the same.
        detection_files: camera id -> MOT file whose detections stand in for the detector.
        stop: asked now and then; once true, what is not tracked yet is given up, and the next run goes on from there.
        progress: told (camera-frames done, in all where known).
        pipeline_of: makes a piece's pipeline, for parts of one's own; travels to the tasks.

    Returns:
        The summary; its ``failures`` name what was left out.

    Raises:
        ConfigError: a camera is live, or pictures of people were asked for that do not travel.
        SourceError: no camera can be read.
        ReidTrackerError: as the parts do.
    """
    started = time.monotonic()
    _refuse_pictures(config)
    folder = out / PIECES_FOLDER
    make_folder(folder)
    lock = FolderLock(folder)  # the run's own folder is held while results are written
    try:
        if not overwrite:
            claim_folder(out, overwrite=False)  # refused before hours of work, not after
        plan = _plan(config, folder, tasks, detection_files or {}, stop, pipeline_of)
        _track(config, plan, tasks, stop, progress, pipeline_of)
        if stop():
            return _interrupted(plan, out, time.monotonic() - started)
        return _identify(config, plan, out, overwrite, started)
    finally:
        lock.release()


def _refuse_pictures(config: Config) -> None:
    for name, wanted in (("report", config.output.report), ("save_crops", config.output.save_crops)):
        if wanted:
            raise ConfigError(
                f"output.{name}: pictures stay where they are read, so a cluster cannot write it; "
                "leave it out (annotated video works), or run without --cluster"
            )


# measure


def _plan(
    config: Config, folder: Path, tasks: Tasks[Key], detections: Mapping[str, Path], stop: Stop, pipeline_of: PipelineOf
) -> _Plan:
    sources, failures = _open(config.cameras)
    plan = _Plan(sources, common_time_base(sources), failures=failures)
    extents = _extents(sources, tasks, plan, stop)
    known = {camera.id: camera for camera in config.cameras}
    maker = f"{pipeline_of.__module__}.{pipeline_of.__qualname__}"
    for source in sources:
        shift = shift_of(source) if plan.time_base == "relative" else 0.0
        told = str(detections.get(source.camera_id, ""))
        if isinstance(source, VideoSource):
            cluster = config.cluster
            pieces = cut(source, extents[source.camera_id], cluster.piece_seconds, cluster.overlap_seconds, shift, told)
        else:
            pieces = [_whole(source, known[source.camera_id], shift, told)]
        plan.pieces += [(piece, folder / f"{key_of(piece, config, maker)}.npz") for piece in pieces]
    return plan


def _open(cameras: Sequence[CameraConfig]) -> tuple[list[Source], list[str]]:
    """The cameras that can be read, and why the others cannot."""
    sources: list[Source] = []
    failures = []
    for camera in cameras:
        try:
            source = open_source(camera.source, camera.id, camera.start_time, camera.fps)
        except SourceError as error:
            failures.append(f"camera {camera.id!r} left out: {error}")
            continue
        source.close()
        if getattr(source, "live", False):
            raise ConfigError(f"camera {camera.id!r} is live; a cluster tracks recordings here: use reid-tracker serve")
        sources.append(source)
    if not sources:
        raise SourceError("; ".join(failures))
    return sources, failures


def _extents(sources: Sequence[Source], tasks: Tasks[Key], plan: _Plan, stop: Stop) -> dict[str, list[Extent | None]]:
    """What each file of each camera holds; those that cannot be read are noted."""
    extents: dict[str, list[Extent | None]] = {}
    for source in sources:
        if isinstance(source, VideoSource):
            extents[source.camera_id] = [None] * len(source.files)
            for number, file in enumerate(source.files):
                tasks.submit((source.camera_id, number), measure, file)
    for outcome in _until_all_ended(tasks, stop):
        camera_id, number = outcome.key
        if outcome.error:
            plan.failures.append(f"camera {camera_id!r}: file left out: {outcome.error}")
        else:
            extents[camera_id][number] = outcome.value
    return extents


def _whole(source: Source, camera: CameraConfig, shift: float, detections: str) -> Piece:
    """A recording that cannot be cut: a folder of pictures, or one that another package reads."""
    return Piece(
        camera.id,
        0,
        camera.source,
        start_time=camera.start_time.timestamp() if camera.start_time else None,
        shift=shift,
        frames=getattr(source, "frame_count", None) or 0,
        fps=camera.fps,
        detections=detections,
    )


# track


def _track(
    config: Config, plan: _Plan, tasks: Tasks[Key], stop: Stop, progress: Progress, pipeline_of: PipelineOf
) -> None:
    """Have the pieces tracked that are not there yet, and keep them."""
    done = 0
    missing: dict[Key, tuple[Piece, Path]] = {}
    for piece, file in plan.pieces:
        if _kept(file) is not None:
            done += piece.frames
        else:
            missing[piece.camera_id, piece.number] = piece, file
            tasks.submit((piece.camera_id, piece.number), track_piece, config, piece, pipeline_of)
    if len(missing) < len(plan.pieces):
        _log.info("%d of %d pieces were tracked before", len(plan.pieces) - len(missing), len(plan.pieces))
    progress(done, plan.frames)
    for outcome in _until_all_ended(tasks, stop):
        piece, file = missing[outcome.key]
        if outcome.error:
            plan.failures.append(f"{_named(piece)} left out: {outcome.error}")
        else:
            write_atomically(file, [outcome.value])
        done += piece.frames
        progress(done, plan.frames)


def _kept(file: Path) -> TrackedPiece | None:
    """A piece that was tracked before; None where there is none, or it is damaged."""
    try:
        return from_bytes(file.read_bytes())
    except FileNotFoundError:
        return None
    except InputError as error:
        _log.warning("%s: %s; it is tracked again", file, error)
        return None


def _until_all_ended(tasks: Tasks[Key], stop: Stop) -> Iterator[Outcome[Key]]:
    while not stop():
        ended = tasks.ended(_WAIT_SECONDS)
        if not ended and not tasks.running:
            return
        yield from ended
    tasks.cancel()


def _named(piece: Piece) -> str:
    if not piece.files:
        return f"camera {piece.camera_id!r}: {piece.source}"
    first, last = Path(piece.files[piece.place.file]).name, Path(piece.files[-1]).name
    until = "its end" if piece.end == float("inf") else f"{piece.end:.0f} s"
    return f"camera {piece.camera_id!r}, {piece.begin:.0f} s to {until} (from {first}{'' if first == last else ' on'})"


# stitch and identify


def _identify(config: Config, plan: _Plan, out: Path, overwrite: bool, started: float) -> RunSummary:
    cameras = {source.camera_id: _Camera(source.camera_id, plan, config) for source in plan.sources}
    facts = RunFacts(
        plan.time_base,
        tuple(camera_facts(source, camera) for source, camera in _pairs(plan.sources, config.cameras)),
        _models(plan),
    )
    recordings = [source for source in plan.sources if isinstance(source, VideoSource | ImageSource)]
    frames = 0
    with RunFolder(out, config, facts, overwrite, recordings) as folder:
        told = associate(
            _associator(config, list(cameras)),
            {name: camera.tracks for name, camera in cameras.items()},
            {name: camera.stitcher for name, camera in cameras.items()},
            moment_window(plan.sources),
        )
        for tracked in told:
            folder.write(tracked)
            frames += 1
        for name, camera in cameras.items():
            folder.note_undecodable(name, camera.undecodable)
    problems = tuple(dict.fromkeys(line for camera in cameras.values() for line in camera.problems))
    return summary_of(
        folder, len(plan.sources), frames, time.monotonic() - started, problems, failures=tuple(plan.failures)
    )


def _associator(config: Config, cameras: Sequence[str]) -> Associator:
    """One associator, or several where the cameras are too many for one: what it takes grows faster than they do."""
    if len(cameras) <= config.cluster.associator_cameras:
        return CrossCameraAssociator(config.association, config.cameras)
    return in_districts(config, plan(config))


class _Camera:
    """The tracks of a camera, read piece by piece as they are asked for."""

    def __init__(self, camera_id: str, plan: _Plan, config: Config) -> None:
        self.undecodable = 0
        self.problems: list[str] = []
        self.stitcher = Stitcher(config.tracking)
        self._pieces = [(piece, file) for piece, file in plan.pieces if piece.camera_id == camera_id]
        self.tracks: Iterator[CameraTracks] = self.stitcher(self._read())

    def _read(self) -> Iterator[tuple[Piece, Sequence[FrameNews]]]:
        for piece, file in self._pieces:
            tracked = _kept(file)
            if tracked is None:
                continue  # told among the failures
            self.undecodable += tracked.undecodable
            self.problems += [line for line in tracked.problems if not any(part in line for part in _TOLD_ONCE)]
            yield piece, tracked.news
        if self.undecodable:
            camera_id = self._pieces[0][0].camera_id
            self.problems.append(f"camera {camera_id!r}: {self.undecodable} frame(s) did not decode and were left out")


def _pairs(sources: Sequence[Source], cameras: Sequence[CameraConfig]) -> list[tuple[Source, CameraConfig]]:
    known = {camera.id: camera for camera in cameras}
    return [(source, known[source.camera_id]) for source in sources]


def _models(plan: _Plan) -> dict[str, ModelFacts]:
    """What the first piece says of the networks."""
    for _, file in plan.pieces:
        tracked = _kept(file)
        if tracked is not None:
            return {part: ModelFacts(**facts) for part, facts in tracked.models.items()}
    return {}


def _interrupted(plan: _Plan, out: Path, seconds: float) -> RunSummary:
    kept = sum(file.is_file() for _, file in plan.pieces)
    return RunSummary(
        out, len(plan.sources), 0, 0, 0, seconds, plan.time_base,
        (f"{kept} of {len(plan.pieces)} pieces are tracked and kept; the same command goes on from there",),
        True, (), tuple(plan.failures),
    )  # fmt: skip

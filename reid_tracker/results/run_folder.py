"""The folder that a run writes: which files, when, and what becomes of them when something goes wrong."""

from __future__ import annotations

import json
import logging
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from reid_tracker import __version__
from reid_tracker.config import Config
from reid_tracker.errors import ConfigError, ReidTrackerError
from reid_tracker.parts import Sink, Source, find_part
from reid_tracker.results.blurring import without_faces
from reid_tracker.results.crops import CROPS_FOLDER, CROPS_TABLE, CropsSink
from reid_tracker.results.encoders import choose_codec
from reid_tracker.results.facts import (
    RUN_FILE,
    VERSION,
    CameraFacts,
    RunFacts,
    RunStatus,
    hide_credentials,
    models_to_json,
)
from reid_tracker.results.files import make_folder, output_error, part_name, try_all, write_atomically
from reid_tracker.results.identities import IDENTITIES_FILE, IdentitySummary
from reid_tracker.results.jsonl import REVISIONS_FILE, TRACKS_FILE, JsonLinesSink
from reid_tracker.results.lock import FolderLock
from reid_tracker.results.looks import LOOKS_FILE, LooksSink
from reid_tracker.results.mot import write_mot_of_run
from reid_tracker.results.redraw import draw_recordings
from reid_tracker.results.report import REPORT_FILE, ReportSink
from reid_tracker.results.video import VideoSink
from reid_tracker.types import TrackedFrame

MOT_FOLDER, VIDEO_FOLDER = "mot", "video"
CORRECTIONS_FILE = "corrections.jsonl"

# Room for the last run.json: a run whose disk filled up must still be able to say so. There while a run goes on.
RESERVE_FILE, RESERVE_BYTES = ".reserve", 1 << 16

# What a run may have left: these files, and in these folders the files of these forms. Nothing else is ever removed.
OWN_FILES = (
    RUN_FILE,
    TRACKS_FILE,
    IDENTITIES_FILE,
    LOOKS_FILE,
    REPORT_FILE,
    # what was decided afterwards about its tracklets, whose numbers mean others in the next run
    CORRECTIONS_FILE,
    REVISIONS_FILE,
)
OWN_FOLDERS = {
    f"{MOT_FOLDER}/emitted": re.compile(r".+\.txt"),
    f"{MOT_FOLDER}/final": re.compile(r".+\.txt"),
    VIDEO_FOLDER: re.compile(r".+\.(mp4|webm)"),
    CROPS_FOLDER: re.compile(r"\d{4,}_c\d+s1_\d{6,}_\d{2,}\.jpg|" + re.escape(CROPS_TABLE)),
}

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _CameraCount:
    """What the frames of one camera added up to."""

    facts: CameraFacts
    frames: int = 0
    boxes: int = 0
    undecodable: int = 0
    size: tuple[int, int] = (0, 0)
    first: float | None = None
    last: float | None = None

    def add(self, tracked: TrackedFrame) -> None:
        if self.first is None:
            self.first = tracked.time
        self.size = tracked.size
        self.last = tracked.time
        self.frames += 1
        self.boxes += len(tracked.people)

    def to_json(self) -> dict[str, Any]:
        fps = self.facts.fps
        if fps is None and self.first is not None and self.last is not None and self.last > self.first:
            fps = (self.frames - 1) / (self.last - self.first)
        start = self.facts.start if self.facts.start is not None else self.first
        return {
            "id": self.facts.id,
            "source": self.facts.source,
            "size": list(self.facts.size or self.size),
            "fps": None if fps is None else round(fps, 4),
            "start": None if start is None else round(start, 6),
            "frames": self.frames,
            "boxes": self.boxes,
            "undecodable_frames": self.undecodable,
        }


@dataclass(slots=True)
class _Progress:
    """What a run added up to so far."""

    cameras: dict[str, _CameraCount]
    events: Counter[str] = field(default_factory=Counter)
    started: datetime = field(default_factory=lambda: datetime.now(UTC))

    def add(self, tracked: TrackedFrame) -> None:
        camera = self.cameras.get(tracked.camera_id)
        if camera is None:
            camera = self.cameras[tracked.camera_id] = _CameraCount(CameraFacts(tracked.camera_id))
        camera.add(tracked)
        self.events.update(str(event.type) for event in tracked.events)


class RunFolder:
    """The sink that owns an output folder: writes everything that a configuration asks for. Not thread-safe.

    ``tracks.jsonl`` and ``looks.npy`` grow as frames come and are readable at any moment; ``run.json`` says
    ``running`` until ``close`` completes ``identities.json``, ``mot/`` and whatever else was asked for.

    Args:
        out: the folder; created where missing.
        config: the effective configuration; its ``output`` table says what is written.
        facts: what is known of the run beforehand.
        overwrite: replace the results of an earlier run in ``out``.
        recordings: cameras that can be read again; their videos are drawn when the run has ended, with the ids as known
            then. Those of other cameras are drawn during the run, with the ids as given at the time.

    Raises:
        ConfigError: another run is writing to the folder, or it holds results and ``overwrite`` is off.
        OutputError: the folder cannot be created or written.
    """

    def __init__(
        self,
        out: str | Path,
        config: Config,
        facts: RunFacts | None = None,
        overwrite: bool = False,
        recordings: Sequence[Source] = (),
    ) -> None:
        self.path = Path(out)
        self.config = config
        self._recordings = {source.camera_id: source for source in recordings}
        self.facts = facts or RunFacts()
        self._progress = _Progress({camera.id: _CameraCount(camera) for camera in self.facts.cameras})
        self._summary = IdentitySummary()
        self._interrupted = False
        self._failure: str | None = None
        self._closed = False

        make_folder(self.path)
        self._lock = FolderLock(self.path)
        self._sinks: list[Sink] = []
        try:
            claim_folder(self.path, overwrite)
            _write_reserve(self.path / RESERVE_FILE)
            self._write_run("running")
            self._open_sinks()
        except BaseException:
            self._close_sinks()
            self._lock.release()
            raise

    @property
    def people(self) -> int:
        """Different people so far, over all cameras, under the ids as known now."""
        return len(self._summary.people())

    @property
    def summary(self) -> IdentitySummary:
        """Who was seen so far."""
        return self._summary

    def write(self, tracked: TrackedFrame) -> None:
        """Take one frame of one camera.

        Raises:
            InputError: a box, score or time that is not finite.
            OutputError: it cannot be written; what was written before stays readable.
        """
        if self.config.privacy.blur_faces:
            tracked = without_faces(tracked)
        for sink in self._sinks:
            sink.write(tracked)
        self._summary.add(tracked)
        self._progress.add(tracked)

    def note_undecodable(self, camera_id: str, frames: int) -> None:
        """Record how many frames of a camera could not be decoded, for run.json."""
        camera = self._progress.cameras.setdefault(camera_id, _CameraCount(CameraFacts(camera_id)))
        camera.undecodable = frames

    def mark_interrupted(self) -> None:
        """Record that the run was ended before its sources were; closing then completes what there is."""
        self._interrupted = True

    def close(self) -> None:
        """Complete every file; may be called twice.

        All files are tried even where one fails.

        Raises:
            OutputError: something could not be written (the first failure; the others are in the log).
        """
        if self._closed:
            return
        self._closed = True
        try:
            try_all(
                [
                    self._close_sinks,
                    self._write_identities,
                    self._write_mot,
                    self._draw_recordings,
                ]
            )
        except ReidTrackerError as error:
            self._failure = self._failure or str(error)
            raise
        finally:
            (self.path / RESERVE_FILE).unlink(missing_ok=True)
            try:
                self._write_run(self._status())
            finally:
                self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
            return
        if isinstance(error, KeyboardInterrupt):
            self.mark_interrupted()
        else:
            self._failure = f"{type(error).__name__}: {error}"
        try:
            self.close()
        except ReidTrackerError as failure:  # the first error is the one to hear of
            _log.error("%s", failure)

    def _open_sinks(self) -> None:
        output = self.config.output
        self._sinks.append(JsonLinesSink(self.path / TRACKS_FILE))
        if output.looks:
            self._sinks.append(LooksSink(self.path / LOOKS_FILE, self._embedder()))
        cameras = tuple(camera.id for camera in self.facts.cameras)
        if output.save_crops:
            self._sinks.append(CropsSink(self.path / CROPS_FOLDER, output.crops_per_tracklet, cameras))
        if output.video:
            codec = choose_codec(output.video_codec)  # also asked where it is only needed at the end: told at once
            self._sinks.append(VideoSink(self.path / VIDEO_FOLDER, codec, self._rates(), without=self._recordings))
        if output.report:
            self._sinks.append(ReportSink(self.path / REPORT_FILE, self._summary, self._run_value))
        for name in output.sinks:
            self._sinks.append(find_part("sinks", name)(self.path, self.config, self.facts))

    def _embedder(self) -> Mapping[str, Any]:
        embedder = self.facts.models.get("embedder")
        return {"name": embedder.name, "sha256": embedder.sha256} if embedder else {}

    def _close_sinks(self) -> None:
        try_all(sink.close for sink in self._sinks)

    def _write_identities(self) -> None:
        _write_json(self.path / IDENTITIES_FILE, self._summary.to_json())

    def _write_mot(self) -> None:
        emitted, final = (self.path / MOT_FOLDER / ids for ids in ("emitted", "final"))
        make_folder(emitted)
        make_folder(final)
        identity_of = {record.tracklet: self._summary.identity_of(record) for record in self._summary.records.values()}
        write_mot_of_run(self.path / TRACKS_FILE, emitted, final, identity_of)

    def _draw_recordings(self) -> None:
        if self.config.output.video and self._recordings:
            codec = choose_codec(self.config.output.video_codec)
            recordings = list(self._recordings.values())
            draw_recordings(
                self.path / TRACKS_FILE,
                self.path / VIDEO_FOLDER,
                codec,
                self._rates(),
                recordings,
                blur_faces=self.config.privacy.blur_faces,
            )

    def _rates(self) -> dict[str, float | None]:
        return {camera.id: camera.fps for camera in self.facts.cameras}

    def _status(self) -> RunStatus:
        if self._failure:
            return "failed"
        return "interrupted" if self._interrupted else "finished"

    def _write_run(self, status: RunStatus) -> None:
        _write_json(self.path / RUN_FILE, self._run_value(status))

    def _run_value(self, status: RunStatus | None = None) -> dict[str, Any]:
        """The value of run.json, by default as it will be when the run has ended."""
        status = status or self._status()
        progress = self._progress
        cameras = list(progress.cameras.values())
        value = {
            "version": VERSION,
            "package_version": __version__,
            "status": status,
            "error": self._failure,
            "time_base": self.facts.time_base,
            "started_at": progress.started.isoformat(timespec="seconds"),
            "ended_at": None if status == "running" else datetime.now(UTC).isoformat(timespec="seconds"),
            "cameras": [camera.to_json() for camera in cameras],
            "counts": {
                "frames": sum(camera.frames for camera in cameras),
                "boxes": sum(camera.boxes for camera in cameras),
                "undecodable_frames": sum(camera.undecodable for camera in cameras),
                "tracklets": len(self._summary.records),
                "people": self.people,
                "events": dict(sorted(progress.events.items())),
            },
            "models": models_to_json(self.facts.models),
            "config": self.config.model_dump(mode="json"),
        }
        hidden: dict[str, Any] = hide_credentials(value)
        return hidden


def claim_folder(path: Path, overwrite: bool) -> None:
    """Make sure that ``path`` holds no results, removing those of an earlier run where ``overwrite`` says so.

    Only files that a run writes are removed; a folder of the user's own stays as it is.

    Raises:
        ConfigError: there are results and ``overwrite`` is off.
        OutputError: they cannot be removed.
    """
    own = own_files(path)
    if own and not overwrite:
        raise ConfigError(
            f"{path}: holds the results of another run ({own[0].relative_to(path)}); "
            "give --overwrite to replace them, or another --out"
        )
    for file in own:
        try:
            file.unlink()
        except OSError as error:
            raise output_error(file, error) from error


def own_files(path: Path) -> list[Path]:
    """The files in ``path`` that a run wrote."""
    names = [*OWN_FILES, RESERVE_FILE, *(part_name(name) for name in OWN_FILES)]  # parts: left by a run that was killed
    found = [path / name for name in names if (path / name).is_file()]
    for folder, form in OWN_FOLDERS.items():
        if (path / folder).is_dir():
            found += sorted(file for file in (path / folder).iterdir() if file.is_file() and form.fullmatch(file.name))
    return found


def _write_reserve(path: Path) -> None:
    try:
        path.write_bytes(b" " * RESERVE_BYTES)
    except OSError as error:
        raise output_error(path, error) from error


def _write_json(path: Path, value: Any) -> None:
    write_atomically(path, [json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False), "\n"])

"""The folder that a run writes: which files, when, and what becomes of them when something goes wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from reid_tracker import __version__
from reid_tracker.config import Config
from reid_tracker.errors import ConfigError, InputError, ReidTrackerError
from reid_tracker.parts import Sink, Source, find_part
from reid_tracker.results.blurring import without_faces
from reid_tracker.results.counts import CameraCount, RunCounts
from reid_tracker.results.crops import CROPS_FOLDER, CROPS_TABLE, CropsSink
from reid_tracker.results.encoders import SUFFIX, Codec, choose_codec
from reid_tracker.results.facts import (
    RUN_FILE,
    VERSION,
    CameraFacts,
    RunFacts,
    RunStatus,
    hide_credentials,
    models_to_json,
    read_run,
)
from reid_tracker.results.files import (
    file_name,
    log_further,
    make_folder,
    output_error,
    part_name,
    try_all,
    write_atomically,
)
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

# What a run may have left: these files, and beside a run.json files named after its cameras and those of crops. Nothing
# else is ever removed: recordings of the user's own may lie in folders of the same names.
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
_CROP = re.compile(r"\d{4,}_c\d+s1_\d{6,}_\d{2,}\.jpg|" + re.escape(CROPS_TABLE))


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
        inputs: further files that the run reads.
        stop: asked while videos are drawn at the end; once true no more are, and the run counts as interrupted.
        drawing: told (pictures drawn, in all) after each of them.

    Raises:
        ConfigError: another run is writing to the folder, it holds results and ``overwrite`` is off, something that the
            run reads lies where it would write, or a codec or sink is not to be had. What was there stays as it was.
        OutputError: the folder cannot be created or written.
    """

    def __init__(
        self,
        out: str | Path,
        config: Config,
        facts: RunFacts | None = None,
        overwrite: bool = False,
        recordings: Sequence[Source] = (),
        inputs: Sequence[Path] = (),
        stop: Callable[[], bool] = lambda: False,
        drawing: Callable[[int, int | None], None] = lambda _done, _total: None,
    ) -> None:
        self.path = Path(out)
        self.config = config
        self._recordings = {source.camera_id: source for source in recordings}
        self.facts = facts or RunFacts()
        self._progress = RunCounts({camera.id: CameraCount(camera) for camera in self.facts.cameras})
        self._summary = IdentitySummary(camera.id for camera in self.facts.cameras)
        self._stop, self._drawing = stop, drawing
        self._interrupted = False
        self._failure: str | None = None
        self._closed = False

        # before anything of an earlier run is removed
        self._codec: Codec | None = choose_codec(config.output.video_codec) if config.output.video else None
        self._further_sinks = [find_part("sinks", name) for name in config.output.sinks]
        make_folder(self.path)
        self._lock = FolderLock(self.path)
        self._sinks: list[Sink] = []
        try:
            self._spare([*inputs, *(file for source in recordings for file in getattr(source, "files", ()))])
            claim_folder(self.path, overwrite)
            self._begin()
        except BaseException:
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
        camera = self._progress.cameras.setdefault(camera_id, CameraCount(CameraFacts(camera_id)))
        camera.undecodable = frames

    @property
    def interrupted(self) -> bool:
        """Whether the run was ended on request."""
        return self._interrupted

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
        except KeyboardInterrupt:
            self._interrupted = True
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
            log_further(error, failure)

    def _spare(self, inputs: Sequence[Path]) -> None:
        """Refuse to write or to remove what the run reads."""
        written = _files_of_cameras(self.path, [camera.id for camera in self.facts.cameras], self._codec is not None)
        touched = {file.resolve() for file in (*own_files(self.path), *written)}
        for file in inputs if touched else ():
            if file.resolve() in touched:
                raise ConfigError(
                    f"{file}: the run reads this file and would replace it with results; give another --out"
                )

    def _begin(self) -> None:
        """Write what is there from the start; nothing is left where that fails, so that the next try finds it free."""
        try:
            _write_reserve(self.path / RESERVE_FILE)
            self._write_run("running")
            self._open_sinks()
        except BaseException:
            with suppress(ReidTrackerError):  # the first error is the one to hear of
                self._close_sinks()
            for file in own_files(self.path):
                with suppress(OSError):
                    file.unlink()
            raise

    def _open_sinks(self) -> None:
        output = self.config.output
        self._sinks.append(JsonLinesSink(self.path / TRACKS_FILE))
        if output.looks:
            self._sinks.append(LooksSink(self.path / LOOKS_FILE, self._embedder()))
        cameras = tuple(camera.id for camera in self.facts.cameras)
        if output.save_crops:
            self._sinks.append(CropsSink(self.path / CROPS_FOLDER, output.crops_per_tracklet, cameras))
        if self._codec:
            self._sinks.append(
                VideoSink(self.path / VIDEO_FOLDER, self._codec, self._rates(), without=self._recordings)
            )
        if output.report:
            self._sinks.append(ReportSink(self.path / REPORT_FILE, self._summary, self._run_value))
        for sink in self._further_sinks:
            self._sinks.append(sink(self.path, self.config, self.facts))

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
        if self._codec and self._recordings:
            recordings = list(self._recordings.values())
            total = sum(
                self._progress.cameras[camera].frames for camera in self._recordings if camera in self._progress.cameras
            )
            drawn = draw_recordings(
                self.path / TRACKS_FILE,
                self.path / VIDEO_FOLDER,
                self._codec,
                self._rates(),
                recordings,
                self.config.privacy.blur_faces,
                self._stop,
                lambda done: self._drawing(done, total),
            )
            self._interrupted = self._interrupted or not drawn

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
    try:
        run = read_run(path)
        cameras, output = [camera["id"] for camera in run["cameras"]], run["config"]["output"]
    except (InputError, OSError, KeyError, TypeError):  # whose the rest is cannot be told
        return found
    found += _files_of_cameras(path, cameras, output["video"])
    if output["save_crops"] and (path / CROPS_FOLDER).is_dir():
        found += sorted(file for file in (path / CROPS_FOLDER).iterdir() if _CROP.fullmatch(file.name))
    return found


def _files_of_cameras(path: Path, cameras: Sequence[str], video: bool) -> list[Path]:
    """The files in ``path`` that are named as those that a run of these cameras writes, one per camera."""
    kinds = [(f"{MOT_FOLDER}/emitted", ".txt"), (f"{MOT_FOLDER}/final", ".txt")]
    if video:
        kinds += [(VIDEO_FOLDER, suffix) for suffix in dict.fromkeys(SUFFIX.values())]
    files = (path / folder / f"{file_name(camera)}{suffix}" for folder, suffix in kinds for camera in cameras)
    return [file for file in files if file.is_file()]


def _write_reserve(path: Path) -> None:
    try:
        path.write_bytes(b" " * RESERVE_BYTES)
    except OSError as error:
        raise output_error(path, error) from error


def _write_json(path: Path, value: Any) -> None:
    write_atomically(path, [json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False), "\n"])

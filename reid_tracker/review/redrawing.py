"""Report and videos of a finished run drawn anew, with the ids as known now."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path

from reid_tracker.config import CameraConfig, OutputConfig, PrivacyConfig
from reid_tracker.errors import InputError
from reid_tracker.parts import Sink, Source
from reid_tracker.results.encoders import SUFFIX, choose_codec
from reid_tracker.results.files import make_folder, output_error
from reid_tracker.results.finished import FinishedRun
from reid_tracker.results.jsonl import TRACKS_FILE
from reid_tracker.results.redraw import NOTE, fitting_rates, pictured
from reid_tracker.results.report import REPORT_FILE, ReportSink
from reid_tracker.results.run_folder import VIDEO_FOLDER
from reid_tracker.results.video import VideoSink
from reid_tracker.review.revising import held_run
from reid_tracker.sources import ImageSource, VideoSource, open_source


def redraw(tracks: str | Path, cameras: Mapping[str, str] | None = None) -> tuple[Path, ...]:
    """Read the recordings of a run again and draw its report and videos anew; those that it never had are not begun.

    What was there is replaced at the end, when all of it has been drawn.

    Args:
        tracks: the folder of a run, or a file in it.
        cameras: camera id -> where its recording lies now, for those that have moved.

    Returns:
        What was written.

    Raises:
        InputError: a recording is not there any more, or a camera is none of the run's.
        ConfigError, OutputError: the folder is in use or cannot be written.
    """
    with held_run(tracks) as run, ExitStack() as open_things:
        report, videos = run.folder / REPORT_FILE, run.folder / VIDEO_FOLDER
        had_videos = (
            videos.exists() and run.run["config"]["output"]["video"]
        )  # else the user's own recordings lie there
        if not (report.exists() or had_videos):
            return ()
        sources = [open_things.enter_context(closing(source)) for source in _recordings(run, cameras or {})]
        drawn = Path(open_things.enter_context(tempfile.TemporaryDirectory(dir=run.folder)))
        sinks: list[ReportSink | VideoSink] = []
        if report.exists():
            sinks.append(ReportSink(report, run.summary, lambda: run.run))
        if had_videos:
            sinks.append(_video(run, drawn))
        _draw(run, sources, sinks)
        return (*([report] if report.exists() else []), *_moved(drawn, videos))


def _recordings(run: FinishedRun, moved: Mapping[str, str]) -> list[Source]:
    configured = [CameraConfig.model_validate(camera) for camera in run.run["config"]["cameras"]]
    names = [camera.id for camera in configured]
    for name in moved:
        if name not in names:
            raise InputError(f"{run.folder}: no camera of the run is called {name!r} (cameras: {', '.join(names)})")
    return [_recording(camera, moved.get(camera.id, camera.source)) for camera in configured]


def _recording(camera: CameraConfig, place: str) -> Source:
    source = open_source(place, camera.id, camera.start_time, camera.fps)
    if not isinstance(source, VideoSource | ImageSource):
        source.close()
        raise InputError(
            f"camera {camera.id!r}: {place} cannot be read again; give a recording: --camera {camera.id}=..."
        )
    return source


def _video(run: FinishedRun, folder: Path) -> VideoSink:
    codec = choose_codec(OutputConfig.model_validate(run.run["config"]["output"]).video_codec)
    rates = fitting_rates(run.folder / TRACKS_FILE, {camera["id"]: camera["fps"] for camera in run.run["cameras"]})
    return VideoSink(folder, codec, rates, NOTE)


def _draw(run: FinishedRun, sources: Sequence[Source], sinks: Sequence[Sink]) -> None:
    """Show every sink every picture; only what was shown all of them is completed."""
    blur = PrivacyConfig.model_validate(run.run["config"]["privacy"]).blur_faces
    for source in sources:
        for tracked in pictured(run.folder / TRACKS_FILE, source, blur):
            for sink in sinks:
                sink.write(tracked)
    for sink in sinks:
        sink.close()


def _moved(drawn: Path, videos: Path) -> list[Path]:
    """The new videos in the place of the old ones, whatever those were encoded with."""
    written = []
    for file in sorted(drawn.iterdir()):
        try:
            make_folder(videos)
            for suffix in SUFFIX.values():
                (videos / f"{file.stem}{suffix}").unlink(missing_ok=True)
            written.append(file.rename(videos / file.name))
        except OSError as error:
            raise output_error(videos / file.name, error) from error
    return written

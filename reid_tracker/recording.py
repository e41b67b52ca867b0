"""Follow people through recordings, from a configuration to a folder of results."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

from reid_tracker.build import build_pipeline, model_facts
from reid_tracker.config import CameraConfig, Config, load_config
from reid_tracker.errors import ConfigError, InputError
from reid_tracker.parts import Source
from reid_tracker.results import CameraFacts, RunFacts, RunFolder, read_run
from reid_tracker.sources import ImageSource, Problem, VideoSource, common_time_base, open_source


@dataclass(frozen=True, slots=True)
class RunSummary:
    """What a run came to.

    Attributes:
        people: different people, over all cameras.
        shared: those seen in more than one camera.
        frames: camera-frames processed.
        seconds: it took.
        problems: a line for whatever went wrong with a camera and did not end the run.
        failures: a line for every file or part of a recording that was left out (on a cluster: the rest goes on).
    """

    folder: Path
    cameras: int
    people: int
    shared: int
    frames: int
    seconds: float
    time_base: str
    problems: tuple[str, ...]
    interrupted: bool
    files: tuple[str, ...]
    failures: tuple[str, ...] = ()

    def to_text(self) -> str:
        """A few lines for whoever waited for it."""
        lines = [
            f"{_count(self.people, 'person', 'people')} in {_count(self.cameras, 'camera')}, "
            f"{self.shared} of them in more than one",
            f"{self.frames} camera-frames in {self.seconds:.0f} s ({self.frames / max(self.seconds, 1e-9):.1f}/s)",
        ]
        if self.time_base == "relative" and self.cameras > 1:
            lines.append(
                "times: no start times given, so the cameras were taken to begin together (time_base: relative)"
            )
        lines += self.problems
        lines += [f"failed: {failure}" for failure in self.failures]
        if self.interrupted:
            lines.append("interrupted: the results end where the run was stopped")
        lines.append(f"results: {self.folder}")
        lines += [f"  {self.folder / name}" for name in self.files]
        return "\n".join(lines)


def track_recording(
    config: Config,
    out: Path,
    overwrite: bool = False,
    detection_files: Mapping[str, Path] | None = None,
    stop: Callable[[], bool] = lambda: False,
    progress: Callable[[int, int | None], None] = lambda _done, _total: None,
    drawing: Callable[[int, int | None], None] = lambda _done, _total: None,
) -> RunSummary:
    """Track the configuration's cameras to their end and write the results to ``out``.

    Args:
        overwrite: replace the results of an earlier run in ``out``.
        detection_files: camera id -> MOT file whose detections stand in for the detector.
        stop: asked after each moment, and while videos are drawn; once true the run completes what there is.
        progress: told (camera-frames done, in all where known) after each camera-frame.
        drawing: told (pictures done, in all) after each picture of the videos that are drawn at the end.

    Raises:
        ReidTrackerError: as its parts do; what was already written stays readable.
    """
    started = time.monotonic()
    stopped = False

    def stop_now() -> bool:
        nonlocal stopped
        stopped = stopped or stop()
        return stopped

    def stop_drawing() -> bool:
        return not folder.interrupted and stop_now()  # a run that was stopped before is drawn as far as it came

    with ExitStack() as open_things:
        sources = [
            open_things.enter_context(
                closing(open_source(camera.source, camera_id=camera.id, start_time=camera.start_time, fps=camera.fps))
            )
            for camera in config.cameras
        ]
        time_base = common_time_base(sources)
        pipeline = build_pipeline(config, detection_files)  # takes seconds: a camera that cannot be read is told before
        facts = RunFacts(
            time_base,
            tuple(camera_facts(source, camera) for source, camera in zip(sources, config.cameras, strict=True)),
            model_facts(config, pipeline),
        )
        recordings = [source for source in sources if isinstance(source, VideoSource | ImageSource)]
        inputs = list((detection_files or {}).values())
        folder = open_things.enter_context(
            RunFolder(out, config, facts, overwrite, recordings, inputs, stop_drawing, drawing)
        )
        total = _total_frames(sources)
        done = 0
        for tracked in pipeline.run(sources, stop_now):
            folder.write(tracked)
            done += 1
            progress(done, total)
        for source in sources:
            folder.note_undecodable(source.camera_id, _undecodable(source))
        problems = tuple(line for source in sources for line in _problem_lines(source))  # before they are read again
        if stopped:
            folder.mark_interrupted()
        seconds = time.monotonic() - started  # without the drawing of videos
    return summary_of(folder, len(sources), done, seconds, problems, folder.interrupted)


def summary_of(
    folder: RunFolder,
    cameras: int,
    frames: int,
    seconds: float,
    problems: tuple[str, ...],
    interrupted: bool = False,
    failures: tuple[str, ...] = (),
) -> RunSummary:
    """What a run came to whose results are in ``folder``, closed."""
    people = folder.summary.people()
    return RunSummary(
        folder=folder.path,
        cameras=cameras,
        people=len(people),
        shared=sum(len(person.cameras) > 1 for person in people),
        frames=frames,
        seconds=seconds,
        time_base=folder.facts.time_base,
        problems=problems,
        interrupted=interrupted,
        files=tuple(name for name in _WORTH_OPENING if (folder.path / name).exists()),
        failures=failures,
    )


def demo_config() -> Config:
    """The configuration of the two-camera clip that ships with the package.

    Raises:
        ConfigError: the clip is missing from the installation.
    """
    package = Path(__file__).resolve().parent
    for folder in (package / "demo_clip", package.parent / "demos" / "clip"):
        if (folder / "site.toml").is_file():
            return load_config(folder / "site.toml")
    raise ConfigError(f"demo clip: no folder {package / 'demo_clip'}; the installation is incomplete, reinstall it")


def holds_demo(out: Path) -> bool:
    """Whether the results in a folder are those of the clip that ships."""
    try:
        cameras = read_run(out)["cameras"]
    except InputError:
        return False
    return [camera["source"] for camera in cameras] == [camera.source for camera in demo_config().cameras]


# What the summary points to, where it was written.
_WORTH_OPENING = ("report.html", "identities.json", "tracks.jsonl", "video", "crops")


def camera_facts(source: Source, camera: CameraConfig) -> CameraFacts:
    """What a source says of itself beforehand; one from another package need not say anything."""
    return CameraFacts(
        id=camera.id,
        source=camera.source,
        size=getattr(source, "size", None),
        fps=getattr(source, "fps", None),
        start=getattr(source, "start_time", None),
    )


def _total_frames(sources: Sequence[Source]) -> int | None:
    counts = [getattr(source, "frame_count", None) for source in sources]
    return None if None in counts else sum(filter(None, counts))


def _undecodable(source: Source) -> int:
    problems = getattr(source, "problems", None)
    return problems.counts[Problem.UNDECODABLE] if problems else 0


def _problem_lines(source: Source) -> tuple[str, ...]:
    problems = getattr(source, "problems", None)
    return problems.lines() if problems else ()


def _count(number: int, one: str, many: str | None = None) -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"

"""The whole pipeline on one machine: speed stage by stage, and memory over a long recording.

    python -m benchmarks.pipeline speed  --video vtest.avi [--frames 400] [--detector nanodet_g]
    python -m benchmarks.pipeline cameras --video vtest.avi [--frames 100]
    python -m benchmarks.pipeline memory --video vtest.avi --detections det.txt [--minutes 60] [--step 1]

``speed`` scales the video to 640 x 480 (OpenCV's sample vtest.avi, PETS 2009 view 1, has six people in view on
average), decodes it from a file and writes a folder of results as a user would, and times each stage of each
camera-frame. Processor time holds on a machine that is busy with something else; frames a second do not. ``cameras``
does the same with 1, 2, 4 and 8 cameras at once, all of them showing that video, and names the stage that takes most.

``memory`` plays the video over and over as one long recording. Detections come from a MOT file in place of the network,
and looks from one pass over the video in place of the embedder: neither network keeps anything from frame to frame.
Everything that does keep something is the real thing, reading the video and the folder of results included.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from reid_tracker import Pipeline, open_source
from reid_tracker.build import build_pipeline
from reid_tracker.config import CameraConfig, Config
from reid_tracker.detection.mot_file import MotFileDetector
from reid_tracker.embedding import open_embedder
from reid_tracker.results import RunFolder
from reid_tracker.types import Appearance, BoolArray, Detections, Frame

WIDTH, HEIGHT = 640, 480
RESULTS = Path(__file__).parent / "results"
CAMERAS = (1, 2, 4, 8)
WARM_UP = 10  # frames before the clock starts: first calls allocate


@dataclass
class Stage:
    """What the calls of one part took: wall-clock and processor seconds of each."""

    wall: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)

    def timed(self, call: Callable[..., Any], *arguments: Any) -> Any:
        """The call's result; processor time is that of the whole process, so it holds what a reading thread does."""
        wall, processor = time.perf_counter(), time.process_time()
        result = call(*arguments)
        self.wall.append(time.perf_counter() - wall)
        self.processor.append(time.process_time() - processor)
        return result

    def to_json(self) -> dict[str, float]:
        """Milliseconds."""
        return {
            "p50": 1e3 * float(np.median(self.wall)),
            "p95": 1e3 * float(np.percentile(self.wall, 95)),
            "processor": 1e3 * float(np.mean(self.processor)),
        }


class Timed:
    """A part of the main path that writes down how long each call took; all else is the part's own."""

    def __init__(self, part: Any, stage: str, stages: dict[str, Stage]) -> None:
        self._part = part
        self._stage = stage
        self._stages = stages

    def __call__(self, *arguments: Any) -> Any:
        """The part's call, timed."""
        return self._stages[self._stage].timed(self._part, *arguments)

    def wanted(self, frame: Any, detections: Any) -> Any:
        """A tracker's question for looks, timed with its call, and how many it asks for."""
        asked = self._stages["choose looks"].timed(self._part.wanted, frame, detections)
        confident = detections.scores >= self._part.confident_score
        self._stages["looks"].wall.append(float(asked.sum()))
        self._stages["people"].wall.append(float(confident.sum()))
        return asked

    def __getattr__(self, name: str) -> Any:
        return getattr(self._part, name)


def scaled(video: Path, folder: Path, frames: int) -> Path:
    """The first frames of ``video`` at 640 x 480, as a file."""
    source = cv2.VideoCapture(str(video))
    path = folder / "scaled.mp4"
    rate = source.get(cv2.CAP_PROP_FPS)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), rate, (WIDTH, HEIGHT))
    for _ in range(frames):
        decoded, frame = source.read()
        if not decoded:
            break
        writer.write(cv2.resize(frame, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA))
    writer.release()
    return path


def timed_pipeline(config: Config, stages: dict[str, Stage]) -> Pipeline:
    """The pipeline of a configuration with every stage timed."""
    plain = build_pipeline(config)
    return Pipeline(
        Timed(plain.detector, "detect", stages),
        Timed(plain.embedder, "embed", stages),
        lambda camera_id: Timed(plain.new_tracker(camera_id), "track", stages),
        Timed(plain.associator, "associate", stages),
    )


def speed(video: Path, frames: int, detector: str, cameras: int = 1) -> dict[str, Any]:
    """Camera-frames a second, and milliseconds per call of each stage; ``frames`` are of each camera."""
    config = Config().with_values({"detection.model": detector})
    stages: dict[str, Stage] = defaultdict(Stage)
    pipeline = timed_pipeline(config, stages)
    people = 0
    with tempfile.TemporaryDirectory() as folder:
        small = scaled(video, Path(folder), frames)
        sources = [open_source(small, camera_id=f"street{number}") for number in range(cameras)]
        began, used, count = 0.0, 0.0, 0
        with RunFolder(Path(folder) / "out", config) as results:
            for tracked in pipeline.run(sources):
                count += 1
                if count == WARM_UP * cameras:
                    began, used = time.perf_counter(), time.process_time()
                    stages.clear()
                stages["write"].timed(results.write, tracked)
                people += len(tracked.people)
            elapsed, processor = time.perf_counter() - began, time.process_time() - used
    looks, asked = stages.pop("people").wall, stages.pop("looks").wall
    return {
        "cameras": cameras,
        "frames_per_second": (count - WARM_UP * cameras) / elapsed,
        "processor_ms_per_frame": 1e3 * processor / (count - WARM_UP * cameras),
        "people_per_frame": people / count,
        "share_of_looks_taken": sum(asked) / sum(looks),
        "size": [WIDTH, HEIGHT],
        "stages_ms": {stage: timings.to_json() for stage, timings in stages.items()},
        "share_of_time": {stage: sum(timings.wall) / elapsed for stage, timings in stages.items()},
        "detector": pipeline.detector.describe(),  # type: ignore[attr-defined]
        "embedder": pipeline.embedder.describe(),  # type: ignore[attr-defined]
        "cores": os.cpu_count(),
        "machine": platform.processor() or platform.machine(),
    }


def by_cameras(video: Path, frames: int, detector: str) -> dict[str, Any]:
    """Speed with ever more cameras, and what limits it."""
    found = []
    for cameras in CAMERAS:
        result = speed(video, frames, detector, cameras)
        shares = result["share_of_time"]
        most = max(shares, key=lambda stage: shares[stage])
        found.append({**result, "limited_by": most})
        rate = result["frames_per_second"]
        print(
            f"{cameras:3} cameras  {rate:6.1f} camera-frames/s  {rate / cameras:6.1f} a camera   "
            f"limited by {most} ({shares[most]:.0%} of the time)",
            flush=True,
        )
    return {"by_cameras": found}


def resident_megabytes() -> float:
    """Resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def repeated(detections: Path, frames: int, times: int, folder: Path) -> Path:
    """A detection file for the same video played ``times`` over."""
    rows = [line.split(",", 1) for line in detections.read_text().splitlines() if line.strip()]
    path = folder / "det.txt"
    with path.open("w") as out:
        for round_ in range(times):
            out.writelines(f"{int(float(frame)) + round_ * frames},{rest}\n" for frame, rest in rows)
    return path


class RememberedLooks:
    """An embedder for a video that is played over and over: looks at each of its frames once, beforehand.

    Args:
        embedder: looks.
        detector: gives the same boxes in each round.
        video: played from its first frame on.
        frames: of one round.
        step: every so many of them are used.
    """

    def __init__(self, embedder: Any, detector: Any, video: Path, frames: int, step: int) -> None:
        self._frames = frames
        self._looks = {
            frame.index: embedder([frame], detector([frame]))[0]
            for frame in open_source(video, camera_id="street")
            if frame.index % step == 0
        }

    def __call__(
        self, frames: Sequence[Frame], detections: Sequence[Detections], wanted: Sequence[BoolArray] | None = None
    ) -> list[Appearance]:
        """The looks that are wanted, as an embedder gives them."""
        wanted = [np.ones(len(found), np.bool_) for found in detections] if wanted is None else wanted
        return [
            self._masked(self._looks[frame.index % self._frames], mask)
            for frame, mask in zip(frames, wanted, strict=True)
        ]

    @staticmethod
    def _masked(looks: Appearance, mask: BoolArray) -> Appearance:
        keep = looks.valid & mask
        return Appearance(
            looks.global_ * keep[:, None], looks.stripes * keep[:, None, None], looks.quality * keep, keep
        )


class EveryNth:
    """A recording of which every so-manieth frame is used; all are decoded."""

    def __init__(self, source: Any, frames: int, step: int) -> None:
        self._source = source
        self._frames = frames
        self._step = step

    def __iter__(self) -> Iterator[Frame]:
        return (frame for frame in self._source if frame.index % self._frames % self._step == 0)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)


def memory(video: Path, detections: Path, minutes: float, step: int) -> dict[str, Any]:
    """Resident memory over a long recording, sampled every simulated minute."""
    capture = cv2.VideoCapture(str(video))
    frames, rate = int(capture.get(cv2.CAP_PROP_FRAME_COUNT)), capture.get(cv2.CAP_PROP_FPS)
    times = int(np.ceil(minutes * 60 * rate / frames))
    config = Config(cameras=[CameraConfig(id="street", source=str(video))])
    samples: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = {"street": repeated(detections, frames, times, folder)}
        looks = RememberedLooks(
            open_embedder(config.embedding, config.runtime), MotFileDetector(files), video, frames, step
        )
        pipeline = build_pipeline(config, files, embedder=looks)
        source = EveryNth(open_source([video] * times, camera_id="street"), frames, step)
        with RunFolder(folder / "out", config) as results:
            for tracked in pipeline.run([source]):
                results.write(tracked)
                if tracked.time >= (len(samples) + 1) * 60:
                    samples.append((tracked.time / 60, resident_megabytes()))
                    print(f"{samples[-1][0]:5.0f} min  {samples[-1][1]:7.1f} MB", flush=True)
            people = results.people
    settled = np.array(samples[len(samples) // 6 :])  # the first sixth fills what is bounded
    slope = float(np.polyfit(settled[:, 0], settled[:, 1], 1)[0]) if len(settled) > 1 else float("nan")
    return {
        "minutes": samples[-1][0],
        "first_mb": samples[0][1],
        "settled_mb": float(settled[0, 1]),
        "last_mb": samples[-1][1],
        "slope_mb_per_hour": slope * 60,
        "people": people,
        "frames_a_second": rate / step,
        "samples": samples,
    }


def main() -> None:
    """Parse, run, print, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("speed", "cameras", "memory"))
    parser.add_argument("--video", type=Path, required=True, help="vtest.avi of OpenCV's samples")
    parser.add_argument("--detections", type=Path, help="MOT detections of that video (memory)")
    parser.add_argument("--frames", type=int, default=400)
    parser.add_argument("--detector", default=Config().detection.model, help="detection.model (speed, cameras)")
    parser.add_argument("--step", type=int, default=1, help="use every so-manieth frame (memory)")
    parser.add_argument("--minutes", type=float, default=60)
    options = parser.parse_args()
    if options.what == "memory" and options.detections is None:
        parser.error("memory needs --detections")
    if options.what == "speed":
        result = speed(options.video, options.frames, options.detector)
        print(
            f"{result['frames_per_second']:.1f} camera-frames/s at {WIDTH}x{HEIGHT}, {os.cpu_count()} cores, ", end=""
        )
        print(
            f"{result['people_per_frame']:.1f} people in view, looks taken of {result['share_of_looks_taken']:.0%}, "
            f"{result['processor_ms_per_frame']:.1f} ms processor a frame"
        )
        for stage, took in result["stages_ms"].items():
            print(
                f"  {stage:14} p50 {took['p50']:6.1f} ms   p95 {took['p95']:6.1f} ms   "
                f"processor {took['processor']:6.1f} ms"
            )
    elif options.what == "cameras":
        result = by_cameras(options.video, options.frames, options.detector)
    else:
        result = memory(options.video, options.detections, options.minutes, options.step)
        print(json.dumps(result, indent=1))
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"pipeline_{options.what}.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()

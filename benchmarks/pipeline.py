"""The whole pipeline on one machine: speed stage by stage, and memory over a long recording.

    python -m benchmarks.pipeline speed  --video vtest.avi [--frames 400]
    python -m benchmarks.pipeline memory --video vtest.avi --detections det.txt [--minutes 60]

``speed`` scales the video to 640 x 480 (OpenCV's sample vtest.avi, PETS 2009 view 1, has six people in view on
average), decodes it from a file as a user would, and times each stage of each camera-frame. ``memory`` plays the video
over and over as one long recording, with detections from a MOT file in place of the network, which keeps nothing from
frame to frame; everything that does keep something is the real thing, the results folder included.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from reid_tracker import Pipeline, open_source
from reid_tracker.build import build_pipeline
from reid_tracker.config import CameraConfig, Config
from reid_tracker.results import RunFolder

WIDTH, HEIGHT = 640, 480
RESULTS = Path(__file__).parent / "results"
WARM_UP = 10  # frames before the clock starts: first calls allocate


class Timed:
    """A part of the main path that writes down how long each call took; all else is the part's own."""

    def __init__(self, part: Any, stage: str, seconds: dict[str, list[float]]) -> None:
        self._part = part
        self._stage = stage
        self._seconds = seconds

    def __call__(self, *arguments: Any) -> Any:
        """The part's call, timed."""
        began = time.perf_counter()
        result = self._part(*arguments)
        self._seconds[self._stage].append(time.perf_counter() - began)
        return result

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


def timed_pipeline(seconds: dict[str, list[float]]) -> Pipeline:
    """The default pipeline with every stage timed."""
    plain = build_pipeline(Config())
    return Pipeline(
        Timed(plain.detector, "detect", seconds),
        Timed(plain.embedder, "embed", seconds),
        lambda camera_id: Timed(plain.new_tracker(camera_id), "track", seconds),
        Timed(plain.associator, "associate", seconds),
    )


def speed(video: Path, frames: int) -> dict[str, Any]:
    """Camera-frames a second, and milliseconds per stage."""
    seconds: dict[str, list[float]] = defaultdict(list)
    pipeline = timed_pipeline(seconds)
    people = 0
    with tempfile.TemporaryDirectory() as folder:
        source = open_source(scaled(video, Path(folder), frames), camera_id="street")
        began, count = 0.0, 0
        for tracked in pipeline.run([source]):
            count += 1
            if count == WARM_UP:
                began = time.perf_counter()
                seconds.clear()
            people += len(tracked.people)
        elapsed = time.perf_counter() - began
    stages = {
        stage: {"p50": 1e3 * float(np.median(values)), "p95": 1e3 * float(np.percentile(values, 95))}
        for stage, values in seconds.items()
    }
    return {
        "frames_per_second": (count - WARM_UP) / elapsed,
        "people_per_frame": people / count,
        "size": [WIDTH, HEIGHT],
        "stages_ms": stages,
        "detector": pipeline.detector.describe(),  # type: ignore[attr-defined]
        "embedder": pipeline.embedder.describe(),  # type: ignore[attr-defined]
        "cores": os.cpu_count(),
        "machine": platform.processor() or platform.machine(),
    }


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


def memory(video: Path, detections: Path, minutes: float) -> dict[str, Any]:
    """Resident memory over a long recording, sampled every simulated minute."""
    capture = cv2.VideoCapture(str(video))
    frames, rate = int(capture.get(cv2.CAP_PROP_FRAME_COUNT)), capture.get(cv2.CAP_PROP_FPS)
    times = int(np.ceil(minutes * 60 * rate / frames))
    config = Config(cameras=[CameraConfig(id="street", source=str(video))])
    samples: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pipeline = build_pipeline(config, {"street": repeated(detections, frames, times, folder)})
        source = open_source([video] * times, camera_id="street")
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
    }


def main() -> None:
    """Parse, run, print, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("speed", "memory"))
    parser.add_argument("--video", type=Path, required=True, help="vtest.avi of OpenCV's samples")
    parser.add_argument("--detections", type=Path, help="MOT detections of that video (memory)")
    parser.add_argument("--frames", type=int, default=400)
    parser.add_argument("--minutes", type=float, default=60)
    options = parser.parse_args()
    if options.what == "memory" and options.detections is None:
        parser.error("memory needs --detections")
    if options.what == "speed":
        result = speed(options.video, options.frames)
        print(
            f"{result['frames_per_second']:.1f} camera-frames/s at {WIDTH}x{HEIGHT}, {os.cpu_count()} cores, ", end=""
        )
        print(f"{result['people_per_frame']:.1f} people in view")
        for stage, took in result["stages_ms"].items():
            print(f"  {stage:22} p50 {took['p50']:6.1f} ms   p95 {took['p95']:6.1f} ms")
    else:
        result = memory(options.video, options.detections, options.minutes)
        print(json.dumps(result, indent=1))
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"pipeline_{options.what}.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()

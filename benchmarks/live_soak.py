"""Live cameras for a while, with faults: does everything come back, and does memory stay flat?

    python -m benchmarks.live_soak --minutes 15

Four RTSP cameras (640 x 360, 15 pictures a second, made here) on four servers; every 20 seconds one of them is killed
and restarted, or frozen for six seconds. A consumer takes pictures three times slower than they come. Reported: seconds
from a server's return to its next picture, reconnections of cameras whose servers were left alone (must be 0), age of
what is processed, and the slope of memory after the first quarter. Needs the extra live, and aio-rtsp-toolkit.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from reid_tracker.config import CameraConfig
from reid_tracker.live import HealthReport, LiveCameras
from tests.live.servers import FPS, ServerProcess, file_server, write_clip

RESULTS = Path(__file__).parent / "results" / "live_soak.json"
FAULT_EVERY, FROZEN_SECONDS, CAMERAS = 20.0, 6.0, 4
SHAKEN = 3  # of the cameras; the others are left alone


class Soak:
    """Cameras, their servers and what was measured."""

    def __init__(self, live: LiveCameras, servers: list[ServerProcess]) -> None:
        self.live, self.servers = live, servers
        self.arrived = [0.0] * CAMERAS
        self.ages: list[float] = []
        self.recoveries: list[dict[str, object]] = []
        self.memory: list[tuple[float, float]] = []
        self.over = threading.Event()

    def consume(self) -> None:
        """Take pictures, three times slower than they come."""
        while not self.over.is_set():
            for frame in self.live.next_moment(0.2):
                self.arrived[int(frame.camera_id)] = time.monotonic()
                self.ages.append(time.time() - frame.time)
            time.sleep(3 / FPS)

    def disturb(self, number: int) -> None:
        """Kill or freeze a server, let it come back, and time its camera's next picture."""
        camera = number % SHAKEN
        server = self.servers[camera]
        kind = "killed" if number % 2 == 0 else "frozen"
        if kind == "killed":
            server.kill()
            time.sleep(1.0)
            server.start()
        else:
            server.freeze()
            time.sleep(FROZEN_SECONDS)
            server.thaw()
        back = time.monotonic()
        while self.arrived[camera] < back + 0.3 and time.monotonic() < back + 30:
            time.sleep(0.05)
        self.recoveries.append({"camera": camera, "kind": kind, "seconds": round(self.arrived[camera] - back, 2)})


def resident_megabytes() -> float:
    """Memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def main(minutes: float, result: Path) -> None:
    """Run, print and write."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        write_clip(folder / "ball.mp4", seconds=20)
        servers = [file_server(folder) for _ in range(CAMERAS)]
        for server in servers:
            stack.callback(server.kill)
        cameras = [
            CameraConfig(id=str(number), source=f"rtsp://127.0.0.1:{server.port}/ball.mp4?play_count=0")
            for number, server in enumerate(servers)
        ]
        live = stack.enter_context(LiveCameras(cameras=cameras))
        soak = Soak(live, list(servers))
        consumer = threading.Thread(target=soak.consume, daemon=True)
        consumer.start()
        began, number = time.monotonic(), 0
        while time.monotonic() - began < 60 * minutes:
            next_fault = began + FAULT_EVERY * (number + 1)
            while time.monotonic() < next_fault:
                soak.memory.append((time.monotonic() - began, resident_megabytes()))
                time.sleep(1.0)
            soak.disturb(number)
            number += 1
        reports = live.report()
        soak.over.set()
        consumer.join()
    report(soak, reports, minutes, result)


def report(soak: Soak, reports: dict[str, HealthReport], minutes: float, result: Path) -> None:
    """Print a table and write the figures."""
    times, megabytes = np.array([row for row in soak.memory if row[0] > 15 * minutes]).T
    seconds = [float(str(row["seconds"])) for row in soak.recoveries]
    figures = {
        "minutes": minutes,
        "faults": len(soak.recoveries),
        "recovery_seconds_median": float(np.median(seconds)),
        "recovery_seconds_most": max(seconds),
        "reconnects_of_cameras_left_alone": sum(reports[str(camera)].reconnects for camera in range(SHAKEN, CAMERAS)),
        "age_seconds_p50": round(float(np.percentile(soak.ages, 50)), 3),
        "age_seconds_p99": round(float(np.percentile(soak.ages, 99)), 3),
        "memory_megabytes": round(float(megabytes[-1]), 1),
        "memory_slope_megabytes_per_hour": round(float(np.polyfit(times, megabytes, 1)[0]) * 3600, 2),
        "recoveries": soak.recoveries,
    }
    for name, value in figures.items():
        if name != "recoveries":
            print(f"{name:40} {value}")
    result.parent.mkdir(exist_ok=True)
    result.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    print(f"written: {result}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--result", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    main(arguments.minutes, arguments.result)

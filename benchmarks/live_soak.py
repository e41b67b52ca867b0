"""A live site for a while, with faults: does everything come back, do ids hold, and does memory stay flat?

    python -m benchmarks.live_soak --minutes 15

The whole service (cameras, tracking, associator, store on disk; a detector and an embedder that know plain colours,
slow on purpose, stand in for the networks) follows people in six RTSP cameras of 15 pictures a second, made here. One
camera is left alone, one is unreachable, one has a wrong password; every ``--every`` seconds another of the other three
is killed, frozen, refuses, goes silent, sends garbage, or comes back with pictures of another size. Every step takes
three times as long as a picture. Reported beside their bars: seconds from a server's return to the next picture that
is tracked, age of pictures when their step begins, ids that changed on the camera left alone, attempts at the wrong
password, and the slope of memory after the first third. Needs the extras service and live, and aio-rtsp-toolkit.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
import threading
import time
from collections import defaultdict, deque
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from benchmarks.live_faults import FAULTS, Camera, LockedCamera, write_clips
from reid_tracker.config import CameraConfig, Config
from reid_tracker.pipeline import Pipeline
from reid_tracker.service.heap import few_pools, returned_memory
from reid_tracker.service.runtime import Service
from reid_tracker.types import Detections, Frame, IdentityEvent, TrackedFrame
from tests.live.servers import FPS
from tests.service.site import ColourDetector, colour_pipeline

RESULTS = Path(__file__).parent / "results" / "live_soak.json"
SHAKEN = ("shaken-1", "shaken-2", "shaken-3")
STEADY, NOWHERE, LOCKED = "steady", "nowhere", "locked"
STEP_SECONDS = 3 / FPS
SETTLING_SECONDS = 20.0  # until people are known, before the first fault
MOST_RECOVERY = 5.0 + 1.0  # and one keyframe interval, seconds
MOST_AGE = 0.5  # seconds, of a picture when its step begins
MOST_SLOPE = 10.0  # megabytes an hour that count as flat
# What may fill up is kept small, so that it is full when the slope begins to count.
LOW_BOUNDS = {"service.recent_events": 20, "association.passages_per_camera": 2}
GIVEN_UP = 60.0  # seconds after which a camera is taken not to have come back


class Ages:
    """How often which age was seen, in milliseconds up to a minute: as large after weeks as at the beginning."""

    def __init__(self) -> None:
        self._counts = np.zeros(60_000, np.int64)

    def add(self, seconds: float) -> None:
        """Count one."""
        self._counts[min(max(int(1000 * seconds), 0), len(self._counts) - 1)] += 1

    def clear(self) -> None:
        """Begin anew."""
        self._counts[:] = 0

    def percentile(self, share: float) -> float:
        """The age, seconds, that so many of a hundred do not exceed."""
        reached = np.cumsum(self._counts) >= share / 100 * max(self._counts.sum(), 1)
        return float(np.argmax(reached)) / 1000


class Watch:
    """Listens to the site (reid_tracker.service.site.Listener) and remembers what the report needs."""

    def __init__(self) -> None:
        self.arrived: dict[str, float] = {}
        self.ages = Ages()
        self.tracked_ages = Ages()
        self.disturbed: set[str] = set()
        self.steady_ids: defaultdict[int, int] = defaultdict(int)
        self.changes: deque[dict[str, object]] = deque(maxlen=50)

    def __call__(
        self, _frames: Sequence[Frame], tracked: Sequence[TrackedFrame], events: Sequence[IdentityEvent]
    ) -> None:
        for event in (*events, *(each for moment in tracked for each in moment.events)):
            self._note(event)
        now, utc = time.monotonic(), time.time()
        for moment in tracked:
            self.arrived[moment.camera_id] = now
            if moment.camera_id not in self.disturbed:
                self.tracked_ages.add(utc - moment.time)
            if moment.camera_id == STEADY:
                for person in moment.people:
                    self.steady_ids[person.identity] += 1

    def _note(self, event: IdentityEvent) -> None:
        """Remember what concerns the camera left alone, so that a change of its ids explains itself."""
        if event.camera_id == STEADY or self.steady_ids.keys() & {event.identity, *event.supersedes}:
            self.changes.append(
                {
                    "time": event.time,
                    "type": event.type.value,
                    "camera": event.camera_id,
                    "identity": event.identity,
                    "supersedes": list(event.supersedes),
                    "evidence": {name: str(value) for name, value in event.evidence.items()},
                }
            )

    def begun(self, frames: Sequence[Frame]) -> None:
        """Take note of the pictures that a step begins with."""
        utc = time.time()
        for frame in frames:
            if frame.camera_id not in self.disturbed:
                self.ages.add(utc - frame.time)

    def pipeline(self, config: Config, first_tracklet: int) -> Pipeline:
        """The stand-ins, in no hurry, with this in front of the detector."""
        pipeline = colour_pipeline(config, first_tracklet)
        detector = pipeline.detector
        assert isinstance(detector, ColourDetector)
        detector.pause = STEP_SECONDS

        def watched(frames: Sequence[Frame]) -> list[Detections]:
            self.begun(frames)
            return detector(frames)

        pipeline.detector = watched
        return pipeline


def resident_megabytes() -> float:
    """Memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


class Soak:
    """The site, its cameras' servers, and what was measured."""

    def __init__(self, service: Service, watch: Watch, servers: dict[str, Camera]) -> None:
        self.service, self.watch, self.servers = service, watch, servers
        self.recoveries: list[dict[str, object]] = []
        self.memory: list[tuple[float, float]] = []
        self.over = threading.Event()
        self._began = time.monotonic()

    def sample(self) -> None:
        """Note memory once a second until it is over."""
        while not self.over.wait(1.0):
            self.memory.append((time.monotonic() - self._began, resident_megabytes()))

    def disturb(self, number: int) -> None:
        """One fault of one camera; waits for its next picture."""
        name, fault = SHAKEN[number % len(SHAKEN)], FAULTS[number % len(FAULTS)]
        self.watch.disturbed.add(name)
        fault(self.servers[name])
        back = time.monotonic()
        while self.watch.arrived.get(name, 0.0) < back and time.monotonic() < back + GIVEN_UP:
            time.sleep(0.02)
        took = self.watch.arrived.get(name, 0.0) - back
        self.recoveries.append(
            {"camera": name, "fault": fault.__name__, "seconds": round(took, 2) if took >= 0 else None}
        )
        time.sleep(2.0)  # what a server had in hand when it was frozen is old, and not the program's lag
        self.watch.disturbed.discard(name)

    def run(self, seconds: float, every: float) -> None:
        """Disturb until time is up."""
        threading.Thread(target=self.sample, daemon=True).start()
        time.sleep(SETTLING_SECONDS)
        self.watch.steady_ids.clear()
        self.watch.changes.clear()
        self.watch.ages.clear()
        self.watch.tracked_ages.clear()
        number = 0
        while (left := self._began + seconds - time.monotonic()) > 0:
            time.sleep(min(every, left))
            self.disturb(number)
            number += 1
        self.over.set()


def main(minutes: float, every: float, result: Path) -> None:
    """Run, print and write."""
    few_pools()  # as serve does
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        sources = {STEADY: write_clips(folder / STEADY, ("red", "green"))}
        shared = write_clips(folder / "shared", ("green", "blue"))
        sources |= {name: Path(shutil.copytree(shared, folder / name)) for name in SHAKEN}
        servers = {name: Camera(source) for name, source in sources.items()}
        locked = LockedCamera()
        for server in (*servers.values(), locked):
            stack.callback(server.close)
        addresses = {name: server.address for name, server in servers.items()}
        addresses[NOWHERE] = "rtsp://192.0.2.1/live"  # an address that is nobody's (RFC 5737)
        addresses[LOCKED] = locked.address
        config = Config(cameras=[CameraConfig(id=name, source=source) for name, source in addresses.items()])
        config = config.with_values({"store.path": str(folder / "people.db"), **LOW_BOUNDS})
        watch = Watch()
        service = Service(config, watch.pipeline)
        service.site.listen(watch)
        stack.enter_context(service)
        stack.enter_context(returned_memory())
        soak = Soak(service, watch, servers)
        soak.run(60 * minutes, every)
        report(soak, minutes, locked.attempts, result)


def report(soak: Soak, minutes: float, attempts: int, result: Path) -> None:
    """Print a table beside the bars, and write it."""
    cameras = soak.service.cameras.report()
    seconds = [each["seconds"] for each in soak.recoveries]
    times, megabytes = np.array([row for row in soak.memory if row[0] > 20 * minutes]).T
    slope, error = _slope(times / 3600, megabytes)
    quiet = [cameras[STEADY].reconnects, sum(cameras[STEADY].faults.values())]
    ids = sorted(soak.watch.steady_ids, key=lambda identity: -soak.watch.steady_ids[identity])
    ages = soak.watch.ages.percentile(50), soak.watch.ages.percentile(99)
    rows: list[tuple[str, object, object, bool]] = [
        ("cameras that did not come back", seconds.count(None), 0, None not in seconds),
        ("longest recovery, s", _most(seconds), MOST_RECOVERY, (_most(seconds) or np.inf) <= MOST_RECOVERY),
        ("age of pictures, 99 of 100, s", round(ages[1], 3), MOST_AGE, bool(ages[1] <= MOST_AGE)),
        ("ids that changed on the camera left alone", len(ids) - 2, 0, len(ids) == 2),
        ("faults of the camera left alone", sum(quiet), 0, not sum(quiet)),
        ("attempts at the wrong password", attempts, 1 + int(minutes // 5), attempts <= 1 + minutes // 5),
        ("memory slope, MB an hour", round(slope, 1), MOST_SLOPE, abs(slope) <= MOST_SLOPE),
    ]
    for name, got, bar, reached in rows:
        print(f"{name:45} {got!s:>8}   bar {bar!s:>5}   {'reached' if reached else 'MISSED'}")
    median = float(np.median([each for each in seconds if each is not None] or [np.nan]))
    tracked = soak.watch.tracked_ages.percentile(50)
    print(
        f"{len(seconds)} faults, median recovery {median:.2f} s; "
        f"median age {ages[0]:.3f} s, when tracked {tracked:.3f} s"
    )
    print(f"memory {megabytes[0]:.1f} to {megabytes[-1]:.1f} MB; slope {slope:.1f} +- {error:.1f} MB an hour")
    if error > MOST_SLOPE / 2:
        print("the run was too short to tell such a slope from chance")
    figures = {
        "minutes": minutes,
        "bars": {name: {"got": got, "bar": bar, "reached": bool(reached)} for name, got, bar, reached in rows},
        "recovery_seconds_median": median,
        "age_seconds_median": round(float(ages[0]), 3),
        "age_when_tracked_seconds_median": round(tracked, 3),
        "memory_megabytes": [round(float(megabytes[0]), 1), round(float(megabytes[-1]), 1)],
        "memory_slope_error": round(error, 2),
        "memory_by_half_minute": [round(float(np.median(part)), 1) for part in _parts(soak.memory, 30)],
        "events of the camera left alone": list(soak.watch.changes),
        "recoveries": soak.recoveries,
        "cameras": {name: {"faults": dict(each.faults), "lost": dict(each.lost)} for name, each in cameras.items()},
    }
    result.parent.mkdir(exist_ok=True)
    result.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    print(f"written: {result}")


def _most(seconds: Sequence[object]) -> float | None:
    found = [each for each in seconds if isinstance(each, float)]
    return max(found) if found else None


def _parts(memory: Sequence[tuple[float, float]], length: int) -> list[list[float]]:
    return [[each for _, each in memory[at : at + length]] for at in range(0, len(memory), length)]


def _slope(times: np.ndarray, values: np.ndarray) -> tuple[float, float]:
    """Of a straight line, and its standard error, for which neighbours within ten seconds count as one."""
    away = times - times.mean()
    slope = float(away @ values / (away @ away))
    rest = values - values.mean() - slope * away
    apart = max(len(rest) / 10 - 2, 1)
    return slope, float(np.sqrt(rest.var() / (times.var() * apart)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--every", type=float, default=10.0, help="seconds between two faults")
    parser.add_argument("--result", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    main(arguments.minutes, arguments.every, arguments.result)

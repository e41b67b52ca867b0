"""What the tracking benchmarks share: sequences, running ours and the peers, tables."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from reid_tracker.association import CrossCameraAssociator
from reid_tracker.boxes import xywh_to_xyxy
from reid_tracker.config import Config, TrackingConfig
from reid_tracker.evaluation import LabelledBoxes, Scores, score_sequence
from reid_tracker.ids import IdAllocator
from reid_tracker.results import final_identities
from reid_tracker.tracking import PersonTracker
from reid_tracker.types import Appearance, CameraTracks, Detections, Frame, IdentityEvent

RESULTS = Path(__file__).parents[1] / "results"


def shared_data() -> Path | None:
    """The folder of measuring material ($REID_TRACKER_SHARED, else ../shared beside the repository), if present."""
    default = Path(__file__).parents[2].parent / "shared"
    folder = Path(os.environ.get("REID_TRACKER_SHARED", default)) / "data" / "tracking"
    return folder if folder.is_dir() else None


def peers_python() -> str | None:
    """Python of an environment that has the peers (norfair, trackers): $REID_TRACKER_PEERS."""
    return os.environ.get("REID_TRACKER_PEERS")


@dataclass(frozen=True)
class Scene:
    """One sequence with its detections and truth.

    Attributes:
        name: for tables.
        rate: frames a second.
        size: (width, height) in pixels.
        detections: one per frame.
        truth: frames from 0.
        looks: one per frame; absent: tracked by motion alone.
    """

    name: str
    rate: float
    size: tuple[int, int]
    detections: Sequence[Detections]
    truth: LabelledBoxes
    looks: Sequence[Appearance] | None = field(default=None, repr=False)


def read_mot(path: Path) -> np.ndarray:
    """(K, 7+) rows of a MOTChallenge text: frame from 1, id, left, top, width, height, confidence."""
    return np.loadtxt(path, delimiter=",", ndmin=2)


def read_truth(path: Path) -> LabelledBoxes:
    """Ground truth, rows with confidence 0 left out."""
    rows = read_mot(path)
    rows = rows[rows[:, 6] != 0]
    return LabelledBoxes.of(rows[:, 0] - 1, rows[:, 1], xywh_to_xyxy(rows[:, 2:6]))


def read_detections(path: Path, frames: int) -> list[Detections]:
    """Detections of a MOTChallenge text, one per frame."""
    rows = read_mot(path)
    boxes = xywh_to_xyxy(rows[:, 2:6]).astype(np.float32)
    scores = rows[:, 6].astype(np.float32)
    return [Detections(boxes[rows[:, 0] == frame + 1], scores[rows[:, 0] == frame + 1]) for frame in range(frames)]


def track(
    scene: Scene, config: TrackingConfig, score_levels: tuple[float, float], every_look: bool = False
) -> tuple[LabelledBoxes, float]:
    """Ours on a scene.

    Args:
        every_look: give the tracker all looks that there are, not only those that it asks for.

    Returns:
        The boxes with tracklet ids, and the share of confident detections whose appearance was asked for.
    """
    tracker = PersonTracker(scene.name, config, score_levels, IdAllocator())
    rows: list[tuple[int, int, np.ndarray]] = []
    asked = 0
    for result, wanted in _played(scene, tracker, every_look):
        rows += [(result.index, tracklet.id, tracklet.box) for tracklet in result.tracklets]
        asked += int(wanted.sum())
    confident = sum(int((found.scores >= score_levels[1]).sum()) for found in scene.detections)
    return _labelled(rows), asked / max(confident, 1)


def milliseconds(scene: Scene, config: TrackingConfig, score_levels: tuple[float, float]) -> float:
    """What a frame takes ours, detections and looks given, as a peer's ``PeerRun.milliseconds``."""
    began = time.perf_counter()
    track(scene, config, score_levels)
    return 1000 * (time.perf_counter() - began) / len(scene.detections)


def identify(scene: Scene, config: Config, score_levels: tuple[float, float]) -> tuple[LabelledBoxes, LabelledBoxes]:
    """Tracker and associator on a scene: boxes with identities as emitted at the time and as known at the end."""
    tracker = PersonTracker(scene.name, config.tracking, score_levels, IdAllocator())
    associator = CrossCameraAssociator(config.association)
    rows: list[tuple[int, int, np.ndarray]] = []
    tracklets: list[int] = []
    events: list[IdentityEvent] = []
    for result, _ in _played(scene, tracker):
        tracked = associator([result])[0]
        rows += [(tracked.index, person.identity, np.array(person.box)) for person in tracked.people]
        tracklets += [person.tracklet for person in tracked.people]
        events += tracked.events
    events += associator.finish(tracker.finish())
    emitted = _labelled(rows)
    identity_of = final_identities(events)
    return emitted, replace(emitted, ids=np.array([identity_of[tracklet] for tracklet in tracklets], np.int64))


def _played(
    scene: Scene, tracker: PersonTracker, every_look: bool = False
) -> Iterator[tuple[CameraTracks, np.ndarray]]:
    """The tracker's result of each frame, and which looks it asked for; it gets no others unless told."""
    image = np.zeros((scene.size[1], scene.size[0], 3), np.uint8)  # the tracker reads its size alone
    for index, found in enumerate(scene.detections):
        frame = Frame(scene.name, index, index / scene.rate, image)
        wanted = tracker.wanted(frame, found)
        looks = Appearance.empty(len(found)) if scene.looks is None else scene.looks[index]
        if not every_look:
            looks = masked(looks, wanted)
        yield tracker(frame, found, looks), wanted


def _labelled(rows: Sequence[tuple[int, int, np.ndarray]]) -> LabelledBoxes:
    return LabelledBoxes.of([row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows])


def masked(looks: Appearance, wanted: np.ndarray) -> Appearance:
    """What an embedder gives when it is told which crops are wanted."""
    keep = looks.valid & wanted
    return Appearance(looks.global_ * keep[:, None], looks.stripes * keep[:, None, None], looks.quality * keep, keep)


def run_peer(
    python: str, scene: Scene, peer: str, options: Sequence[Mapping[str, Any]]
) -> tuple[list[tuple[LabelledBoxes, float]], str]:
    """A peer on the scene's very detections in its own Python: tracks and seconds per set of options; its version."""
    with tempfile.TemporaryDirectory() as folder:
        given, taken = Path(folder) / "detections.npz", Path(folder) / "tracks.npz"
        counts = [len(found) for found in scene.detections]
        np.savez(
            given,
            frames=np.repeat(np.arange(len(counts)), counts),
            boxes=np.concatenate([found.boxes for found in scene.detections]),
            scores=np.concatenate([found.scores for found in scene.detections]),
            count=len(counts),
        )
        subprocess.run(
            [python, str(Path(__file__).with_name("peer_runner.py")), str(given), str(taken), str(scene.rate), peer],
            input=json.dumps(list(options)),
            text=True,
            check=True,
        )
        with np.load(taken) as tracks:
            results = [
                (
                    LabelledBoxes.of(*(tracks[f"{name}{n}"] for name in ("frames", "ids", "boxes"))),
                    float(tracks[f"seconds{n}"]),
                )
                for n in range(len(options))
            ]
            return results, str(tracks["version"])


@dataclass(frozen=True)
class PeerRun:
    """A peer's tracks with one set of options, and what a frame took, in milliseconds."""

    peer: str
    version: str
    options: Mapping[str, Any]
    tracks: LabelledBoxes = field(repr=False)
    milliseconds: float


def run_peers(scene: Scene, configurations: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[PeerRun]:
    """All peers with all their options; says so and returns nothing where the peers are not installed."""
    python = peers_python()
    if python is None:
        print("peers skipped: $REID_TRACKER_PEERS names no Python that has norfair and trackers installed")
        return []
    runs = []
    for peer, options in configurations.items():
        results, version = run_peer(python, scene, peer, options)
        for chosen, (tracks, seconds) in zip(options, results, strict=True):
            runs.append(PeerRun(peer, version, chosen, tracks, 1000 * seconds / len(scene.detections)))
    return runs


def best_and_default(truth: LabelledBoxes, runs: Sequence[PeerRun], frames: range) -> list[tuple[str, Scores]]:
    """Per peer its defaults (the first options) and the options of the best IDF1 on these frames, in hindsight."""
    rows = []
    for peer in dict.fromkeys(run.peer for run in runs):
        scored = [(run, score(truth, run.tracks, frames)) for run in runs if run.peer == peer]
        best_run, best = max(scored, key=lambda pair: pair[1].idf1)
        chosen = ", ".join(f"{name}={value}" for name, value in best_run.options.items()) or "default"
        rows.append((f"{peer} {best_run.version}", scored[0][1]))
        rows.append((f"{peer} {best_run.version}, best in hindsight: {chosen}", best))
    return rows


def score(truth: LabelledBoxes, tracks: LabelledBoxes, frames: range) -> Scores:
    """Scores of the frames in a range."""
    return score_sequence(truth.within(frames.start, frames.stop), tracks.within(frames.start, frames.stop))


def table(rows: Sequence[tuple[str, Scores]]) -> str:
    """The scores as text, fractions in percent."""
    width = max(len(name) for name, _ in rows)
    lines = [f"{'':{width}}   HOTA   IDF1   MOTA  switches  false  missed  ids/people"]
    for name, got in rows:
        lines.append(
            f"{name:{width}}  {100 * got.hota:5.1f}  {100 * got.idf1:5.1f}  {100 * got.mota:5.1f}  {got.switches:8d}"
            f"  {got.false_positives:5d}  {got.misses:6d}  {got.predicted_ids}/{got.truth_ids}"
        )
    return "\n".join(lines)


def write_json(name: str, content: Mapping[str, Any]) -> Path:
    """Write a result beside the others; scores become plain numbers."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(content, indent=2, default=asdict) + "\n", encoding="utf-8")
    return path

"""Two cameras cut from PETS09-S2L1, the whole pipeline on the video, ids over both cameras.

    python -m benchmarks.association.pets [--cuts gap overlap ...] [--keep FOLDER] [--json OUT]

Every cut of benchmarks/pets_cuts.py (four with a gap between the cameras, four with overlap), default models and
settings, frames 401-795 scored (TrackEval, IoU 0.5, both cameras one after the other). Beside each other: the
tracker's ids alone (no association), ids as emitted, ids as known two seconds later, ids as known at the end, and
perfect merging of the same tracklets by the truth. The published truth gives a person who leaves and comes back a new
id, which a memory across cameras is made to undo: the second table has returning people as one
(benchmarks/tracking/pets_returns.csv), and the last column of the first says what that truth leaves to whoever
recognises every returning person. "Forgetful" are the same program's ids with ``association.memory_seconds`` at 4,
which is nearer to how the published truth counts people. Needs the video (see benchmarks/tracking/common.py). What
detector, embedder and tracker say does not depend on the associator and is kept in --keep between runs.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import pickle
import tempfile
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmarks.association.market_replay import replayed
from benchmarks.pets_cuts import CUTS, cut_cameras
from benchmarks.tracking.common import shared_data
from benchmarks.tracking.pets import fingerprint, with_returns
from reid_tracker.association import CrossCameraAssociator
from reid_tracker.config import AssociationConfig, Config
from reid_tracker.detection import detector_name
from reid_tracker.evaluation import LabelledBoxes, read_truth, score_sequences
from reid_tracker.pipeline import Pipeline
from reid_tracker.sources import moments, open_source
from reid_tracker.types import CameraTracks, IdentityEvent, TrackedFrame, Tracklet

SCORED = (400, 795)
AS_PUBLISHED, RETURNS = "truth as published", "returning people are one"
KINDS = (
    "no association",
    "emitted",
    "after 2 s",
    "final",
    "forgetful, emitted",
    "forgetful, final",
    "perfect merging",
    "perfect memory",
)
DELAY = 2.0
FORGETFUL = AssociationConfig(memory_seconds=4.0)  # about as long as people are between the two cameras
Moments = tuple[list[list[CameraTracks]], tuple[Tracklet, ...]]
People = list[tuple[str, int, int, tuple[float, float, float, float]]]  # camera, frame, tracklet or identity, box


class Recorder:
    """Stands in for the associator: keeps what the trackers say."""

    def __init__(self) -> None:
        self.moments: list[list[CameraTracks]] = []
        self.ended: tuple[Tracklet, ...] = ()

    def __call__(self, tracks: Sequence[CameraTracks]) -> list[TrackedFrame]:
        self.moments.append(list(tracks))
        return [TrackedFrame(moment.camera_id, moment.index, moment.time, ()) for moment in tracks]

    def finish(self, ended: Sequence[Tracklet]) -> tuple[IdentityEvent, ...]:
        self.ended = tuple(ended)
        return ()


def tracked(name: str, folder: Path, data: Path) -> tuple[Moments, dict[str, Path]]:
    """What the trackers say of a cut, moment by moment, and the truth of its cameras."""
    sequence = data / "PETS09-S2L1"
    cameras = cut_cameras(sequence / "vtest.avi", sequence / "gt" / "gt.txt", folder / name, CUTS[name])
    truth = {camera.camera_id: camera.truth for camera in cameras}
    config = Config()
    kept = folder / f"{name}-{_before_association(config)}.pickle"
    if kept.exists():
        return pickle.loads(kept.read_bytes()), truth
    pipeline = Pipeline.from_config(config)
    recorder = pipeline.associator = Recorder()
    sources = [
        open_source(str(camera.video), camera_id=camera.camera_id, start_time=camera.start_time) for camera in cameras
    ]
    for frames in moments(sources):
        pipeline.step(frames)
    pipeline.finish()
    kept.write_bytes(pickle.dumps((recorder.moments, recorder.ended)))
    return (recorder.moments, recorder.ended), truth


def _before_association(config: Config) -> str:
    """Names settings and models of all that comes before the associator."""
    settings = config.model_dump_json(include={"runtime", "detection", "embedding", "tracking"})
    models = fingerprint(detector_name(config.detection, config.runtime), "detector")
    models += fingerprint(config.embedding.model, "embedder")
    return hashlib.sha256((settings + models).encode()).hexdigest()[:12]


def associate(said: Moments, config: AssociationConfig) -> tuple[People, People, People, People]:
    """All people shown: by tracklet, by emitted identity, by that known ``DELAY`` seconds later, by the final one."""
    associator = CrossCameraAssociator(config)
    by_tracklet: People = []
    emitted: People = []
    times: list[float] = []
    events: list[IdentityEvent] = []
    for tracks in said[0]:
        for frame in associator(tracks):
            events += frame.events
            for person in frame.people:
                by_tracklet.append((frame.camera_id, frame.index, person.tracklet, person.box))
                emitted.append((frame.camera_id, frame.index, person.identity, person.box))
                times.append(frame.time)
    events += associator.finish(said[1])
    final = replayed(events)
    known = [(camera, frame, final[who], box) for camera, frame, who, box in by_tracklet]
    return by_tracklet, emitted, _known_later(by_tracklet, times, events), known


def _known_later(by_tracklet: People, times: Sequence[float], events: Sequence[IdentityEvent]) -> People:
    """Each box under the identity that its tracklet had ``DELAY`` seconds after it was seen."""
    held: dict[int, int] = {}
    later: People = [by_tracklet[0]] * len(by_tracklet)
    told = 0
    for row in np.argsort(times, kind="stable").tolist():
        while told < len(events) and events[told].time <= times[row] + DELAY:
            held = replayed(events[told : told + 1], held)
            told += 1
        camera, frame, who, box = by_tracklet[row]
        later[row] = camera, frame, held[who], box
    return later


def perfectly_merged(people: People, truth: Mapping[str, LabelledBoxes]) -> People:
    """Each tracklet under the id of the true person that it covers most often."""
    found = _labelled(people)
    votes: defaultdict[int, Counter[int]] = defaultdict(Counter)
    for camera, of_camera in truth.items():
        for row in range(len(found[camera])):
            here = np.flatnonzero(of_camera.frames == found[camera].frames[row])
            shared = _overlaps(found[camera].boxes[row], of_camera.boxes[here])
            if len(here) and shared.max() >= 0.5:
                votes[int(found[camera].ids[row])][int(of_camera.ids[here[shared.argmax()]])] += 1
    owners = {tracklet: count.most_common(1)[0][0] for tracklet, count in votes.items()}
    merged: People = []
    taken: set[tuple[str, int, int]] = set()
    for camera, frame, who, box in people:
        owner = owners.get(who, -who)
        if (camera, frame, owner) in taken:  # two tracklets on one person: one of them keeps an id of its own
            owner = -who
        taken.add((camera, frame, owner))
        merged.append((camera, frame, owner, box))
    return merged


def score(name: str, folder: Path, data: Path) -> dict[str, dict[str, float]]:
    """Global IDF1 of each kind of ids on one cut, by both truths."""
    said, truth_files = tracked(name, folder, data)
    published = {camera: read_truth(path).people for camera, path in truth_files.items()}
    _, emitted, _, final = associate(said, FORGETFUL)
    answers = (*associate(said, AssociationConfig()), emitted, final)
    return {
        AS_PUBLISHED: _scores(answers, published),
        RETURNS: _scores(answers, {camera: with_returns(people) for camera, people in published.items()}),
    }


def _scores(answers: tuple[People, ...], truth: Mapping[str, LabelledBoxes]) -> dict[str, float]:
    perfect = perfectly_merged(answers[0], truth)
    remembered = perfectly_merged(answers[0], {camera: with_returns(people) for camera, people in truth.items()})
    kinds = dict(zip(KINDS, (*answers, perfect, remembered), strict=True))
    scored = {camera: of_camera.within(*SCORED) for camera, of_camera in truth.items()}
    figures = {}
    for kind, people in kinds.items():
        found = {camera: of_camera.within(*SCORED) for camera, of_camera in _labelled(people).items()}
        figures[kind] = float(score_sequences(scored, found).across.idf1)
    return figures


def _labelled(people: People) -> dict[str, LabelledBoxes]:
    cameras = sorted({camera for camera, *_ in people})
    return {
        camera: LabelledBoxes.of(
            [frame for name, frame, _, _ in people if name == camera],
            [who for name, _, who, _ in people if name == camera],
            [box for name, _, _, box in people if name == camera],
        )
        for camera in cameras
    }


def _overlaps(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    sides = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    shared = np.clip(sides, 0, None).prod(axis=1)
    areas = (others[:, 2:] - others[:, :2]).prod(axis=1) + (box[2:] - box[:2]).prod()
    return shared / (areas - shared)


def main() -> None:
    """Run the cuts, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cuts", nargs="*", default=list(CUTS), choices=list(CUTS), metavar="NAME")
    parser.add_argument("--keep", type=Path, help="folder for the cut videos and what the trackers said")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    data = shared_data()
    if data is None:
        parser.error("the PETS video is not here; REID_TRACKER_SHARED names the folder of measuring material")
    with tempfile.TemporaryDirectory() as temporary:
        figures = {name: score(name, arguments.keep or Path(temporary), data) for name in arguments.cuts}
    report: dict[str, dict[str, dict[str, float]]] = {}
    for truth in (AS_PUBLISHED, RETURNS):
        report[truth] = {name: of_cut[truth] for name, of_cut in figures.items()}
        for kind in ("gap", "overlap"):
            rows = [row for name, row in report[truth].items() if name.startswith(kind)]
            if rows:
                report[truth][f"mean of {kind}"] = {ids: float(np.mean([row[ids] for row in rows])) for ids in KINDS}
        print(f"\nglobal IDF1, {truth}\n{'':20}" + "".join(f"{kind:>19}" for kind in KINDS))
        for name, row in report[truth].items():
            print(f"{name:20}" + "".join(f"{row[kind]:19.3f}" for kind in KINDS))
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()

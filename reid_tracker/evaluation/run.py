"""Score the output of a run (tracks.jsonl) against a folder of ground truth."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import numpy as np

from reid_tracker.errors import ConfigError
from reid_tracker.evaluation.evaluation import Evaluation, score_sequences
from reid_tracker.evaluation.labelled import LabelledBoxes
from reid_tracker.evaluation.truth import Truth, read_truth_folder, without_ignored
from reid_tracker.results import read_tracks
from reid_tracker.results.files import file_name
from reid_tracker.types import TrackedFrame

IdKind = Literal["emitted", "final"]


def evaluate(
    truth: str | Path,
    tracks: str | Path,
    ids: IdKind = "final",
    frames: tuple[int, int] | None = None,
    iou_threshold: float = 0.5,
) -> Evaluation:
    """Score a run.

    Args:
        truth: folder with ``<camera>/gt/gt.txt`` (``read_truth`` says what of it counts); ids hold across cameras.
        tracks: output folder of a run, or its tracks.jsonl.
        ids: ``final``, as known at the end of the run, or ``emitted``, as written at the time.
        frames: score frames first, ..., end - 1 alone (from 0, in each camera).
        iou_threshold: least overlap at which a box lies on a person.

    Raises:
        ConfigError: TrackEval is not installed, or an argument cannot be used.
        InputError: truth or tracks cannot be read, or a camera of the truth has no tracks.
    """
    if ids not in ("emitted", "final"):
        raise ConfigError(f"ids: expected 'emitted' or 'final', got {ids!r}")
    if frames is not None and not 0 <= frames[0] < frames[1]:
        raise ConfigError(f"frames: expected 0 <= first < end, got {frames}")
    results = labelled_tracks(read_tracks(tracks, ids=ids))
    camera_of = {file_name(camera_id): camera_id for camera_id in results}  # folders may be named as export names files
    truths = {camera_of.get(name, name): of_camera for name, of_camera in read_truth_folder(Path(truth)).items()}
    notes = [_what_counts(frames)]

    people: dict[str, LabelledBoxes] = {}
    scored: dict[str, LabelledBoxes] = {}
    for camera_id, of_camera in truths.items():
        people[camera_id] = _within(of_camera.people, of_camera, frames)
        if camera_id in results:
            found = without_ignored(of_camera, _within(results[camera_id], of_camera, frames), iou_threshold)
            scored[camera_id], repeated = _with_unique_ids(found)
            if repeated:
                notes.append(
                    f"camera {camera_id!r}: {repeated} boxes bore an identity that another box of the frame had; "
                    "each counts under an id of its own"
                )
    # cameras that the run had and the truth lacks stay in, so that an error about a missing one can name them
    unscored = sorted(results.keys() - truths.keys())
    if unscored:
        notes.append(f"no truth for camera {', '.join(map(repr, unscored))}: not scored")
    everything = {**{camera_id: results[camera_id] for camera_id in unscored}, **scored}
    return score_sequences(people, everything, ids=ids, iou_threshold=iou_threshold, notes=tuple(notes))


def labelled_tracks(frames: Iterable[TrackedFrame]) -> dict[str, LabelledBoxes]:
    """Identities by camera; a camera whose frames show nobody has no boxes."""
    rows: defaultdict[str, list[tuple[int, int, int]]] = defaultdict(list)
    boxes: defaultdict[str, list[tuple[float, float, float, float]]] = defaultdict(list)
    for frame in frames:
        rows[frame.camera_id] += [(frame.index, person.identity, person.tracklet) for person in frame.people]
        boxes[frame.camera_id] += [person.box for person in frame.people]
    labelled = {}
    for camera_id, of_camera in rows.items():
        table = np.array(of_camera, np.int64).reshape(-1, 3)
        labelled[camera_id] = LabelledBoxes.of(table[:, 0], table[:, 1], boxes[camera_id], table[:, 2])
    return labelled


def _within(labelled: LabelledBoxes, truth: Truth, frames: tuple[int, int] | None) -> LabelledBoxes:
    if frames is not None:
        labelled = labelled.within(*frames)
    return labelled if truth.frame_count is None else labelled.within(0, truth.frame_count)


def _with_unique_ids(labelled: LabelledBoxes) -> tuple[LabelledBoxes, int]:
    """Boxes whose identity the frame already has get ids of their own; also how many there were."""
    keys = np.stack([labelled.frames, labelled.ids], axis=1)
    first = np.unique(keys, axis=0, return_index=True)[1]
    repeated = np.setdiff1d(np.arange(len(labelled)), first)
    ids = labelled.ids.copy()
    ids[repeated] = ids.max(initial=0) + 1 + np.arange(len(repeated))
    return LabelledBoxes(labelled.frames, ids, labelled.boxes, labelled.tracklets), len(repeated)


def _what_counts(frames: tuple[int, int] | None) -> str:
    """Which frames and which area of them are scored."""
    span = "all frames" if frames is None else f"frames {frames[0]} to {frames[1] - 1}"
    return f"scored: {span}, whole picture, boxes of every size; truth flagged 0 is not scored"

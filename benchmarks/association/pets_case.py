"""The cuts of PETS09-S2L1 as cases: the whole pipeline on video, every method on the same tracklets.

``benchmarks.association.pets`` scores the same cuts with TrackEval beside the published truth; here returning people
are one, boxes are matched with people frame by frame first (IoU 0.5), and frames 401-795 count.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from benchmarks.association.cases import Case, Sightings, Step
from benchmarks.association.material import Material
from benchmarks.association.pets import SCORED, tracked
from benchmarks.association.views import cropped
from benchmarks.pets_cuts import CUTS
from benchmarks.tracking.pets import with_returns
from reid_tracker.errors import InputError
from reid_tracker.evaluation import LabelledBoxes, read_truth
from reid_tracker.evaluation.linking import NOBODY
from reid_tracker.evaluation.matching import matched_rows
from reid_tracker.types import FloatArray, Image, Tracklet

_QUICK = ("gap", "overlap")
_CROPS = 4  # of a tracklet


def pets(material: Material, quick: bool) -> Iterator[Case]:
    """All cuts; one of each kind where quick. What the trackers say is kept with the looks."""
    if material.tracking is None or not (material.tracking / "PETS09-S2L1").is_dir():
        raise InputError("PETS09-S2L1 is not there; REID_TRACKER_SHARED names the folder of tracking material")
    if not material.shipped:
        raise InputError("the pipeline is run with its own embedder")
    for name in _QUICK if quick else CUTS:
        yield pets_case(material, name)


def pets_case(material: Material, name: str) -> Case:
    """One cut."""
    assert material.tracking is not None
    folder = material.cache / f"pets-{material.judged.key}"
    (moments, ended), truth = tracked(name, folder, material.tracking)
    steps = [Step(max(moment.time for moment in tracks), tuple(tracks)) for tracks in moments]
    rows: list[tuple[float, int, int]] = []
    missed = 0
    for camera, path in truth.items():
        found, times = _reported(steps, camera)
        people = with_returns(read_truth(path).people).within(*SCORED)
        of_truth, of_found = matched_rows(people, found, 0.5)
        shown = np.full(len(found), NOBODY, np.int64)
        shown[of_found] = people.ids[of_truth]
        rows += zip(times, found.tracklets.tolist(), shown.tolist(), strict=True)
        missed += len(people) - len(of_truth)
    return Case(f"pets {name}", steps, ended, Sightings.of(rows), missed, pictures=_pictures(folder / name, steps))


def _pictures(folder: Path, steps: list[Step]) -> Callable[[Tracklet], Sequence[Image]]:
    """A few crops of each tracklet, read from the cameras' videos when asked for."""
    seen: defaultdict[int, list[tuple[int, FloatArray]]] = defaultdict(list)
    for step in steps:
        for moment in step.tracks:
            for one in moment.tracklets:
                seen[one.id].append((moment.index, one.box))

    def crops(one: Tracklet) -> Sequence[Image]:
        video = cv2.VideoCapture(str(folder / f"{one.camera_id}.avi"))
        places = np.unique(np.linspace(0, len(seen[one.id]) - 1, _CROPS).round().astype(int))
        found = []
        for index, box in (seen[one.id][place] for place in places):
            video.set(cv2.CAP_PROP_POS_FRAMES, index)
            read, picture = video.read()
            found += [cropped(picture.astype(np.uint8), box)] if read else []
        video.release()
        return found

    return crops


def _reported(steps: list[Step], camera: str) -> tuple[LabelledBoxes, list[float]]:
    """The boxes of a camera in the frames that count, and their times."""
    rows = [
        (moment.index, one.id, one.box, step.time)
        for step in steps
        for moment in step.tracks
        if moment.camera_id == camera and SCORED[0] <= moment.index < SCORED[1]
        for one in moment.tracklets
    ]
    boxes = LabelledBoxes.of([row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows])
    return boxes, [row[3] for row in rows]

"""What stands in for trackers and cameras in the benchmarks of association, and what their tables say."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from benchmarks.association.all import GROWTH, summary
from benchmarks.association.contest import FINAL, LINKAGE, NEAREST, NEW, ONLINE, PERFECT, REFINED
from benchmarks.association.stand_in import PATIENCE, Seen, StandInTracker
from benchmarks.association.wildtrack import homography
from benchmarks.tracking.common import shared_data
from reid_tracker.boxes import xywh_to_xyxy

_BOX = np.array([10, 10, 50, 110], np.float32)


def _tracker() -> StandInTracker:
    """Of people whose next look is always another one, five different ones in turn."""
    looks = itertools.cycle(np.eye(5, dtype=np.float32))
    no_stripes = np.zeros((0, 0), np.float32)
    return StandInTracker("a", (640, 480), lambda one: ((next(looks), no_stripes), 1 - one.covered), itertools.count(1))


def test_a_short_gap_does_not_end_a_tracklet_and_a_long_one_does() -> None:
    tracker = _tracker()
    first = tracker(0.0, [Seen(5, _BOX, 0.0)]).tracklets[0]
    assert [one.id for one in tracker(PATIENCE, []).lost] == [first.id]
    assert tracker(PATIENCE, [Seen(5, _BOX, 0.0)]).tracklets[0].id == first.id
    gone = tracker(2 * PATIENCE + 0.1, [Seen(5, _BOX, 0.0)])
    assert [one.id for one in gone.ended] == [first.id]
    assert gone.tracklets[0].id != first.id


def test_looks_are_taken_of_people_in_full_view_and_not_in_every_frame() -> None:
    tracker = _tracker()
    covered = [(0.0, 0.9), (0.5, 0.5), (1.0, 0.0), (1.5, 0.0), (2.0, 0.5), (2.5, 0.1)]
    versions = [tracker(time, [Seen(1, _BOX, share)]).tracklets[0].looks_version for time, share in covered]
    assert versions == [0, 1, 1, 2, 2, 3]  # the first look may be a poor one; later ones are good, a second apart


def test_a_look_that_is_known_already_is_not_kept_twice() -> None:
    tracker = _tracker()
    seen = [tracker(float(time), [Seen(1, _BOX, 0.0)]).tracklets[0] for time in range(8)]
    assert [one.looks_version for one in seen] == [1, 2, 3, 4, 5, 5, 5, 5]
    assert len(seen[-1].looks) == 5


def test_wildtracks_calibration_leads_to_its_published_positions() -> None:
    shared = shared_data()
    if shared is None or not (shared / "wildtrack_boxes").is_dir():
        pytest.skip("WILDTRACK's boxes are not here (REID_TRACKER_SHARED)")
    folder = shared / "wildtrack_boxes"
    rows = np.loadtxt(folder / "C4" / "gt" / "gt.txt", delimiter=",")
    whole = rows[rows[:, 8] > 0.99]
    boxes = xywh_to_xyxy(whole[:, 2:6])
    feet = np.column_stack([boxes[:, [0, 2]].mean(axis=1), boxes[:, 3], np.ones(len(boxes))])
    ground = feet @ np.array(homography(Path(folder / "calibrations"), "CVLab4")).T
    apart = np.linalg.norm(ground[:, :2] / ground[:, 2:] - whole[:, 10:12], axis=1)
    assert np.median(apart) < 0.2  # metres


def test_the_summary_has_a_line_for_each_case_and_says_what_hindsight_gains() -> None:
    row = {"idf1": 0.5, "precision": 0.25, "recall": 0.75}
    report = {
        "methods": dict.fromkeys((NEW, NEAREST, LINKAGE, ONLINE, FINAL, REFINED, PERFECT), row),
        "automatic threshold": {ONLINE: {"lost to hindsight": 0.011}, FINAL: {"lost to hindsight": 0.022}},
    }
    lines = summary({GROWTH: {"4 cameras": {}}, "ours": {"market": report, "epfl": report}})
    assert len(lines) == 2 + 2
    assert lines[2].startswith("| market, ours | 0.500 |")
    assert "0.25 / 0.75" in lines[2]
    assert "0.011 / 0.022" in lines[2]
    assert len({line.count("|") for line in lines}) == 1

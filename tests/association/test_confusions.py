"""The page of what identities get wrong names every wrong merge and split, the costliest first, with pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.association.cases import Case, Sightings, Step
from benchmarks.association.confusions import confusions, write_confusions
from reid_tracker.types import CameraTracks
from tests.association.scenes import Wardrobe, tracklet


def case() -> Case:
    """Three people; tracklets 1 and 2 show person 1, 3 and 4 person 2, 5 person 3, 6 nobody."""
    looks = Wardrobe().looks(1, 2)
    seen = tuple(tracklet(number, f"c{number % 2}", number, number + 1.0, looks) for number in range(1, 7))
    steps = [Step(9.0, (CameraTracks("c0", 0, 9.0, (640, 480), seen),))]
    shown = {1: 1, 2: 1, 3: 2, 4: 2, 5: 3, 6: -1}
    rows = [
        (float(time), number, person) for number, person in shown.items() for time in range(10 if number < 3 else 4)
    ]
    picture = np.full((20, 10, 3), 200, np.uint8)
    return Case("made up", steps, (), Sightings.of(rows), pictures=lambda one: [picture] * one.id)


def ids(found: dict[int, int], of: Case) -> np.ndarray:
    return np.array([found[number] for number in of.sightings.tracklets.tolist()])


def test_wrong_merges_and_splits_are_listed_by_what_they_cost(tmp_path: Path) -> None:
    made = case()
    wrong = ids({1: 1, 2: 2, 3: 2, 4: 3, 5: 3, 6: 3}, made)
    merges, splits = confusions(made, wrong)
    assert [(one.title, one.boxes) for one in merges] == [("identity 2: 2 people", 4), ("identity 3: 2 people", 4)]
    assert [(one.title, one.boxes) for one in splits] == [("person 1: 2 identities", 10), ("person 2: 2 identities", 4)]
    assert [[one.id for one in group] for group in merges[0].groups.values()] == [[2], [3]]
    page = write_confusions(tmp_path / "new", "made up, an embedder", made, wrong)
    text = page.read_text()
    assert text.count("<img ") == (2 + 3) + (4 + 4) + (1 + 2) + (3 + 4)  # at most four of a tracklet
    assert "http" not in text


def test_the_right_answer_confuses_nobody() -> None:
    made = case()
    assert confusions(made, ids({1: 1, 2: 1, 3: 2, 4: 2, 5: 3, 6: 3}, made)) == ([], [])

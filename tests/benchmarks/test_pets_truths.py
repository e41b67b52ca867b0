"""The committed tables beside the published truth of PETS09-S2L1."""

from __future__ import annotations

import numpy as np

from benchmarks.tracking.pets import completed, with_returns
from reid_tracker.boxes import overlap
from reid_tracker.evaluation import LabelledBoxes


def published(frames: range) -> LabelledBoxes:
    """Somebody who stands still on the right."""
    return LabelledBoxes.of(list(frames), [4] * len(frames), [[700, 300, 740, 400]] * len(frames))


def test_the_person_who_is_left_out_walks_through_as_somebody_new() -> None:
    truth = published(range(60, 200))
    whole = completed(truth)
    added = whole.select(~np.isin(whole.ids, truth.ids))
    assert len(whole) == len(truth) + len(added)
    assert np.array_equal(added.frames, np.arange(80, 169))
    assert len(np.unique(added.ids)) == 1
    assert (np.diff(added.boxes[:, 0]) < 0).all()  # from right to left, without a jump
    for before, after in zip(added.boxes[:-1], added.boxes[1:], strict=True):
        assert overlap(before[None], after[None])[0, 0] > 0.5


def test_returns_change_ids_and_nothing_else() -> None:
    truth = published(range(5))
    one = with_returns(truth)
    assert np.array_equal(one.boxes, truth.boxes)
    assert set(one.ids) == {12}  # the grey-haired one of the table

"""Scores of one sequence: by hand, at the limits, and against TrackEval's own reading of MOTChallenge files."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from reid_tracker.errors import InputError
from reid_tracker.evaluation import LabelledBoxes, read_truth, score_sequence
from tests.evaluation.scenes import walk

trackeval = pytest.importorskip("trackeval", reason="needs the extra 'evaluation'")


def test_scores_when_everything_is_found_are_one() -> None:
    truth = walk(person=1, frames=range(10)) + walk(person=2, frames=range(5, 20))
    scores = score_sequence(truth.labelled(), truth.labelled())
    assert (scores.hota, scores.deta, scores.assa) == (1, 1, 1)
    assert (scores.idf1, scores.mota, scores.switches) == (1, 1, 0)
    assert (scores.false_positives, scores.misses) == (0, 0)


def test_scores_when_an_identity_breaks_half_way_match_the_fractions() -> None:
    """One person in 10 frames, found in all of them, with id 1 for four frames and then id 2 for six.

    IDF1: the better of both ids covers 6 of 10 boxes: 2 * 6 / (10 + 10). MOTA: one switch in 10 boxes.
    AssA: four boxes score 4 / 10 and six score 6 / 10, whatever the threshold; DetA is 1.
    """
    truth = walk(person=7, frames=range(10))
    predicted = walk(person=7, frames=range(4), label=1) + walk(person=7, frames=range(4, 10), label=2)
    scores = score_sequence(truth.labelled(), predicted.labelled())
    assert scores.idf1 == pytest.approx(12 / 20)
    assert scores.mota == pytest.approx(1 - 1 / 10)
    assert scores.switches == 1
    assert scores.deta == 1
    assert scores.assa == pytest.approx((4 * 4 / 10 + 6 * 6 / 10) / 10)
    assert scores.hota == pytest.approx(math.sqrt(0.52))


def test_scores_when_boxes_are_missed_and_invented_match_the_fractions() -> None:
    """Ten true boxes, eight found, two more boxes where nobody is."""
    truth = walk(person=1, frames=range(10))
    predicted = walk(person=1, frames=range(8), label=5) + walk(person=9, frames=range(2), label=6)
    scores = score_sequence(truth.labelled(), predicted.labelled())
    assert (scores.misses, scores.false_positives, scores.switches) == (2, 2, 0)
    assert scores.mota == pytest.approx(1 - 4 / 10)
    assert (scores.idp, scores.idr) == (pytest.approx(8 / 10), pytest.approx(8 / 10))
    assert scores.deta == pytest.approx(8 / 12)


@pytest.mark.parametrize(
    ("shift", "found"),
    [
        (4, True),  # boxes 12 wide, shifted by 4: IoU 8 / 16, exactly the threshold, counts as found
        (4.1, False),  # just below
    ],
)
def test_scores_when_overlap_is_at_the_threshold_count_the_box(shift: float, found: bool) -> None:
    truth = LabelledBoxes.of([0], [1], [[0, 0, 12, 10]])
    predicted = LabelledBoxes.of([0], [1], [[shift, 0, 12 + shift, 10]])
    scores = score_sequence(truth, predicted)
    assert scores.misses == (0 if found else 1)
    assert scores.idf1 == (1 if found else 0)


def test_scores_when_nobody_is_found_are_zero() -> None:
    scores = score_sequence(walk(person=1, frames=range(3)).labelled(), LabelledBoxes.of([], [], []))
    assert (scores.hota, scores.idf1, scores.mota, scores.misses) == (0, 0, 0, 3)


def test_scores_when_there_is_no_truth_are_undefined_but_count_inventions() -> None:
    scores = score_sequence(LabelledBoxes.of([], [], []), walk(person=1, frames=range(3)).labelled())
    assert math.isnan(scores.hota)
    assert math.isnan(scores.mota)
    assert scores.false_positives == 3


def test_scores_when_an_id_is_twice_in_a_frame_are_refused() -> None:
    truth = walk(person=1, frames=range(3)).labelled()
    twice = (walk(person=1, frames=range(3), label=4) + walk(person=2, frames=[1], label=4)).labelled()
    with pytest.raises(InputError, match="id 4 occurs twice in frame 1"):
        score_sequence(truth, twice)


def test_scores_do_not_depend_on_the_order_of_the_rows_nor_on_the_names_of_ids() -> None:
    truth = walk(person=1, frames=range(12)) + walk(person=2, frames=range(3, 9))
    predicted = walk(person=1, frames=range(9), label=3) + walk(person=2, frames=range(3, 9), label=8)
    reference = score_sequence(truth.labelled(), predicted.labelled())
    shuffled = predicted.labelled().select(np.random.default_rng(5).permutation(len(predicted)))
    renamed = LabelledBoxes.of(shuffled.frames + 0, 1000 - shuffled.ids, shuffled.boxes)
    assert score_sequence(truth.labelled(), renamed) == reference


def test_scoring_prints_nothing_and_writes_nothing(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TrackEval's evaluator prints its settings and leaves files in the working folder; its metrics alone do not."""
    monkeypatch.chdir(tmp_path)
    truth = walk(person=1, frames=range(10)).labelled()
    score_sequence(truth, truth)
    assert capsys.readouterr() == ("", "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("sequence", ["TUD-Campus", "TUD-Stadtmitte"])
def test_scores_agree_with_trackeval_on_mot15(sequence: str, shared: Path, tmp_path: Path) -> None:
    folder = shared / "data" / "tracking" / "mot15_gt_det" / sequence
    result = folder / "sample_result.txt"
    if not result.is_file():
        pytest.skip(f"needs the MOT15 text of {sequence} under REID_TRACKER_SHARED")
    _assert_agreement(folder / "gt" / "gt.txt", result, sequence, tmp_path)


@pytest.mark.parametrize("seed", [0, 1])
def test_scores_agree_with_trackeval_on_made_up_tracks(seed: int, tmp_path: Path) -> None:
    """Walkers that cross, found with jitter, gaps, ghosts and changing ids: no case that only clean scenes avoid."""
    random = np.random.default_rng(seed)
    truth, result = [], []
    for person in range(1, 8):
        start, pace = random.uniform(0, 400, 2), random.uniform(-6, 6, 2)
        for frame in range(int(random.integers(0, 20)), int(random.integers(40, 80))):
            left, top = start + pace * frame
            truth.append(f"{frame + 1},{person},{left:.2f},{top:.2f},40,100,{int(random.random() > 0.05)},-1,-1,-1")
            if random.random() < 0.85:
                x, y = np.array([left, top]) + random.normal(0, 6, 2)
                label = 10 * person + frame // int(random.integers(15, 40))
                result.append(f"{frame + 1},{label},{x:.2f},{y:.2f},42,95,1,-1,-1,-1")
    result += [f"{frame},999,{random.uniform(0, 500):.2f},300,40,100,1,-1,-1,-1" for frame in range(3, 60, 4)]
    (tmp_path / "gt.txt").write_text("\n".join(truth) + "\n")
    (tmp_path / "result.txt").write_text("\n".join(result) + "\n")
    _assert_agreement(tmp_path / "gt.txt", tmp_path / "result.txt", "made-up", tmp_path)


def _assert_agreement(truth: Path, result: Path, sequence: str, folder: Path) -> None:
    """TrackEval's own MOT15 reader and metrics over the same two files, to the last digit."""
    reference = _trackeval_on_files(truth, result, sequence, folder)

    rows = np.loadtxt(result, delimiter=",")
    corners = np.concatenate([rows[:, 2:4], rows[:, 2:4] + rows[:, 4:6]], axis=1)
    predicted = LabelledBoxes.of(rows[:, 0] - 1, rows[:, 1], corners)
    scores = score_sequence(read_truth(truth).people, predicted)

    assert scores.hota == pytest.approx(float(np.mean(reference["HOTA"]["HOTA"])), abs=1e-12)
    assert scores.assa == pytest.approx(float(np.mean(reference["HOTA"]["AssA"])), abs=1e-12)
    assert scores.idf1 == pytest.approx(float(reference["Identity"]["IDF1"]), abs=1e-12)
    assert scores.mota == pytest.approx(float(reference["CLEAR"]["MOTA"]), abs=1e-12)
    assert scores.switches == reference["CLEAR"]["IDSW"]
    assert scores.false_positives == reference["CLEAR"]["CLR_FP"]
    assert scores.misses == reference["CLEAR"]["CLR_FN"]


def _trackeval_on_files(truth: Path, result: Path, sequence: str, folder: Path) -> dict[str, dict[str, float]]:
    """What TrackEval says of two MOT15 files through its own data set class."""
    frame_count = int(max(np.loadtxt(truth, delimiter=",")[:, 0].max(), np.loadtxt(result, delimiter=",")[:, 0].max()))
    for source, target in (
        (truth, folder / "gt" / "MOT15-train" / sequence / "gt" / "gt.txt"),
        (result, folder / "trackers" / "MOT15-train" / "ours" / "data" / f"{sequence}.txt"),
    ):
        target.parent.mkdir(parents=True)
        target.write_text(source.read_text(encoding="utf-8"), encoding="utf-8")
    dataset = trackeval.datasets.MotChallenge2DBox(
        {
            "GT_FOLDER": str(folder / "gt"),
            "TRACKERS_FOLDER": str(folder / "trackers"),
            "BENCHMARK": "MOT15",
            "SEQ_INFO": {sequence: frame_count},
            "PRINT_CONFIG": False,
        }
    )
    data = dataset.get_preprocessed_seq_data(dataset.get_raw_seq_data("ours", sequence), "pedestrian")
    quiet = {"PRINT_CONFIG": False}
    return {
        "HOTA": trackeval.metrics.HOTA().eval_sequence(data),
        "Identity": trackeval.metrics.Identity(dict(quiet)).eval_sequence(data),
        "CLEAR": trackeval.metrics.CLEAR(dict(quiet)).eval_sequence(data),
    }

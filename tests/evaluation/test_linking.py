"""Links across cameras, people split and identities merged, counted on tracklets by hand."""

from __future__ import annotations

import math

import pytest

from reid_tracker.errors import InputError
from reid_tracker.evaluation import LabelledBoxes, LinkingScores, score_sequences
from reid_tracker.evaluation.linking import NOBODY, judge_tracklets, score_linking
from tests.evaluation.scenes import Scene, walk

LONG, SHORT = range(20), range(5)


def linking(truth: dict[str, Scene], predicted: dict[str, Scene]) -> LinkingScores:
    return score_linking(
        judge_tracklets(
            {name: scene.labelled() for name, scene in truth.items()},
            {name: scene.labelled() for name, scene in predicted.items()},
        )
    )


# three people walk through two cameras
TRUTH = {name: walk(1, LONG) + walk(2, LONG) + walk(3, LONG) for name in ("door", "hall")}


def seen_as(door: tuple[int, int, int], hall: tuple[int, int, int]) -> dict[str, Scene]:
    """The three people with these identities in each camera, one tracklet each."""
    scenes = {}
    for name, labels, first in (("door", door, 10), ("hall", hall, 20)):
        one, two, three = (
            walk(person, LONG, label=label, tracklet=first + person)
            for person, label in zip((1, 2, 3), labels, strict=True)
        )
        scenes[name] = one + two + three
    return scenes


@pytest.mark.parametrize(
    ("door", "hall", "right", "predicted", "split", "surplus", "merged", "too_many"),
    [
        ((1, 2, 3), (1, 2, 3), 3, 3, 0, 0, 0, 0),  # perfect
        ((1, 2, 3), (4, 5, 6), 0, 0, 3, 3, 0, 0),  # nobody linked: everybody split in two
        ((1, 1, 1), (1, 1, 1), 3, 9, 0, 0, 1, 2),  # everybody merged: 9 pairs, 3 of them right
        ((1, 2, 3), (2, 1, 3), 1, 3, 2, 2, 2, 2),  # two confused: both split, both identities merged
        ((1, 2, 3), (1, 2, 4), 2, 2, 1, 1, 0, 0),  # one not recognised
        ((1, 2, 3), (1, 2, 2), 2, 3, 1, 1, 1, 1),  # the third taken for the second
    ],
)
def test_pairs_splits_and_merges_match_the_count_by_hand(
    door: tuple[int, int, int],
    hall: tuple[int, int, int],
    right: int,
    predicted: int,
    split: int,
    surplus: int,
    merged: int,
    too_many: int,
) -> None:
    scores = linking(TRUTH, seen_as(door, hall))
    assert (scores.true_pairs, scores.predicted_pairs, scores.right_pairs) == (3, predicted, right)
    assert scores.recall == right / 3
    assert scores.precision == right / predicted if predicted else math.isnan(scores.precision)
    assert (scores.people, scores.people_split, scores.surplus_identities) == (3, split, surplus)
    assert (scores.identities_merged, scores.people_too_many) == (merged, too_many)


def test_a_tracklet_of_nobody_makes_its_pairs_wrong_and_no_merge() -> None:
    """Identity 1 also sits on an empty spot of the other camera: one wrong pair, but no second person."""
    predicted = {
        "door": walk(1, LONG, label=1, tracklet=11),
        "hall": walk(1, LONG, label=1, tracklet=21) + walk(9, SHORT, label=1, tracklet=22),
    }
    scores = linking(TRUTH, predicted)
    assert (scores.predicted_pairs, scores.right_pairs) == (2, 1)
    assert scores.identities_merged == 0
    assert scores.tracklets_of_nobody == 1


@pytest.mark.parametrize(
    ("on_person", "elsewhere", "person"),
    [
        (10, 10, 1),  # half of the boxes is enough
        (9, 11, NOBODY),  # less is not
    ],
)
def test_a_tracklet_shows_a_person_only_with_half_of_its_boxes(on_person: int, elsewhere: int, person: int) -> None:
    strays = walk(9, range(on_person, on_person + elsewhere), label=1)
    (judged,) = judge_tracklets(
        {"door": walk(1, LONG).labelled()}, {"door": (walk(1, range(on_person)) + strays).labelled()}
    )
    assert judged.person == person


def test_two_tracklets_on_one_box_cannot_both_show_its_person() -> None:
    """Matching is one to one in each frame: a second tracklet on the same person shows nobody."""
    doubled = walk(1, LONG, label=1) + walk(1, LONG, label=2)
    judged = judge_tracklets({"door": walk(1, LONG).labelled()}, {"door": doubled.labelled()})
    assert sorted(tracklet.person for tracklet in judged) == [NOBODY, 1]


def test_pairs_inside_one_camera_do_not_count() -> None:
    broken = walk(1, range(10), label=1, tracklet=11) + walk(1, range(10, 20), label=1, tracklet=12)
    scores = linking({"door": walk(1, LONG)}, {"door": broken})
    assert (scores.true_pairs, scores.predicted_pairs) == (0, 0)


def test_scores_across_cameras_see_what_each_camera_alone_cannot() -> None:
    """Two cameras tracked without a fault but not linked: perfect apart, IDF1 one half together."""
    pytest.importorskip("trackeval", reason="needs the extra 'evaluation'")
    truth = {name: scene.labelled() for name, scene in TRUTH.items()}
    unlinked = {name: scene.labelled() for name, scene in seen_as((1, 2, 3), (4, 5, 6)).items()}
    evaluation = score_sequences(truth, unlinked, ids="final")
    assert [scores.idf1 for scores in evaluation.cameras.values()] == [1, 1]
    # each true id has 40 boxes, the best identity covers 20 of them: 2 * 60 / (120 + 120)
    assert evaluation.across.idf1 == pytest.approx(1 / 2)
    assert evaluation.across.mota == pytest.approx(1 - 3 / 120)
    assert evaluation.across.truth_ids == 3
    linked = {name: scene.labelled() for name, scene in seen_as((1, 2, 3), (1, 2, 3)).items()}
    assert score_sequences(truth, linked).across.hota == 1


def test_frames_of_two_cameras_never_mix() -> None:
    """The same place in the same frame of two cameras: laid one over the other, ids would collide."""
    pytest.importorskip("trackeval", reason="needs the extra 'evaluation'")
    truth = {name: walk(1, range(3, 8)).labelled() for name in ("a", "b", "c")}
    across = score_sequences(truth, truth).across
    assert (across.truth_boxes, across.truth_ids, across.idf1) == (15, 1, 1)


def test_a_camera_without_results_is_an_error_that_names_both_sides() -> None:
    truth = {"door": walk(1, LONG).labelled(), "hall": walk(1, LONG).labelled()}
    with pytest.raises(InputError, match=r"no results for camera 'hall'.*door, hall.*door, yard"):
        score_sequences(truth, {"door": truth["door"], "yard": LabelledBoxes.of([], [], [])})

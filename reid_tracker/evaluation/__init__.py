"""Scores against ground truth: HOTA, IDF1 and MOTA in and across cameras, and the links between them.

Needs the extra ``evaluation`` (TrackEval); importing this package does not.
"""

from reid_tracker.evaluation.evaluation import Evaluation, score_sequences
from reid_tracker.evaluation.labelled import LabelledBoxes
from reid_tracker.evaluation.linking import LinkingScores
from reid_tracker.evaluation.run import evaluate, labelled_tracks
from reid_tracker.evaluation.scores import Scores, score_sequence
from reid_tracker.evaluation.truth import Truth, read_truth, read_truth_folder

__all__ = [
    "Evaluation",
    "LabelledBoxes",
    "LinkingScores",
    "Scores",
    "Truth",
    "evaluate",
    "labelled_tracks",
    "read_truth",
    "read_truth_folder",
    "score_sequence",
    "score_sequences",
]

"""One-to-one matching of boxes with boxes, frame by frame."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linear_sum_assignment

from reid_tracker.evaluation.labelled import IntArray, LabelledBoxes, iou, rows_by_frame


def matched_rows(truth: LabelledBoxes, predicted: LabelledBoxes, iou_threshold: float) -> tuple[IntArray, IntArray]:
    """Rows of ``truth`` and of ``predicted`` that lie on one another.

    In each frame the pairs with IoU >= ``iou_threshold`` are matched one to one, largest sum of IoU.

    Returns:
        Two index arrays of equal length.
    """
    truth_rows = rows_by_frame(truth)
    of_truth: list[IntArray] = []
    of_predicted: list[IntArray] = []
    for frame, predicted_in_frame in rows_by_frame(predicted).items():
        truth_in_frame = truth_rows.get(frame)
        if truth_in_frame is None:
            continue
        similarity = iou(truth.boxes[truth_in_frame], predicted.boxes[predicted_in_frame])
        # the tolerance of TrackEval, so that a box at exactly the threshold counts here as it does there
        similarity[similarity < iou_threshold - np.finfo(np.float64).eps] = 0
        rows, columns = linear_sum_assignment(similarity, maximize=True)
        matched = similarity[rows, columns] > 0
        of_truth.append(truth_in_frame[rows[matched]])
        of_predicted.append(predicted_in_frame[columns[matched]])
    none = np.zeros(0, np.int64)
    return np.concatenate([none, *of_truth]), np.concatenate([none, *of_predicted])

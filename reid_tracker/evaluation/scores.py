"""HOTA, IDF1 and MOTA of one sequence, computed by TrackEval from arrays: no files, no printing."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np

from reid_tracker.errors import ConfigError, InputError
from reid_tracker.evaluation.labelled import LabelledBoxes, iou, rows_by_frame


@dataclass(frozen=True, slots=True)
class Scores:
    """How well one sequence was tracked. Fractions lie in 0..1 (MOTA may be negative); NaN where no truth exists.

    Attributes:
        hota, deta, assa: Luiten et al. 2021, mean over the IoU thresholds 0.05, 0.10, ..., 0.95.
        idf1, idp, idr: Ristani et al. 2016, one global assignment of identities to people.
        mota: Bernardin and Stiefelhagen 2008.
        switches, false_positives, misses: what MOTA counts.
        truth_boxes, predicted_boxes, truth_ids, predicted_ids: what was compared.
    """

    hota: float
    deta: float
    assa: float
    idf1: float
    idp: float
    idr: float
    mota: float
    switches: int
    false_positives: int
    misses: int
    truth_boxes: int
    predicted_boxes: int
    truth_ids: int
    predicted_ids: int


def library() -> str:
    """Name and version of the library behind the scores.

    Raises:
        ConfigError: it is not installed.
    """
    _trackeval_metrics()
    return f"trackeval {version('trackeval')}"


def score_sequence(truth: LabelledBoxes, predicted: LabelledBoxes, iou_threshold: float = 0.5) -> Scores:
    """Score one sequence.

    Args:
        truth: people; every box counts.
        predicted: identities.
        iou_threshold: least overlap at which a box lies on a person, for IDF1 and MOTA.

    Raises:
        ConfigError: TrackEval is not installed.
        InputError: an id occurs twice in a frame.
    """
    metrics = _trackeval_metrics()
    _refuse_repeated_ids("truth", truth)
    _refuse_repeated_ids("result", predicted)
    data = _trackeval_data(truth, predicted)
    quiet = {"THRESHOLD": iou_threshold, "PRINT_CONFIG": False}
    hota = metrics.HOTA().eval_sequence(data)
    identity = metrics.Identity(dict(quiet)).eval_sequence(data)
    clear = metrics.CLEAR(dict(quiet)).eval_sequence(data)
    defined = len(truth) > 0
    return Scores(
        hota=_fraction(hota["HOTA"], defined),
        deta=_fraction(hota["DetA"], defined),
        assa=_fraction(hota["AssA"], defined),
        idf1=_fraction(identity["IDF1"], defined),
        idp=_fraction(identity["IDP"], defined),
        idr=_fraction(identity["IDR"], defined),
        mota=_fraction(clear["MOTA"], defined),
        switches=int(clear["IDSW"]),
        false_positives=int(clear["CLR_FP"]),
        misses=int(clear["CLR_FN"]),
        truth_boxes=len(truth),
        predicted_boxes=len(predicted),
        truth_ids=data["num_gt_ids"],
        predicted_ids=data["num_tracker_ids"],
    )


def _fraction(values: Any, defined: bool) -> float:
    return float(np.mean(values)) if defined else float("nan")


def _trackeval_metrics() -> Any:
    try:
        from trackeval import metrics
    except ImportError as error:
        raise ConfigError(
            f"evaluation needs TrackEval ({error}); install it with: pip install 'reid_tracker[evaluation]'"
        ) from error
    return metrics


def _refuse_repeated_ids(what: str, labelled: LabelledBoxes) -> None:
    keys, counts = np.unique(np.stack([labelled.frames, labelled.ids], axis=1), axis=0, return_counts=True)
    if (counts > 1).any():
        frame, identity = keys[counts > 1][0]
        raise InputError(f"{what}: id {identity} occurs twice in frame {frame}; an id may occur once in a frame")


def _trackeval_data(truth: LabelledBoxes, predicted: LabelledBoxes) -> dict[str, Any]:
    """The dictionary that TrackEval's metrics read: per-frame ids, numbered from 0, and overlaps."""
    truth_ids, truth_numbers = np.unique(truth.ids, return_inverse=True)
    predicted_ids, predicted_numbers = np.unique(predicted.ids, return_inverse=True)
    truth_rows, predicted_rows = rows_by_frame(truth), rows_by_frame(predicted)
    # frames without any box change none of the metrics
    frames = sorted(truth_rows.keys() | predicted_rows.keys())
    nothing = np.zeros(0, np.int64)
    in_truth = [truth_rows.get(frame, nothing) for frame in frames]
    in_predicted = [predicted_rows.get(frame, nothing) for frame in frames]
    return {
        "num_timesteps": len(frames),
        "num_gt_ids": len(truth_ids),
        "num_tracker_ids": len(predicted_ids),
        "num_gt_dets": len(truth),
        "num_tracker_dets": len(predicted),
        "gt_ids": [truth_numbers[rows] for rows in in_truth],
        "tracker_ids": [predicted_numbers[rows] for rows in in_predicted],
        "similarity_scores": [
            iou(truth.boxes[rows], predicted.boxes[columns])
            for rows, columns in zip(in_truth, in_predicted, strict=True)
        ],
    }

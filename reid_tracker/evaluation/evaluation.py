"""Score a run against ground truth: in each camera, across cameras, and the links alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from reid_tracker.errors import InputError
from reid_tracker.evaluation.labelled import LabelledBoxes, one_after_the_other
from reid_tracker.evaluation.linking import LinkingScores, judge_tracklets, score_linking
from reid_tracker.evaluation.scores import Scores, library, score_sequence

ACROSS = "all cameras"


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Scores of a run.

    Attributes:
        cameras: by camera; ids are compared inside that camera only.
        across: all cameras laid one after the other as one sequence; a person must keep one id over all of them.
        linking: the decisions of association alone, counted on tracklets.
        ids: which ids were scored: ``emitted`` at the time, or ``final``, as known at the end.
        library: what computed HOTA, IDF1 and MOTA, with its version.
        iou_threshold: least overlap at which a box lies on a person (HOTA: 0.05 to 0.95).
        notes: rules that were applied and what was left out, one sentence each.
    """

    cameras: Mapping[str, Scores]
    across: Scores
    linking: LinkingScores
    ids: str
    library: str
    iou_threshold: float
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain numbers and strings, ready for ``json.dump``; what is undefined is None."""
        return {
            "ids": self.ids,
            "library": self.library,
            "iou_threshold": self.iou_threshold,
            "notes": list(self.notes),
            "cameras": {camera_id: _plain(asdict(scores)) for camera_id, scores in self.cameras.items()},
            "across_cameras": _plain(asdict(self.across)),
            "linking": _plain(
                {"precision": self.linking.precision, "recall": self.linking.recall, **asdict(self.linking)}
            ),
        }

    def to_text(self) -> str:
        """The scores as text, fractions in percent."""
        return _table(self)


def score_sequences(
    truth: Mapping[str, LabelledBoxes],
    predicted: Mapping[str, LabelledBoxes],
    *,
    ids: str = "given",
    iou_threshold: float = 0.5,
    notes: tuple[str, ...] = (),
) -> Evaluation:
    """Score the identities of any number of cameras. No files: arrays in, figures out.

    Args:
        truth: people by camera; ids mean the same person in every camera.
        predicted: identities by camera, at least for the cameras of ``truth``.
        ids: what the identities are, for the record.
        iou_threshold: least overlap at which a box lies on a person.
        notes: further rules, for the record.

    Raises:
        ConfigError: TrackEval is not installed.
        InputError: a camera of ``truth`` has no results, or an id is twice in one frame.
    """
    missing = sorted(truth.keys() - predicted.keys())
    if missing:
        raise InputError(
            f"no results for camera {', '.join(map(repr, missing))}: the truth has {_names(truth)}, "
            f"the results have {_names(predicted)}; rename the folders of the truth after the cameras"
        )
    order = sorted(truth)
    offsets, end = [], 0
    for camera_id in order:
        offsets.append(end)
        end += 1 + max(int(part[camera_id].frames.max(initial=-1)) for part in (truth, predicted))
    results = {camera_id: predicted[camera_id] for camera_id in order}
    across = score_sequence(
        one_after_the_other([truth[camera_id] for camera_id in order], offsets),
        one_after_the_other([results[camera_id] for camera_id in order], offsets),
        iou_threshold,
    )
    cameras = {camera_id: score_sequence(truth[camera_id], results[camera_id], iou_threshold) for camera_id in order}
    linking = score_linking(judge_tracklets(truth, results, iou_threshold))
    return Evaluation(cameras, across, linking, ids, library(), iou_threshold, notes)


def _names(cameras: Mapping[str, object]) -> str:
    return ", ".join(sorted(cameras)) or "none"


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {name: None if isinstance(value, float) and math.isnan(value) else value for name, value in values.items()}


_COLUMNS = (
    ("HOTA", "hota"),
    ("DetA", "deta"),
    ("AssA", "assa"),
    ("IDF1", "idf1"),
    ("MOTA", "mota"),
    ("switches", "switches"),
    ("false", "false_positives"),
    ("missed", "misses"),
    ("people", "truth_ids"),
    ("ids", "predicted_ids"),
)


def _table(evaluation: Evaluation) -> str:
    rows = [["camera", *(title for title, _ in _COLUMNS)]]
    rows += [[name, *_cells(scores)] for name, scores in evaluation.cameras.items()]
    rows.append([ACROSS, *_cells(evaluation.across)])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    linking = evaluation.linking
    lines += [
        "",
        f"pairs across cameras: precision {_percent(linking.precision)} "
        f"({linking.right_pairs} of {linking.predicted_pairs} predicted), "
        f"recall {_percent(linking.recall)} ({linking.right_pairs} of {linking.true_pairs} true)",
        f"people split: {linking.people_split} of {linking.people} "
        f"({linking.surplus_identities} identities too many); "
        f"identities merged: {linking.identities_merged} of {linking.identities} "
        f"({linking.people_too_many} people too many)",
        f"tracklets: {linking.tracklets}, of which {linking.tracklets_of_nobody} lie on nobody",
        "",
        f"{evaluation.library}; ids {evaluation.ids}; IoU >= {evaluation.iou_threshold:g} (HOTA: mean of 0.05 to 0.95)",
        *evaluation.notes,
    ]
    return "\n".join(lines)


def _cells(scores: Scores) -> list[str]:
    values = (getattr(scores, name) for _, name in _COLUMNS)
    return [_percent(value) if isinstance(value, float) else str(value) for value in values]


def _percent(fraction: float) -> str:
    return "-" if math.isnan(fraction) else f"{100 * fraction:.1f}"

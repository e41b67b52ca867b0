"""Ground truth in MOTChallenge text: who may be scored, and what is left out of the score."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from reid_tracker.errors import InputError
from reid_tracker.evaluation.labelled import DoubleArray, LabelledBoxes
from reid_tracker.evaluation.matching import matched_rows

MOT15_COLUMNS = 10  # frame, id, left, top, width, height, flag, x, y, z
MOT16_COLUMNS = 9  # frame, id, left, top, width, height, flag, class, visibility
PEDESTRIAN = 1
# person on a vehicle, static person, distractor, reflection: MOTChallenge leaves out results that lie on them
PERSON_LIKE = (2, 7, 8, 12)


@dataclass(frozen=True, slots=True)
class Truth:
    """Ground truth of one camera.

    Attributes:
        people: the boxes to find.
        ignored: boxes of what looks like a person but is not scored; a result on one is neither right nor wrong.
        frame_count: length of the sequence where ``seqinfo.ini`` beside it says so, else None.
    """

    people: LabelledBoxes
    ignored: LabelledBoxes
    frame_count: int | None = None


def read_truth(path: Path) -> Truth:
    """Read ``gt.txt``: MOTChallenge text, frames from 1, with 9 columns (MOT16 and later) or 10 (MOT15).

    Rows whose flag (column 7) is 0 are not scored. With 9 columns class 1 alone is scored; results on people-like
    classes (2, 7, 8, 12) and on flagged-out people are left out, as MOTChallenge does. Columns after the ninth of a
    longer line are extras of the data set and not read. Pixels are taken as they stand.

    Raises:
        InputError: the file cannot be read, or a line cannot: named with its number.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"truth {path}: cannot be read ({error}); expected MOTChallenge text") from error
    rows: list[list[float]] = []
    seen: dict[tuple[int, int], int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        row = _parsed(line, f"truth {path}:{number}", len(rows[0]) if rows else None)
        key = (int(row[0]), int(row[1]))
        if key in seen:
            raise InputError(f"truth {path}:{number}: id {key[1]} is in frame {key[0]} already (line {seen[key]})")
        seen[key] = number
        rows.append(row)
    if not rows:
        return Truth(LabelledBoxes.of([], [], []), LabelledBoxes.of([], [], []), _frame_count(path))
    table = np.array(rows, np.float64)
    scored = table[:, 6] != 0
    ignored = np.zeros(len(table), np.bool_)
    if table.shape[1] != MOT15_COLUMNS:
        pedestrian = table[:, 7] == PEDESTRIAN
        ignored = np.isin(table[:, 7], PERSON_LIKE) | (pedestrian & ~scored)
        scored &= pedestrian
    return Truth(_labelled(table[scored]), _labelled(table[ignored]), _frame_count(path))


def read_truth_folder(folder: Path) -> dict[str, Truth]:
    """Read ``<folder>/<camera>/gt/gt.txt`` of every camera, in order of their names.

    Raises:
        InputError: the folder holds none, or one cannot be read.
    """
    files = {path.parent.parent.name: path for path in sorted(folder.glob("*/gt/gt.txt"))}
    if not files:
        raise InputError(f"truth {folder}: no <camera>/gt/gt.txt in it; each camera needs its own folder")
    return {camera_id: read_truth(path) for camera_id, path in files.items()}


def without_ignored(truth: Truth, predicted: LabelledBoxes, iou_threshold: float = 0.5) -> LabelledBoxes:
    """The results less those that lie on ignored boxes rather than on people (one-to-one, IoU >= threshold)."""
    if not len(truth.ignored):
        return predicted
    everybody = LabelledBoxes(
        np.concatenate([truth.people.frames, truth.ignored.frames]),
        np.concatenate([truth.people.ids, truth.ignored.ids]),
        np.concatenate([truth.people.boxes, truth.ignored.boxes]),
        np.concatenate([truth.people.tracklets, truth.ignored.tracklets]),
    )
    truth_rows, predicted_rows = matched_rows(everybody, predicted, iou_threshold)
    kept = np.ones(len(predicted), np.bool_)
    kept[predicted_rows[truth_rows >= len(truth.people)]] = False
    return predicted.select(kept)


def _parsed(line: str, where: str, columns: int | None) -> list[float]:
    fields = line.split(",")
    if len(fields) < MOT16_COLUMNS:
        raise InputError(f"{where}: expected {MOT16_COLUMNS} or {MOT15_COLUMNS} columns, got {len(fields)}")
    if columns is not None and len(fields) != columns:
        raise InputError(f"{where}: {len(fields)} columns where the lines before have {columns}")
    try:
        row = [float(field) for field in fields]
    except ValueError as error:
        raise InputError(f"{where}: expected numbers, got {line.strip()!r}") from error
    if not np.isfinite(row[:7]).all() or row[4] <= 0 or row[5] <= 0:
        raise InputError(f"{where}: expected a finite box of width and height > 0, got {line.strip()!r}")
    if row[0] < 1 or row[0] != int(row[0]) or row[1] != int(row[1]):
        raise InputError(f"{where}: expected a whole frame number from 1 and a whole id, got {line.strip()!r}")
    return row


def _labelled(table: DoubleArray) -> LabelledBoxes:
    boxes = table[:, 2:6].copy()
    boxes[:, 2:] += boxes[:, :2]
    return LabelledBoxes.of(table[:, 0] - 1, table[:, 1], boxes)


def _frame_count(path: Path) -> int | None:
    """``seqLength`` of ``seqinfo.ini`` in the camera's folder."""
    information = path.parent.parent / "seqinfo.ini"
    if not information.is_file():
        return None
    for line in information.read_text(encoding="utf-8", errors="replace").splitlines():
        key, _, value = line.partition("=")
        if key.strip() == "seqLength" and value.strip().isdigit():
            return int(value)
    return None

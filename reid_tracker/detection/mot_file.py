"""Detections that somebody made before, from MOTChallenge text, in place of a network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from reid_tracker.boxes import xywh_to_xyxy
from reid_tracker.errors import InputError
from reid_tracker.parts import Detector
from reid_tracker.types import Detections, Frame

CONFIDENT_SHARE = 0.2  # of the scale of a file's scores; 0.05 to 0.4 track alike (docs/tracking.md)
TOP_SHARE = 0.1  # of a file's boxes, which reach the top of its scale: one outlier must not stretch it
_LAST_FRAME = 2**53  # up to where a float counts every frame
_LARGEST = 1e38  # of a number in single precision, with room for a sum
_COLUMNS = "frame, id, left, top, width, height, score"


class MotFileDetector:
    """See ``reid_tracker.parts.Detector``: looks frames up instead of looking at them.

    Args:
        files: camera id -> file.
        otherwise: finds people in the cameras that have no file.
        score_levels: (weak, confident).

    Raises:
        InputError: a file cannot be read, or a line of it is broken.
    """

    def __init__(
        self,
        files: Mapping[str, Path],
        otherwise: Detector | None = None,
        score_levels: tuple[float, float] | None = None,
    ) -> None:
        self._detections = {camera: read_mot_detections(path) for camera, path in files.items()}
        self._otherwise = otherwise
        self._files = dict(files)
        self._levels = score_levels

    @property
    def score_levels(self) -> tuple[float, float]:
        """(weak, confident), as given, or from the scores in all files (see ``levels_of``)."""
        if self._levels is not None:
            return self._levels
        return levels_of(found.scores for frames in self._detections.values() for found in frames.values())

    def score_levels_of(self, camera_id: str) -> tuple[float, float]:
        """(weak, confident) of one camera: as given, from its own file, or of the detector that stands in for one."""
        if self._levels is not None:
            return self._levels
        if camera_id in self._detections:
            return levels_of(found.scores for found in self._detections[camera_id].values())
        ask = getattr(self._otherwise, "score_levels_of", None)
        return ask(camera_id) if ask else self.score_levels

    def describe(self) -> str:
        """Which camera reads which file."""
        return "; ".join(f"{camera}: {path}" for camera, path in self._files.items())

    def __call__(self, frames: Sequence[Frame]) -> list[Detections]:
        """The detections of each frame; frames count from 0, the files' from 1.

        Raises:
            InputError: a camera has neither file nor detector.
        """
        unread = [frame for frame in frames if frame.camera_id not in self._detections]
        if unread and self._otherwise is None:
            raise InputError(
                f"camera {unread[0].camera_id!r}: no detection file and no detector (files: {', '.join(self._files)})"
            )
        seen = iter(self._otherwise(unread)) if unread and self._otherwise else iter(())
        return [
            self._detections[frame.camera_id].get(frame.index + 1, Detections.empty())
            if frame.camera_id in self._detections
            else next(seen)
            for frame in frames
        ]


def read_mot_detections(path: Path) -> dict[int, Detections]:
    """Detections by frame number (from 1) of a MOTChallenge text file, in the file's order.

    A line holds at least six numbers, separated by commas or spaces: frame, id (ignored), left, top, width, height,
    and then the score (1 where there is none; MOTChallenge's scores above 1 or below 0 are brought to 0..1 over the
    file); further columns are ignored. Pixels are left as they are, as in the project's own MOT files.

    Raises:
        InputError: the file cannot be read, or a line of it is broken; names file and line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"detections {path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise InputError(f"detections {path}: not a text file") from error
    rows = [_row(line, path, number) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]
    if not rows:
        return {}
    table = np.array(rows, np.float64)  # frame, left, top, width, height, score
    boxes = xywh_to_xyxy(table[:, 1:5])
    scores = _to_unit(table[:, 5])
    frames = table[:, 0].astype(np.int64)
    order = np.argsort(frames, kind="stable")  # one pass however long the recording: hours have 100,000 frames
    numbers, begins = np.unique(frames[order], return_index=True)
    groups = np.split(order, begins[1:])
    return {
        int(number): Detections(boxes[group].astype(np.float32), scores[group].astype(np.float32))
        for number, group in zip(numbers, groups, strict=True)
    }


def levels_of(scores: Iterable[np.ndarray]) -> tuple[float, float]:
    """(weak, confident) for detections of unknown origin: all may continue a track; the better ones may begin one.

    A file holds what its maker chose to keep, so how its scores are spread says little of how many are wrong: published
    detections crowd at the upper end, and any quantile would lie among good ones. The scale itself is steadier:
    ``confident`` is a fifth of the way up from the lowest score to the level that the best tenth reaches.
    """
    everything = np.concatenate([np.zeros(0, np.float32), *scores])
    if len(everything) == 0:
        return 0.0, 0.0
    lowest = float(everything.min())
    top = float(np.quantile(everything, 1 - TOP_SHARE))
    return lowest, lowest + CONFIDENT_SHARE * (top - lowest)


def _row(line: str, path: Path, number: int) -> tuple[float, float, float, float, float, float]:
    fields = line.replace(",", " ").split()
    where = f"detections {path}, line {number}"
    if len(fields) < 6:
        raise InputError(f"{where}: expected at least 6 columns ({_COLUMNS}), got {len(fields)}: {line.strip()!r}")
    try:
        numbers = [float(field) for field in fields[:7]]
    except ValueError as error:
        raise InputError(f"{where}: expected numbers ({_COLUMNS}), got {line.strip()!r}") from error
    frame, _, left, top, width, height = numbers[:6]
    score = numbers[6] if len(numbers) > 6 else 1.0
    if not np.isfinite([frame, left, top, width, height, score]).all():
        raise InputError(f"{where}: a box with NaN or infinity: {line.strip()!r}; remove or correct the line")
    if not 1 <= frame <= _LAST_FRAME or frame != int(frame):
        raise InputError(f"{where}: frame numbers are whole and count from 1, got {fields[0]!r}")
    if width <= 0 or height <= 0:
        raise InputError(f"{where}: a box of width {width:g} and height {height:g}; both must be above 0")
    if (
        max(abs(left), abs(top), width, height, abs(score)) > _LARGEST
        or _vanishes(left, width)
        or _vanishes(top, height)
    ):
        raise InputError(f"{where}: no box in single precision: {line.strip()!r}; remove or correct the line")
    return frame, left, top, width, height, score


def _vanishes(begin: float, length: float) -> bool:
    """Whether so little follows so far out that single precision does not see it."""
    return bool(np.float32(begin + length) <= np.float32(begin))


def _to_unit(scores: np.ndarray) -> np.ndarray:
    """Scores in 0..1: as they are where they lie there; detectors that score otherwise are scaled over the file."""
    lowest, highest = scores.min(), scores.max()
    if lowest >= 0 and highest <= 1:
        return scores
    if highest == lowest:
        return np.ones_like(scores)  # e.g. -1 in every line: "no score"
    return np.asarray((scores - lowest) / (highest - lowest))

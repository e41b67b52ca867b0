"""How large the network's input is for frames of a given size, and which scores count.

The input is chosen from a camera's first frame and then kept: a detector that changes its input changes its scores
and the tightness of its boxes, and both look like people coming and going.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

# Frame area in pixels -> input area in pixels. The cost of the network is the input's area, what it can find is the
# height of people in it. Up to 640 x 480 a person in view is large and 416 x 320 finds it; the step to 640 x 480 at
# PETS' 768 x 576 is where its ids break less often; beyond, frames grow mostly because they show more of a street,
# where 960 x 544 for 1080p is what two CPU cores can still pay.
_AREAS = (
    (640 * 480, 416 * 320),
    (768 * 576, 640 * 480),
    (1280 * 720, 800 * 448),
    (1920 * 1080, 960 * 544),
    (3840 * 2160, 1280 * 736),
)
DEFAULT_LEVELS = (0.25, 0.5)
"""(weak, confident) of a network without calibration: the family's usual threshold for a box to be drawn, and even
odds. Networks differ; set detection.score_threshold and detection.confident_score, or give the model a manifest."""


def input_size(frame_hw: tuple[int, int], longer_side: int | None, multiple_of: int) -> tuple[int, int]:
    """Height and width of the network's input for a frame: its aspect, in multiples of ``multiple_of``.

    Args:
        frame_hw: height and width of the frame.
        longer_side: of the input, in pixels; None chooses it from the frame's area (frames are never enlarged).
        multiple_of: what the network's sides must be multiples of.
    """
    height, width = frame_hw
    if longer_side is None:
        areas, inputs = np.log(np.array(_AREAS, float)).T
        budget = math.exp(float(np.interp(math.log(height * width), areas, inputs)))
        longer_side = round(max(height, width) * min(1.0, math.sqrt(budget / (height * width))))
    # The longer side decides the scale and goes to the nearest multiple; the other one must hold what comes of it.
    longer = max(1, round(longer_side / multiple_of)) * multiple_of
    shorter = min(height, width) * longer / max(height, width)
    shorter = max(1, math.ceil(shorter / multiple_of - 0.01)) * multiple_of  # 480.2 is 480
    return (shorter, longer) if width >= height else (longer, shorter)


def levels_at(calibrated: Mapping[int, tuple[float, float]], side: float) -> tuple[float, float]:
    """(weak, confident) scores for an input, between the calibrated sizes by straight lines, beyond them held.

    Args:
        calibrated: longer side of a 4:3 input in pixels -> (weak, confident).
        side: of this input, by the same measure (``equivalent_side``).
    """
    if not calibrated:
        return DEFAULT_LEVELS
    sides = sorted(calibrated)
    weak, confident = zip(*(calibrated[known] for known in sides), strict=True)
    return float(np.interp(side, sides, weak)), float(np.interp(side, sides, confident))


def equivalent_side(input_hw: tuple[int, int]) -> float:
    """Longer side of the 4:3 input that has as many pixels: what the calibration of scores is given for."""
    return math.sqrt(input_hw[0] * input_hw[1] * 4 / 3)

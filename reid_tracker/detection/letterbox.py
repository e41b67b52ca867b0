"""Frames of any size in a network input of one size, and boxes back again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from reid_tracker.types import FloatArray, Image


@dataclass(frozen=True, slots=True)
class Letterbox:
    """Where a frame lies in the network's input: scaled with its aspect kept, the rest is padding.

    Attributes:
        frame_hw: height and width of the frame in pixels.
        input_hw: height and width of the network's input.
        inner_hw: height and width of the scaled frame.
        top, left: of the scaled frame in the input.
    """

    frame_hw: tuple[int, int]
    input_hw: tuple[int, int]
    inner_hw: tuple[int, int]
    top: int
    left: int

    @classmethod
    def fit(
        cls, frame_hw: tuple[int, int], input_hw: tuple[int, int], placement: Literal["top-left", "centre"] = "top-left"
    ) -> Letterbox:
        """The largest frame with its aspect that the input holds."""
        scale = min(input_hw[0] / frame_hw[0], input_hw[1] / frame_hw[1])
        inner = (
            min(input_hw[0], max(1, round(frame_hw[0] * scale))),
            min(input_hw[1], max(1, round(frame_hw[1] * scale))),
        )
        top = left = 0
        if placement == "centre":
            # Half a pixel of odd padding goes below and right, as the YOLO family's own letterbox has it.
            top, left = (input_hw[0] - inner[0]) // 2, (input_hw[1] - inner[1]) // 2
        return cls(frame_hw, input_hw, inner, top, left)

    def draw(self, frame_bgr: Image, canvas: Image) -> None:
        """Scale a frame into its place; ``canvas`` (H, W, 3) holds the padding already."""
        height, width = self.inner_hw
        place = canvas[self.top : self.top + height, self.left : self.left + width]
        if frame_bgr.shape[:2] == self.inner_hw:
            place[:] = frame_bgr
        else:
            place[:] = cv2.resize(frame_bgr, (width, height), interpolation=cv2.INTER_LINEAR)

    def to_frame(self, boxes_xyxy: NDArray[np.floating]) -> FloatArray:
        """(N, 4) corners in pixels of the input to pixels of the frame, not clipped."""
        scale_y, scale_x = self.frame_hw[0] / self.inner_hw[0], self.frame_hw[1] / self.inner_hw[1]
        offset = np.array([self.left, self.top, self.left, self.top], np.float32)
        boxes: FloatArray = ((boxes_xyxy - offset) * np.array([scale_x, scale_y] * 2, np.float32)).astype(np.float32)
        return boxes

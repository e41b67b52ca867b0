"""Drawing tracked people into a picture: box, label and a short trail, in the colours of the identity."""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import replace

import cv2
import numpy as np

from reid_tracker.results.colours import Colour, identity_colour, second_colour, text_on
from reid_tracker.types import Image, TrackedFrame, TrackedPerson

TRAIL_SECONDS = 2.5
FONT = cv2.FONT_HERSHEY_DUPLEX
_SUBPIXEL_BITS = 3  # OpenCV draws lines at 1/8 pixel
_LONGEST_RUN = 1e8  # seconds, three years: larger times are moments, not counted from the beginning of recordings
_SUBPIXEL = 1 << _SUBPIXEL_BITS

_Bgr = tuple[int, int, int]


class Annotator:
    """Draws the people of one camera, remembering each one's last steps. One per camera, not thread-safe.

    Args:
        note: for the caption, after camera and time.
    """

    def __init__(self, note: str = "") -> None:
        self._note = note
        # Where each tracklet's feet were lately: (time, x, y), seconds and pixels.
        self._trails: defaultdict[int, deque[tuple[float, float, float]]] = defaultdict(deque)

    def draw(
        self,
        image: Image,
        tracked: TrackedFrame,
        ratio: float = 1.0,
        least_scale: float = 0.5,
        caption: bool = True,
    ) -> Image:
        """A copy of ``image`` (H, W, 3, BGR) with everybody in ``tracked``, camera and time in it.

        Args:
            ratio: size of ``image`` over that of the picture in which people were tracked, where it was made smaller.
            least_scale: of lines and text, 1 being right for a picture 480 pixels high; small pictures need more.
            caption: whether camera and time are written below; else whoever shows the picture says them.
        """
        canvas = image.copy()
        scale = max(canvas.shape[0] / 480, least_scale)
        self._remember(tracked)
        people = [_scaled(person, ratio) for person in tracked.people]
        for person in people:
            self._draw_trail(canvas, person, scale, ratio)
        for person in people:
            _draw_box(canvas, person, scale)
        for person in sorted(people, key=lambda person: person.box[3]):  # nearest (lowest) last, on top
            _draw_label(canvas, person, scale)
        if caption:
            text = f"{_ascii(tracked.camera_id)}  {clock_text(tracked.time)}  {self._note}".rstrip()
            _draw_caption(canvas, text, scale)
        return canvas

    def _remember(self, tracked: TrackedFrame) -> None:
        for person in tracked.people:
            x1, _, x2, y2 = person.box
            trail = self._trails[person.tracklet]
            if not trail or trail[-1][0] < tracked.time:  # a moment may be drawn several times, in several sizes
                trail.append((tracked.time, (x1 + x2) / 2, y2))
        for tracklet, trail in list(self._trails.items()):
            while trail and trail[0][0] < tracked.time - TRAIL_SECONDS:
                trail.popleft()
            if not trail:
                del self._trails[tracklet]

    def _draw_trail(self, canvas: Image, person: TrackedPerson, scale: float, ratio: float) -> None:
        points = self._trails[person.tracklet]
        if len(points) < 2:
            return
        steps = ratio * np.array([point[1:] for point in points])
        fixed = np.round(steps * _SUBPIXEL).astype(np.int32)
        colour = _bgr(identity_colour(person.identity))
        newest = points[-1][0]
        for (time, _, _), start, end in zip(list(points)[1:], fixed[:-1], fixed[1:], strict=True):
            age = (newest - time) / TRAIL_SECONDS
            thickness = max(1, round(3 * scale * (1 - age)))  # thinner with age
            cv2.line(canvas, tuple(start.tolist()), tuple(end.tolist()), colour, thickness, cv2.LINE_AA, _SUBPIXEL_BITS)


def _scaled(person: TrackedPerson, ratio: float) -> TrackedPerson:
    x1, y1, x2, y2 = person.box
    return replace(person, box=(x1 * ratio, y1 * ratio, x2 * ratio, y2 * ratio))


def _draw_box(canvas: Image, person: TrackedPerson, scale: float) -> None:
    """A frame around the person, with the second colour within; corners only while the link may still change."""
    x1, y1, x2, y2 = (round(corner) for corner in person.box)
    thickness = max(1, round(2 * scale))
    _draw_frame(canvas, (x1, y1, x2, y2), identity_colour(person.identity), thickness, person.state)
    second = second_colour(person.identity)
    if second is not None:
        inner = (x1 + thickness, y1 + thickness, x2 - thickness, y2 - thickness)
        _draw_frame(canvas, inner, second, max(1, thickness // 2), person.state)


def _draw_frame(canvas: Image, corners: tuple[int, int, int, int], colour: Colour, thickness: int, state: str) -> None:
    x1, y1, x2, y2 = corners
    if state == "provisional":
        reach = max(4, min(x2 - x1, y2 - y1) // 4)
        for x, y, inward_x, inward_y in ((x1, y1, 1, 1), (x2, y1, -1, 1), (x1, y2, 1, -1), (x2, y2, -1, -1)):
            corner = np.array([[x + inward_x * reach, y], [x, y], [x, y + inward_y * reach]], np.int32)
            cv2.polylines(canvas, [corner], False, _bgr(colour), thickness, cv2.LINE_AA)
    else:
        cv2.rectangle(canvas, (x1, y1), (x2, y2), _bgr(colour), thickness, cv2.LINE_AA)


def _draw_label(canvas: Image, person: TrackedPerson, scale: float) -> None:
    """The identity on a chip above the box, inside the picture; the second colour underlines it."""
    colour = identity_colour(person.identity)
    text = str(person.identity)
    font_scale, margin, pen = 0.5 * scale, round(4 * scale), max(1, round(scale))
    (width, height), _ = cv2.getTextSize(text, FONT, font_scale, pen)
    chip_width, chip_height = width + 2 * margin, height + 2 * margin
    left = int(np.clip(round(person.box[0]) - round(scale), 0, max(canvas.shape[1] - chip_width, 0)))
    top = int(np.clip(round(person.box[1]) - chip_height, 0, max(canvas.shape[0] - chip_height, 0)))
    right, bottom = left + chip_width, top + chip_height
    cv2.rectangle(canvas, (left, top), (right, bottom), _bgr(colour), cv2.FILLED)
    second = second_colour(person.identity)
    if second is not None:
        cv2.rectangle(canvas, (left, bottom - 2 * pen), (right, bottom), _bgr(second), cv2.FILLED)
    baseline = (left + margin, top + margin + height - (pen if second else 0))
    cv2.putText(canvas, text, baseline, FONT, font_scale, _bgr(text_on(colour)), pen, cv2.LINE_AA)


def _draw_caption(canvas: Image, text: str, scale: float) -> None:
    """Camera and time in the lower left corner, on a darkened strip."""
    font_scale, margin = 0.45 * scale, round(5 * scale)
    (width, height), below = cv2.getTextSize(text, FONT, font_scale, max(1, round(scale)))
    top = max(canvas.shape[0] - height - below - 2 * margin, 0)
    strip = canvas[top:, : width + 2 * margin]
    strip[:] = strip // 3
    baseline = (margin, canvas.shape[0] - below - margin)
    cv2.putText(canvas, text, baseline, FONT, font_scale, (240, 240, 240), max(1, round(scale)), cv2.LINE_AA)


def _bgr(colour: Colour) -> _Bgr:
    red, green, blue = colour
    return blue, green, red


def _ascii(text: str) -> str:
    """What OpenCV's fonts can draw of a name."""
    return text.encode("ascii", "replace").decode()


def clock_text(time: float) -> str:
    """Seconds as a clock: of the day, and that it is UTC, for moments since 1970; of the run for small ones."""
    tenths = round(time * 10)
    hours, rest = divmod(tenths, 36000)
    minutes, tenths = divmod(rest, 600)
    zone = " UTC" if time > _LONGEST_RUN else ""
    return f"{hours % 24:02d}:{minutes:02d}:{tenths / 10:04.1f}{zone}"

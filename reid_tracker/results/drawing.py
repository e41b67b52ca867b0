"""Drawing tracked people into a picture: box, label and a short trail, in the colour of the identity."""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import replace

import cv2
import numpy as np

from reid_tracker.results.colours import identity_colour, text_on
from reid_tracker.types import Image, TrackedFrame, TrackedPerson

TRAIL_SECONDS = 2.5
FONT = cv2.FONT_HERSHEY_DUPLEX
_SUBPIXEL_BITS = 3  # OpenCV draws lines at 1/8 pixel
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

    def draw(self, image: Image, tracked: TrackedFrame, ratio: float = 1.0, least_scale: float = 0.5) -> Image:
        """A copy of ``image`` (H, W, 3, BGR) with everybody in ``tracked``, camera and time in it.

        Args:
            ratio: size of ``image`` over that of the picture in which people were tracked, where it was made smaller.
            least_scale: of lines and text, 1 being right for a picture 480 pixels high; small pictures need more.
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
        caption = f"{_ascii(tracked.camera_id)}  {_clock(tracked.time)}  {self._note}".rstrip()
        _draw_caption(canvas, caption, scale)
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
        colour = _bgr(person.identity)
        newest = points[-1][0]
        for (time, _, _), start, end in zip(list(points)[1:], fixed[:-1], fixed[1:], strict=True):
            age = (newest - time) / TRAIL_SECONDS
            thickness = max(1, round(3 * scale * (1 - age)))  # thinner with age
            cv2.line(canvas, tuple(start.tolist()), tuple(end.tolist()), colour, thickness, cv2.LINE_AA, _SUBPIXEL_BITS)


def _scaled(person: TrackedPerson, ratio: float) -> TrackedPerson:
    x1, y1, x2, y2 = person.box
    return replace(person, box=(x1 * ratio, y1 * ratio, x2 * ratio, y2 * ratio))


def _draw_box(canvas: Image, person: TrackedPerson, scale: float) -> None:
    """A frame around the person; corners only while the link may still change."""
    x1, y1, x2, y2 = (round(corner) for corner in person.box)
    colour = _bgr(person.identity)
    thickness = max(1, round(2 * scale))
    if person.state == "provisional":
        reach = max(4, min(x2 - x1, y2 - y1) // 4)
        for x, y, inward_x, inward_y in ((x1, y1, 1, 1), (x2, y1, -1, 1), (x1, y2, 1, -1), (x2, y2, -1, -1)):
            corner = np.array([[x + inward_x * reach, y], [x, y], [x, y + inward_y * reach]], np.int32)
            cv2.polylines(canvas, [corner], False, colour, thickness, cv2.LINE_AA)
    else:
        cv2.rectangle(canvas, (x1, y1), (x2, y2), colour, thickness, cv2.LINE_AA)


def _draw_label(canvas: Image, person: TrackedPerson, scale: float) -> None:
    """The identity on a chip above the box, inside the picture."""
    colour = identity_colour(person.identity)
    text = str(person.identity)
    font_scale, margin = 0.5 * scale, round(4 * scale)
    (width, height), _ = cv2.getTextSize(text, FONT, font_scale, max(1, round(scale)))
    chip_width, chip_height = width + 2 * margin, height + 2 * margin
    left = int(np.clip(round(person.box[0]) - round(scale), 0, max(canvas.shape[1] - chip_width, 0)))
    top = int(np.clip(round(person.box[1]) - chip_height, 0, max(canvas.shape[0] - chip_height, 0)))
    cv2.rectangle(canvas, (left, top), (left + chip_width, top + chip_height), _bgr(person.identity), cv2.FILLED)
    cv2.putText(
        canvas,
        text,
        (left + margin, top + margin + height),
        FONT,
        font_scale,
        text_on(colour)[::-1],
        max(1, round(scale)),
        cv2.LINE_AA,
    )


def _draw_caption(canvas: Image, text: str, scale: float) -> None:
    """Camera and time in the lower left corner, on a darkened strip."""
    font_scale, margin = 0.45 * scale, round(5 * scale)
    (width, height), below = cv2.getTextSize(text, FONT, font_scale, max(1, round(scale)))
    top = max(canvas.shape[0] - height - below - 2 * margin, 0)
    strip = canvas[top:, : width + 2 * margin]
    strip[:] = strip // 3
    baseline = (margin, canvas.shape[0] - below - margin)
    cv2.putText(canvas, text, baseline, FONT, font_scale, (240, 240, 240), max(1, round(scale)), cv2.LINE_AA)


def _bgr(identity: int) -> _Bgr:
    red, green, blue = identity_colour(identity)
    return blue, green, red


def _ascii(text: str) -> str:
    """What OpenCV's fonts can draw of a name."""
    return text.encode("ascii", "replace").decode()


def _clock(time: float) -> str:
    """Seconds as a clock: of the day (UTC) for moments since 1970, of the run for small ones."""
    tenths = round(time * 10)
    hours, rest = divmod(tenths, 36000)
    minutes, tenths = divmod(rest, 600)
    return f"{hours % 24:02d}:{minutes:02d}:{tenths / 10:04.1f}"

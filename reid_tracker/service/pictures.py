"""Pictures for browsers: the newest of each camera with boxes and trails drawn in, encoded once for all viewers."""

from __future__ import annotations

import struct
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import cv2
import numpy as np

from reid_tracker.errors import InputError
from reid_tracker.results.drawing import Annotator
from reid_tracker.types import Frame, IdentityEvent, Image, TrackedFrame

_QUALITY = 75
_LEGIBLE = 0.8  # least scale of text: capitals nine pixels high
_CROP_HEIGHT = 192
_LEAST_SIDE = 8
_MOST_PIXELS = 40_000_000  # of an uploaded picture: a phone's; a small file can hold a thousand times as many
_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
# JPEG markers that begin a frame header, which holds the size
_FRAME_MARKERS = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}


class Drawn(NamedTuple):
    """A drawn picture: number of the frame, the JPEG file, UTC seconds when it was taken."""

    number: int
    jpeg: bytes
    time: float


@dataclass(slots=True)
class _Shown:
    """What is shown of one camera.

    Attributes:
        newest: its picture and who is in it.
        encoded: that picture as JPEG, by width, dots and caption; another one with each picture, so that what is
            still being encoded of an earlier one comes to nothing.
        drawing: is held by whoever draws and encodes, for the annotator's sake and so that all share what comes of it.
    """

    newest: tuple[Image, TrackedFrame]
    encoded: dict[tuple[int, int, bool], bytes] = field(default_factory=dict)
    annotator: Annotator = field(default_factory=Annotator)
    drawing: threading.Lock = field(default_factory=threading.Lock)


class CameraPictures:
    """Keeps the newest picture of each camera; listens to the site. Thread-safe; nobody waits for what is encoded.

    Args:
        width: wider pictures are made smaller.
    """

    WIDTHS = (320, 640)
    """Smaller widths that viewers may ask for, pixels; few, so that viewers share what is encoded."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._lock = threading.Lock()  # held for moments only: the tracking thread takes it
        self._shown: dict[str, _Shown] = {}

    def __call__(
        self, frames: Sequence[Frame], tracked: Sequence[TrackedFrame], _events: Sequence[IdentityEvent]
    ) -> None:
        """Take one moment (reid_tracker.service.site.Listener)."""
        with self._lock:
            for frame, moment in zip(frames, tracked, strict=False):
                newest = (frame.image, moment)
                shown = self._shown.setdefault(frame.camera_id, _Shown(newest))
                shown.newest, shown.encoded = newest, {}

    def forget(self, camera_id: str) -> None:
        """Drop a camera's picture."""
        with self._lock:
            self._shown.pop(camera_id, None)

    def forget_person(self, identity: int) -> None:
        """Drop the newest pictures in which a person is; a camera that sends brings another one at once."""
        with self._lock:
            for camera_id, shown in list(self._shown.items()):
                if any(person.identity == identity for person in shown.newest[1].people):
                    del self._shown[camera_id]
                else:  # where the person was a moment before, their way is not drawn any more
                    self._shown[camera_id] = _Shown(shown.newest)

    def jpeg(self, camera_id: str, width: int | None = None, dots: int = 1, caption: bool = True) -> Drawn | None:
        """The newest drawn picture of a camera; None where none has come.

        Args:
            width: that the viewer shows it at, in pixels of the screen; the picture is at least that wide where it can
                be.
            dots: pixels of the screen to one of the page: lines and text are that much thicker.
            caption: whether camera and time (UTC) are written into it.
        """
        shown = self._shown.get(camera_id)
        if shown is None:
            return None
        step = next((each for each in self.WIDTHS if width is not None and width <= each), self._width)
        kind = (min(step, self._width), dots, caption)
        with shown.drawing:
            with self._lock:
                (image, tracked), encoded = shown.newest, shown.encoded
            if kind not in encoded:
                encoded[kind] = _drawn(image, tracked, shown.annotator, *kind)
        return Drawn(tracked.index, encoded[kind], tracked.time)

    def person(self, identity: int) -> bytes | None:
        """Somebody who is in view, cut out of the newest picture that shows them largest; None where nobody is."""
        with self._lock:
            newest = [shown.newest for shown in self._shown.values()]
        best: tuple[float, Image] | None = None
        for image, tracked in newest:
            for person in tracked.people:
                cut = _cut(image, person.box) if person.identity == identity else None
                if cut is not None and (best is None or cut.shape[0] > best[0]):
                    best = cut.shape[0], cut
        return None if best is None else _encode(_lowered(best[1], _CROP_HEIGHT))


def _drawn(image: Image, tracked: TrackedFrame, annotator: Annotator, width: int, dots: int, caption: bool) -> bytes:
    small = _narrowed(image, width)
    ratio = small.shape[1] / image.shape[1]
    return _encode(annotator.draw(small, tracked, ratio, _LEGIBLE * dots, caption))


def decode_upload(data: bytes) -> Image:
    """The picture in an uploaded file, (H, W, 3) BGR.

    Raises:
        InputError: it is no JPEG or PNG, is damaged, or has too many pixels (looked up before anything is decoded).
    """
    width, height = picture_size(data)
    if min(width, height) < _LEAST_SIDE or width * height > _MOST_PIXELS:
        raise InputError(f"picture: {width} x {height} pixels; expected at least 8 x 8 and at most 40 million")
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise InputError("picture: damaged; expected a JPEG or PNG file")
    return np.asarray(image, np.uint8)


def picture_size(data: bytes) -> tuple[int, int]:
    """Width and height of a PNG or JPEG file, from its head.

    Raises:
        InputError: it is neither, or damaged.
    """
    return _png_size(data) if data.startswith(_PNG) else _jpeg_size(data)


def picture_type(data: bytes) -> str:
    """``image/png`` or ``image/jpeg``, of a file that ``picture_size`` took."""
    return "image/png" if data.startswith(_PNG) else "image/jpeg"


def _png_size(data: bytes) -> tuple[int, int]:
    if len(data) < 24 or data[12:16] != b"IHDR":
        raise InputError("picture: a damaged PNG file")
    width, height = struct.unpack(">II", data[16:24])
    return int(width), int(height)


def _jpeg_size(data: bytes) -> tuple[int, int]:
    if not data.startswith(_JPEG):
        raise InputError("picture: expected a JPEG or PNG file")
    place = 2
    while place + 9 < len(data):
        if data[place] != 0xFF:
            break
        marker = data[place + 1]
        if marker in _FRAME_MARKERS:
            height, width = struct.unpack(">HH", data[place + 5 : place + 9])
            return int(width), int(height)
        place += 1 if marker == 0xFF else 2 + struct.unpack(">H", data[place + 2 : place + 4])[0]
    raise InputError("picture: a damaged JPEG file")


def _cut(image: Image, box: tuple[float, float, float, float]) -> Image | None:
    height, width = image.shape[:2]
    left, top = max(0, int(box[0])), max(0, int(box[1]))
    right, bottom = min(width, int(box[2]) + 1), min(height, int(box[3]) + 1)
    return image[top:bottom, left:right] if right - left >= 4 and bottom - top >= 8 else None


def _narrowed(image: Image, width: int) -> Image:
    if image.shape[1] <= width:
        return image
    height = max(1, round(image.shape[0] * width / image.shape[1]))
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def _lowered(image: Image, height: int) -> Image:
    if image.shape[0] <= height:
        return image
    width = max(1, round(image.shape[1] * height / image.shape[0]))
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def _encode(image: Image) -> bytes:
    done, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    if not done:
        raise InputError(f"picture of {image.shape[1]} x {image.shape[0]} pixels cannot be encoded as JPEG")
    return data.tobytes()

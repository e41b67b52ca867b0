"""A camera from pictures in a folder, such as MOTChallenge's img1."""

from __future__ import annotations

import configparser
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from reid_tracker.errors import SourceError
from reid_tracker.sources.names import natural_key
from reid_tracker.sources.problems import Problem, Problems
from reid_tracker.sources.rereadable import Rereadable
from reid_tracker.types import Frame, Image

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"})
_DEFAULT_RATE = 25.0

# Last bytes of a whole picture. Checked before decoding, because a cut-off one decodes to half a picture in grey.
_ENDINGS = {b"\xff\xd8\xff": b"\xff\xd9", b"\x89PNG\r\n\x1a\n": b"IEND\xaeB`\x82"}


class ImageSource(Rereadable):
    """Pictures as the frames of one camera, in natural order of their names. Read by one thread at a time.

    Args:
        files: the pictures, at least one.
        camera_id: name of the camera.
        start_time: UTC seconds of the first picture; without it time begins at 0 (``time_base`` "relative").
        fps: pictures a second. Without it ``frameRate`` of a MOTChallenge ``seqinfo.ini`` in the pictures' folder
            or the one above counts, then 25.

    Attributes:
        fps, frame_count, size: of the camera; size is (width, height) of the first picture that can be read.
        start_time, time_base, live, problems, start_from_name: see VideoSource.

    Raises:
        SourceError: no picture can be read, or seqinfo.ini has an unusable rate.
    """

    live = False
    start_from_name = False

    def __init__(
        self, files: Sequence[Path], camera_id: str, start_time: float | None = None, fps: float | None = None
    ) -> None:
        self.camera_id = camera_id
        super().__init__(Problems(camera_id))
        self._files = sorted(files, key=natural_key)
        self.start_time = start_time
        self.time_base: Literal["utc", "relative"] = "relative" if start_time is None else "utc"
        self.fps = fps or _rate_beside(self._files[0].parent) or _DEFAULT_RATE
        self.frame_count = len(self._files)
        self.size = self._first_size()

    @property
    def files(self) -> tuple[Path, ...]:
        """The pictures, in order."""
        return tuple(self._files)

    def _read(self) -> Generator[Frame, None, None]:
        for index, file in enumerate(self._files):
            image = _read_image(file)
            if image is None:
                self.problems.note(Problem.UNDECODABLE, f"{file.name}: missing, damaged or no picture")
                continue
            yield Frame(self.camera_id, index, (self.start_time or 0.0) + index / self.fps, image)

    def _first_size(self) -> tuple[int, int]:
        for file in self._files:
            image = _read_image(file)
            if image is not None:
                return image.shape[1], image.shape[0]
        raise SourceError(
            f"camera {self.camera_id!r}: {self._files[0].parent}: none of the {len(self._files)} pictures can be read; "
            "check that they open in a viewer"
        )


def _read_image(file: Path) -> Image | None:
    """(H, W, 3) uint8, BGR, turned as its EXIF data says; None where the file holds no whole picture."""
    try:
        data = file.read_bytes()
    except OSError:
        return None
    for beginning, ending in _ENDINGS.items():
        if data.startswith(beginning) and ending not in data[-4096:]:
            return None
    if not data:
        return None
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    return None if image is None else image.astype(np.uint8, copy=False)


def _rate_beside(folder: Path) -> float | None:
    for file in (folder / "seqinfo.ini", folder.parent / "seqinfo.ini"):
        if not file.is_file():
            continue
        parser = configparser.ConfigParser(interpolation=None)
        try:
            parser.read(file, encoding="utf-8")
            rate = parser.getfloat("Sequence", "frameRate")
        except (configparser.Error, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise SourceError(f"{file}: no usable frameRate ({reason}); correct it or remove the file") from error
        if not 0 < rate <= 1000:
            raise SourceError(f"{file}: frameRate is {rate}; it must be above 0 and at most 1000")
        return rate
    return None

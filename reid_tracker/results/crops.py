"""The best pictures of each tracklet, kept while it lasts and handed on when it ends."""

from __future__ import annotations

import csv
import io
import math
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from reid_tracker.results.closing import Closing
from reid_tracker.results.files import make_folder, output_error, write_atomically
from reid_tracker.results.replay import IdentityReplay
from reid_tracker.types import Image, TrackedFrame, TrackedPerson

CROPS_FOLDER, CROPS_TABLE = "crops", "crops.csv"
JPEG_QUALITY = 90
LEAST_SIDE = 8  # pixels; less shows nobody
AT_THE_BORDER = 0.6  # of its quality is left to a crop that the frame's border may have cut
SLOT_SECONDS = 1.0  # one crop of each second at most: neighbours in time show the same pose


@dataclass(frozen=True, slots=True)
class Crop:
    """A picture of one person, cut out of one frame.

    Attributes:
        identity: as given at the time.
        quality: 0..1; of two crops the better one is kept.
        jpeg: the encoded picture.
    """

    tracklet: int
    identity: int
    camera_id: str
    frame: int
    time: float
    quality: float
    jpeg: bytes


class BestCrops:
    """Keeps the best few crops of each tracklet that is not over yet, from different seconds.

    Quality is the embedder's where the frame has one, else the share of the picture's height; a box that another one
    covers from the front (its feet are lower) loses by the share covered, one at the frame's border by a part. Grows
    with the people present, not with time.

    Args:
        count: crops per tracklet.
        height: crops taller than this are made smaller, pixels; 0 leaves them as they are.
        ended: called with the crops of each tracklet that is over, best first.
    """

    def __init__(self, count: int, height: int, ended: Callable[[list[Crop]], None]) -> None:
        self._count = count
        self._height = height
        self._ended = ended
        self._kept: defaultdict[int, list[Crop]] = defaultdict(list)

    def add(self, tracked: TrackedFrame) -> None:
        """Look at one frame, then hand on the tracklets that ended with it."""
        if tracked.image is not None:
            for person in tracked.people:
                self._consider(tracked, person, tracked.image)
        for tracklet in tracked.finished:
            self._hand_on(tracklet.id)

    def forget(self, tracklets: Iterable[int]) -> None:
        """Drop the crops of these tracklets."""
        for tracklet in tracklets:
            self._kept.pop(tracklet, None)

    def finish(self) -> None:
        """Hand on what is still kept."""
        for tracklet in list(self._kept):
            self._hand_on(tracklet)

    def _hand_on(self, tracklet: int) -> None:
        crops = self._kept.pop(tracklet, [])
        if crops:
            self._ended(sorted(crops, key=lambda crop: -crop.quality))

    def _consider(self, tracked: TrackedFrame, person: TrackedPerson, image: Image) -> None:
        kept = self._kept[person.tracklet]
        quality = _quality(person, tracked)
        near = [crop for crop in kept if crop.time // SLOT_SECONDS == tracked.time // SLOT_SECONDS]
        rivals = near or (kept if len(kept) >= self._count else [])
        worst = min(rivals, key=lambda crop: crop.quality, default=None)
        if worst is not None and quality <= worst.quality:
            return
        jpeg = cut(image, person.box, self._height)
        if jpeg is None:
            return
        if worst is not None:
            kept.remove(worst)
        kept.append(
            Crop(
                person.tracklet,
                person.identity,
                tracked.camera_id,
                tracked.index,
                tracked.time,
                quality,
                jpeg,
            )
        )


def _quality(person: TrackedPerson, tracked: TrackedFrame) -> float:
    x1, y1, x2, y2 = person.box
    width, height = tracked.size
    base = person.quality or 0.5 * min((y2 - y1) / max(height, 1), 1)
    if x1 < 1 or y1 < 1 or x2 > width - 1 or y2 > height - 1:
        base *= AT_THE_BORDER
    others = [other.box for other in tracked.people if other is not person and other.box[3] > y2]
    return base * (1 - max((_covered(person.box, other) for other in others), default=0.0))


def _covered(box: tuple[float, ...], other: tuple[float, ...]) -> float:
    """Share of ``box`` that ``other`` covers."""
    width = min(box[2], other[2]) - max(box[0], other[0])
    height = min(box[3], other[3]) - max(box[1], other[1])
    return max(width, 0) * max(height, 0) / max((box[2] - box[0]) * (box[3] - box[1]), 1e-9)


def cut(image: Image, box: tuple[float, float, float, float], height: int = 0) -> bytes | None:
    """The part of ``image`` (H, W, 3, BGR) inside ``box`` (x1, y1, x2, y2) as JPEG; None where too little is left.

    Args:
        height: a taller crop is made this tall, pixels; 0 leaves it as it is.
    """
    frame_height, frame_width = image.shape[:2]
    left, top = max(math.floor(box[0]), 0), max(math.floor(box[1]), 0)
    right, bottom = min(math.ceil(box[2]), frame_width), min(math.ceil(box[3]), frame_height)
    if right - left < LEAST_SIDE or bottom - top < LEAST_SIDE:
        return None
    crop = image[top:bottom, left:right]
    if height and bottom - top > height:
        width = max(round((right - left) * height / (bottom - top)), 1)
        crop = np.asarray(cv2.resize(crop, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    encoded, jpeg = cv2.imencode(".jpg", crop, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return bytes(jpeg) if encoded else None


class CropsSink(Closing):
    """Writes the best crops of each tracklet when it ends, named as Market-1501 names its pictures.

    ``0007_c2s1_000451_12.jpg``: identity, camera by number (from 1, in the order given), always ``s1``, frame (from 0),
    tracklet. Identities are those given at the time until ``close`` renames the files to what is known then.
    ``crops.csv`` beside them gives camera, time and quality of each.

    Args:
        folder: for the pictures; created with the first.
        count: pictures per tracklet.
        cameras: their names, in order of their numbers; others follow as they appear.
    """

    def __init__(self, folder: str | Path, count: int, cameras: tuple[str, ...] = ()) -> None:
        self._folder = Path(folder)
        self._numbers = {camera: number for number, camera in enumerate(cameras, 1)}
        self._best = BestCrops(count, 0, self._save)
        self._replay = IdentityReplay()
        self._saved: list[Crop] = []  # without their pictures

    def write(self, tracked: TrackedFrame) -> None:
        """Look at one frame; write the crops of the tracklets that ended with it.

        Raises:
            OutputError: a picture cannot be written.
        """
        self._best.add(tracked)
        self._replay.add(tracked.events)

    def close(self) -> None:
        """Write what is still kept, bring the names up to date and write the table; may be called twice.

        Raises:
            OutputError: a file cannot be written.
        """
        self._best.finish()
        rows = []
        for crop in self._saved:
            final = replace(crop, identity=self._replay.identity_of.get(crop.tracklet, crop.identity))
            before, after = self._folder / self._name(crop), self._folder / self._name(final)
            try:
                before.rename(after)
            except OSError as error:
                raise output_error(after, error) from error
            rows.append((after.name, final))
        self._saved.clear()
        if rows:
            write_atomically(self._folder / CROPS_TABLE, [_table(rows)])

    def _save(self, crops: list[Crop]) -> None:
        make_folder(self._folder)
        for crop in crops:
            path = self._folder / self._name(crop)
            try:
                path.write_bytes(crop.jpeg)
            except OSError as error:
                path.unlink(missing_ok=True)
                raise output_error(path, error) from error
            self._saved.append(replace(crop, jpeg=b""))

    def _name(self, crop: Crop) -> str:
        camera = self._numbers.setdefault(crop.camera_id, len(self._numbers) + 1)
        return f"{crop.identity:04d}_c{camera}s1_{crop.frame:06d}_{crop.tracklet:02d}.jpg"


def _table(rows: list[tuple[str, Crop]]) -> str:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(("file", "identity", "tracklet", "camera", "frame", "time", "quality"))
    for name, crop in sorted(rows, key=lambda row: row[0]):
        where = (crop.camera_id, crop.frame, round(crop.time, 6))
        table.writerow((name, crop.identity, crop.tracklet, *where, round(crop.quality, 4)))
    return text.getvalue()

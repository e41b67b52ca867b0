"""What a camera looks at: whether it was moved, and whether it sees by infrared.

Once a second the picture is reduced to a few hundred blocks. Their edges, people being few and light being about the
same everywhere in a block's neighbourhood, are those of the place. They are compared with what they were: while the
camera stands, they hardly change; turned, moved or zoomed, they are others for good. A passing lorry or a crowd is
over after some seconds or changes all the time, a dark picture or a covered lens has no edges; neither is a move.
By infrared a picture has no colour at all. It has shadows of its own, so each kind of light has its own edges to be
compared with.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from reid_tracker.types import Image

_EVERY = 1.0  # seconds between two looks
_BLOCKS = 27, 48  # rows and columns
_SAMPLED = 4  # rows and columns of pixels in a block that are looked at
_COLOURLESS = 2.0  # mean difference of the channels, in 255ths, below which a picture is grey
_SURE_OF_LIGHT = 3  # looks in a row that have to agree before the light has changed
_ELSEWHERE = 0.5  # cosine with the place's edges below which it is another place
_STEADY = 0.6  # cosine of two looks above which the camera stands
_SURE_OF_MOVE = 6  # looks in a row
_LEAST_EDGE = 1.5  # mean difference of neighbouring blocks, in 255ths; less is a dark or covered picture
_NEW = 0.05  # weight of the newest look in the memory of a place

Edges = NDArray[np.float32]

_log = logging.getLogger(__name__)


@dataclass
class _Place:
    """The edges of a place in one kind of light, and how often they were looked at."""

    edges: Edges = field(default_factory=lambda: np.zeros(0, np.float32))
    looks: int = 0

    def remember(self, edges: Edges) -> None:
        share = max(_NEW, 1 / (self.looks + 1))
        self.edges = edges if not self.looks else (1 - share) * self.edges + share * edges
        self.looks += 1

    def alike(self, edges: Edges) -> float:
        return float(self.edges @ edges / (np.linalg.norm(self.edges) + 1e-9))


class ViewWatch:
    """Watches what one camera looks at. One per camera, not thread-safe.

    Attributes:
        grey: the camera sees by infrared at present.
    """

    def __init__(self, camera_id: str) -> None:
        self.grey = False
        self._camera_id = camera_id
        self._places: dict[bool, _Place] = {}
        self._latest: Edges | None = None
        self._elsewhere = 0
        self._other_light = 0
        self._next = -np.inf

    def __call__(self, image: Image, time: float) -> bool:
        """Look at a picture (H, W, 3), BGR, taken at ``time``: has it become clear that the camera was moved?"""
        if time < self._next:
            return False
        self._next = time + _EVERY
        blocks = _blocks(image)
        self._watch_light(blocks)
        edges = _edges(blocks)
        if edges is None or self._other_light:
            return False
        return self._watch_place(edges)

    def _watch_light(self, blocks: Edges) -> None:
        colour = float(np.abs(np.diff(blocks, axis=2)).mean())
        grey = colour < _COLOURLESS
        self._other_light = self._other_light + 1 if grey != self.grey else 0
        if self._other_light >= (_SURE_OF_LIGHT if self._places else 1):
            self.grey, self._other_light, self._elsewhere = grey, 0, 0
            if self._places or grey:
                _log.info("camera %s sees %s", self._camera_id, "by infrared, in grey" if grey else "in colour")

    def _watch_place(self, edges: Edges) -> bool:
        place = self._places.setdefault(self.grey, _Place())
        steady = self._latest is None or float(self._latest @ edges) > _STEADY
        self._latest = edges
        if place.looks < _SURE_OF_MOVE or place.alike(edges) >= _ELSEWHERE:
            self._elsewhere = 0
            place.remember(edges)
            return False
        self._elsewhere = self._elsewhere + 1 if steady else 0
        if self._elsewhere < _SURE_OF_MOVE:
            return False
        self._elsewhere = 0
        self._places = {self.grey: _Place()}
        self._places[self.grey].remember(edges)
        _log.warning("camera %s looks elsewhere than before: it was moved, turned or zoomed", self._camera_id)
        return True


def _blocks(image: Image) -> Edges:
    """(rows, columns, 3) mean of some pixels of each block."""
    rows, columns = _BLOCKS
    height, width = image.shape[:2]
    down = (np.arange(rows * _SAMPLED) + 0.5) * height / (rows * _SAMPLED)
    across = (np.arange(columns * _SAMPLED) + 0.5) * width / (columns * _SAMPLED)
    pixels = image[down.astype(np.intp)[:, None], across.astype(np.intp)]
    blocks: Edges = pixels.reshape(rows, _SAMPLED, columns, _SAMPLED, 3).mean(axis=(1, 3), dtype=np.float32)
    return blocks


def _edges(blocks: Edges) -> Edges | None:
    """Differences of neighbouring blocks, of unit length; None where there are hardly any."""
    light = blocks.mean(axis=2)
    edges = np.concatenate([np.diff(light, axis=0).ravel(), np.diff(light, axis=1).ravel()])
    if float(np.abs(edges).mean()) < _LEAST_EDGE:
        return None
    edges = np.sign(edges) * np.sqrt(np.abs(edges))  # no single edge, of a window or a lamp, outweighs all others
    unit: Edges = (edges / np.linalg.norm(edges)).astype(np.float32)
    return unit

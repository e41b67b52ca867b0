"""Where cameras are shown on the map of the site: where the configuration says, else by how long people walk.

Cameras without a place are laid out so that distances follow the learned times between them (stress majorization,
Gansner et al. 2004): a picture of who is whose neighbour, without scale or compass.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reid_tracker.association.topology import CameraLink
from reid_tracker.config import CameraConfig
from reid_tracker.errors import ConfigError, InputError
from reid_tracker.service.pictures import picture_size, picture_type

_ASPECT, _CROWDED_ASPECT, _CROWD = 2.2, 1.5, 8

Place = tuple[float, float]

_MARGIN = 0.1  # of the map's sides is left free around cameras that are laid out
_ROUNDS = 60
_POWER = 0.75
_ROOM = 0.75  # of the room that each of N cameras would have on a grid; nearer ones are pushed apart, so that names fit
_LAYOUT_SECONDS = 5.0  # a tenth of a second for a hundred cameras: not for each of two hundred viewers
_NEAREST_SECONDS = 2.0  # cameras that see each other's people at once still stand beside each other


@dataclass(frozen=True, slots=True)
class MapPicture:
    """The picture of the site: the file as it is, its media type, width over height."""

    data: bytes
    media_type: str
    aspect: float


def load_map(path: str) -> MapPicture | None:
    """The configured picture; None where none is named.

    Raises:
        ConfigError: it cannot be read, or is no PNG or JPEG.
    """
    if not path:
        return None
    try:
        data = Path(path).read_bytes()
        width, height = picture_size(data)
    except OSError as error:
        raise ConfigError(f"site.map {path}: cannot be read ({error.strerror})") from error
    except InputError as error:
        raise ConfigError(f"site.map {path}: expected a PNG or JPEG file ({error})") from error
    return MapPicture(data, picture_type(data), width / max(height, 1))


def schematic_aspect(count: int) -> float:
    """Width over height of a map of ``count`` cameras where there is no picture of the site: names need room."""
    return _ASPECT if count <= _CROWD else _CROWDED_ASPECT


class Layout:
    """``places``, found anew every few seconds at most while the cameras stay the same. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._cameras: tuple[CameraConfig, ...] = ()
        self._found: dict[str, Place] = {}
        self._until = 0.0

    def __call__(self, cameras: Sequence[CameraConfig], links: Sequence[CameraLink]) -> dict[str, Place]:
        """Camera id -> (x, y), as ``places`` gives them."""
        with self._lock:
            now = time.monotonic()
            if now >= self._until or self._cameras != tuple(cameras):
                self._cameras, self._found = tuple(cameras), places(cameras, links)
                self._until = now + _LAYOUT_SECONDS
            return self._found


def places(cameras: Sequence[CameraConfig], links: Sequence[CameraLink]) -> dict[str, Place]:
    """Camera id -> (x, y) in 0..1 of the map, from its upper left.

    Args:
        cameras: all that are shown; those with a ``place`` stay there.
        links: learned ways between them; others are left out.
    """
    names = [camera.id for camera in cameras]
    given = {camera.id: camera.place for camera in cameras if camera.place is not None}
    if len(given) == len(names):
        return given
    if len(names) == 1:
        return {names[0]: (0.5, 0.5)}
    apart = _apart(names, [*links, *_configured(cameras)])
    begin = _scaled(apart)
    fixed = np.array([name in given for name in names])
    if not given:
        return _named(names, _spread(_into_frame(_settled(begin, apart, fixed)), fixed))
    placed = np.array([given[name] for name in names if name in given])
    scale = _scale(placed, apart[np.ix_(fixed, fixed)])
    begin = begin * scale + placed.mean(axis=0)
    begin[fixed] = placed
    settled = _settled(begin, apart * scale, fixed)
    return _named(names, _spread(settled, fixed).clip(0.02, 0.98))


def _named(names: Sequence[str], places_xy: NDArray[np.float64]) -> dict[str, Place]:
    return {name: (float(x), float(y)) for name, (x, y) in zip(names, places_xy, strict=True)}


def _configured(cameras: Sequence[CameraConfig]) -> list[CameraLink]:
    """What the configuration says of neighbours, as if one person had walked there."""
    return [
        CameraLink(camera.id, neighbour, 1.0, sum(span) / 2)
        for camera in cameras
        for neighbour, span in camera.neighbours.items()
    ]


def _apart(names: Sequence[str], links: Sequence[CameraLink]) -> NDArray[np.float64]:
    """(N, N) how far cameras are to stand from each other, from the seconds on the shortest way.

    A power below one keeps a camera that is ten times as far from pushing all others into one spot.
    """
    number = {name: row for row, name in enumerate(names)}
    seconds = np.full((len(names), len(names)), np.inf)
    np.fill_diagonal(seconds, 0.0)
    for link in links:
        if link.origin in number and link.destination in number:
            pair = number[link.origin], number[link.destination]
            for one, other in (pair, pair[::-1]):
                seconds[one, other] = min(seconds[one, other], max(link.seconds, _NEAREST_SECONDS))
    for middle in range(len(names)):  # Floyd and Warshall's shortest ways
        seconds = np.minimum(seconds, seconds[:, middle, None] + seconds[None, middle, :])
    known = seconds[np.isfinite(seconds)]
    seconds[np.isinf(seconds)] = 1.5 * max(float(known.max()), _NEAREST_SECONDS)  # nobody has walked there yet
    apart: NDArray[np.float64] = seconds**_POWER
    return apart


def _settled(
    places_xy: NDArray[np.float64], apart: NDArray[np.float64], fixed: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """(N, 2) places moved, but for the fixed ones, until their distances are as near to ``apart`` as they get."""
    settled = places_xy.copy()
    weights = np.where(apart > 0, 1 / np.maximum(apart, 1e-9) ** 2, 0.0)
    totals = np.maximum(weights.sum(axis=1), 1e-9)
    for _ in range(_ROUNDS):
        for row in np.flatnonzero(~fixed):
            away = settled[row] - settled
            length = np.maximum(np.linalg.norm(away, axis=1), 1e-9)
            wanted = settled + away / length[:, None] * apart[row][:, None]
            settled[row] = (weights[row][:, None] * wanted).sum(axis=0) / totals[row]
    return settled


def _scaled(apart: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, 2) places around the origin by classical scaling (Torgerson 1952), where the majorization begins.

    A circle added keeps cameras apart of which nothing tells them from each other; all of it is always the same.
    """
    count = len(apart)
    centring = np.eye(count) - 1 / count
    values, vectors = np.linalg.eigh(-0.5 * centring @ apart**2 @ centring)
    flat = vectors[:, :-3:-1] * np.sqrt(np.maximum(values[:-3:-1], 0.0))
    angle = np.pi + 2 * np.pi * np.arange(count) / count
    circle: NDArray[np.float64] = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    begin: NDArray[np.float64] = flat + 0.02 * apart.max() * circle
    return begin


def _scale(placed: NDArray[np.float64], apart: NDArray[np.float64]) -> float:
    """Shares of the map for one unit of ``apart``, from the cameras whose places are known."""
    lengths = np.linalg.norm(placed[:, None] - placed[None], axis=2)
    total = float(apart.sum())
    return float(lengths.sum()) / total if total and lengths.sum() else 0.3 / max(float(apart.max(initial=1.0)), 1e-9)


def _spread(places_xy: NDArray[np.float64], fixed: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(N, 2) places pushed apart where they would lie on each other, within the margins; fixed ones stay."""
    spread = places_xy.copy()
    least = _ROOM * (1 - 2 * _MARGIN) / np.sqrt(len(spread))
    for _ in range(_ROUNDS):
        away = spread[:, None] - spread[None]
        length = np.linalg.norm(away, axis=2)
        near = (length < least) & ~np.eye(len(spread), dtype=np.bool_)
        if not near.any():
            break
        step = np.where(near, 0.5 * (least - length) / np.maximum(length, 1e-9), 0.0)
        moved = spread + (step[..., None] * away).sum(axis=1)
        spread = np.where(fixed[:, None], spread, moved.clip(_MARGIN, 1 - _MARGIN))
    return spread


def _into_frame(settled: NDArray[np.float64]) -> NDArray[np.float64]:
    """The layout turned so that its longer side lies flat and the first camera is on the left, inside the margins."""
    centred = settled - settled.mean(axis=0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    centred = centred @ axes.T
    centred = centred * np.where(centred[0] > 1e-9, -1.0, 1.0)
    reach = np.maximum(np.abs(centred).max(axis=0), 1e-9)
    stretched = centred / reach.max()  # alike in both directions
    return np.asarray(0.5 + stretched * (0.5 - _MARGIN), np.float64)

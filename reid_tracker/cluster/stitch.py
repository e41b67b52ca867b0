"""Pieces of one camera's recording, tracked apart, as one stream of tracks.

A piece is tracked some seconds into the next one. In that overlap both have seen the same pictures, so whose boxes lie
on one another, frame after frame, are one person, and the tracklet goes on through the seam with its number and its
looks. The earlier piece speaks up to the end of the overlap, because its tracker knows everybody by then; from there on
the later one does. Whoever is out of sight for the whole overlap ends there, and is linked anew by the associator.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.optimize import linear_sum_assignment

from reid_tracker.boxes import overlap
from reid_tracker.cluster.news import FrameNews, NewsReader
from reid_tracker.cluster.pieces import Piece
from reid_tracker.config import TrackingConfig
from reid_tracker.ids import IdAllocator
from reid_tracker.tracking.memory import LookMemory
from reid_tracker.tracking.track import History
from reid_tracker.types import CameraTracks, Tracklet, TrackletState

_SAME_BOX = 0.5  # overlap (IoU) of two trackers' boxes of one person in one picture; at a seam it is near 1
_LEAST_FRAMES = 2  # in which they lie on one another: in a single one two people may cross,
_EXACT = 0.9  # unless the boxes are as good as one: somebody who came into view just before the seam


@dataclass(slots=True)
class _Seam:
    """What the piece before said of the pictures that it shares with the next one.

    Attributes:
        frames: index of the frame -> its tracks, stitched.
        until: time of the last one.
    """

    frames: dict[int, CameraTracks] = field(default_factory=dict)
    until: float = -np.inf


class _Carried:
    """A tracklet that came through a seam: what it was before, and what its new tracker adds.

    Args:
        tracklet: as it was at the seam.
        since: time of the seam; looks from then on are new.
    """

    def __init__(self, tracklet: Tracklet, since: float, config: TrackingConfig) -> None:
        self._before = tracklet
        self._since = since
        self._memory = LookMemory(config.looks, config.look_variety)
        for row in range(len(tracklet.looks)):
            self._memory.add(tracklet.looks.select([row]), float(tracklet.look_times[row]), tracklet.look_boxes[row])
        self._seeded = self._memory.version
        self._history = History(config.history_length)
        for box, time in zip(tracklet.boxes, tracklet.times.tolist(), strict=True):
            self._history.add(box, time)

    def __call__(self, tracklet: Tracklet) -> Tracklet:
        """The tracklet with what is known of it from before the seam."""
        if tracklet.updated > self._history.times[-1]:
            self._history.add(tracklet.box, tracklet.updated)
        for row in np.flatnonzero(tracklet.look_times > self._since):
            self._since = float(tracklet.look_times[row])
            self._memory.add(tracklet.looks.select([row]), self._since, tracklet.look_boxes[row])
        return replace(
            tracklet,
            boxes=self._history.boxes,
            times=self._history.times,
            started=self._before.started,
            looks=self._memory.looks,
            look_times=self._memory.times,
            look_boxes=self._memory.boxes,
            looks_version=self._before.looks_version + self._memory.version - self._seeded,
        )


class Stitcher:
    """The tracks of one camera over all its pieces, under ids that hold for the camera. Not thread-safe."""

    def __init__(self, config: TrackingConfig) -> None:
        self._config = config
        self._next_id = IdAllocator()
        self._open: dict[int, Tracklet] = {}  # stitched
        self._ids: dict[int, int] = {}  # the present piece's numbers -> stitched ones
        self._carried: dict[int, _Carried] = {}  # by stitched number
        self._ending: list[Tracklet] = []

    def __call__(self, pieces: Iterable[tuple[Piece, Sequence[FrameNews]]]) -> Iterator[CameraTracks]:
        """The frames of the pieces that were tracked, in order, each once."""
        seam, last = _Seam(), -1
        for piece, news in pieces:
            seam = yield from self._piece(piece, news, seam if piece.number == last + 1 else _Seam())
            last = piece.number

    def finish(self) -> tuple[Tracklet, ...]:
        """End what is open."""
        ended = (*self._ending, *map(_ended, self._open.values()))
        self._open.clear()
        self._ending.clear()
        return ended

    def _piece(self, piece: Piece, news: Sequence[FrameNews], seam: _Seam) -> Generator[CameraTracks, None, _Seam]:
        reader = NewsReader(self._config.history_length)
        shared: list[CameraTracks] = []
        following, crossed = _Seam(), False
        begin_of_overlap = (piece.start_time or 0.0) + piece.shift + piece.end
        for tracks in map(reader, news):
            if tracks.time <= seam.until:
                shared.append(tracks)
                continue
            if not crossed:
                self._cross(seam, shared)
                crossed = True
            stitched = self._stitched(tracks)
            if stitched.time >= begin_of_overlap:
                following.frames[stitched.index] = stitched
            following.until = stitched.time
            yield stitched
        return following

    def _cross(self, seam: _Seam, shared: Sequence[CameraTracks]) -> None:
        """Carry over who is followed on both sides of a seam, and end the others."""
        open_now = {each.id for each in (*shared[-1].tracklets, *shared[-1].lost)} if shared else set()
        pairs = same_people(seam.frames, shared)
        self._ids = {mine: theirs for mine, theirs in pairs.items() if mine in open_now and theirs in self._open}
        kept = set(self._ids.values())
        self._carried = {number: _Carried(self._open[number], seam.until, self._config) for number in kept}
        self._ending += [_ended(tracklet) for number, tracklet in self._open.items() if number not in kept]
        self._open = {number: tracklet for number, tracklet in self._open.items() if number in kept}

    def _stitched(self, tracks: CameraTracks) -> CameraTracks:
        everybody = (*tracks.tracklets, *tracks.lost, *tracks.ended)
        for number in sorted(each.id for each in everybody if each.id not in self._ids):
            self._ids[number] = self._next_id()
        seen, lost, ended = (tuple(map(self._renamed, each)) for each in (tracks.tracklets, tracks.lost, tracks.ended))
        for tracklet in (*seen, *lost):
            self._open[tracklet.id] = tracklet
        for tracklet in ended:
            self._open.pop(tracklet.id, None)
            self._carried.pop(tracklet.id, None)
        ending, self._ending = tuple(self._ending), []
        return replace(tracks, tracklets=seen, lost=lost, ended=(*ending, *ended))

    def _renamed(self, tracklet: Tracklet) -> Tracklet:
        number = self._ids[tracklet.id]
        carried = self._carried.get(number)
        return replace(carried(tracklet) if carried else tracklet, id=number)


def same_people(before: Mapping[int, CameraTracks], after: Sequence[CameraTracks]) -> dict[int, int]:
    """Who is who in the frames that two pieces share.

    Args:
        before: index of the frame -> tracks of the earlier piece.
        after: tracks of the later piece.

    Returns:
        Tracklet of the later piece -> tracklet of the earlier one; those without a counterpart are left out.
    """
    together: defaultdict[tuple[int, int], list[float]] = defaultdict(list)
    for late in after:
        early = before.get(late.index)
        if early is None or not early.tracklets or not late.tracklets:
            continue
        shares = overlap(
            np.array([each.box for each in late.tracklets]), np.array([each.box for each in early.tracklets])
        )
        for row, column in np.argwhere(shares > _SAME_BOX):
            pair = late.tracklets[row].id, early.tracklets[column].id
            together[pair].append(float(shares[row, column]))
    rows = sorted({pair[0] for pair in together})
    columns = sorted({pair[1] for pair in together})
    weight = np.zeros((len(rows), len(columns)))
    for (late_id, early_id), values in together.items():
        if len(values) >= _LEAST_FRAMES or values[0] > _EXACT:
            weight[rows.index(late_id), columns.index(early_id)] = sum(values)
    matched = zip(*linear_sum_assignment(-weight), strict=True)
    return {rows[row]: columns[column] for row, column in matched if weight[row, column] > 0}


def _ended(tracklet: Tracklet) -> Tracklet:
    return replace(tracklet, state=TrackletState.ENDED, quality=0.0)

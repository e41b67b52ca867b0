"""What travels from a camera's tracker to the associator: one frame's tracklets, each look once.

A tracklet shows all its looks in every frame; sent like that, looks would be most of the traffic. So a writer sends the
vectors of a look once, and afterwards its time alone, by which the reader knows it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from reid_tracker.errors import InputError
from reid_tracker.tracking.track import History
from reid_tracker.types import Appearance, CameraTracks, FloatArray, Tracklet, TrackletState

STATES = (TrackletState.CONFIRMED, TrackletState.LOST, TrackletState.ENDED)


@dataclass(frozen=True, slots=True)
class LooksNews:
    """The looks of a tracklet, after they changed.

    Attributes:
        tracklet: which.
        version: as in Tracklet.looks_version.
        times: (L,) float64, UTC seconds of all its looks, in order.
        fresh: (F,) places among them of those that are sent for the first time.
        vectors: F looks.
        boxes: (F, 4) float32, their boxes.
    """

    tracklet: int
    version: int
    times: NDArray[np.float64]
    fresh: NDArray[np.int64]
    vectors: Appearance = field(repr=False)
    boxes: FloatArray = field(repr=False)


@dataclass(frozen=True, slots=True)
class FrameNews:
    """One frame of one camera on its way: CameraTracks without what the reader already knows.

    Attributes:
        camera_id, index, time, size: of the frame.
        number: grows by one with each frame of the camera, from 0.
        whole: nothing before it needs to be known.
        ids: (N,) int64, tracklets in the numbering of whoever tracks the camera: seen, lost, then ended.
        states: (N,) uint8, places in STATES.
        boxes: (N, 4) float32, newest boxes.
        times: (N, 2) float64, UTC seconds of the first and the newest box.
        scores: (N, 2) float64, of the newest box: detection score, and quality of the look.
        looks: of the tracklets whose looks changed.
        trace: W3C traceparent of the moment it comes from; empty where nothing is traced.
        grey, moved: what the tracker noticed of the camera, as in CameraTracks.
    """

    camera_id: str
    index: int
    time: float
    size: tuple[int, int]
    number: int
    whole: bool
    ids: NDArray[np.int64]
    states: NDArray[np.uint8]
    boxes: FloatArray = field(repr=False)
    times: NDArray[np.float64] = field(repr=False)
    scores: NDArray[np.float64] = field(repr=False)
    looks: tuple[LooksNews, ...] = field(default=(), repr=False)
    trace: str = ""
    grey: bool = False
    moved: bool = False


class NewsWriter:
    """Turns one camera's tracks into news. Not thread-safe."""

    def __init__(self) -> None:
        self._number = 0
        self._whole = True
        self._sent: dict[int, tuple[int, frozenset[float]]] = {}

    def say_all(self) -> None:
        """Begin the next news as if nothing had been sent: the reader is a new one."""
        self._whole = True
        self._sent.clear()

    def __call__(self, tracks: CameraTracks) -> FrameNews:
        """The news of the camera's next frame."""
        tracklets = (*tracks.tracklets, *tracks.lost, *tracks.ended)
        news = FrameNews(
            camera_id=tracks.camera_id,
            index=tracks.index,
            time=tracks.time,
            size=tracks.size,
            number=self._number,
            whole=self._whole,
            ids=np.array([each.id for each in tracklets], np.int64),
            states=np.array([STATES.index(each.state) for each in tracklets], np.uint8),
            boxes=np.array([each.box for each in tracklets], np.float32).reshape(-1, 4),
            times=np.array([(each.started, each.updated) for each in tracklets], np.float64).reshape(-1, 2),
            scores=np.array([(each.score, each.quality) for each in tracklets], np.float64).reshape(-1, 2),
            looks=tuple(filter(None, map(self._looks, tracklets))),
            grey=tracks.grey,
            moved=tracks.moved,
        )
        for tracklet in tracks.ended:
            self._sent.pop(tracklet.id, None)
        self._number += 1
        self._whole = False
        return news

    def _looks(self, tracklet: Tracklet) -> LooksNews | None:
        version, known = self._sent.get(tracklet.id, (0, frozenset()))
        if version == tracklet.looks_version:
            return None
        times = frozenset(tracklet.look_times.tolist())
        distinct = len(times) == len(tracklet.look_times)  # else a time does not say which look is meant: send all
        fresh = np.array([not distinct or time not in known for time in tracklet.look_times], np.bool_)
        self._sent[tracklet.id] = (tracklet.looks_version, times)
        places = np.flatnonzero(fresh)
        return LooksNews(
            tracklet.id,
            tracklet.looks_version,
            tracklet.look_times,
            places,
            tracklet.looks.select(places),
            tracklet.look_boxes[places],
        )


@dataclass(slots=True)
class _Known:
    """What a reader knows of an open tracklet."""

    tracklet: Tracklet
    history: History


class NewsReader:
    """Turns one camera's news back into tracks. Not thread-safe.

    Args:
        history_length: boxes kept per tracklet.
    """

    def __init__(self, history_length: int) -> None:
        self._history_length = history_length
        self._open: dict[int, _Known] = {}
        self._next: int | None = None

    def __call__(self, news: FrameNews) -> CameraTracks:
        """The tracks of the camera's next frame, under the ids that the news has.

        Raises:
            InputError: it is not the frame that comes next; the writer has to say all.
        """
        if not news.whole and news.number != self._next:
            raise InputError(f"camera {news.camera_id!r}: expected news {self._next}, got {news.number}")
        if news.whole:
            self._open.clear()
        self._next = news.number + 1
        looks = {each.tracklet: each for each in news.looks}
        told = [self._tracklet(news, row, looks.get(int(news.ids[row]))) for row in range(len(news.ids))]
        self._open = {number: known for number, known in self._open.items() if number in set(news.ids.tolist())}
        for tracklet in told:
            if tracklet.state is TrackletState.ENDED:
                del self._open[tracklet.id]
        seen, lost, ended = (tuple(each for each in told if each.state is state) for state in STATES)
        return CameraTracks(news.camera_id, news.index, news.time, news.size, seen, lost, ended, news.grey, news.moved)

    def finish(self) -> tuple[Tracklet, ...]:
        """End what is open."""
        ended = tuple(replace(known.tracklet, state=TrackletState.ENDED, quality=0.0) for known in self._open.values())
        self._open.clear()
        return ended

    def _tracklet(self, news: FrameNews, row: int, looks: LooksNews | None) -> Tracklet:
        number = int(news.ids[row])
        known = self._open.get(number)
        history = known.history if known else History(self._history_length)
        started, updated = news.times[row].tolist()
        if not len(history.times) or updated > history.times[-1]:
            history.add(news.boxes[row], updated)
        score, quality = news.scores[row].tolist()
        tracklet = Tracklet(
            number, news.camera_id, STATES[news.states[row]], history.boxes, history.times, score, quality, started,
            *_looks_of(known.tracklet if known else None, looks),
        )  # fmt: skip
        self._open[number] = _Known(tracklet, history)
        return tracklet


def _looks_of(
    before: Tracklet | None, news: LooksNews | None
) -> tuple[Appearance, NDArray[np.float64], FloatArray, int]:
    """Looks, times, boxes and version after the news."""
    if news is None:
        if before is None:
            return Appearance.empty(), np.zeros(0, np.float64), np.zeros((0, 4), np.float32), 0
        return before.looks, before.look_times, before.look_boxes, before.looks_version
    if before is None or not len(before.looks) or len(news.fresh) == len(news.times):
        return news.vectors, news.times, news.boxes, news.version
    place = {time: row for row, time in enumerate(before.look_times.tolist())}
    place |= {news.times[at]: len(before.looks) + row for row, at in enumerate(news.fresh)}
    rows = [place[time] for time in news.times.tolist()]
    looks = joined([before.looks, news.vectors]).select(rows)
    return looks, news.times, np.concatenate([before.look_boxes, news.boxes])[rows], news.version


def joined(looks: Sequence[Appearance]) -> Appearance:
    """The rows of several, one after the other; at least one is given, all of one embedder."""
    return Appearance(
        np.concatenate([each.global_ for each in looks]),
        np.concatenate([each.stripes for each in looks]),
        np.concatenate([each.quality for each in looks]),
        np.concatenate([each.valid for each in looks]),
    )

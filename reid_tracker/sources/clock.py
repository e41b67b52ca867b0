"""The clock that cameras share: which frames belong to one moment."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Literal, Protocol, TypeVar

from reid_tracker.errors import ConfigError
from reid_tracker.parts import Source
from reid_tracker.sources.prefetch import Prefetch, wait_for_live
from reid_tracker.types import Frame

TimeBase = Literal["utc", "relative"]

_DEFAULT_RATE = 25.0
# Just under half a period: two cameras half a period apart must not be paired now and then by rounding.
_WINDOW_SHARE = 0.499


def common_time_base(cameras: Sequence[Source]) -> TimeBase:
    """Whether the cameras' times are UTC seconds, or seconds from the beginning of each recording.

    They are UTC where every camera has a start time, stated or read from its files' names, or is live; relative where
    none has one. Times that only names tell are passed over where another camera has none: all begin together then.

    Raises:
        ConfigError: a start time is stated for some of the cameras, or a live camera runs beside recordings without.
    """
    without = [camera for camera in cameras if _base_of(camera) == "relative"]
    if not without:
        return "utc"
    for camera in cameras:
        if _base_of(camera) == "utc" and not getattr(camera, "start_from_name", False):
            why = "is live" if getattr(camera, "live", False) else "has one"
            raise ConfigError(
                f"camera {without[0].camera_id!r} has no start time, but camera {camera.camera_id!r} {why}; "
                "give every recording a start time, or none"
            )
    return "relative"


def moments(cameras: Iterable[Source]) -> Iterator[list[Frame]]:
    """The frames of all cameras in order of time, those of one moment together.

    A moment begins with the earliest frame that is not handed out yet and holds at most one frame of each camera, in
    the cameras' order: those taken within half a period of the fastest camera. So cameras of different frame rate,
    length and start advance together, and none waits for another's recording to begin or end. Between
    moments, one camera's times never fall; those of different cameras may by less than that half period.

    The same recordings give the same moments on every run. Of live cameras a moment takes what has arrived; one that
    stalls holds nobody up.

    Each camera is read ahead by a thread, from the first moment asked for until the iterator ends or is closed,
    which closes the cameras too.

    Raises:
        ConfigError: two cameras have one name, or only some have a start time (see common_time_base).
        SourceError: a camera cannot be read (raised while iterating).
    """
    sources = list(cameras)
    names = [source.camera_id for source in sources]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"two cameras are called {name!r}; give each its own id")
    relative = common_time_base(sources) == "relative"
    return _advance(sources, [shift_of(source) if relative else 0.0 for source in sources])


class _Timed(Protocol):
    @property
    def time(self) -> float: ...


_Moment = TypeVar("_Moment", bound=_Timed)


def first_moment(heads: Sequence[_Moment | None], window: float) -> tuple[list[_Moment], list[_Moment | None]]:
    """Of each camera's next frame (None: it has none now), those of the earliest moment, and the heads without them."""
    waiting = [frame for frame in heads if frame is not None]
    if not waiting:
        return [], list(heads)
    until = min(frame.time for frame in waiting) + window
    moment = [frame for frame in waiting if frame.time < until]
    return moment, [None if frame is None or frame.time < until else frame for frame in heads]


def moment_window(sources: Sequence[Source]) -> float:
    """Seconds within which frames of different cameras are of one moment."""
    return _WINDOW_SHARE / max((getattr(source, "fps", None) or _DEFAULT_RATE for source in sources), default=1.0)


def shift_of(source: Source) -> float:
    """Seconds to add to a recording's times so that it begins at 0, as all do where the time base is relative."""
    return -(getattr(source, "start_time", None) or 0.0)


def _advance(sources: Sequence[Source], shifts: Sequence[float]) -> Iterator[list[Frame]]:
    window = moment_window(sources)
    changed = threading.Condition()
    readers: list[Prefetch] = []
    try:
        readers.extend(Prefetch(source, changed) for source in sources)
        heads: list[Frame | None] = [None] * len(readers)
        while True:
            if not any(heads):
                wait_for_live(readers, changed, window)
            for number, reader in enumerate(readers):
                if heads[number] is None and (reader.ready or not reader.live):
                    heads[number] = _shifted(reader.next(), shifts[number])
            moment, heads = first_moment(heads, window)
            if moment:
                yield moment
            elif all(reader.over for reader in readers):
                return
    finally:
        for reader in readers:
            reader.close()


def _shifted(frame: Frame | None, seconds: float) -> Frame | None:
    return frame if frame is None or seconds == 0.0 else replace(frame, time=frame.time + seconds)


def _base_of(camera: Source) -> TimeBase:
    return "relative" if getattr(camera, "time_base", "utc") == "relative" else "utc"

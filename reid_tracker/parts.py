"""The parts of the main path, as call signatures, and how a part is found by name.

A part is any object with the right call; nothing needs to be subclassed. Another package adds one through the
entry-point groups ``reid_tracker.detectors``, ``.embedders``, ``.sources`` and ``.sinks``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from importlib.metadata import entry_points
from types import TracebackType
from typing import Any, Protocol, Self

from reid_tracker.errors import ConfigError
from reid_tracker.types import (
    Appearance,
    BoolArray,
    CameraTracks,
    Detections,
    Frame,
    IdentityEvent,
    TrackedFrame,
    Tracklet,
)


class Source(Protocol):
    """One camera's frames in order of time. Iterating ends when the recording ends."""

    camera_id: str

    def __iter__(self) -> Iterator[Frame]:
        """Frames, time not decreasing. ``index`` is the place in the recording, from 0, so that it lines up with
        ground truth: a frame that does not decode leaves its number unused."""
        ...

    def close(self) -> None:
        """Release the file or device; may be called twice."""
        ...


class Detector(Protocol):
    """Finds people: one batch over frames of any number of cameras, one result per frame, in order."""

    def __call__(self, frames: Sequence[Frame]) -> list[Detections]: ...


class Embedder(Protocol):
    """Turns boxes into appearance: one batch over all crops of all frames.

    ``wanted`` (one mask per frame) leaves out crops that nobody will look at; their rows come back not valid.
    """

    def __call__(
        self,
        frames: Sequence[Frame],
        detections: Sequence[Detections],
        wanted: Sequence[BoolArray] | None = None,
    ) -> list[Appearance]: ...


class Tracker(Protocol):
    """Follows people inside one camera. One instance per camera, not thread-safe."""

    def wanted(self, frame: Frame, detections: Detections) -> BoolArray:
        """(N,) bool: the detections whose appearance the next call needs. Changes nothing."""
        ...

    def __call__(self, frame: Frame, detections: Detections, appearance: Appearance) -> CameraTracks: ...

    def finish(self) -> tuple[Tracklet, ...]:
        """End all open tracklets and return the believed ones (state ENDED)."""
        ...

    def drop(self, tracklets: Collection[int]) -> None:
        """Forget these tracklets without a word; who of them is still in view begins a new one."""
        ...


class Associator(Protocol):
    """Gives tracklets identities over all cameras. One instance per site, not thread-safe."""

    def __call__(self, tracks: Sequence[CameraTracks]) -> list[TrackedFrame]:
        """One result per input, in order; ``finished`` and ``events`` are filled in."""
        ...

    def finish(self, ended: Sequence[Tracklet]) -> tuple[IdentityEvent, ...]:
        """Settle what is open at the end of the run, given the tracklets that ended with it."""
        ...


class Stage(Protocol):
    """Watches a stage of the main path while a block runs; for whoever measures or traces."""

    def __call__(self, name: str, items: Sequence[Any] = (), /) -> AbstractContextManager[object]:
        """A context manager around the stage ``name``; ``items`` are what goes into it, where a stage begins a way."""
        ...


_NOTHING = nullcontext()


def unwatched(_name: str, _items: Sequence[Any] = (), /) -> AbstractContextManager[object]:
    """The stage that nobody watches (Stage): costs a call."""
    return _NOTHING


class Sink(Protocol):
    """Takes tracked frames in order. A context manager; closing completes what was written."""

    def write(self, tracked: TrackedFrame) -> None:
        """Take the next frame."""
        ...

    def close(self) -> None:
        """Complete what was written; may be called twice."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def find_part(group: str, name: str) -> Any:
    """The object registered as ``name`` in entry-point group ``reid_tracker.<group>``.

    Raises:
        ConfigError: no such name, or two packages claim it.
    """
    names = registered_names(group)
    if name not in names:
        raise ConfigError(f"{group}: nothing is registered as {name!r} (registered: {', '.join(names) or 'none'})")
    found = entry_points(group=f"reid_tracker.{group}", name=name)
    if len(found) > 1:
        claimants = ", ".join(sorted(entry.value for entry in found))
        raise ConfigError(f"{group}: {name!r} is claimed by several packages ({claimants}); uninstall all but one")
    return next(iter(found)).load()


def registered_names(group: str) -> list[str]:
    """What other packages registered in entry-point group ``reid_tracker.<group>``, sorted."""
    return sorted({entry.name for entry in entry_points(group=f"reid_tracker.{group}")})

"""The second half of the pipeline on its own: tracks that were made elsewhere, in order of time, get identities."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from reid_tracker.ids import IdAllocator
from reid_tracker.parts import Associator
from reid_tracker.pipeline import with_ending
from reid_tracker.sources.clock import first_moment
from reid_tracker.types import CameraTracks, TrackedFrame, Tracklet, TrackletState


class Ending(Protocol):
    """Whoever knows which of a camera's tracklets are open."""

    def finish(self) -> tuple[Tracklet, ...]:
        """End them."""
        ...


class Renumbering:
    """One camera's tracklets under numbers of the whole run.

    Args:
        next_id: gives the run's numbers.
    """

    def __init__(self, next_id: IdAllocator) -> None:
        self._next_id = next_id
        self._numbers: dict[int, int] = {}

    def __call__(self, tracks: CameraTracks) -> CameraTracks:
        """The same tracks; new tracklets get numbers in the order of those that they have."""
        everybody = (*tracks.tracklets, *tracks.lost, *tracks.ended)
        for number in sorted(each.id for each in everybody if each.id not in self._numbers):
            self._numbers[number] = self._next_id()
        seen, lost, ended = map(self.known, (tracks.tracklets, tracks.lost, tracks.ended))
        for tracklet in tracks.ended:
            del self._numbers[tracklet.id]
        return replace(tracks, tracklets=seen, lost=lost, ended=ended)

    def ended(self, tracklets: Iterable[Tracklet]) -> tuple[Tracklet, ...]:
        """Those that were told before, ended, under the run's numbers; they are not known any more."""
        tracklets = list(tracklets)
        ended = self.known(replace(each, state=TrackletState.ENDED, quality=0.0) for each in tracklets)
        for tracklet in tracklets:
            self._numbers.pop(tracklet.id, None)
        return ended

    def known(self, tracklets: Iterable[Tracklet]) -> tuple[Tracklet, ...]:
        """Those that were told before, under the run's numbers."""
        return tuple(replace(each, id=self._numbers[each.id]) for each in tracklets if each.id in self._numbers)


def associate(
    associator: Associator,
    cameras: Mapping[str, Iterator[CameraTracks]],
    endings: Mapping[str, Ending],
    window: float,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[TrackedFrame]:
    """Give all cameras' tracks identities, in one pass in order of time: as Pipeline.run does with frames.

    Args:
        cameras: camera -> its tracks in order of time, under numbers of its own.
        endings: camera -> who ends the tracklets that are open when its tracks are over.
        window: seconds that frames of one moment may lie apart.
        stop: asked after each moment; once true the pass is completed as it is.
    """
    next_id = IdAllocator()
    numbered = {camera: Renumbering(next_id) for camera in cameras}
    held: list[TrackedFrame] = []
    for moment in moments_of(list(cameras.values()), window):
        yield from held
        held = associator([numbered[tracks.camera_id](tracks) for tracks in moment])
        if stop():
            break
    ended = tuple(each for camera in cameras for each in numbered[camera].known(endings[camera].finish()))
    yield from with_ending(held, associator.finish(ended), ended)


def moments_of(cameras: Sequence[Iterator[CameraTracks]], window: float) -> Iterator[list[CameraTracks]]:
    """The frames of all cameras in order of time, those of one moment together (see sources.moments)."""
    heads: list[CameraTracks | None] = [next(camera, None) for camera in cameras]
    while True:
        moment, left = first_moment(heads, window)
        if not moment:
            return
        yield moment
        heads = [
            next(camera, None) if head is None and before is not None else head
            for camera, head, before in zip(cameras, left, heads, strict=True)
        ]

"""Annotated video of recordings, drawn when the run has ended: with the identities as known then."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from reid_tracker.parts import Source
from reid_tracker.results.blurring import without_faces
from reid_tracker.results.encoders import Codec
from reid_tracker.results.jsonl import read_tracks
from reid_tracker.results.video import VideoSink
from reid_tracker.types import TrackedFrame

NOTE = "final ids"
SETTLED = "settled"

# Fast stretches of a rate that varies are this much faster than the mean; steps rarer than the share are jitter.
_UNSTEADY, _RARE_SHARE = 1.2, 0.1

_log = logging.getLogger(__name__)


def draw_recordings(
    tracks: Path,
    folder: Path,
    codec: Codec,
    rates: Mapping[str, float | None],
    recordings: Sequence[Source],
    blur_faces: bool = False,
    stop: Callable[[], bool] = lambda: False,
    progress: Callable[[int], None] = lambda _done: None,
) -> bool:
    """Read recordings a second time and write an annotated video of each into ``folder``.

    A link that was found late shows from the first frame on, which a video drawn during the run cannot do. Frames
    that the run did not come to (it was stopped) are left out.

    Args:
        tracks: tracks.jsonl of the run, complete.
        codec: see encoders.
        rates: frames a second by camera, where known; see ``fitting_rates``.
        recordings: that the run followed; each may be read again.
        blur_faces: blur the top of everybody's box (reid_tracker.results.blurring).
        stop: asked before each picture; once true no more is drawn, and of a video that was begun nothing is left.
        progress: told the pictures drawn so far, over all recordings.

    Returns:
        Whether all were drawn.

    Raises:
        OutputError: a video cannot be written.
        SourceError: a recording cannot be read any more.
    """
    done = 0
    rates = fitting_rates(tracks, rates)
    for source in recordings:
        _log.info("camera %r: drawing the video", source.camera_id)
        with VideoSink(folder, codec, rates, NOTE) as sink:
            for tracked in pictured(tracks, source, blur_faces):
                if stop():
                    sink.discard()
                    return False
                sink.write(tracked)
                done += 1
                progress(done)
    return True


def fitting_rates(tracks: Path, rates: Mapping[str, float | None]) -> dict[str, float | None]:
    """Frames a second by camera at which a video shows them all.

    That is the camera's rate, a mean, where its frames come steadily. Where the rate varies (cameras lower theirs in
    the dark or while nothing moves) the frames of busy times come much faster, and a video at the mean would leave out
    most of them: there their own step counts.

    Args:
        tracks: tracks.jsonl of the run.
        rates: frames a second by camera, where known.

    Raises:
        InputError: tracks cannot be read.
    """
    last: dict[str, float] = {}
    steps: defaultdict[str, Counter[int]] = defaultdict(Counter)  # milliseconds from frame to frame -> how often
    for tracked in read_tracks(tracks):
        if tracked.camera_id in last:
            steps[tracked.camera_id][max(1, round(1000 * (tracked.time - last[tracked.camera_id])))] += 1
        last[tracked.camera_id] = tracked.time
    fitting = dict(rates)
    for camera, counted in steps.items():
        fastest = 1000 / _low_quantile(counted)
        if fastest > _UNSTEADY * (rates.get(camera) or 0.0):
            fitting[camera] = fastest
    return fitting


def _low_quantile(counted: Counter[int]) -> int:
    """The value below which lie as few as are not worth more pictures a second."""
    below = 0
    for value in sorted(counted):
        below += counted[value]
        if below > _RARE_SHARE * counted.total():
            break
    return value


def pictured(tracks: Path, source: Source, blur_faces: bool) -> Iterator[TrackedFrame]:
    """The camera's frames of a run, with the ids as known now and their pictures, read from the recording again.

    Nothing changes any more at the end, so nobody is drawn as provisional.

    Args:
        tracks: tracks.jsonl of the run, complete.
        source: the recording; both are in order of the frames' numbers. Closed at the end.
        blur_faces: blur the top of everybody's box (reid_tracker.results.blurring).

    Raises:
        SourceError: the recording cannot be read any more.
    """
    own = (tracked for tracked in read_tracks(tracks, "final") if tracked.camera_id == source.camera_id)
    tracked = next(own, None)
    try:
        for frame in source:
            if tracked is None:
                return
            if frame.index == tracked.index:
                settled = tuple(replace(person, state=SETTLED) for person in tracked.people)
                shown = replace(tracked, people=settled, image=frame.image)
                yield without_faces(shown) if blur_faces else shown
                tracked = next(own, None)
    finally:
        source.close()

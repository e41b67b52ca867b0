"""Reading a camera ahead in a thread of its own, so that decoding overlaps inference."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence

from reid_tracker.parts import Source
from reid_tracker.sources.problems import Problem, Problems
from reid_tracker.types import Frame

# Enough to ride out one slow picture (a key frame); each costs a frame's memory, 6 MB at 1080p.
_READ_AHEAD = 4


class Prefetch:
    """A source, read ahead by a thread that lives from construction to ``close``.

    A recording waits when the buffer is full, so every frame arrives, in order, whatever the timing. A live camera
    does not wait: its oldest frame gives way, and is counted as dropped in its problems.

    Args:
        source: what is read; it is closed when reading ends. Nobody else may read it meanwhile.
        changed: told when a frame arrives or the source ends; several readers may share one.
    """

    def __init__(self, source: Source, changed: threading.Condition) -> None:
        self.source = source
        self.live = bool(getattr(source, "live", False))
        self._changed = changed
        self._frames: deque[Frame] = deque()
        self._failure: BaseException | None = None
        self._ended = False
        self._stopped = False
        self._thread = threading.Thread(target=self._fill, name=f"read {source.camera_id}", daemon=True)
        self._thread.start()

    @property
    def ready(self) -> bool:
        """Whether ``next`` would answer at once."""
        return bool(self._frames) or self._ended

    @property
    def over(self) -> bool:
        """Whether the source has ended and all its frames were taken."""
        return self._ended and not self._frames

    def next(self) -> Frame | None:
        """The next frame, waited for; None when there is none any more.

        Raises:
            BaseException: whatever ended the reading, after the frames before it.
        """
        with self._changed:
            self._changed.wait_for(lambda: self.ready)
            if self._frames:
                frame = self._frames.popleft()
                self._changed.notify_all()
                return frame
            if self._failure is not None:
                failure, self._failure = self._failure, None
                raise failure
            return None

    def close(self) -> None:
        """Stop reading and wait for the thread to end. May be called twice."""
        with self._changed:
            self._stopped = True
            self._frames.clear()
            self._changed.notify_all()
        self._thread.join()

    def _fill(self) -> None:
        try:
            for frame in self.source:
                if not self._put(frame):
                    break
        except BaseException as failure:
            self._failure = failure  # handed to whoever takes the frames
        finally:
            self.source.close()
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _put(self, frame: Frame) -> bool:
        with self._changed:
            if self.live and len(self._frames) >= _READ_AHEAD:
                self._frames.popleft()
                self._note_drop()
            self._changed.wait_for(lambda: self._stopped or len(self._frames) < _READ_AHEAD)
            if self._stopped:
                return False
            self._frames.append(frame)
            self._changed.notify_all()
        return True

    def _note_drop(self) -> None:
        problems = getattr(self.source, "problems", None)
        if isinstance(problems, Problems):
            problems.note(Problem.DROPPED, "processing is slower than the camera")


def wait_for_live(readers: Sequence[Prefetch], changed: threading.Condition, grace: float) -> None:
    """Wait until one live reader has a frame (or all have ended), and ``grace`` seconds at most for the others."""
    waiting = [reader for reader in readers if reader.live and not reader.over]
    if not waiting:
        return
    with changed:
        changed.wait_for(lambda: any(reader.ready for reader in waiting))
        deadline = time.monotonic() + grace
        changed.wait_for(lambda: all(reader.ready for reader in waiting), timeout=max(0.0, deadline - time.monotonic()))

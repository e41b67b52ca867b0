"""How many pictures a video file holds, and which of them the decoder left out.

OpenCV hands out what decodes and passes over the rest in silence, so frames after a damaged one would be numbered
too low and no longer line up with ground truth. A second, undecoded pass over the same file gives the time of
every packet: a packet time that no decoded frame carries is a frame that was lost.
"""

from __future__ import annotations

import heapq
from pathlib import Path

import cv2

from reid_tracker.sources.mp4 import Cut
from reid_tracker.sources.quiet import open_capture

# Packets lie in decoding order; a picture may stand this many packets before one that is shown earlier
# (max_dec_frame_buffering of H.264 and HEVC, their standards' annexes E: 16).
_REORDERED = 16
# Packets as they are; and no threads for a decoder that has nothing to do.
_UNDECODED = (cv2.CAP_PROP_FORMAT, -1, cv2.CAP_PROP_N_THREADS, 1)
# How many packets to look through for that of a decoded frame: more than any decoder leaves out in a row, and not the
# rest of a long recording where a stream has no times.
_FARTHEST = 1024
# Times are rounded to microseconds, and the begin of a trimmed recording with them.
_ROUNDED = 1
# OpenCV refuses a packet too damaged to be handed out, and refuses at the end of the file; this many in a row are the
# end.
_REFUSALS_UNTIL_END = 256


class PacketCensus:
    """Times of a file's video packets, read a little ahead of the decoder. One per file, not thread-safe.

    Args:
        path: the file that is being decoded.
        period: usual seconds from one frame to the next; a packet nearer to a decoded frame than a quarter of it
            is no picture of its own (VP8 keeps invisible reference pictures as packets).
        cut: the part that the decoder shows where the recording was trimmed; packets beside it are no pictures.
    """

    def __init__(self, path: Path, period: float, cut: Cut | None = None) -> None:
        self._capture = open_capture(str(path), cv2.CAP_FFMPEG, _UNDECODED)
        self._shown = None if cut is None else (cut.begin * 1e6 - _ROUNDED, cut.end * 1e6 - _ROUNDED)
        self._begin: int | None = 0 if cut is None else None  # the packet time that the decoder calls 0
        self._period = period * 1e6
        self._nearest = int(self._period / 4)
        self._pending: list[int] = []
        self._untimed = 0
        self._last_claimed: int | None = None

    def __len__(self) -> int:
        """Packets read so far that no decoded frame has claimed."""
        return len(self._pending) + self._untimed

    def lost_before(self, microseconds: int | None) -> int:
        """How many pictures were lost between the previous decoded frame and this one.

        Args:
            microseconds: time of a decoded frame, as the container has it; None where it has none.
        """
        found = None if microseconds is None else self._find(microseconds)
        if found is None:
            self._take_one()
            return 0
        microseconds = found
        # As many may have been read already that are shown later, so twice the reordering is sure to be enough.
        while sum(time > microseconds for time in self._pending) < 2 * _REORDERED and self._read_one():
            pass
        earlier = self._pop_until(microseconds)
        if self._last_claimed is None:
            # What precedes the first frame that decodes is the tail of a group cut off by the recorder.
            lost = 0
        else:
            lost = earlier + self._untimed_between(self._last_claimed, microseconds, earlier)
        self._last_claimed = microseconds
        return lost

    def holds(self, count: int) -> bool:
        """Whether at least ``count`` packets follow those of the decoded frames."""
        self._read_ahead(count)
        return len(self) >= count

    def rest(self) -> int:
        """How many pictures follow the last decoded frame. Ends the census."""
        while self._read_one():
            pass
        if self._last_claimed is None:
            return len(self)
        return self._untimed + sum(time > self._last_claimed + self._nearest for time in self._pending)

    def extent(self) -> tuple[int, float]:
        """Pictures in the file, and seconds from the first one to the last. Ends the census."""
        while self._read_one():
            pass
        seconds = (max(self._pending) - min(self._pending)) / 1e6 if self._pending else 0.0
        count = len(self)
        return count, seconds or max(0, count - 1) * self._period / 1e6  # a raw stream has no times

    def close(self) -> None:
        """Release the file; what was read ahead stays known."""
        if self._capture is not None:
            self._capture.release()
            self._capture = None

    def _find(self, microseconds: int) -> int | None:
        """The time of the packet that a frame of that time was decoded from."""
        if self._begin is None:
            self._read_ahead(2 * _REORDERED)
            self._begin = min(self._pending, default=0)
        wanted = self._begin + microseconds
        for _ in range(_FARTHEST):
            for time in self._pending:
                if abs(time - wanted) <= _ROUNDED:
                    return time
            if not self._read_one():
                return None
        return None

    def _take_one(self) -> None:
        """A frame whose packet cannot be told by its time: any will do, so that the number stays right."""
        self._read_ahead(_REORDERED)
        if self._untimed:
            self._untimed -= 1  # a damaged packet that decoded all the same
        elif self._pending:
            heapq.heappop(self._pending)

    def _pop_until(self, microseconds: int) -> int:
        own_pictures = 0
        after = (self._last_claimed or 0) + self._nearest
        while self._pending:
            time = heapq.heappop(self._pending)
            if time == microseconds:
                break
            own_pictures += after < time < microseconds - self._nearest
        return own_pictures

    def _untimed_between(self, before: int, after: int, known: int) -> int:
        """How many of the packets without a time belong between two decoded frames: as many as there is room for."""
        room = round((after - before) / self._period) - 1 - known
        found = max(0, min(self._untimed, room))
        self._untimed -= found
        return found

    def _read_ahead(self, count: int) -> None:
        while len(self._pending) < count and self._read_one():
            pass

    def _read_one(self) -> bool:
        while (time := self._next_time()) is not None:
            if self._shown is None or self._shown[0] <= time < self._shown[1]:
                heapq.heappush(self._pending, time)
                return True
        return False

    def _next_time(self) -> int | None:
        """Microseconds of the next packet; None at the end of the file."""
        if self._capture is None:
            return None
        for refused in range(_REFUSALS_UNTIL_END):
            if self._capture.grab():
                self._untimed += refused
                return as_microseconds(self._capture.get(cv2.CAP_PROP_POS_MSEC))
        self.close()
        return None


def as_microseconds(milliseconds: float) -> int:
    """OpenCV's position as a whole number, so that equal times compare equal."""
    return round(milliseconds * 1000)

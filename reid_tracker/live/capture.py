"""What a reader reads: an open stream, whoever opens it. Fakes in tests and other libraries stand in here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from reid_tracker.errors import SourceError
from reid_tracker.types import Image

CPU = "cpu"
"""What a stream that no device decodes says of its decoder."""


class Fault(StrEnum):
    """Why a stream could not be opened, or ended. The value is what counters and the health page call it."""

    UNREACHABLE = "unreachable"
    REFUSED = "refused"
    WRONG_PASSWORD = "wrong_password"
    NOT_FOUND = "not_found"
    TIMED_OUT = "timed_out"
    NO_VIDEO = "no_video"
    BROKEN = "broken"
    ENDED = "ended"
    MISCONFIGURED = "misconfigured"
    STALLED = "stalled"
    STALE = "stale"
    FROZEN = "frozen"
    BEHIND = "behind"


class CaptureError(SourceError):
    """A stream cannot be opened or read on. The message names no address: those hold passwords.

    Attributes:
        fault: why.
    """

    def __init__(self, fault: Fault, message: str) -> None:
        super().__init__(message)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class Picture:
    """One decoded picture; its pixels are converted only when somebody asks for them.

    Attributes:
        media_time: seconds on the stream's own clock, None where it has none.
        producer_time: UTC seconds when the camera took it, as the stream says; None where it does not.
        size: (width, height) in pixels.
        fingerprint: changes when the picture does.
        image: the pixels, (H, W, 3) uint8 BGR.
    """

    media_time: float | None
    producer_time: float | None
    size: tuple[int, int]
    fingerprint: int
    image: Callable[[], Image]


@dataclass(frozen=True, slots=True)
class Reading:
    """What one read brought: no picture (the decoder holds it back), one or several, and how many did not decode."""

    pictures: tuple[Picture, ...] = ()
    undecodable: int = 0


class Capture(Protocol):
    """An open stream. Used by one thread; ``close`` is called by that thread too."""

    @property
    def fps(self) -> float | None:
        """Pictures a second as the stream declares them."""
        ...

    @property
    def codec(self) -> str:
        """Name of the codec."""
        ...

    @property
    def decoder(self) -> str:
        """What decodes: ``cpu``, or the name of a device."""
        ...

    @property
    def recording(self) -> bool:
        """Whether it is played and not live: its end is meant, and still or rare pictures are no fault of it."""
        ...

    def read(self) -> Reading:
        """Wait for the next packet.

        Raises:
            CaptureError: the stream ended, broke or timed out.
        """
        ...

    def close(self) -> None:
        """Release the connection; may be called twice."""
        ...


class Opener(Protocol):
    """Opens a stream; raises CaptureError."""

    def __call__(self) -> Capture: ...

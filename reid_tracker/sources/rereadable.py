"""What sources share that can be read from the beginning as often as one likes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator

from reid_tracker.sources.problems import Problems
from reid_tracker.types import Frame


class Rereadable(ABC):
    """One reading at a time: a new one begins where frames begin, and ends the one before.

    Attributes:
        problems: what went wrong in the current reading.
    """

    def __init__(self, problems: Problems) -> None:
        self.problems = problems
        self._reading: Generator[Frame, None, None] | None = None

    def __iter__(self) -> Iterator[Frame]:
        """All frames from the beginning; an earlier reading of this source ends."""
        self.close()
        self.problems.clear()
        self._reading = self._read()
        return self._reading

    def close(self) -> None:
        """End the reading and close its file. May be called twice, and the source may be read again."""
        if self._reading is not None:
            self._reading.close()
            self._reading = None

    @abstractmethod
    def _read(self) -> Generator[Frame, None, None]:
        """The frames, in order."""

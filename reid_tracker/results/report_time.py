"""Moments of a run on a time axis and as text."""

from __future__ import annotations

import math
from datetime import UTC, datetime

_NICE_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)
_MOST_TICKS = 8


class TimeAxis:
    """Moments of a run as percent of its length and as text.

    Args:
        first, last: seconds.
        utc: they are moments in UTC, else seconds of the run.
    """

    def __init__(self, first: float, last: float, utc: bool) -> None:
        self.first = first
        self.length = max(last - first, 1e-6)
        self._utc = utc

    def percent(self, time: float) -> float:
        """Where a moment lies, 0 to 100."""
        return round(100 * min(max((time - self.first) / self.length, 0), 1), 3)

    def text(self, time: float) -> str:
        """A moment for people."""
        if self._utc:
            return datetime.fromtimestamp(time, UTC).strftime("%H:%M:%S")
        return duration(time)

    def span(self, first: float, last: float) -> str:
        """From when to when; with the date where there is one."""
        if not self._utc:
            return f"{self.text(first)} to {self.text(last)}"
        begin, end = (datetime.fromtimestamp(time, UTC) for time in (first, last))
        ending = end.strftime("%H:%M:%S") if begin.date() == end.date() else end.strftime("%-d %B %Y, %H:%M:%S")
        return f"{begin.strftime('%-d %B %Y, %H:%M:%S')} to {ending} UTC"

    def ticks(self) -> tuple[tuple[float, str], ...]:
        """Round moments along the axis: (percent, text)."""
        step = next((step for step in _NICE_STEPS if self.length / step <= _MOST_TICKS), _NICE_STEPS[-1])
        count = math.floor(self.length / step + 1e-9)
        begin = self.first if not self._utc else -(-self.first // step) * step
        moments = [begin + step * index for index in range(count + 1)]
        last = self.first + self.length + 1e-9
        return tuple((self.percent(moment), self._tick(moment, step)) for moment in moments if moment <= last)

    def _tick(self, moment: float, step: float) -> str:
        return self.text(moment) if step < 1 or self._utc else self.text(moment).removesuffix(".0")


def duration(seconds: float) -> str:
    """Seconds as 0:07.5 or 1:02:03."""
    tenths = round(abs(seconds) * 10)
    minutes, tenths = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    sign = "-" if seconds < 0 else ""
    if hours:
        return f"{sign}{hours}:{minutes:02d}:{tenths // 10:02d}"
    return f"{sign}{minutes}:{tenths // 10:02d}.{tenths % 10}"

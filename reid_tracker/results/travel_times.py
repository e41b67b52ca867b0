"""How long people take from camera to camera, as a run's hand-overs and its configuration have it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from statistics import median
from typing import Any

from reid_tracker.results.identities import Handover, PersonRecord

LEAST_OTHERS = 2  # hand-overs besides the one in question that make a habit


class TravelTimes:
    """Gaps of all hand-overs of a run, by their two cameras.

    Args:
        people: everybody, under the ids as known now.
        configured: (from, to) -> least and most seconds, where somebody has said so.
    """

    def __init__(
        self, people: Iterable[PersonRecord], configured: Mapping[tuple[str, str], tuple[float, float]] | None = None
    ) -> None:
        self._gaps: defaultdict[tuple[str, str], dict[tuple[int, int], float]] = defaultdict(dict)
        self._configured = dict(configured or {})
        for person in people:
            for handover in person.handovers:
                self._gaps[handover.source, handover.target][handover.tracklets] = handover.gap

    def usual(self, handover: Handover) -> str:
        """What is usual on the way of a hand-over, itself left out, in words; empty where nothing is known."""
        way = handover.source, handover.target
        others = [gap for tracklets, gap in self._gaps[way].items() if tracklets != handover.tracklets]
        said = []
        if len(others) >= LEAST_OTHERS:
            span = f"{_seconds(min(others))} to {_seconds(max(others))}"
            said.append(f"{_seconds(median(others))} in the middle, {span} ({len(others)} others)")
        if way in self._configured:
            least, most = self._configured[way]
            said.append(f"configured: {least:g} to {most:g} s")
        return "; ".join(said)


def configured_spans(run: Mapping[str, Any]) -> dict[tuple[str, str], tuple[float, float]]:
    """The neighbours of a run's configuration: (from, to) -> least and most seconds.

    Args:
        run: the value of run.json.
    """
    cameras = run.get("config", {}).get("cameras", ())
    return {
        (camera["id"], neighbour): (float(span[0]), float(span[1]))
        for camera in cameras
        for neighbour, span in (camera.get("neighbours") or {}).items()
    }


def _seconds(gap: float) -> str:
    return f"{gap:.1f} s" if gap >= 0 else f"in both at once for {-gap:.1f} s"

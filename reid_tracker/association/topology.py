"""What time says: how soon people return, from which camera to which, and how often somebody new comes.

Sightings are events in time. Somebody last seen in camera a at a gap g ago turns up in camera b with the rate
h_ab(g), in returns a second; somebody never seen before turns up there with the rate l_b. A tracklet that begins is
one of these events, so the odds of two explanations are, before anybody looks at the person, the ratio of their rates.
No travel time has to be configured: the rates are counted (events over time spent waiting at that gap, the
Nelson-Aalen estimator on doubling bins), shared between camera pairs as long as a pair has little to say for itself,
and begin with a law without a scale of its own, h(g) = s / (g + g0): each doubling of the gap is about as likely.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reid_tracker.config import CameraConfig

# Gap bins: in view of another camera at that moment; below 1 s; 1-2 s; 2-4 s; ... ; above 36 h.
_EDGES = np.concatenate([[-np.inf, 0.0], 2.0 ** np.arange(0, 18)])
_UPPER = np.append(_EDGES[2:], np.inf)
_MIDDLE = np.concatenate([[0.5, 0.5], 1.5 * 2.0 ** np.arange(0, 18)])

_LEAST_LINK = 0.5  # people; less may be nobody
_RETURNS_PER_DOUBLING = 0.6
_SHORTEST_WAIT = 5.0  # seconds; below it the starting law is flat
_PRIOR_EVENTS = 1.0  # what the starting law is worth in each bin
_PAIR_EVENTS = 2.0  # what all pairs together are worth against one pair's own counts
_TOO_FAST, _TOO_SLOW = -100.0, float(np.log(0.01))  # nobody is faster than possible; some people stop on the way


@dataclass(frozen=True, slots=True)
class CameraLink:
    """What was learned of the way from one camera to another.

    Attributes:
        people: who came that way so far, doubtful ones counted by their probability.
        seconds: that half of them were unseen in between; 0 where both cameras saw them at once.
    """

    origin: str
    destination: str
    people: float
    seconds: float


class ReturnTimes:
    """Learned rates of returning and of coming new. One per site, not thread-safe.

    Args:
        cameras: configured cameras; their ``neighbours`` sharpen the learned rates.
    """

    def __init__(self, cameras: Sequence[CameraConfig] = ()) -> None:
        self._index: dict[str, int] = {}
        self._spans = {
            (camera.id, neighbour): span for camera in cameras for neighbour, span in camera.neighbours.items()
        }
        self._events = np.zeros((0, 0, len(_EDGES)))
        self._waited = np.zeros((0, len(_EDGES)))
        self._waiting = np.zeros((0, len(_EDGES)))
        self._began: float | None = None
        self._now = 0.0
        self._table: NDArray[np.float64] | None = None

    def index(self, camera_id: str) -> int:
        """Number of a camera, given out at first sight."""
        if camera_id not in self._index:
            self._index[camera_id] = len(self._index)
            count = len(self._index)
            self._events = _grown(self._events, (count, count, len(_EDGES)))
            self._waited = _grown(self._waited, (count, len(_EDGES)))
            self._waiting = _grown(self._waiting, (count, len(_EDGES)))
            self._table = None
        return self._index[camera_id]

    def advance(self, now: float) -> None:
        """Let time pass; the rate of new people is counted over it."""
        self._began = now if self._began is None else min(self._began, now)
        self._now = max(self._now, now)

    def links(self) -> list[CameraLink]:
        """The ways between different cameras that people are known to have taken."""
        names = list(self._index)
        found = []
        for origin, destination in np.argwhere(self._events.sum(axis=2) >= _LEAST_LINK):
            if origin != destination:
                events = self._events[origin, destination]
                half = int(np.searchsorted(np.cumsum(events), events.sum() / 2))
                seconds = 0.0 if half == 0 else float(_MIDDLE[half])
                found.append(CameraLink(names[origin], names[destination], float(events.sum()), seconds))
        return found

    def log_rate(
        self, origins: NDArray[np.intp], destinations: NDArray[np.intp] | int, gaps: NDArray[np.floating]
    ) -> NDArray[np.float64]:
        """Log of the rate with which people last seen in ``origins`` turn up in ``destinations``.

        Args:
            origins: (K,) camera numbers.
            destinations: (K,) camera numbers, or one for all.
            gaps: (K,) seconds since they were last seen; negative where they are in view of the origin.

        Returns:
            (K,) log of returns a second.
        """
        rates: NDArray[np.float64] = self._log_rates()[origins, destinations, _bins(gaps)]
        if self._spans:
            least, most = self._configured_spans()
            rates = rates + _TOO_FAST * (gaps < least[origins, destinations])
            rates = rates + _TOO_SLOW * (gaps > most[origins, destinations])
        return rates

    def highest_log_rate(self, destination: int) -> float:
        """The most that ``log_rate`` gives for a camera, from anywhere and at any gap."""
        return float(self._log_rates()[:, destination].max())

    def chain(self, cameras: NDArray[np.intp], starts: NDArray[np.float64], ends: NDArray[np.float64]) -> float:
        """Log rate of a whole life: every sighting but the first, given the one before it.

        Args:
            cameras: (K,) camera numbers, in order of ``starts``.
            starts, ends: (K,) seconds.
        """
        if len(cameras) < 2:
            return 0.0
        latest = np.maximum.accumulate(ends)
        last = np.maximum.accumulate(np.where(ends >= latest, np.arange(len(ends)), 0))[:-1]
        return float(self.log_rate(cameras[last], cameras[1:], starts[1:] - ends[last]).sum())

    def log_new_rate(self, people: int) -> float:
        """Log of new people a second in one camera, ``people`` having come so far."""
        elapsed = self._now - (self._began if self._began is not None else self._now)
        cameras = max(1, len(self._index))
        return float(np.log((people + 1) / (elapsed + _SHORTEST_WAIT) / cameras))

    def observe_returns(
        self, origins: NDArray[np.intp], destination: int, gaps: NDArray[np.floating], weights: NDArray[np.floating]
    ) -> None:
        """Candidates that may have returned: (K,) origins, gaps in seconds and probabilities."""
        np.add.at(self._events[:, destination], (origins, _bins(gaps)), weights)

    def observe_waited(self, origin: int, gap: float) -> None:
        """Somebody was awaited for ``gap`` seconds after leaving ``origin``, and came or was given up."""
        self._waited[origin] += _time_per_bin(np.array([gap]))[0]

    def refresh(self, origins: NDArray[np.intp], gaps: NDArray[np.floating]) -> None:
        """Take the waiting of all who have not returned so far into account.

        Args:
            origins: (K,) cameras where they were last seen.
            gaps: (K,) seconds since then.
        """
        self._waiting[:] = 0
        np.add.at(self._waiting, origins, _time_per_bin(gaps))
        self._table = None

    def _log_rates(self) -> NDArray[np.float64]:
        if self._table is None:
            self._table = np.log(self._rates())
        return self._table

    def _rates(self) -> NDArray[np.float64]:
        """(cameras, cameras, bins) returns a second, from each to each."""
        count = len(self._index)
        same = np.eye(count, dtype=bool)
        exposure = np.repeat((self._waited + self._waiting)[:, None], count, axis=1)
        prior = _RETURNS_PER_DOUBLING / (_MIDDLE + _SHORTEST_WAIT) / max(1, count)
        rates = np.empty_like(self._events)
        for group in (same, ~same):
            events, time = self._events[group].sum(axis=0), exposure[group].sum(axis=0)
            shared = (events + _PRIOR_EVENTS) / (time + _PRIOR_EVENTS / prior)
            own = (self._events[group] + _PAIR_EVENTS) / (exposure[group] + _PAIR_EVENTS / shared)
            rates[group] = own
        return rates

    def _configured_spans(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(cameras, cameras) least and most seconds; anything goes where nothing is configured."""
        count = len(self._index)
        least, most = np.full((count, count), -np.inf), np.full((count, count), np.inf)
        for (origin, destination), span in self._spans.items():
            if origin in self._index and destination in self._index:
                least[self._index[origin], self._index[destination]] = span[0]
                most[self._index[origin], self._index[destination]] = span[1]
        return least, most


def _bins(gaps: NDArray[np.floating]) -> NDArray[np.intp]:
    return np.searchsorted(_EDGES, gaps, side="right") - 1


def _time_per_bin(gaps: NDArray[np.floating]) -> NDArray[np.float64]:
    """(K,) gaps to (K, bins): how long each waited inside each bin."""
    spent = np.clip(gaps[:, None] - _EDGES[1:], 0, _UPPER - _EDGES[1:])
    in_view = np.clip(-gaps, 0, None)[:, None]
    return np.concatenate([in_view, spent], axis=1)


def _grown(array: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.float64]:
    grown = np.zeros(shape)
    grown[tuple(slice(0, size) for size in array.shape)] = array
    return grown

"""What time says: how soon people return, from which camera to which, and how often somebody new comes.

Sightings are events in time. Somebody last seen in camera a at a gap g ago turns up in camera b with the rate
h_ab(g), in returns a second; somebody never seen before turns up there with the rate l_b. A tracklet that begins is
one of these events, so the odds of two explanations are, before anybody looks at the person, the ratio of their rates.
No travel time has to be configured: the rates are counted (events over time spent waiting at that gap, the
Nelson-Aalen estimator on doubling bins), shared between camera pairs as long as a pair has little to say for itself,
and begin with a law without a scale of its own, h(g) = s / (g + g0): each doubling of the gap is about as likely.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reid_tracker.association.identities import Passage, timetable
from reid_tracker.config import CameraConfig

# Gap bins: in view of another camera at that moment; below 1 s; 1-2 s; 2-4 s; ... ; above 36 h.
_IN_VIEW = 1e-9  # seconds since somebody was seen below which they were in view of both cameras at once
_EDGES = np.concatenate([[-np.inf, _IN_VIEW], 2.0 ** np.arange(0, 18)])
_EDGE_LIST: list[float] = _EDGES.tolist()
_UPPER = np.append(_EDGES[2:], np.inf)
_MIDDLE = np.concatenate([[0.5, 0.5], 1.5 * 2.0 ** np.arange(0, 18)])

_ALL_BINS = np.arange(len(_EDGES))
_FIRST_CAMERAS = 8

_LEAST_LINK = 0.5  # people; less may be nobody
_LEAP = 10 * 365 * 86400.0  # seconds that do not pass between two moments: a clock that said 1970 was set
_RETURNS_PER_DOUBLING = 0.6
_SHORTEST_WAIT = 5.0  # seconds; below it the starting law is flat
_PRIOR_EVENTS = 1.0  # what the starting law is worth in each bin
# What all pairs together are worth against one pair's own counts; less for people in view of both at once, for two
# cameras see the same ground or they do not, and most do not.
_PAIR_EVENTS = np.where(np.isneginf(_EDGES), 0.5, 2.0)
_TOO_FAST, _TOO_SLOW = -100.0, float(np.log(0.01))  # nobody is faster than possible; some people stop on the way

# Origins, the destination, bins of the gaps, and how probably each came back.
_Returns = tuple[NDArray[np.intp], int, NDArray[np.intp], NDArray[np.floating]]


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
        self._ways: dict[str, list[tuple[str, str]]] = {}
        for pair in self._spans:
            for camera_id in pair:
                self._ways.setdefault(camera_id, []).append(pair)
        # These are longer than there are cameras, so that they seldom grow; numbers of cameras are places in them.
        self._events = np.zeros((0, 0, len(_EDGES)))
        self._waited = np.zeros((0, len(_EDGES)))
        self._waiting = np.zeros((0, len(_EDGES)))
        self._least, self._most = np.zeros((0, 0)), np.zeros((0, 0))
        self._totals = np.zeros((2, len(_EDGES)))  # events in the same camera, and from one to another
        self._new: list[_Returns] = []
        self._began: float | None = None
        self._now = 0.0
        self._rates_known: _Rates | None = None
        self._highest: dict[int, float] = {}
        self._single: dict[tuple[int, int, int], float] = {}

    def index(self, camera_id: str) -> int:
        """Number of a camera, given out at first sight."""
        if camera_id not in self._index:
            self._index[camera_id] = count = len(self._index)
            if count == len(self._waited):
                self._make_room(max(_FIRST_CAMERAS, 2 * count))
            self._take_spans(camera_id)
            self._changed()
        return self._index[camera_id]

    def forget_camera(self, camera_id: str) -> None:
        """The ways to and from a camera are unknown again, configured ones too: it looks elsewhere."""
        for pair in [pair for pair in self._spans if camera_id in pair]:
            del self._spans[pair]
        if camera_id not in self._index:
            return
        self._count()
        number = self._index[camera_id]
        inside = self._events[number, number]
        self._totals[0] -= inside
        self._totals[1] -= self._events[number].sum(axis=0) + self._events[:, number].sum(axis=0) - 2 * inside
        self._events[number], self._events[:, number], self._waited[number] = 0, 0, 0
        if self._ways:
            self._least[number], self._least[:, number] = -np.inf, -np.inf
            self._most[number], self._most[:, number] = np.inf, np.inf
        self._changed()

    def advance(self, now: float) -> None:
        """Let time pass; the rate of new people is counted over it, but not over years in which no clock was set."""
        self._began = now if self._began is None else min(self._began, now)
        if now - self._now > _LEAP and self._now >= self._began:
            self._began += now - self._now
        self._now = max(self._now, now)

    def links(self) -> list[CameraLink]:
        """The ways between different cameras that people are known to have taken.

        Rates follow when the waiting is counted: reading the ways changes nothing that decides.
        """
        names, counted = list(self._index), self._events.copy()
        _add(counted, self._new)
        found = []
        for origin, destination in np.argwhere(counted.sum(axis=2) >= _LEAST_LINK):
            if origin != destination:
                events = counted[origin, destination]
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
        rates: NDArray[np.float64] = np.log(self._rates(origins, destinations, _bins(gaps)))
        if self._spans:
            rates = rates + _TOO_FAST * (gaps < self._least[origins, destinations])
            rates = rates + _TOO_SLOW * (gaps > self._most[origins, destinations])
        return rates

    def log_rate_of(self, origin: int, destination: int, gap: float) -> float:
        """``log_rate`` of one person: lives are judged return by return, and the same ones again and again."""
        place = (origin, destination, bisect.bisect_right(_EDGE_LIST, gap) - 1)
        known = self._single.get(place)
        if known is None:
            rate = self._rates(np.array([origin], np.intp), destination, np.array([place[2]], np.intp))
            known = self._single[place] = math.log(rate[0])
        if self._spans:
            known += _TOO_FAST * (gap < self._least[origin, destination])
            known += _TOO_SLOW * (gap > self._most[origin, destination])
        return float(known)

    def highest_log_rate(self, destination: int) -> float:
        """The most that ``log_rate`` gives for a camera, from anywhere and at any gap."""
        if destination not in self._highest:
            origins = np.arange(len(self._index))[:, None]
            self._highest[destination] = float(np.log(self._rates(origins, destination, _ALL_BINS[None]).max()))
        return self._highest[destination]

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

    @property
    def least_times(self) -> Mapping[tuple[str, str], float]:
        """Least seconds of the configured ways, by names of the camera that is left and the one that is reached."""
        return {way: span[0] for way, span in self._spans.items()}

    def longest_way(self, destination: int) -> float:
        """The most seconds that a configured least travel time to a camera takes; -inf where there is none."""
        return float(self._least[: len(self._index), destination].max()) if self._spans else -math.inf

    def too_fast(self, some: list[Passage], others: list[Passage]) -> bool:
        """Whether one person in all these places would have been faster than is possible between any two of them."""
        if not self._spans:
            return False
        rest = [one for one in some if one not in others]
        return self._too_soon(rest, others) or self._too_soon(others, rest)

    def _too_soon(self, some: list[Passage], later: list[Passage]) -> bool:
        (origins, begins, ends), (destinations, starts, _) = timetable(some), timetable(later)
        hurried = starts - ends[:, None] < self._least[origins[:, None], destinations]
        return bool((hurried & (begins[:, None] <= starts)).any())

    def log_new_rate(self, people: int) -> float:
        """Log of new people a second in one camera, ``people`` having come so far."""
        elapsed = self._now - (self._began if self._began is not None else self._now)
        cameras = max(1, len(self._index))
        return float(np.log((people + 1) / (elapsed + _SHORTEST_WAIT) / cameras))

    def observe_returns(
        self, origins: NDArray[np.intp], destination: int, gaps: NDArray[np.floating], weights: NDArray[np.floating]
    ) -> None:
        """Candidates that may have returned: (K,) origins, gaps in seconds and probabilities."""
        self._new.append((origins, destination, _bins(gaps), weights))  # counted when the waiting is

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
        self._changed()

    def _changed(self) -> None:
        self._rates_known = None
        self._highest.clear()
        self._single.clear()

    def _count(self) -> None:
        _add(self._events, self._new)
        for origins, destination, bins, weights in self._new:
            np.add.at(self._totals, ((origins != destination).astype(np.intp), bins), weights)
        self._new.clear()

    def _rates(
        self, origins: NDArray[np.intp], destinations: NDArray[np.intp] | int, bins: NDArray[np.intp]
    ) -> NDArray[np.float64]:
        """Returns a second, as counted when the waiting was last looked at; shapes as they broadcast."""
        if self._rates_known is None:
            self._count()
            self._rates_known = self._common_rates()
        shared = self._rates_known.shared[np.not_equal(origins, destinations).astype(np.intp), bins]
        events, exposure = self._events[origins, destinations, bins], self._rates_known.exposure[origins, bins]
        rates: NDArray[np.float64] = (events + _PAIR_EVENTS[bins]) / (exposure + _PAIR_EVENTS[bins] / shared)
        return rates

    def _common_rates(self) -> _Rates:
        count = len(self._index)
        exposure = self._waited + self._waiting
        prior = _RETURNS_PER_DOUBLING / (_MIDDLE + _SHORTEST_WAIT) / max(1, count)
        waited = exposure[:count].sum(axis=0)
        time = np.stack([waited, (count - 1) * waited])
        return _Rates(exposure, (self._totals + _PRIOR_EVENTS) / (time + _PRIOR_EVENTS / prior))

    def _make_room(self, capacity: int) -> None:
        self._events = _grown(self._events, (capacity, capacity, len(_EDGES)))
        self._waited = _grown(self._waited, (capacity, len(_EDGES)))
        self._waiting = _grown(self._waiting, (capacity, len(_EDGES)))
        if self._ways:
            self._least = _grown(self._least, (capacity, capacity), -np.inf)
            self._most = _grown(self._most, (capacity, capacity), np.inf)

    def _take_spans(self, camera_id: str) -> None:
        """Least and most seconds of the configured ways to and from a camera; anything goes where nothing is."""
        for origin, destination in self._ways.get(camera_id, ()):
            known = origin in self._index and destination in self._index
            if known and (origin, destination) in self._spans:
                place = self._index[origin], self._index[destination]
                self._least[place], self._most[place] = self._spans[origin, destination]


@dataclass(frozen=True, slots=True)
class _Rates:
    """What all pairs of cameras have in common.

    Attributes:
        exposure: (cameras, bins) seconds that people were awaited after leaving each.
        shared: (2, bins) returns a second to the same camera, and from one to another.
    """

    exposure: NDArray[np.float64]
    shared: NDArray[np.float64]


def _add(events: NDArray[np.float64], returns: Sequence[_Returns]) -> None:
    """Count returns into (cameras, cameras, bins) events."""
    for origins, destination, bins, weights in returns:
        np.add.at(events[:, destination], (origins, bins), weights)


def _bins(gaps: NDArray[np.floating]) -> NDArray[np.intp]:
    return np.searchsorted(_EDGES, gaps, side="right") - 1


def _time_per_bin(gaps: NDArray[np.floating]) -> NDArray[np.float64]:
    """(K,) gaps to (K, bins): how long each waited inside each bin."""
    spent = np.clip(gaps[:, None] - _EDGES[1:], 0, _UPPER - _EDGES[1:])
    in_view = np.clip(-gaps, 0, _EDGES[-1])[:, None]  # more is a clock that was set meanwhile
    return np.concatenate([in_view, spent], axis=1)


def _grown(array: NDArray[np.float64], shape: tuple[int, ...], fill: float = 0.0) -> NDArray[np.float64]:
    grown = np.zeros(shape) if fill == 0 else np.full(shape, fill)  # zeros take no memory until they are written to
    grown[tuple(slice(0, size) for size in array.shape)] = array
    return grown

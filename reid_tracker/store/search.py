"""Who looks like this: by global distance over all sightings, then by aligned distance over the nearest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reid_tracker.distance import aligned_distance, fused_distance, global_distance
from reid_tracker.store.index import LookIndex
from reid_tracker.store.records import Sighting, Store
from reid_tracker.types import Appearance

_ALIGNED = 60  # nearest sightings whose stripes are aligned


@dataclass(frozen=True, slots=True)
class Match:
    """A sighting and how far its looks are from what was asked for.

    Attributes:
        distance: what the ranking goes by: both distances in one, 0..1.
        global_distance: cosine, 0..2, of the best look.
        aligned_distance: mean cell cost, 0..1, of the best look; None where it was not judged.
    """

    sighting: Sighting
    distance: float
    global_distance: float
    aligned_distance: float | None


def search(
    store: Store,
    index: LookIndex,
    query: Appearance,
    count: int,
    camera_id: str | None = None,
    since: float | None = None,
    until: float | None = None,
) -> list[Match]:
    """The sightings most like any row of ``query``, the nearest first.

    Args:
        count: at most.
        camera_id, since, until: only of this camera, ended after, begun before (UTC seconds).

    Raises:
        StoreError: the store cannot be reached.
    """
    nearest: dict[int, float] = {}
    for look in query.global_[query.valid]:
        for tracklet, distance in index.search(look, max(count, _ALIGNED), camera_id, since, until):
            nearest[tracklet] = min(distance, nearest.get(tracklet, np.inf))
    order = sorted(nearest, key=lambda tracklet: (nearest[tracklet], tracklet))
    found = store.sightings(order)
    matches: list[Match] = []
    for tracklet in order:
        if tracklet not in found or len(matches) >= max(count, _ALIGNED):
            continue
        sighting, passage = found[tracklet]
        matches.append(_judged(sighting, passage.looks, query, nearest[tracklet]))
    return sorted(matches, key=lambda match: (match.distance, match.sighting.tracklet))[:count]


def _judged(sighting: Sighting, looks: Appearance | None, query: Appearance, coarse: float) -> Match:
    rows = query.select(query.valid)
    if looks is None or rows.stripes.shape[1] == 0 or looks.stripes.shape[1:] != rows.stripes.shape[1:]:
        return Match(sighting, coarse / 2, coarse, None)
    whole = global_distance(rows.global_, looks.global_)
    parts = aligned_distance(rows.stripes, looks.stripes, threads=1)
    fused = fused_distance(whole, parts)
    best = np.unravel_index(int(fused.argmin()), fused.shape)
    return Match(sighting, float(fused[best]), float(whole[best]), float(parts[best]))

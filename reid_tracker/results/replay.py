"""Identities as known at the end: the events of a run, replayed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from reid_tracker.types import EventType, IdentityEvent


class IdentityReplay:
    """Applies identity events in order and knows who holds each tracklet; the rule is IdentityEvent's docstring.

    Attributes:
        identity_of: tracklet -> identity, as of the last event.
    """

    def __init__(self) -> None:
        self.identity_of: dict[int, int] = {}
        self._held: defaultdict[int, set[int]] = defaultdict(set)

    def add(self, events: Iterable[IdentityEvent]) -> None:
        """Apply events, in the order of their ids."""
        for event in events:
            if event.type is EventType.MERGED:
                for superseded in event.supersedes:
                    self._give(tuple(self._held[superseded]), event.identity)
            elif event.type is not EventType.ENDED:
                self._give(event.tracklets, event.identity)

    def _give(self, tracklets: Iterable[int], identity: int) -> None:
        for tracklet in tracklets:
            former = self.identity_of.get(tracklet)
            if former is not None:
                self._held[former].discard(tracklet)
            self.identity_of[tracklet] = identity
            self._held[identity].add(tracklet)


def final_identities(events: Iterable[IdentityEvent]) -> dict[int, int]:
    """Identity of each tracklet after all ``events`` (in order): tracklet -> identity."""
    replay = IdentityReplay()
    replay.add(events)
    return replay.identity_of

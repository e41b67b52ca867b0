"""What holds over all districts of a site: numbers, the order of events, and the post between the districts.

Districts number their people so that no two use one number (``first_identity``). What one of them finds to be one
person is one person everywhere: its event is told once, whoever finds it first, and the others are told to follow.
Until they have, their news is read under the numbers that hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from reid_tracker.association.remembered import RememberedPassage
from reid_tracker.cluster.orders import Answer, DistrictNews, Order, Renumber
from reid_tracker.ids import IdAllocator
from reid_tracker.types import EventType, IdentityEvent, TrackedFrame, TrackedPerson

_MOST_WAITING = 20_000  # passages for a district that does not fetch them
_MOST_KNOWN = 200_000  # merged and ended numbers that are remembered
_KEY = 12  # last characters of a life that stand in a key


class Registry:
    """Numbers, events and post of a site of several districts. Not thread-safe.

    Args:
        districts: names.
        last_event: highest number of an event so far.
        merged: (gone, kept) of earlier mergers, oldest first.
        told: key -> ``event_id`` of what an earlier registry told, which may be said again.
    """

    def __init__(
        self,
        districts: Sequence[str],
        last_event: int = 0,
        merged: Iterable[tuple[int, int]] = (),
        told: Mapping[str, int] | None = None,
    ) -> None:
        self._told = dict(told or {})
        self._next_event = IdAllocator(last_event + 1)
        self._aliases: dict[int, int] = {}
        self._ended: dict[int, None] = {}
        self._orders: dict[str, list[Order]] = {name: [] for name in districts}
        self._post: dict[str, dict[tuple[str, int], RememberedPassage]] = {name: {} for name in districts}
        for gone, kept in merged:
            self._merge(gone, kept)

    def number(self, identity: int) -> int:
        """The number that an identity has by now."""
        while identity in self._aliases:
            identity = self._aliases[identity]
        return identity

    def take(
        self, district: str, news: DistrictNews, life: str = ""
    ) -> tuple[list[TrackedFrame], list[RememberedPassage]]:
        """A district's frames and open passages under the numbers that hold; its post is on its way.

        Args:
            life: of the district, which numbers its events from 1: together they are an event's key.
        """
        for other, passages in news.border.items():
            self._send(district, other, passages)
        frames = [self._frame(frame, life) for frame in news.frames]
        return frames, [self._passage(passage) for passage in news.passages]

    def answer(self, district: str) -> Answer:
        """What waits for a district; it is not kept."""
        orders, self._orders[district] = tuple(self._orders[district]), []
        waiting, self._post[district] = self._post[district], {}
        foreign: dict[str, list[RememberedPassage]] = {}
        for (origin, _), passage in waiting.items():
            foreign.setdefault(origin, []).append(self._passage(passage))
        return Answer(orders, {origin: tuple(passages) for origin, passages in foreign.items()})

    def order(self, order: Order) -> None:
        """Have all districts do something."""
        for orders in self._orders.values():
            orders.append(order)

    def remind(self, district: str) -> None:
        """Tell a district all mergers: it may have missed some."""
        self._orders[district] = [Renumber(gone, kept) for gone, kept in self._aliases.items()] + self._orders[district]

    def say(self, event: IdentityEvent) -> IdentityEvent | None:
        """An event as it is told: under the numbers that hold, and its own; None where it says nothing new.

        It may be one that was not decided in a district (``event_id`` is given here). What was told before this
        registry began is told again as it was, in case not everybody heard of it.
        """
        if event.key in self._told:
            return self._again(event)
        identity, gone = self.number(event.identity), tuple(self.number(each) for each in event.supersedes)
        if event.type is EventType.MERGED:
            kept = min(identity, *gone)
            gone = tuple(sorted({identity, *gone} - {kept}))
            if not gone:
                return None  # somebody else found that first
            identity = kept
            for each in gone:
                self._merge(each, kept)
                self.order(Renumber(each, kept))
        elif event.type is EventType.SPLIT and gone == (identity,):
            return None
        elif event.type is EventType.ENDED:
            if identity in self._ended:
                return None  # another district has forgotten the person before
            self._ended[identity] = None
            _bound(self._ended)
        if event.type is not EventType.ENDED:
            self._ended.pop(identity, None)
        return replace(event, event_id=self._next_event(), identity=identity, supersedes=gone)

    def _again(self, event: IdentityEvent) -> IdentityEvent:
        identity, gone = self.number(event.identity), event.supersedes
        if event.type is EventType.MERGED:
            gone = tuple(sorted({event.identity, *gone} - {identity}))
        elif event.type is EventType.ENDED:
            self._ended[identity] = None
        return replace(event, event_id=self._told[event.key], identity=identity, supersedes=gone)

    def _merge(self, gone: int, kept: int) -> None:
        kept, gone = sorted((self.number(gone), self.number(kept)))
        if gone != kept:
            self._aliases[gone] = kept
            _bound(self._aliases)

    def _frame(self, frame: TrackedFrame, life: str) -> TrackedFrame:
        keyed = (replace(event, key=f"{life[-_KEY:]}-{event.event_id}" if life else "") for event in frame.events)
        events = tuple(told for event in keyed if (told := self.say(event)) is not None)
        return replace(frame, people=tuple(map(self._person, frame.people)), events=events)

    def _person(self, person: TrackedPerson) -> TrackedPerson:
        number = self.number(person.identity)
        return person if number == person.identity else replace(person, identity=number)

    def _passage(self, passage: RememberedPassage) -> RememberedPassage:
        number = self.number(passage.identity)
        return passage if number == passage.identity else replace(passage, identity=number)

    def _send(self, origin: str, to: str, passages: Sequence[RememberedPassage]) -> None:
        """Leave passages for a district; of one that waits already the newest is kept, with the looks it has."""
        box = self._post.get(to)
        if box is None:
            return
        for passage in passages:
            waiting = box.pop((origin, passage.tracklet), None)
            looks = passage.looks if passage.looks is not None or waiting is None else waiting.looks
            box[origin, passage.tracklet] = replace(passage, looks=looks)
        for key in list(box)[: max(0, len(box) - _MOST_WAITING)]:
            del box[key]


def first_identity(place: int, districts: int, last: int) -> tuple[int, int]:
    """Where a district begins to number its people, and in what steps; place 0 is the registry's own.

    Args:
        place: of the district, from 1.
        districts: how many there are.
        last: the highest number ever given.
    """
    step = districts + 1
    return (last // step + 1) * step + place, step


def _bound(known: dict[int, Any]) -> None:
    while len(known) > _MOST_KNOWN:
        known.pop(next(iter(known)))

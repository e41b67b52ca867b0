"""One part of a site that is too large for one associator: its identities, and what its neighbours are told of them.

    own cameras ──► associator ──► frames and events ──► registry ──► store, page, messages
                       ▲   │
        neighbours' people │ people last seen where the neighbours' cameras are near
                       └───┴───────────────────────────► registry ──► the neighbours

Whoever leaves through the cut is remembered on the other side before they get there, and keeps the number.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from reid_tracker.association import CrossCameraAssociator
from reid_tracker.association.corrections import erase_identity, hold_apart, pin, take_back
from reid_tracker.association.identities import Identity, Passage
from reid_tracker.association.remembered import RememberedPassage, as_remembered
from reid_tracker.association.remembering import remember
from reid_tracker.association.sharing import Neighbourhood
from reid_tracker.cluster.orders import Answer, Apart, Erase, Order, Part, Renumber, Surroundings
from reid_tracker.types import CameraTracks, EventType, IdentityEvent, TrackedFrame, Tracklet

_PASSAGES = 3  # newest ones of a person that a neighbour is told
_LOOKS_SECONDS = 2.0  # of an open passage between two times that its looks are told
_TIDY_SECONDS = 60.0


class _State(NamedTuple):
    """A passage as it was told: whose, its end, the version of its looks, and its end when those were told."""

    identity: int
    end: float
    version: int
    looked: float


class District:
    """The associator of a part of a site. Not thread-safe.

    Args:
        name: of the district.
        associator: of its cameras alone.
        surroundings: how it lies among the others.
    """

    def __init__(self, name: str, associator: CrossCameraAssociator, surroundings: Surroundings) -> None:
        self.name = name
        self.associator = associator
        self._surroundings = surroundings
        self._near = frozenset[str]().union(*surroundings.exits.values())
        self._neighbourhood = Neighbourhood(associator)
        self._touched: set[int] = set()
        self._own: set[int] = set()  # identities that a passage here belongs to
        self._links = {other: _Link() for other in surroundings.exits}
        self._now = self._tidied = float("-inf")

    def remember(self, passages: Sequence[RememberedPassage], cameras: frozenset[str]) -> None:
        """Begin with what is known of people from before; of passages not in ``cameras`` the neighbours have told."""
        here = [passage for passage in passages if passage.camera_id in cameras]
        remember(self.associator, here)
        self._own |= {passage.identity for passage in here}
        self._neighbourhood.take(passage for passage in passages if passage.camera_id not in cameras)

    def surround(self, surroundings: Surroundings) -> None:
        """Lie otherwise among the others from now on, who are told of people last seen where it now leads to them."""
        before, self._surroundings = self._surroundings.exits, surroundings
        self._near = frozenset[str]().union(*surroundings.exits.values())
        opened = frozenset[str]().union(
            *(exits - before.get(other, frozenset()) for other, exits in surroundings.exits.items())
        )
        for other in surroundings.exits:
            self._links.setdefault(other, _Link())
        for number, identity in self.associator.book.identities.items():
            if identity.passages and identity.last.camera_id in opened:
                self._touched.add(number)

    def take(self, tracks: Sequence[CameraTracks]) -> list[TrackedFrame]:
        """Take what the district's cameras saw at one moment; one result per input, in order."""
        before = {passage.tracklet: passage for passage in self.associator.passages}
        told = [replace(frame, events=self.told(frame.events)) for frame in self.associator(tracks)]
        for moment in tracks:
            self._now = max(self._now, moment.time)
            self._touched |= {before[each.id].identity for each in moment.ended if each.id in before}
        self._tidy()
        return told

    def finish(self, ended: Sequence[Tracklet]) -> tuple[IdentityEvent, ...]:
        """The run is over: the last events."""
        return self.told(self.associator.finish(ended))

    def told(self, events: Iterable[IdentityEvent]) -> tuple[IdentityEvent, ...]:
        """Of the associator's events those that are this district's to tell: not the end of people never seen here."""
        return tuple(event for event in events if self._note(event))

    def border_news(self) -> dict[str, tuple[RememberedPassage, ...]]:
        """Other district -> what it does not know yet of people who may come there, or once did."""
        near = {passage.identity for passage in self.associator.passages if passage.camera_id in self._near}
        numbers = {self._neighbourhood.number(number) for number in self._touched} | near
        self._touched.clear()
        book = self.associator.book.identities
        people = [book[number] for number in sorted(numbers) if number in book and book[number].passages]
        news = {other: tuple(self._news_for(other, people)) for other in self._links}
        return {other: passages for other, passages in news.items() if passages}

    def say_all(self) -> None:
        """Begin the next border news as if nothing had been told."""
        for link in self._links.values():
            link.sent.clear()
        self._touched |= self.associator.book.identities.keys()

    def obey(self, answer: Answer) -> None:
        """Carry out what the registry says."""
        for order in answer.orders:
            self._obey(order)
        for origin, passages in answer.foreign.items():
            self._neighbourhood.take(passages)
            numbers = {self._neighbourhood.number(each.identity) for each in passages}
            if origin in self._links:
                self._links[origin].heard_of |= numbers
            for number in numbers:
                self._let_go(number)

    def _let_go(self, number: int) -> None:
        """Forget somebody who was never here and has walked on where nobody comes here from."""
        identity = self.associator.book.identities.get(number)
        if identity is None or number in self._own:
            return
        if identity.last.camera_id not in self._surroundings.entrances:
            self.associator.book.release(identity)

    def _obey(self, order: Order) -> None:
        match order:
            case Renumber(gone, kept, told):
                self._renumber(gone, kept, told)
            case Part(identity, tracklets, number):
                pin(self._moved(identity, frozenset(tracklets), number))
            case Apart(some, others):
                passages = [each for one in self.associator.book.identities.values() for each in one.passages]
                hold_apart(passages, frozenset(some), frozenset(others))
            case Erase(identity):
                erase_identity(self.associator, self._neighbourhood.number(identity), self._now)

    def _renumber(self, gone: int, kept: int, told: bool) -> None:
        self._neighbourhood.merged(gone, kept)
        number = self._neighbourhood.number(kept)
        self._follow({gone, kept} - {number}, number)
        identity = self.associator.book.identities.get(number)
        if told and identity is not None:
            take_back(identity.passages)
            pin(identity.passages)

    def _follow(self, gone: set[int], kept: int) -> None:
        """What was known of numbers is known of the one that stays."""
        for numbers in (self._own, *(each for link in self._links.values() for each in (link.shared, link.heard_of))):
            if numbers & gone:
                numbers -= gone
                numbers.add(kept)
        self._touched.add(kept)

    def _moved(self, identity: int, tracklets: frozenset[int], number: int) -> list[Passage]:
        source = self.associator.book.identities.get(self._neighbourhood.number(identity))
        moving = [passage for passage in source.passages if passage.tracklet in tracklets] if source else []
        for passage in moving:
            self.associator.book.adopt(passage, number)
            if passage.tracklet not in self._neighbourhood:
                self._own.add(number)
        self._touched.add(number)
        self.associator.doubt({identity, number})
        return moving

    def _note(self, event: IdentityEvent) -> bool:
        number = event.identity
        self._touched.add(number)
        if event.type is EventType.ENDED:
            ours = number in self._own
            self._own.discard(number)
            return ours
        if event.type is EventType.MERGED:
            self._neighbourhood.note_merger(event.supersedes, number)
            self._follow(set(event.supersedes), number)
            return True
        self._own.add(number)
        return True

    def _news_for(self, other: str, people: Sequence[Identity]) -> Iterator[RememberedPassage]:
        link, exits = self._links[other], self._surroundings.exits.get(other, frozenset())
        for identity in people:
            leaves = identity.last.camera_id in exits
            if not leaves and identity.number not in link.shared | link.heard_of:
                continue
            ours = [each for each in identity.passages if each.tracklet not in self._neighbourhood]
            newest = sorted(ours, key=lambda each: each.end)[-_PASSAGES:]
            yield from filter(None, (link.news(passage) for passage in newest))
            if leaves or identity.number in link.heard_of:
                link.shared.add(identity.number)
            else:  # has walked on, and that was the last that is said of it there
                link.shared.discard(identity.number)
                link.forget(passage.tracklet for passage in ours)

    def _tidy(self) -> None:
        if self._now - self._tidied < _TIDY_SECONDS:
            return
        self._tidied = self._now
        book = self.associator.book.identities
        self._neighbourhood.forget()
        tracklets = {each.tracklet for identity in book.values() for each in identity.passages}
        for link in self._links.values():
            link.shared &= book.keys()
            link.heard_of &= book.keys()
            link.forget([tracklet for tracklet in link.sent if tracklet not in tracklets])


@dataclass(slots=True)
class _Link:
    """What is said to another district.

    Attributes:
        sent: passage -> as it was when it was told.
        shared: identities that the other one was told of and has not been told to forget.
        heard_of: identities that the other one has told of: it wants to know where they go.
    """

    sent: dict[int, _State] = field(default_factory=dict)
    shared: set[int] = field(default_factory=set)
    heard_of: set[int] = field(default_factory=set)

    def news(self, passage: Passage) -> RememberedPassage | None:
        """What the other does not know of a passage; its looks only where they are new, and not each time they are."""
        before = self.sent.get(passage.tracklet)
        told = as_remembered(passage)
        if before is None:
            self.sent[passage.tracklet] = _State(passage.identity, passage.end, passage.version, passage.end)
            return told
        fresh = passage.version != before.version
        fresh = fresh and (not passage.open or passage.end - before.looked >= _LOOKS_SECONDS)
        if not fresh and (passage.identity, passage.end) == (before.identity, before.end):
            return None
        version, looked = (passage.version, passage.end) if fresh else (before.version, before.looked)
        self.sent[passage.tracklet] = _State(passage.identity, passage.end, version, looked)
        return told if fresh else replace(told, looks=None)

    def forget(self, tracklets: Iterable[int]) -> None:
        """Take passages for unknown to the other."""
        for tracklet in tracklets:
            self.sent.pop(tracklet, None)

"""What associators of one site tell one another of people who may walk from the cameras of one to those of another.

A passage that ended, or is still open, in one associator's camera is remembered by the other like one from before the
run, under the number that the first one gave. Whoever comes through is linked to it, so the number goes along.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

from reid_tracker.association.associator import CrossCameraAssociator
from reid_tracker.association.identities import Passage
from reid_tracker.association.judge import certainly_two
from reid_tracker.association.remembered import RememberedPassage
from reid_tracker.association.remembering import describe, passage_of

_log = logging.getLogger(__name__)
_ALIASES = 20_000  # merged numbers that are remembered, for news that was on its way


class Neighbourhood:
    """The passages in other associators' cameras that this one knows of. One per associator, not thread-safe."""

    def __init__(self, associator: CrossCameraAssociator) -> None:
        self._associator = associator
        self._passages: dict[int, Passage] = {}
        self._aliases: dict[int, int] = {}

    def __contains__(self, tracklet: int) -> bool:
        return tracklet in self._passages

    def number(self, identity: int) -> int:
        """The number that an identity has by now."""
        while identity in self._aliases:
            identity = self._aliases[identity]
        return identity

    def take(self, told: Iterable[RememberedPassage]) -> None:
        """Passages that another associator has: new ones, grown ones, and such that are somebody else's after all.

        Where ``looks`` is None they are as they were.
        """
        changed = set()
        for each in told:
            number, known = self.number(each.identity), self._passages.get(each.tracklet)
            if known is None:
                known = self._passages[each.tracklet] = passage_of(self._associator, each)
                known.identity = 0
            else:
                known.end = max(known.end, each.end)
                if each.looks is not None and len(each.looks):
                    describe(self._associator, known, each.looks)
            if known.identity != number:
                changed |= {known.identity, number}
            self._associator.book.adopt(known, number)
        self._associator.doubt(changed - {0})

    def merged(self, gone: int, kept: int) -> None:
        """Two numbers are one person, as is known by now everywhere."""
        kept, gone = sorted((self.number(gone), self.number(kept)))  # the older number stays
        if gone == kept:
            return
        self._aliases[gone] = kept
        if len(self._aliases) > _ALIASES:
            self._aliases.pop(next(iter(self._aliases)))
        self._report_if_two(gone, kept)
        if self._associator.book.renumber(gone, kept):
            self._associator.doubt({kept})

    def _report_if_two(self, gone: int, kept: int) -> None:
        """The numbers are one everywhere by now, whatever was seen here; somebody has to know that this is wrong."""
        one, other = (self._associator.book.identities.get(number) for number in (gone, kept))
        if one is not None and other is not None and certainly_two(self._associator.topology, other, one.known):
            _log.warning(
                "persons %d and %d are one number from here on, as another district or an operator says, but were in "
                "view side by side or told apart here; split person %d if that is wrong",
                gone,
                kept,
                kept,
            )

    def note_merger(self, gone: Sequence[int], kept: int) -> None:
        """This associator itself has found numbers to be one person."""
        for number in gone:
            if number != kept:
                self._aliases[number] = kept

    def forget(self) -> None:
        """Let go of passages whose people are not remembered any more."""
        book = self._associator.book.identities
        self._passages = {
            tracklet: passage
            for tracklet, passage in self._passages.items()
            if passage.identity in book and passage in book[passage.identity].passages
        }

"""What people said about stored passages, in the lines of a run's corrections.jsonl (docs/output-format.md)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from reid_tracker.association.corrections import Correction, constraints_of
from reid_tracker.association.remembered import RememberedPassage
from reid_tracker.store.session import Session


def keep(base: Session, correction: Correction) -> None:
    """Add a correction to those that are kept."""
    base.run("INSERT INTO corrections (body) VALUES (?)", (_line(correction),))


def kept(base: Session) -> list[Correction]:
    """All of them, oldest first."""
    return [correction for _, correction in _numbered(base)]


def forget(base: Session, tracklets: Iterable[int]) -> None:
    """Take passages that are gone out of what was said; what then says nothing about anybody goes too."""
    gone = frozenset(tracklets)
    for number, correction in _numbered(base):
        left = _limited(correction, lambda tracklet: tracklet not in gone)
        if not (left.some and left.others):
            base.run("DELETE FROM corrections WHERE number = ?", (number,))
        elif left != correction:
            base.run("UPDATE corrections SET body = ? WHERE number = ?", (_line(left), number))


def with_constraints(passages: Sequence[RememberedPassage], told: Iterable[Correction]) -> list[RememberedPassage]:
    """The passages, each with those of the others that were said to be of other people, and whether whose was said."""
    known = {passage.tracklet for passage in passages}
    constraints = constraints_of(_limited(each, known.__contains__) for each in told)
    pinned = frozenset[int]().union(*constraints.together)
    return [
        replace(
            passage,
            apart=constraints.apart.get(passage.tracklet, frozenset()),
            pinned=passage.tracklet in pinned,
        )
        for passage in passages
    ]


def _numbered(base: Session) -> Iterator[tuple[int, Correction]]:
    for number, body in base.rows("SELECT number, body FROM corrections ORDER BY number"):
        yield number, Correction.from_json(json.loads(body))


def _limited(correction: Correction, wanted: Callable[[int], bool]) -> Correction:
    some, others = (tuple(filter(wanted, side)) for side in (correction.some, correction.others))
    return replace(correction, some=some, others=others)


def _line(correction: Correction) -> str:
    return json.dumps(correction.to_json(), separators=(",", ":"))

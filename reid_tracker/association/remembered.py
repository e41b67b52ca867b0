"""A passage as it outlives a run, or as others judge it beside the run."""

from __future__ import annotations

from dataclasses import dataclass, field

from reid_tracker.association.identities import Passage
from reid_tracker.types import Appearance


@dataclass(frozen=True, slots=True)
class RememberedPassage:
    """A passage as it outlives a run.

    Attributes:
        identity: whose it is.
        start, end: UTC seconds.
        looks: a few of its looks, None where it never had one.
        apart: tracklets that an operator said are other people.
        pinned: an operator said whose it is.
        grey: it was seen by infrared.
        still: it is of a thing that never moves.
    """

    tracklet: int
    identity: int
    camera_id: str
    start: float
    end: float
    looks: Appearance | None = field(default=None, repr=False)
    apart: frozenset[int] = frozenset()
    pinned: bool = False
    grey: bool = False
    still: bool = False


def as_remembered(passage: Passage) -> RememberedPassage:
    """A passage as others may keep it."""
    return RememberedPassage(
        passage.tracklet,
        passage.identity,
        passage.camera_id,
        passage.start,
        passage.end,
        passage.kept,
        passage.apart,
        passage.pinned,
        passage.grey,
        passage.still,
    )

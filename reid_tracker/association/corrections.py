"""What somebody who knows better tells the associator: these are one, this is two, never these, forget this one.

Each becomes an event, like the associator's own decisions, and holds from then on: passages that were told apart are
vetoed like people who stand in one camera at once. Call between two moments, from the thread that calls the associator.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from reid_tracker.association.associator import CrossCameraAssociator
from reid_tracker.association.identities import Identity, Passage
from reid_tracker.errors import InputError

_TOLD = "told by an operator"


def merge_identities(associator: CrossCameraAssociator, first: int, second: int, time: float) -> int:
    """These two are one person; the number that stays (the older one).

    Raises:
        InputError: one of them is not remembered, they are one number, or both were in one camera at once.
    """
    one, other = _known(associator, first), _known(associator, second)
    if one is other:
        raise InputError(f"identities {first} and {second} are one already")
    for passage in (*one.passages, *other.passages):  # a person may take back what was said before
        passage.apart = passage.apart - {each.tracklet for each in (*one.passages, *other.passages)}
    if one.meets(other.passages):
        raise InputError(f"identities {first} and {second} were in one camera at the same time: they are two people")
    for passage in (*one.passages, *other.passages):
        passage.pinned = True
    newer = max(one, other, key=lambda identity: identity.number)
    return associator.book.merge(one, other, time, newer.last, _evidence()).number


def split_identity(
    associator: CrossCameraAssociator, number: int, tracklets: Sequence[int], time: float
) -> tuple[int, tuple[tuple[int, int], ...]]:
    """These passages of an identity are somebody else: the new number, and the pairs of tracklets now told apart.

    Raises:
        InputError: it is not remembered, has none of these passages, or no others.
    """
    identity = _known(associator, number)
    moving = [passage for passage in identity.passages if passage.tracklet in set(tracklets)]
    staying = [passage for passage in identity.passages if passage.tracklet not in set(tracklets)]
    if not moving or not staying:
        raise InputError(
            f"identity {number} cannot be split there: expected some but not all of its passages "
            f"({', '.join(str(passage.tracklet) for passage in identity.passages)})"
        )
    target: Identity | None = None
    for passage in moving:
        passage.pinned = True
        target = associator.book.move(passage, target, time, _evidence())
    assert target is not None
    return target.number, _tell_apart(moving, staying)


def keep_apart(associator: CrossCameraAssociator, first: int, second: int) -> tuple[tuple[int, int], ...]:
    """These two are never one person; the pairs of tracklets now told apart.

    Raises:
        InputError: one of them is not remembered, or they are one number.
    """
    one, other = _known(associator, first), _known(associator, second)
    if one is other:
        raise InputError(f"identities {first} and {second} are one number; split it first")
    return _tell_apart(one.passages, other.passages)


def erase_identity(associator: CrossCameraAssociator, number: int, time: float) -> bool:
    """Forget a person at once; whether there was one. Who is in view becomes somebody new."""
    identity = associator.book.identities.get(number)
    if identity is None:
        return False
    associator.ground.forget([passage.tracklet for passage in identity.passages])
    associator.book.erase(identity, time, "erased on request")
    for passage in identity.passages:
        passage.looks = passage.kept = None
        if passage.open:
            associator.ask_again(passage)
    return True


def _tell_apart(some: Sequence[Passage], others: Sequence[Passage]) -> tuple[tuple[int, int], ...]:
    for ours, theirs in ((some, others), (others, some)):
        tracklets = frozenset(passage.tracklet for passage in theirs)
        for passage in ours:
            passage.apart = passage.apart | tracklets
    return tuple((one.tracklet, other.tracklet) for one in some for other in others)


def _known(associator: CrossCameraAssociator, number: int) -> Identity:
    identity = associator.book.identities.get(number)
    if identity is None:
        raise InputError(f"identity {number} is not remembered (any more)")
    return identity


def _evidence() -> dict[str, Any]:
    return {"rule": _TOLD, "probability": 1.0}

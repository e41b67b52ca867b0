"""What somebody who knows better tells the associator: these are one, this is two, never these, forget this one.

Each becomes an event, like the associator's own decisions, and holds from then on: passages that were told apart are
vetoed like people who stand in one camera at once. Call between two moments, from the thread that calls the associator.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from reid_tracker.association.associator import CrossCameraAssociator
from reid_tracker.association.identities import Identity, Passage
from reid_tracker.errors import InputError

CORRECTIONS_VERSION = 1
CorrectionKind = Literal["merge", "split", "never"]

_TOLD = "told by an operator"


def merge_identities(associator: CrossCameraAssociator, first: int, second: int, time: float) -> int:
    """These two are one person; the number that stays (the older one).

    Raises:
        InputError: one of them is not remembered, they are one number, or both were in one camera at once.
    """
    one, other = _known(associator, first), _known(associator, second)
    if one is other:
        raise InputError(f"identities {first} and {second} are one already")
    if one.was_beside(other.known):
        raise InputError(f"identities {first} and {second} were in one camera at the same time: they are two people")
    take_back([*one.known, *other.known])
    pin([*one.passages, *other.passages])
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


def erase_identity(associator: CrossCameraAssociator, number: int, time: float) -> tuple[int, ...]:
    """Forget a person at once; the tracklets that were theirs, none where nobody is known.

    Nothing more is heard of those tracklets: have the trackers drop them, so that who is in view begins new ones.
    """
    identity = associator.book.identities.get(number)
    if identity is None:
        return ()
    passages = identity.known
    associator.book.erase(identity, time, "erased on request")
    associator.leave_out(passages)
    return tuple(passage.tracklet for passage in passages)


def pin(passages: Iterable[Passage]) -> None:
    """Whose these are was said by somebody who knows: no evidence moves them."""
    for passage in passages:
        passage.pinned = True


def take_back(passages: Sequence[Passage]) -> None:
    """These are not known to be different people any more: a person may take back what was said before."""
    tracklets = {passage.tracklet for passage in passages}
    for passage in passages:
        passage.apart = passage.apart - tracklets


def hold_apart(passages: Iterable[Passage], some: frozenset[int], others: frozenset[int]) -> None:
    """Of these passages, those of tracklets on one side are other people than all those on the other side."""
    for passage in passages:
        if passage.tracklet in some:
            passage.apart = passage.apart | others
        elif passage.tracklet in others:
            passage.apart = passage.apart | some


def _tell_apart(some: Sequence[Passage], others: Sequence[Passage]) -> tuple[tuple[int, int], ...]:
    ours, theirs = (frozenset(passage.tracklet for passage in side) for side in (some, others))
    hold_apart([*some, *others], ours, theirs)
    return tuple((one.tracklet, other.tracklet) for one in some for other in others)


def _known(associator: CrossCameraAssociator, number: int) -> Identity:
    identity = associator.book.identities.get(number)
    if identity is None:
        raise InputError(f"identity {number} is not remembered (any more)")
    return identity


def _evidence() -> dict[str, Any]:
    return {"rule": _TOLD, "probability": 1.0}


@dataclass(frozen=True, slots=True)
class Correction:
    """One thing that was told, as it is kept: by tracklets, which keep their numbers when identities change theirs.

    Attributes:
        kind: ``merge``: some and others are one person; ``split``: some turned out not to be who the others are;
            ``never``: they are never one.
        some, others: tracklets of either side.
        identities: the numbers by which they were named then.
        at: when it was told, ISO 8601.
    """

    kind: CorrectionKind
    some: tuple[int, ...]
    others: tuple[int, ...]
    identities: tuple[int, ...]
    at: str

    def to_json(self) -> dict[str, Any]:
        """A line of corrections.jsonl."""
        return {
            "version": CORRECTIONS_VERSION,
            "kind": self.kind,
            "some": list(self.some),
            "others": list(self.others),
            "identities": list(self.identities),
            "at": self.at,
        }

    @classmethod
    def from_json(cls, line: Mapping[str, Any]) -> Correction:
        """Read a line back.

        Raises:
            InputError: of a newer version, or no correction.
        """
        if line.get("version") != CORRECTIONS_VERSION:
            raise InputError(f"format version {line.get('version')!r}; this release reads {CORRECTIONS_VERSION}")
        if line.get("kind") not in get_args(CorrectionKind):
            raise InputError(f"kind {line.get('kind')!r}: expected merge, split or never")
        try:
            some, others, identities = (
                tuple(int(number) for number in line[name]) for name in ("some", "others", "identities")
            )
            return cls(line["kind"], some, others, identities, str(line["at"]))
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"no correction ({error})") from error


@dataclass(frozen=True, slots=True)
class Constraints:
    """What corrections come to. Later ones take back what earlier ones said of the same tracklets.

    Attributes:
        together: groups of tracklets that are one person each; no tracklet is in two.
        apart: tracklet -> those that are other people.
    """

    together: tuple[frozenset[int], ...] = ()
    apart: Mapping[int, frozenset[int]] = field(default_factory=dict)


def constraints_of(corrections: Iterable[Correction]) -> Constraints:
    """The hard constraints that corrections, oldest first, leave in force."""
    groups: list[frozenset[int]] = []
    apart: set[tuple[int, int]] = set()
    for told in corrections:
        some, others = frozenset(told.some), frozenset(told.others)
        if told.kind == "merge":
            one = some | others
            apart -= {(first, second) for first in one for second in one}
            groups = _joined_groups(groups, one)
        else:
            groups = [part for group in groups for part in _parted(group, some, others)]
            if told.kind == "split":
                groups = _joined_groups(groups, some)
            apart |= {pair for one in some for other in others for pair in ((one, other), (other, one))}
    return Constraints(
        tuple(sorted((group for group in groups if len(group) > 1), key=min)),
        {one: frozenset(other for first, other in apart if first == one) for one, _ in apart},
    )


def _joined_groups(groups: list[frozenset[int]], one: frozenset[int]) -> list[frozenset[int]]:
    """With ``one`` as a group, whatever shares a tracklet with it taken in."""
    touching = [group for group in groups if group & one]
    return [*(group for group in groups if not group & one), one.union(*touching)]


def _parted(group: frozenset[int], some: frozenset[int], others: frozenset[int]) -> list[frozenset[int]]:
    """A group without the sides that are no longer one: they leave it where it holds both."""
    if not (group & some and group & others):
        return [group]
    return [group & some, group - some]

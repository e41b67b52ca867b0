"""Carrying what the associator knows from one run to the next: passages go out as they are, and come back as memory."""

from __future__ import annotations

from collections.abc import Sequence

from reid_tracker.association.associator import CrossCameraAssociator
from reid_tracker.association.evidence import summarise
from reid_tracker.association.identities import Identity, Passage
from reid_tracker.association.remembered import RememberedPassage, as_remembered
from reid_tracker.types import Appearance


def open_passages(associator: CrossCameraAssociator) -> list[RememberedPassage]:
    """The passages that have not ended and belong to somebody, as they are now."""
    return [as_remembered(passage) for passage in associator.passages if passage.identity]


def restore(
    associator: CrossCameraAssociator, passages: Sequence[RememberedPassage], last_identity: int, last_event: int
) -> None:
    """Give a new associator the memory of an earlier run; people who come back keep their numbers.

    What distances mean is learned from the looks again, as it was when these passages ended.

    Args:
        passages: at most as many per person as the associator would keep.
        last_identity, last_event: the highest numbers ever given, so that new ones do not repeat them.
    """
    associator.book.continue_after(last_identity, last_event)
    remember(associator, passages)


def remember(associator: CrossCameraAssociator, passages: Sequence[RememberedPassage]) -> None:
    """Give a new associator people of an earlier run; how it numbers new ones stays as it is."""
    identities: dict[int, Identity] = {}
    for remembered in sorted(passages, key=lambda passage: (passage.start, passage.tracklet)):
        passage = passage_of(associator, remembered)
        identity = identities.setdefault(remembered.identity, Identity(remembered.identity))
        identity.passages.append(passage)
        identity.tracklets += 1
    for identity in identities.values():
        associator.book.restore(identity)


def passage_of(associator: CrossCameraAssociator, remembered: RememberedPassage) -> Passage:
    """A passage that is over as the associator remembers it, which learns from its looks."""
    passage = Passage(
        remembered.tracklet,
        remembered.camera_id,
        associator.topology.index(remembered.camera_id),
        remembered.start,
        remembered.end,
        open=False,
        settled=True,
        identity=remembered.identity,
        apart=remembered.apart,
        pinned=remembered.pinned,
        grey=remembered.grey,
        still=remembered.still,
    )
    looks = remembered.looks
    if looks is not None and len(looks):
        associator.calibration.observe_passage(looks, passage.seen_by, ended=False)
        associator.calibration.observe_passage(looks, passage.seen_by, ended=True)
        describe(associator, passage, looks)
    return passage


def describe(associator: CrossCameraAssociator, passage: Passage, looks: Appearance) -> None:
    """Give a passage that is over its looks, at least one."""
    calibration = associator.calibration
    offset = calibration.camera_offset(passage.seen_by, looks.global_.shape[1])
    passage.looks = summarise(passage.seen_by, looks.global_, calibration.weights(looks.quality), offset)
    passage.kept = looks

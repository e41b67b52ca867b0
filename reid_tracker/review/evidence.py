"""What a finished run shows without labels: who is certainly one, who is certainly two, and what that teaches."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from reid_tracker.association.calibration import Calibration, PassageLooks, Spread
from reid_tracker.association.evidence import appearance_evidence, combine, summarise
from reid_tracker.association.remembered import RememberedPassage
from reid_tracker.distance import aligned_distance, global_distance
from reid_tracker.types import Appearance, EventType, IdentityEvent

_UNSAID = 0.9  # probability of a link of which the run does not say how sure it was
_CONFIDENT = 0.95  # from which a link of the run counts as an example of one person
_HALF = 2  # looks that a half of a tracklet needs
_ALIGNED, _ALIGNED_PEOPLE, _ALIGNED_PASSAGES = 64, 8, 6  # passages asked, people beside each, newest passages of these


@dataclass(frozen=True, slots=True)
class Evidence:
    """The passages of a run that have looks, and how sure the run is of their identities.

    Attributes:
        passages: in order of first sight.
        sure: tracklet -> probability of the decision that gave it its identity; 1 where it stands alone.
    """

    passages: tuple[RememberedPassage, ...]
    sure: dict[int, float] = field(default_factory=dict)

    def together(self) -> Iterator[tuple[RememberedPassage, RememberedPassage]]:
        """Pairs that were in one camera at once: certainly two people."""
        for camera in sorted({passage.camera_id for passage in self.passages}):
            here = [passage for passage in self.passages if passage.camera_id == camera]
            for place, one in enumerate(here):
                for other in here[place + 1 :]:
                    if other.start > one.end:
                        break  # in order of start
                    yield one, other

    def strangers(self) -> Iterator[tuple[RememberedPassage, RememberedPassage]]:
        """Pairs of two cameras whose identities were seen at once in some camera: two people, if links are right."""
        met = {
            frozenset((one.identity, other.identity))
            for one, other in self.together()
            if one.identity != other.identity
        }
        for place, one in enumerate(self.passages):
            for other in self.passages[place + 1 :]:
                if one.camera_id != other.camera_id and frozenset((one.identity, other.identity)) in met:
                    yield one, other

    def links(self) -> Iterator[tuple[RememberedPassage, RememberedPassage, float]]:
        """Pairs of passages of one identity, and how sure the run is of the less sure one."""
        of: defaultdict[int, list[RememberedPassage]] = defaultdict(list)
        for passage in self.passages:
            of[passage.identity].append(passage)
        for own in of.values():
            for place, one in enumerate(own):
                for other in own[place + 1 :]:
                    yield one, other, min(self.sure.get(one.tracklet, 1.0), self.sure.get(other.tracklet, 1.0))

    def confident_links(self) -> Iterator[tuple[RememberedPassage, RememberedPassage]]:
        """Those links of which the run is sure."""
        return ((one, other) for one, other, sure in self.links() if sure >= _CONFIDENT)

    def of(self, identities: Collection[int]) -> Evidence:
        """The passages of some people alone."""
        return replace(self, passages=tuple(one for one in self.passages if one.identity in identities))


def evidence_of(passages: Sequence[RememberedPassage], events: Sequence[IdentityEvent]) -> Evidence:
    """What a run shows.

    Args:
        passages: under the ids that hold.
        events: all of the run, in order; the last that gave a tracklet its identity says how sure that is.
    """
    sure: dict[int, float] = {}
    for event in events:
        if event.type is EventType.ENDED:
            continue
        said = event.evidence.get("probability")
        probability = float(said) if isinstance(said, int | float) else _UNSAID
        if event.type is EventType.STARTED:
            probability = 1.0
        sure |= dict.fromkeys(event.tracklets, probability)
    described = (one for one in passages if one.looks is not None and len(one.looks))
    return Evidence(tuple(sorted(described, key=lambda one: (one.start, one.tracklet))), sure)


def learned(evidence: Evidence, calibration: Calibration | None = None) -> tuple[Calibration, dict[int, PassageLooks]]:
    """The calibration that the evidence teaches, and each passage in short, by tracklet."""
    calibration = calibration or Calibration()
    for passage in evidence.passages:
        assert passage.looks is not None
        calibration.observe_passage(passage.looks, passage.camera_id, ended=True)
    short = {passage.tracklet: described(passage, calibration) for passage in evidence.passages}
    _learn_links(evidence, calibration, short)
    _learn_crowd(evidence, calibration, short)
    _learn_aligned(evidence, calibration, short)
    for one, other in evidence.together():  # last: of the pairs that are remembered, the newest stay
        pair = frozenset((one.tracklet, other.tracklet))
        calibration.observe_strangers(short[one.tracklet], [short[other.tracklet]], [pair])
    return calibration, short


def described(passage: RememberedPassage, calibration: Calibration, looks: Appearance | None = None) -> PassageLooks:
    """A passage in short, or what some of its looks say alone."""
    looks = looks or passage.looks
    assert looks is not None
    offset = calibration.camera_offset(passage.camera_id, looks.global_.shape[1])
    return summarise(passage.camera_id, looks.global_, calibration.weights(looks.quality), offset)


def tracklet_halves(evidence: Evidence) -> Iterator[tuple[RememberedPassage, Appearance, Appearance]]:
    """Passages with enough looks, cut in two in time: certainly one person."""
    for passage in evidence.passages:
        looks = passage.looks
        if looks is not None and len(looks) >= 2 * _HALF:
            middle = len(looks) // 2
            yield passage, looks.select(slice(0, middle)), looks.select(slice(middle, None))


def probability_of_one(first: PassageLooks, second: PassageLooks, spread: Spread) -> float:
    """That two sets of looks are one person's, at even odds."""
    variance = spread.of_passage(second.weight)
    said = appearance_evidence(
        first.mean[None],
        np.array([spread.of_passage(first.weight)]),
        second.mean[None],
        np.array([1 / variance]),
        spread,
    )
    return float(1 / (1 + np.exp(-float(said[0, 0]))))


def mean_distance(first: Appearance, second: Appearance) -> float:
    """Mean cosine distance of two sets of looks."""
    return float(global_distance(first.global_, second.global_).mean())


def _learn_links(evidence: Evidence, calibration: Calibration, short: dict[int, PassageLooks]) -> None:
    known: defaultdict[int, list[PassageLooks]] = defaultdict(list)
    for passage in evidence.passages:
        looks = short[passage.tracklet]
        before = known[passage.identity]
        if before:
            mean, _ = combine(before, calibration.spread_of(len(looks.mean)))
            calibration.observe_link(looks.mean, mean, evidence.sure.get(passage.tracklet, 1.0))
        before.append(looks)


def _learn_crowd(evidence: Evidence, calibration: Calibration, short: dict[int, PassageLooks]) -> None:
    """Each passage beside all other people, as while tracking."""
    of: defaultdict[int, list[PassageLooks]] = defaultdict(list)
    for passage in evidence.passages:
        of[passage.identity].append(short[passage.tracklet])
    if len(of) < 2:
        return
    calibration.count_people(len(of))
    identities = np.array(sorted(of))
    spread = calibration.spread_of(len(short[evidence.passages[0].tracklet].mean))
    combined = [combine(of[number], spread) for number in identities.tolist()]
    means = np.stack([mean for mean, _ in combined])
    precisions: NDArray[np.float64] = np.array([precision for _, precision in combined])
    for passage in evidence.passages:
        different = (identities != passage.identity).astype(np.float64)
        calibration.observe_crowd(short[passage.tracklet], means, precisions, different)


def _learn_aligned(evidence: Evidence, calibration: Calibration, short: dict[int, PassageLooks]) -> None:
    """What the aligned distance adds: passages beside the people whom they are most like, their own among them."""
    of: defaultdict[int, list[RememberedPassage]] = defaultdict(list)
    for passage in evidence.passages:
        if passage.looks is not None and passage.looks.stripes.shape[1]:
            of[passage.identity].append(passage)
    asked = [passage for own in of.values() for passage in own if len(own) > 1]
    for passage in asked[:: max(1, len(asked) // _ALIGNED)]:
        others = {number: [one for one in own if one is not passage] for number, own in of.items()}
        numbers, said = _most_like(short[passage.tracklet], others, short, calibration)
        distances = [_mean_aligned(passage, others[number][-_ALIGNED_PASSAGES:]) for number in numbers]
        sure = evidence.sure.get(passage.tracklet, 1.0)
        right = np.where(np.array(numbers) == passage.identity, sure, 0.0)
        calibration.aligned.observe(np.array(distances), said, right)


def _most_like(
    looks: PassageLooks,
    people: Mapping[int, Sequence[RememberedPassage]],
    short: Mapping[int, PassageLooks],
    calibration: Calibration,
) -> tuple[list[int], NDArray[np.float64]]:
    """Numbers of the people whom some looks are most like, and what the global distances say of each."""
    spread = calibration.spread_of(len(looks.mean))
    numbers = [number for number, own in people.items() if own]
    known = [combine([short[one.tracklet] for one in people[number]], spread) for number in numbers]
    said = appearance_evidence(
        looks.mean[None],
        np.array([spread.of_passage(looks.weight)]),
        np.stack([mean for mean, _ in known]),
        np.array([precision for _, precision in known]),
        spread,
    )[0].astype(np.float64)
    best = np.argsort(-said, kind="stable")[:_ALIGNED_PEOPLE]
    return [numbers[place] for place in best.tolist()], said[best]


def _mean_aligned(passage: RememberedPassage, others: Sequence[RememberedPassage]) -> float:
    assert passage.looks is not None
    theirs = np.concatenate([one.looks.stripes for one in others if one.looks is not None])
    return float(aligned_distance(passage.looks.stripes, theirs, threads=1).mean())

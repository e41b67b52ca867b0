"""Weighs a passage against everybody remembered: looks, time and ground plane as one log-odds per candidate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reid_tracker.association.calibration import Spread
from reid_tracker.association.evidence import Compared, combine, evidence_of_products, rough_order
from reid_tracker.association.identities import Passage
from reid_tracker.association.judge import Judge, Parts, certainly_two
from reid_tracker.association.pairs import Pairs
from reid_tracker.association.shortlist import WIDE, Products, likest_and_latest
from reid_tracker.distance import aligned_distance_shortlist
from reid_tracker.types import FloatArray

_HOPELESS = -12.0  # log-odds by looks and time below which a candidate cannot matter
_JUDGED_BY_STRIPES = 8  # candidates, the most probable ones, whose stripes are aligned
_AT_A_TIME = 16  # passages against everybody remembered: a few MB at ten thousand people
_OPEN = 8.0  # nats behind the best answer from which stripes could not turn it any more
_PASSAGES_ALIGNED = 6  # newest passages of each that are aligned
_SAME_MOMENT = 0.3  # seconds since an open passage was seen up to which its person is still in view there
_IN_VIEW = -1e-3  # seconds since somebody was last seen who is in view of another camera
_NO_LONGER_TOGETHER = 10.0  # seconds unseen from which nobody stands beside somebody, however wrong the clocks


@dataclass(frozen=True, slots=True)
class Candidates:
    """Who a passage could be.

    Attributes:
        identities: (K,) numbers, the most probable first; vetoed ones are left out.
        log_odds: (K,) log of the odds of "is that identity" against "is somebody new".
        looks: (K,) the part of it that the global distances say.
        gaps: (K,) seconds since each was last seen; negative where it was in view elsewhere.
        origins: (K,) number of the camera where.
        aligned: (K,) mean aligned distance of the looks, NaN where none was taken.
        alone: the passage is all that its present identity has, so "somebody new" means "as it is".
    """

    identities: NDArray[np.int64]
    log_odds: NDArray[np.float64]
    looks: NDArray[np.float64]
    gaps: NDArray[np.float64]
    origins: NDArray[np.intp]
    aligned: NDArray[np.float64]
    alone: bool

    @property
    def probabilities(self) -> NDArray[np.float64]:
        """(K,) probability of each; what they lack to 1 is somebody new."""
        return self._weights() / self._total()

    def probability(self, number: int | None) -> float:
        """Probability of one identity, or of somebody new where None."""
        if number is None:
            return float(np.exp(-self._peak()) / self._total())
        found = self._weights()[self.identities == number]
        return float(found[0] / self._total()) if len(found) else 0.0

    def _peak(self) -> float:
        return max(0.0, float(self.log_odds.max(initial=0.0)))

    def _weights(self) -> NDArray[np.float64]:
        return np.exp(self.log_odds - self._peak())

    def _total(self) -> float:
        return float(self._weights().sum() + np.exp(-self._peak()))


class Weigher(Judge):
    """Finds and weighs candidates."""

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self._products = Products(parts.gallery)

    def look_ahead(self, passages: Sequence[Passage]) -> None:
        """These passages, of all cameras, will be asked about at this moment: do at once what can be done at once."""
        described = next((passage.looks for passage in passages if passage.looks is not None), None)
        if described is not None and self._gallery.precisions.any():
            self._products.look_ahead(passages, self._calibration.spread_of(len(described.mean)).centre)

    def __call__(self, passages: Sequence[Passage]) -> list[Candidates]:
        """Weigh passages of one camera, each for itself; nothing is decided in between."""
        alone = [self._alone(passage) for passage in passages]
        log_new = np.array([self._topology.log_new_rate(self._book.people - own) for own in alone])
        pairs = self._shortlists(passages, log_new)
        self._take_out_own_share(passages, pairs)
        pairs = pairs.only(self._meeting(passages, pairs))
        odds = pairs.looks + self._together(passages, pairs) - log_new[pairs.places]
        if len(odds):
            odds += self._topology.log_rate(pairs.origins, passages[0].camera, pairs.gaps)
        aligned = self._aligned(passages, pairs, odds)
        odds += self._calibration.aligned.evidence(aligned, pairs.looks)
        return [self._candidates(pairs, odds, aligned, place, own) for place, own in enumerate(alone)]

    def _alone(self, passage: Passage) -> bool:
        own = self._book.identities.get(passage.identity)
        return own is not None and own.tracklets == 1

    def _candidates(
        self, pairs: Pairs, odds: NDArray[np.float64], aligned: NDArray[np.float64], place: int, alone: bool
    ) -> Candidates:
        """What was found about one passage, the most probable first."""
        begin, end = np.searchsorted(pairs.places, (place, place + 1))
        order = begin + np.argsort(-odds[begin:end], kind="stable")
        return Candidates(
            self._gallery.numbers[pairs.rows[order]],
            odds[order],
            pairs.looks[order],
            pairs.gaps[order],
            pairs.origins[order],
            aligned[order],
            alone,
        )

    def learn(self, passage: Passage, candidates: Candidates) -> None:
        """A passage has ended: let its answer, with its probability, teach distances and return times."""
        self._topology.observe_waited(passage.camera, passage.start - passage.end)
        if len(candidates.identities) == 0:
            return
        probabilities = candidates.probabilities
        self._calibration.aligned.observe(candidates.aligned, candidates.looks, probabilities)
        self._topology.observe_returns(candidates.origins, passage.camera, candidates.gaps, probabilities)
        chosen = np.flatnonzero(candidates.identities == passage.identity)
        if len(chosen):
            self._topology.observe_waited(int(candidates.origins[chosen[0]]), float(max(candidates.gaps[chosen[0]], 0)))
        if passage.looks is None:
            return
        self._learn_strangers(passage, candidates)
        for number, probability in zip(candidates.identities.tolist(), probabilities.tolist(), strict=True):
            identity = self._book.identities.get(number)
            if identity is None or probability < 0.01:
                continue
            described = identity.described(without=passage)
            if described:
                mean, _ = combine(described, self._calibration.spread_of(len(passage.looks.mean)))
                self._calibration.observe_link(passage.looks.mean, mean, probability)

    def _aligned(self, passages: Sequence[Passage], pairs: Pairs, odds: NDArray[np.float64]) -> NDArray[np.float64]:
        """(P,) mean aligned distance to the candidates that it could still decide between, NaN for the others."""
        distances = np.full(len(odds), np.nan)
        asked: list[tuple[int, FloatArray, FloatArray]] = []  # pair, looks of the passage, looks of the identity
        for place, (begin, end) in enumerate(pairs.slices(len(passages))):
            passage = passages[place]
            if begin == end or passage.kept is None or passage.kept.stripes.shape[1] == 0:
                continue
            for pair in begin + _undecided(odds[begin:end]):
                known = self._stripes(int(self._gallery.numbers[pairs.rows[pair]]), passage)
                asked += [(int(pair), passage.kept.stripes, stripes) for stripes in known]
        if asked:
            of_pair, sums, counts = _summed_distances(asked)
            totals = np.bincount(of_pair, sums, len(odds))
            looked_at = np.bincount(of_pair, counts, len(odds))
            np.divide(totals, looked_at, out=distances, where=looked_at > 0)
        return distances

    def _stripes(self, identity: int, without: Passage) -> list[FloatArray]:
        """The kept stripes of an identity's newest passages, each (looks, S, d), leaving one out."""
        newest = self._book.identities[identity].passages[-_PASSAGES_ALIGNED:]
        return [other.kept.stripes for other in newest if other is not without and other.kept is not None]

    def _learn_strangers(self, passage: Passage, candidates: Candidates) -> None:
        """Everybody remembered, with the probability of being somebody else, shows what strangers look like."""
        assert passage.looks is not None
        different = np.ones(len(self._gallery))
        different[self._gallery.precisions <= 0] = 0
        for number, probability in zip(candidates.identities.tolist(), candidates.probabilities.tolist(), strict=True):
            if number in self._book.identities:
                different[self._gallery.row(number)] *= 1 - probability
        different[self._gallery.row(passage.identity)] = 0
        self._calibration.observe_crowd(passage.looks, self._gallery.means, self._gallery.precisions, different)

    def _together(self, passages: Sequence[Passage], pairs: Pairs) -> NDArray[np.float64]:
        """(P,) what the ground plane says of each passage and all of an identity, of those that began later as well."""
        said = np.zeros(len(pairs.rows))
        if self._ground.known:
            starts = np.array([passage.start for passage in passages])
            unseen = starts[pairs.places] - self._gallery.seen[pairs.rows]
            for pair in np.flatnonzero(unseen < _NO_LONGER_TOGETHER):
                passage = passages[pairs.places[pair]]
                identity = self._book.identities[int(self._gallery.numbers[pairs.rows[pair]])]
                said[pair] = sum(self._ground.evidence(passage.tracklet, other.tracklet) for other in identity.passages)
        return said

    def _shortlists(self, passages: Sequence[Passage], log_new: NDArray[np.float64]) -> Pairs:
        """The passages with the people that looks and time together leave as worth a closer look."""
        looked_at = [place for place, passage in enumerate(passages) if passage.looks is not None]
        if not looked_at or not self._gallery.precisions.any():  # nobody has been looked at yet
            return Pairs.none()
        found = [
            self._shortlist(passages, looked_at[start : start + _AT_A_TIME], log_new)
            for start in range(0, len(looked_at), _AT_A_TIME)
        ]
        return Pairs.joined(found)

    def _shortlist(self, passages: Sequence[Passage], places: list[int], log_new: NDArray[np.float64]) -> Pairs:
        """By looks first, as far as any rate could make up for it; then by time as well."""
        gallery, camera, new = self._gallery, passages[places[0]].camera, log_new[places]
        evidence, known = self._evidence([passages[place] for place in places])
        hopeful = evidence > (_HOPELESS + new - self._topology.highest_log_rate(camera))[:, None]
        asked, columns = np.nonzero(hopeful & (gallery.precisions[known] > 0))
        rows, looks = known[columns], evidence[asked, columns].astype(np.float64)
        gaps = np.array([passages[place].start for place in places])[asked] - gallery.seen[rows]
        odds = looks + self._topology.log_rate(gallery.cameras[rows], camera, gaps) - new[asked]
        kept = odds > _HOPELESS
        pairs = Pairs(np.array(places, np.intp)[asked], rows, looks, gaps, gallery.cameras[rows]).only(kept)
        return self._with_present(passages, places, pairs.best(odds[kept], self._config.shortlist))

    def _with_present(self, passages: Sequence[Passage], places: list[int], pairs: Pairs) -> Pairs:
        """The present answer of each passage is always weighed; what its looks say is counted afterwards."""
        there = set(zip(pairs.places.tolist(), pairs.rows.tolist(), strict=True))
        present = [(place, self._gallery.row(passages[place].identity)) for place in places if passages[place].identity]
        missing = [each for each in present if each not in there]
        if not missing:
            return pairs
        of, rows = np.array(missing, np.intp).T
        gaps = np.array([passages[place].start for place in of]) - self._gallery.seen[rows]
        return Pairs.joined([pairs, Pairs(of, rows, np.zeros(len(of)), gaps, self._gallery.cameras[rows])])

    def _evidence(self, passages: Sequence[Passage]) -> tuple[FloatArray, NDArray[np.intp]]:
        """(T, K) what looks say of each passage and of those who are worth a look, and (K,) their rows."""
        gallery = self._gallery
        described = [(passage.tracklet, passage.looks) for passage in passages if passage.looks is not None]
        spread = self._calibration.spread_of(len(described[0][1].mean))
        means = np.stack([looks.mean for _, looks in described])
        variances = np.array([spread.of_passage(looks.weight) for _, looks in described])
        products, beside = self._products(described), self._products.beside(spread.centre)
        compared = Compared(products, beside, means, variances, gallery.precisions, gallery.squares)
        rows = np.arange(len(gallery))
        if len(gallery) > WIDE:
            rows = likest_and_latest(rough_order(compared, spread), gallery.seen)
            compared = compared.only(rows)
        return evidence_of_products(compared, spread), rows

    def _take_out_own_share(self, passages: Sequence[Passage], pairs: Pairs) -> None:
        """A passage does not speak for itself: it is compared with what its present identity is without it."""
        held = np.array([passage.identity for passage in passages], np.int64)
        asked = np.flatnonzero(held[pairs.places] == self._gallery.numbers[pairs.rows])
        if not len(asked):
            return
        described = [looks for pair in asked if (looks := passages[pairs.places[pair]].looks) is not None]
        spread = self._calibration.spread_of(len(described[0].mean))
        without = [self._without(passages[pairs.places[pair]], spread) for pair in asked]
        own, others = np.stack([looks.mean for looks in described]), np.stack([mean for mean, _ in without])
        compared = Compared(
            np.einsum("pd,pd->p", own, others)[:, None],
            (others @ spread.centre)[:, None],
            own,
            np.array([spread.of_passage(looks.weight) for looks in described]),
            np.array([precision for _, precision in without])[:, None],
            np.einsum("pd,pd->p", others, others)[:, None],
        )
        pairs.looks[asked] = evidence_of_products(compared, spread)[:, 0]

    def _without(self, passage: Passage, spread: Spread) -> tuple[FloatArray, float]:
        """Mean look and precision of a passage's identity without the passage."""
        others = self._book.identities[passage.identity].described(without=passage)
        return combine(others, spread) if others else (np.zeros_like(spread.centre), 0.0)

    def _meeting(self, passages: Sequence[Passage], pairs: Pairs) -> NDArray[np.bool_]:
        """Where and when each was last seen before the passage, into ``pairs``; (P,) who is possible at all.

        The gallery knows where people were last. Only for those who were seen since the passage began does it matter
        which of their passages came before it, and whether they were in its camera meanwhile. Where they were before
        that matters for those whom a configured travel time could keep from coming.
        """
        possible = np.ones(len(pairs.rows), np.bool_)
        if not passages:
            return possible
        told_apart = np.array([bool(passage.apart) or passage.still for passage in passages])
        late = max(_SAME_MOMENT, self._topology.longest_way(passages[0].camera))
        for pair in np.flatnonzero((pairs.gaps <= late) | told_apart[pairs.places]):
            passage = passages[pairs.places[pair]]
            identity = self._book.identities[int(self._gallery.numbers[pairs.rows[pair]])]
            before = identity.before(passage) or identity.beside(passage)
            if before is None or certainly_two(self._topology, identity, [passage]):
                possible[pair] = False
                continue
            gap = passage.start - before.end
            pairs.gaps[pair] = min(gap, _IN_VIEW) if before.open and gap <= _SAME_MOMENT else gap
            pairs.origins[pair] = before.camera
        return possible


def _undecided(odds: NDArray[np.float64]) -> NDArray[np.intp]:
    """The candidates of a passage between which stripes could still decide."""
    behind = max(0.0, float(odds.max())) - odds
    order = np.argsort(behind, kind="stable")[:_JUDGED_BY_STRIPES]
    best = order[behind[order] < _OPEN]
    if len(best) == 1 and odds[best[0]] > _OPEN:  # nor could it be somebody new
        return best[:0]
    return best


def _summed_distances(
    asked: Sequence[tuple[int, FloatArray, FloatArray]],
) -> tuple[NDArray[np.intp], NDArray[np.float64], NDArray[np.intp]]:
    """Aligned distances of all looks of one set with all of another, summed, and how many; for many pairs of sets.

    One call for all: many small ones cost more in calling than in arithmetic.

    Args:
        asked: number of the pair that each is about, (M, S, d) and (N, S, d).
    """
    of_pair = np.array([pair for pair, _, _ in asked], np.intp)
    own, known = np.array([len(mine) for _, mine, _ in asked]), np.array([len(theirs) for _, _, theirs in asked])
    mine = np.concatenate([stripes for _, stripes, _ in asked])
    theirs = np.concatenate([stripes for _, _, stripes in asked])
    most = int(known.max())
    each = np.arange(most)[None]
    counted = each < known[:, None]
    begins = (np.cumsum(known) - known)[:, None]
    candidates = begins + np.where(counted, each, 0)
    group = np.repeat(np.arange(len(asked)), own)
    distances = np.where(counted[group], aligned_distance_shortlist(mine, theirs, candidates[group]), 0)
    sums = np.bincount(group, distances.sum(axis=1), len(asked)).astype(np.float64)
    return of_pair, sums, own * known

"""Weighs a passage against everybody remembered: looks, time and ground plane as one log-odds per candidate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reid_tracker.association.evidence import appearance_evidence, combine
from reid_tracker.association.identities import Identity, Passage
from reid_tracker.association.judge import Judge
from reid_tracker.distance import aligned_distance
from reid_tracker.types import FloatArray

_HOPELESS = -12.0  # log-odds by looks and time below which a candidate cannot matter
_JUDGED_BY_STRIPES = 8  # candidates, the most probable ones, whose stripes are aligned
_AT_A_TIME = 16  # passages against everybody remembered: a few MB at ten thousand people
_OPEN = 8.0  # nats behind the best answer from which stripes could not turn it any more
_PASSAGES_ALIGNED = 6  # newest passages of each that are aligned


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

    def __call__(self, passages: Sequence[Passage]) -> list[Candidates]:
        """Weigh passages of one camera, each for itself; nothing is decided in between."""
        alone = [self._alone(passage) for passage in passages]
        log_new = [self._topology.log_new_rate(self._book.people - own) for own in alone]
        shortlists = self._shortlists(passages, log_new)
        return [self._weighed(*each) for each in zip(passages, alone, log_new, shortlists, strict=True)]

    def _alone(self, passage: Passage) -> bool:
        own = self._book.identities.get(passage.identity)
        return own is not None and own.tracklets == 1

    def _weighed(self, passage: Passage, alone: bool, log_new: float, rows: NDArray[np.intp]) -> Candidates:
        identities, odds, looks, gaps, origins = [], [], [], [], []
        for row, likeness in zip(rows, self._likeness(passage, rows), strict=True):
            identity = self._book.identities[int(self._gallery.numbers[row])]
            before = identity.before(passage) or identity.beside(passage)
            if before is None or identity.meets([passage]):
                continue
            gap = passage.start - before.end
            if gap < 0 and not before.open:
                gap = min(gap, -1e-3)
            identities.append(identity.number)
            odds.append(likeness + self._together(passage, identity) - log_new)
            looks.append(likeness)
            gaps.append(gap)
            origins.append(before.camera)
        if identities:
            odds = np.add(odds, self._topology.log_rate(np.array(origins), passage.camera, np.array(gaps))).tolist()
        aligned = self._aligned(passage, identities, odds)
        stripes = self._calibration.aligned.evidence(aligned, np.array(looks, np.float64))
        total = np.array(odds, np.float64) + stripes
        order = np.argsort(-total, kind="stable")
        return Candidates(
            np.array(identities, np.int64)[order],
            total[order],
            np.array(looks, np.float64)[order],
            np.array(gaps, np.float64)[order],
            np.array(origins, np.intp)[order],
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

    def _aligned(self, passage: Passage, identities: list[int], odds: list[float]) -> NDArray[np.float64]:
        """(K,) mean aligned distance to the candidates that it could still decide between, NaN for the others."""
        distances = np.full(len(identities), np.nan)
        if not odds or passage.kept is None or passage.kept.stripes.shape[1] == 0:
            return distances
        behind = max(0.0, *odds) - np.array(odds)
        order = np.argsort(behind, kind="stable")[:_JUDGED_BY_STRIPES]
        best = order[behind[order] < _OPEN].tolist()
        if len(best) == 1 and odds[best[0]] > _OPEN:  # nor could it be somebody new
            return distances
        known = [self._stripes(identities[place], passage) for place in best]
        counts = [sum(map(len, stripes)) for stripes in known]
        if not any(counts):
            return distances
        # One call for all: many small ones cost more in calling than in arithmetic.
        everyone = np.concatenate([looks for stripes in known for looks in stripes])
        pairs = aligned_distance(passage.kept.stripes, everyone, threads=1).mean(axis=0, dtype=np.float64)
        begins = np.cumsum([0, *counts])
        for place, begin, end in zip(best, begins, begins[1:], strict=False):
            if end > begin:
                distances[place] = pairs[begin:end].mean()
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

    def _together(self, passage: Passage, identity: Identity) -> float:
        """What the ground plane says of a passage and all of an identity."""
        if not self._ground.known:
            return 0.0
        return sum(self._ground.evidence(passage.tracklet, other.tracklet) for other in identity.passages)

    def _shortlists(self, passages: Sequence[Passage], log_new: Sequence[float]) -> list[NDArray[np.intp]]:
        """For each, the rows of the gallery that looks and time together leave as worth a closer look."""
        rows = [np.zeros(0, np.intp)] * len(passages)
        looked_at = [place for place, passage in enumerate(passages) if passage.looks is not None]
        if not looked_at or not self._gallery.precisions.any():  # nobody has been looked at yet
            return rows
        for start in range(0, len(looked_at), _AT_A_TIME):
            places = looked_at[start : start + _AT_A_TIME]
            described = [looks for place in places if (looks := passages[place].looks) is not None]
            spread = self._calibration.spread_of(len(described[0].mean))
            evidence = appearance_evidence(
                np.stack([looks.mean for looks in described]),
                np.array([spread.of_passage(looks.weight) for looks in described]),
                self._gallery.means,
                self._gallery.precisions,
                spread,
                self._gallery.squares,
            )
            for place, row in zip(places, evidence, strict=True):
                rows[place] = self._shortlist(passages[place], row, log_new[place])
        return rows

    def _shortlist(self, passage: Passage, evidence: FloatArray, log_new: float) -> NDArray[np.intp]:
        """By looks first, as far as any rate could make up for it; then by time as well."""
        gallery = self._gallery
        fastest = self._topology.highest_log_rate(passage.camera)
        usable = np.flatnonzero((evidence > _HOPELESS + log_new - fastest) & (gallery.precisions > 0))
        gaps = passage.start - gallery.seen[usable]
        odds = evidence[usable] + self._topology.log_rate(gallery.cameras[usable], passage.camera, gaps) - log_new
        usable, odds = usable[odds > _HOPELESS], odds[odds > _HOPELESS]
        if len(usable) > self._config.shortlist:
            usable = usable[np.argpartition(-odds, self._config.shortlist - 1)[: self._config.shortlist]]
        if passage.identity:  # the present answer is always weighed
            usable = np.union1d(usable, [gallery.row(passage.identity)])
        return usable

    def _likeness(self, passage: Passage, rows: NDArray[np.intp]) -> NDArray[np.float64]:
        """(K,) log-likelihood ratio of the looks, the passage's own share in its identity taken out."""
        if passage.looks is None or len(rows) == 0:
            return np.zeros(len(rows))
        spread = self._calibration.spread_of(len(passage.looks.mean))
        means, precisions = self._gallery.means[rows], self._gallery.precisions[rows]  # copies
        if passage.identity:
            mine = rows == self._gallery.row(passage.identity)
            others = self._book.identities[passage.identity].described(without=passage)
            if others:
                means[mine], precisions[mine] = combine(others, spread)
            else:
                means[mine], precisions[mine] = 0, 0
        variance = np.array([spread.of_passage(passage.looks.weight)])
        evidence = appearance_evidence(passage.looks.mean[None], variance, means, precisions, spread)
        likeness: NDArray[np.float64] = evidence[0].astype(np.float64)
        return likeness

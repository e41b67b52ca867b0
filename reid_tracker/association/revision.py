"""Second thoughts: whole identities compared with one another, and passages that would rather belong elsewhere.

An identity is judged like a passage that happens to have many looks, and the time evidence is that of whole lives: the
rates of every return in the joint life against those in the two separate lives and of one more newcomer.
"""

from __future__ import annotations

import numpy as np

from reid_tracker.association.evidence import appearance_evidence
from reid_tracker.association.explain import Explainer
from reid_tracker.association.identities import Identity, timetable
from reid_tracker.association.judge import Judge, Parts, certainly_two

_CLOSER_LOOKS = 10  # identities by looks alone that are judged by time as well


class Reviser(Judge):
    """Finds identities that are one person."""

    def __init__(self, parts: Parts, explainer: Explainer) -> None:
        super().__init__(parts)
        self._explainer = explainer

    def reconsider(self, identity: Identity, time: float) -> Identity:
        """Merge an identity with whoever it was all along; the identity that holds afterwards."""
        while True:
            found = self._best_partner(identity)
            if found is None or found[1] - self._rivalry(identity, found[0]) < self._config.merge_margin:
                return identity
            identity = self._merge(identity, *found, time)

    def settle(self, time: float) -> None:
        """The run is over, no further evidence comes: merge, best first, while it explains more than it costs."""
        waiting = {number: self._best_partner(identity) for number, identity in self._book.identities.items()}
        while True:
            gains = {number: found[1] for number, found in waiting.items() if found is not None and found[1] > 0}
            if not gains:
                return
            number = max(gains, key=lambda candidate: (gains[candidate], -candidate))
            found = waiting[number]
            assert found is not None
            identity, partner = self._book.identities[number], found[0]
            kept = self._merge(identity, partner, found[1], time)
            for gone in (identity.number, partner.number):
                waiting.pop(gone, None)
            stale = [other for other, best in waiting.items() if best is not None and best[0] in (identity, partner)]
            for other in (*stale, kept.number):
                waiting[other] = self._best_partner(self._book.identities[other])

    def _merge(self, identity: Identity, partner: Identity, gain: float, time: float) -> Identity:
        newer = max(identity, partner, key=lambda one: one.number)
        older = partner if newer is identity else identity
        passage = newer.last
        return self._book.merge(older, newer, time, passage, self._explainer.merged(passage, older, gain))

    def _best_partner(self, identity: Identity) -> tuple[Identity, float] | None:
        """Who it most probably is as well, and the log-odds of that."""
        return max(self._partners(identity), key=lambda one: one[1], default=None)

    def _rivalry(self, identity: Identity, partner: Identity) -> float:
        """Nats that others take from a merger: of two people who were in view together one at most can be meant.

        Two who never met may be one person, whose parts are merged one after the other. While the run goes on there is
        time to see which of the rivals it is; at its end the best guess is better than none.
        """
        return max(self._rivals(identity, partner), self._rivals(partner, identity))

    def _rivals(self, identity: Identity, chosen: Identity) -> float:
        rivals = [
            gain
            for partner, gain in self._partners(identity)
            if partner is not chosen and certainly_two(self._topology, partner, chosen.known)
        ]
        return float(np.logaddexp.reduce([0.0, *rivals]))

    def _partners(self, identity: Identity) -> list[tuple[Identity, float]]:
        """Those who could be the same person by their looks, with the log-odds by looks, space and time."""
        row = self._gallery.row(identity.number)
        if self._gallery.precisions[row] <= 0:
            return []
        evidence = appearance_evidence(
            self._gallery.means[row : row + 1],
            1 / self._gallery.precisions[row : row + 1],
            self._gallery.means,
            self._gallery.precisions,
            self._calibration.spread_of(self._gallery.means.shape[1]),
            self._gallery.squares,
        )[0]
        evidence[row] = -np.inf
        evidence[self._gallery.precisions <= 0] = -np.inf  # no look: what is computed of it is rounding, of either sign
        found: list[tuple[Identity, float]] = []
        for candidate in np.argsort(-evidence, kind="stable")[:_CLOSER_LOOKS]:
            if evidence[candidate] <= 0:
                break
            partner = self._book.identities[int(self._gallery.numbers[candidate])]
            if not certainly_two(self._topology, identity, partner.known):
                found.append((partner, float(evidence[candidate]) + self._space_and_time(identity, partner)))
        return found

    def _space_and_time(self, first: Identity, second: Identity) -> float:
        together = self._topology.chain(*timetable(first.passages + second.passages))
        apart = self._topology.chain(*first.timetable()) + self._topology.chain(*second.timetable())
        feet = sum(
            self._ground.evidence(own.tracklet, other.tracklet) for own in first.passages for other in second.passages
        )
        return together - apart - self._topology.log_new_rate(self._book.people - 1) + feet

"""Why a decision was made, in plain numbers that end up in the event (docs/output-format.md)."""

from __future__ import annotations

from typing import Any

import numpy as np

from reid_tracker.association.candidates import Candidates
from reid_tracker.association.identities import Identity, IdentityBook, Passage
from reid_tracker.distance import aligned_distance, aligned_path, global_distance
from reid_tracker.types import Appearance


class Explainer:
    """Puts decisions into numbers. Reads the book, changes nothing."""

    def __init__(self, book: IdentityBook) -> None:
        self._book = book

    def like(self, passage: Passage, identity: Identity, candidates: Candidates) -> dict[str, Any]:
        """Why a passage is that identity."""
        chosen = np.flatnonzero(candidates.identities == identity.number)
        probability = candidates.probability(identity.number)
        evidence = {
            "rule": "looks and time",
            **self.meeting(passage, identity),
            "time_gap": _rounded(float(candidates.gaps[chosen[0]])) if len(chosen) else None,
            "probability": _rounded(probability),
        }
        return evidence | self._runner_up(candidates, identity.number, probability)

    def unlike(self, passage: Passage, candidates: Candidates) -> dict[str, Any]:
        """Why a passage is nobody known."""
        if passage.looks is None:
            return {"rule": "no look yet", "probability": None, "runner_up": None, "margin": None}
        probability = candidates.probability(None)
        return {"rule": "like nobody known", "probability": _rounded(probability)} | self._runner_up(
            candidates, None, probability
        )

    def merged(self, passage: Passage, identity: Identity, log_odds: float) -> dict[str, Any]:
        """Why two identities were one: the log-odds of it, and where their looks meet."""
        probability = float(1 / (1 + np.exp(-log_odds)))
        before = identity.before(passage)
        return {
            "rule": "looks and time of all passages",
            **self.meeting(passage, identity),
            "time_gap": _rounded(passage.start - before.end) if before is not None else None,
            "probability": _rounded(probability),
            "runner_up": None,
            "margin": _rounded(2 * probability - 1),
        }

    def solved_again(self, passage: Passage, identity: Identity | None, gain: float) -> dict[str, Any]:
        """Why a passage is somebody else after all, or somebody new where None; ``gain`` in nats."""
        evidence = {"rule": "people solved again", "probability": _rounded(float(1 / (1 + np.exp(-gain))))}
        return evidence if identity is None else evidence | self.meeting(passage, identity)

    def meeting(self, passage: Passage, identity: Identity) -> dict[str, Any]:
        """The two looks that agree best: whose they are, their distances and, where there are stripes, which met."""
        own, known = passage.kept, _looked_at(identity, passage)
        if own is None or not known:
            return {"other_tracklet": None, "global_distance": None, "aligned_distance": None, "stripe_path": None}
        others = _joined([looks for _, looks in known])
        distances = global_distance(own.global_, others.global_)
        mine, theirs = np.unravel_index(int(distances.argmin()), distances.shape)
        path, aligned = None, None
        if own.stripes.shape[1]:
            aligned = float(aligned_distance(own.stripes, others.stripes, threads=1).mean())
            path = [list(cell) for cell in aligned_path(own.stripes[mine], others.stripes[theirs]).stripes]
        tracklets = [tracklet for tracklet, looks in known for _ in range(len(looks))]
        return {
            "other_tracklet": tracklets[theirs],
            "global_distance": _rounded(float(distances.mean())),
            "aligned_distance": None if aligned is None else _rounded(aligned),
            "stripe_path": path,
        }

    def _runner_up(self, candidates: Candidates, chosen: int | None, probability: float) -> dict[str, Any]:
        """The best other explanation, somebody new (identity None) among them, and the lead over it."""
        others: list[tuple[float, int | None]] = [
            (float(share), int(number))
            for number, share in zip(candidates.identities, candidates.probabilities, strict=True)
            if number != chosen
        ]
        if chosen is not None:
            others.append((candidates.probability(None), None))
        if not others:
            return {"runner_up": None, "margin": _rounded(probability)}
        share, number = max(others, key=lambda other: other[0])
        return {
            "runner_up": {"identity": number, "probability": _rounded(share)},
            "margin": _rounded(probability - share),
        }


def _looked_at(identity: Identity, without: Passage) -> list[tuple[int, Appearance]]:
    """The kept looks of an identity's other passages, with their tracklets."""
    return [
        (passage.tracklet, passage.kept)
        for passage in identity.passages
        if passage.kept is not None and passage is not without
    ]


def _joined(looks: list[Appearance]) -> Appearance:
    return Appearance(
        np.concatenate([one.global_ for one in looks]),
        np.concatenate([one.stripes for one in looks]),
        np.concatenate([one.quality for one in looks]),
        np.concatenate([one.valid for one in looks]),
    )


def _rounded(number: float) -> float:
    return round(number, 4)

"""How right a made-up site's identities are, at any size: nothing here is quadratic in people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy.sparse import csr_array, eye_array, hstack
from scipy.sparse.csgraph import min_weight_full_bipartite_matching

from reid_tracker.types import EventType, IdentityEvent, TrackedFrame


class Judge:
    """Compares what is shown and decided with who it was. Keys of false boxes are negative; they count as nobody.

    Attributes:
        boxes: shown so far, false ones included.
    """

    def __init__(self) -> None:
        self.boxes = 0
        self._shown: dict[int, list[tuple[float, int]]] = {}  # tracklet -> (time, identity) at each change
        self._counts: Counter[tuple[int, int]] = Counter()  # (tracklet, identity) -> boxes
        self._person: dict[int, int] = {}
        self._camera: dict[int, str] = {}
        self._ended: dict[int, float] = {}
        self._held: dict[int, set[int]] = {}  # identity -> tracklets, by the events so far
        self._holder: dict[int, int] = {}

    def saw(self, time: float, frames: Sequence[TrackedFrame], keys: Mapping[str, Sequence[int]]) -> None:
        """One moment: frames as told, and who the boxes of each camera are, in order."""
        for frame in frames:
            self.decided(frame.events)
            for person, key in zip(frame.people, keys[frame.camera_id], strict=True):
                self.boxes += 1
                self._person[person.tracklet], self._camera[person.tracklet] = key, frame.camera_id
                self._counts[person.tracklet, person.identity] += 1
                self._ended[person.tracklet] = time
                shown = self._shown.setdefault(person.tracklet, [])
                if not shown or shown[-1][1] != person.identity:
                    shown.append((time, person.identity))

    def decided(self, events: Iterable[IdentityEvent]) -> None:
        """Events in order."""
        for event in events:
            if event.type is EventType.ENDED:
                continue
            moving = set(event.tracklets)
            if event.type is EventType.MERGED:
                moving = {tracklet for number in event.supersedes for tracklet in self._held.pop(number, ())}
            for tracklet in moving:
                self._held.get(self._holder.get(tracklet, 0), set()).discard(tracklet)
                self._holder[tracklet] = event.identity
            self._held.setdefault(event.identity, set()).update(moving)

    def verdict(self) -> dict[str, Any]:
        """Scores as shown and as decided in the end, and how soon what is shown is right."""
        shown: Counter[tuple[int, int]] = Counter()
        final: Counter[tuple[int, int]] = Counter()
        for (tracklet, identity), count in self._counts.items():
            shown[identity, self._person[tracklet]] += count
            final[self._holder.get(tracklet, -tracklet), self._person[tracklet]] += count
        matched, right = matching(final)
        precision, recall = self._pairs()
        return {
            "IDF1 as shown": self._idf1(matching(shown)[1]),
            "IDF1 in the end": self._idf1(right),
            "pair precision in the end": precision,
            "pair recall in the end": recall,
            "identities": len({identity for identity, _ in final}),
            "people": len({person for _, person in final if person >= 0}),
            **self._delays(matched),
        }

    def _idf1(self, right: int) -> float:
        real = sum(count for (tracklet, _), count in self._counts.items() if self._person[tracklet] >= 0)
        return round(2 * right / max(1, self.boxes + real), 4)

    def _pairs(self) -> tuple[float, float]:
        """Of pairs of tracklets in different cameras: precision and recall of being one person."""
        rows = [
            (self._holder.get(tracklet, -tracklet), person, self._camera[tracklet])
            for tracklet, person in self._person.items()
        ]

        def pairs(same: Iterable[Hashable], and_camera: Iterable[Hashable]) -> int:
            return _pairs_in(same) - _pairs_in(and_camera)

        real = [row for row in rows if row[1] >= 0]
        both = pairs([row[:2] for row in real], real)
        predicted = pairs([row[0] for row in rows], [(row[0], row[2]) for row in rows])
        true = pairs([row[1] for row in real], [row[1:] for row in real])
        return round(both / max(1, predicted), 4), round(both / max(1, true), 4)

    def _delays(self, matched: Mapping[int, int]) -> dict[str, Any]:
        """Seconds from a tracklet's first box to the moment from which it is shown under its person's number."""
        delays = []
        wrong = 0
        identity_of = {person: identity for identity, person in matched.items()}
        for tracklet, shown in self._shown.items():
            person = self._person[tracklet]
            if person < 0:
                continue
            if shown[-1][1] == identity_of.get(person):
                delays.append(shown[-1][0] - shown[0][0])
            else:
                wrong += 1
        seconds = np.array(delays or [0.0])
        return {
            "share of passages right at once": round(float((seconds == 0).sum()) / max(1, len(delays) + wrong), 4),
            "share of passages right when they end": round(len(delays) / max(1, len(delays) + wrong), 4),
            "delay until right s, mean of those": round(float(seconds.mean()), 2),
            "delay until right s, p95 of those": round(float(np.percentile(seconds, 95)), 2),
        }


def _pairs_in(keys: Iterable[Hashable]) -> int:
    return sum(count * (count - 1) // 2 for count in Counter(keys).values())


def matching(counts: Mapping[tuple[int, int], int]) -> tuple[dict[int, int], int]:
    """The best one-to-one match of identities and people: identity -> person, and the boxes that are right by it."""
    real = {pair: count for pair, count in counts.items() if pair[1] >= 0}
    identities, people = (sorted({pair[side] for pair in real}) for side in (0, 1))
    if not real:
        return {}, 0
    row, column = ({number: place for place, number in enumerate(each)} for each in (identities, people))
    values = np.array(list(real.values()), np.float64)
    places = np.array([(row[one], column[other]) for one, other in real]).T
    shared = csr_array((values, (places[0], places[1])), shape=(len(identities), len(people)))
    alone = 1e-6 * eye_array(len(identities), format="csr")  # nobody's: the matching must give everyone something
    rows, chosen = min_weight_full_bipartite_matching(csr_array(hstack([shared, alone])), maximize=True)
    pairs = [(one, other) for one, other in zip(rows.tolist(), chosen.tolist(), strict=True) if other < len(people)]
    return {identities[one]: people[other] for one, other in pairs}, int(
        sum(shared[one, other] for one, other in pairs)
    )

"""Identity-balanced batches: P people x K pictures, so that every picture has partners to be told apart from."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from reid_tracker.errors import ModelError


class IdentitySampler:
    """Draws batches for ever; the same seed draws the same batches, and its state can be kept and restored.

    Each source gives its own number of people to a batch. People come in shuffled order, all of them before any
    comes again; a person's pictures likewise.
    """

    def __init__(
        self,
        labels: NDArray[np.int64],
        sources: NDArray[np.int64],
        people_per_source: list[int],
        pictures_per_person: int,
        seed: int,
    ) -> None:
        self._rng = np.random.default_rng(seed)
        self._people_per_source = people_per_source
        self._pictures = pictures_per_person
        order = np.argsort(labels, kind="stable")
        found, starts = np.unique(labels[order], return_index=True)
        self._rows = dict(zip(found.tolist(), np.split(order, starts[1:]), strict=True))
        self._people = [np.unique(labels[sources == source]) for source in range(len(people_per_source))]
        self._queues: list[list[int]] = [[] for _ in people_per_source]

    def batch(self) -> NDArray[np.int64]:
        """Rows (P * K,) of the next batch, a person's pictures next to each other.

        A person with fewer than K pictures gives some of them twice.
        """
        picks = [
            self._pictures_of(person)
            for source, people in enumerate(self._people_per_source)
            for person in self._next_people(source, people)
        ]
        return np.concatenate(picks)

    def _next_people(self, source: int, count: int) -> list[int]:
        queue = self._queues[source]
        while len(queue) < count:
            # Nobody who still waits may come twice in one batch: the new round goes behind.
            shuffled = self._rng.permutation(self._people[source]).tolist()
            waiting = set(queue)
            queue += [person for person in shuffled if person not in waiting]
        taken, self._queues[source] = queue[:count], queue[count:]
        return taken

    def _pictures_of(self, person: int) -> NDArray[np.int64]:
        rows = self._rows[person]
        return self._rng.choice(rows, self._pictures, replace=len(rows) < self._pictures)

    def state(self) -> dict[str, Any]:
        """Everything that the next batch depends on."""
        return {"rng": self._rng.bit_generator.state, "queues": [list(queue) for queue in self._queues]}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue exactly where ``state`` was taken.

        Raises:
            ModelError: it was taken of other people.
        """
        if len(state["queues"]) != len(self._people):
            raise ModelError(f"is of {len(state['queues'])} sets, the recipe has {len(self._people)}; begin a new run")
        for number, (queue, people) in enumerate(zip(state["queues"], self._people, strict=True)):
            if not set(queue) <= set(people.tolist()):
                raise ModelError(f"is of other people than set {number + 1} now has; begin a new run with --state")
        self._rng.bit_generator.state = state["rng"]
        self._queues = [list(queue) for queue in state["queues"]]

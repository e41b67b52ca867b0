"""Real looks for people of whom only boxes are known: each wears those of one person of Market-1501's test half.

How they are drawn: the real people with the most pictures are taken, one for each person of the scene, so nobody is
worn twice. When somebody turns up in a camera of the scene for the first time, that pair is given up to four pictures
of one of Market's cameras, and keeps them: of the camera with the most of this person's pictures that were not given
out yet. Only when all are given out do they go round again; ``uses`` says how often. So what differs between two
cameras of the scene is what differs between two real cameras, and no picture is in two pairs before it must be.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from benchmarks.association.material import Album
from reid_tracker.errors import InputError
from reid_tracker.training.data import DISTRACTOR_PERSON
from reid_tracker.types import FloatArray, Image

PICTURES = 4  # of a person in one camera of the scene
TEAM = 8  # people who wear one uniform
_UNIFORM = 0.5  # share of the uniform in a look

Look = tuple[FloatArray, FloatArray]


class Wardrobe:
    """Looks by number of person and camera of the scene; deterministic in the order of requests.

    Args:
        album: pictures with ids, and their looks.
        people: how many people the scene has.
        seed: for every draw.
        noise: length of a random vector that is added to each look of length 1: a worse embedder.
        alike: share of the people who are dressed in teams of TEAM: half of each look is the team's mean.
    """

    def __init__(self, album: Album, people: int, seed: int = 0, noise: float = 0.0, alike: float = 0.0) -> None:
        self._album = album
        self._generator = np.random.default_rng(seed)
        self._noise = noise
        real = album.people.persons > DISTRACTOR_PERSON
        owners, counts = np.unique(album.people.persons[real], return_counts=True)
        if people > len(owners):
            raise InputError(f"a scene of {people} people, but the album shows only {len(owners)}; make it smaller")
        self._worn = owners[np.argsort(-counts, kind="stable")][:people]
        self._left: dict[int, dict[int, list[int]]] = {}
        self._given: dict[tuple[int, int], list[int]] = {}
        self._taken: Counter[tuple[int, int]] = Counter()
        self._distractors = np.flatnonzero(album.people.persons == DISTRACTOR_PERSON)
        self._times: Counter[int] = Counter()
        self._teams = self._uniforms(int(alike * people))

    def look(self, person: int, camera: int) -> Look:
        """(D,) and (S, d): the next picture of a person in a camera."""
        rows = self._given.get((person, camera))
        if rows is None:
            rows = self._given[person, camera] = self._give(person)
        row = rows[self._taken[person, camera] % len(rows)]
        self._taken[person, camera] += 1
        return self._dressed(row, self._teams.get(person))

    def pictures(self, person: int, camera: int) -> list[Image]:
        """The pictures that a person wears in a camera."""
        rows = self._given.get((person, camera), ())
        return self._album.pictures(str(self._album.people.paths[row].relative_to(self._album.root)) for row in rows)

    def stranger(self, number: int) -> Look:
        """The look of a false box: a distractor."""
        return self._dressed(int(self._distractors[number % len(self._distractors)]), None)

    def uses(self) -> dict[str, float]:
        """How often each picture was given to a person in a camera."""
        counts = list(self._times.values()) or [0]
        return {"uses of a picture, mean": round(float(np.mean(counts)), 3), "uses of a picture, most": max(counts)}

    def _give(self, person: int) -> list[int]:
        left = self._left.get(person)
        if left is None or not any(left.values()):
            left = self._left[person] = self._shuffled(person)
        camera = max(left, key=lambda one: (len(left[one]), -one))
        given, left[camera] = left[camera][:PICTURES], left[camera][PICTURES:]
        self._times.update(given)
        return given

    def _shuffled(self, person: int) -> dict[int, list[int]]:
        rows = self._generator.permutation(self._rows(person))
        cameras = self._album.people.cameras[rows]
        return {int(camera): rows[cameras == camera].tolist() for camera in np.unique(cameras)}

    def _rows(self, person: int) -> NDArray[np.intp]:
        return np.flatnonzero(self._album.people.persons == self._worn[person])

    def _uniforms(self, people: int) -> dict[int, Look]:
        uniforms: dict[int, Look] = {}
        for begin in range(0, people, TEAM):
            team = range(begin, min(begin + TEAM, people))
            rows = np.concatenate([self._rows(person) for person in team])
            looks = self._album.looks.rows(rows)
            uniform = unit(looks.global_.mean(axis=0)), unit(looks.stripes.mean(axis=0))
            uniforms |= dict.fromkeys(team, uniform)
        return uniforms

    def _dressed(self, row: int, uniform: Look | None) -> Look:
        vector, stripes = self._album.looks.global_[row], self._album.looks.stripes[row]
        if uniform is not None:
            vector, stripes = mixed((vector, stripes), uniform, _UNIFORM)
        if self._noise:
            vector, stripes = self._noisy(vector), self._noisy(stripes)
        return vector, stripes

    def _noisy(self, vectors: FloatArray) -> FloatArray:
        if vectors.size == 0:
            return vectors
        error = self._generator.standard_normal(vectors.shape) / np.sqrt(vectors.shape[-1])
        return unit(vectors + self._noise * error.astype(np.float32))


def unit(vectors: FloatArray) -> FloatArray:
    """(..., D) to length 1."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    scaled: FloatArray = (vectors / np.maximum(lengths, 1e-9)).astype(np.float32)
    return scaled


def mixed(look: Look, other: Look, share: float) -> Look:
    """A look of which a share is somebody else's."""
    return (
        unit((1 - share) * look[0] + share * other[0]),
        unit((1 - share) * look[1] + share * other[1]),
    )

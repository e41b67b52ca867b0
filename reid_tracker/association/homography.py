"""The map from one picture of the ground to another, from points of which many are wrong.

Random samples of four points propose maps (RANSAC); the one that most belief agrees with is fitted to all that agree
with it. Errors are in body heights, so that near and far people count alike. What is reported of a map is not how well
it fits the people that it was made from but how well it foretells each of them from all the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_SAMPLES = 200
_AGREES = 0.3  # body heights between where somebody is expected and is seen
_ROUNDS = 4  # of fitting and asking again who agrees
_FLAT = (1e-4, 1e-2, 1.0)  # how strongly a map without perspective is preferred: what foretells best is taken
_POINTS_EACH = 6  # of each walk
_LEAST_WALKS = 4  # that agree: any two fit some map


@dataclass(frozen=True)
class Walk:
    """Somebody, perhaps, seen by two cameras at the same moments.

    Attributes:
        first: (N, 2) foot points in the first camera, pixels.
        second: (N, 3) foot points and body heights in the second one.
        belief: probability that both are one person.
    """

    first: Floats
    second: Floats
    belief: float


@dataclass(frozen=True)
class GroundMap:
    """From one camera's pixels to another's, on the ground.

    Attributes:
        matrix: (3, 3) homography.
        residual: median distance in body heights at which people stood from where all others' walks foretold it.
        people: walks that agree.
        share: their share of the belief in all walks.
        known: (M, 2) where it was learned, pixels of the first camera.
    """

    matrix: Floats
    residual: float
    people: int
    share: float
    known: Floats

    def __call__(self, points: Floats) -> Floats:
        """(N, 2) pixels of the first camera to (N, 2) of the second."""
        mapped: Floats = project(self.matrix[None], points)[0]
        return mapped

    def errors(self, walk: Walk) -> Floats:
        """(N,) body heights between where the walk is in the second camera and where the first one's has it."""
        apart: Floats = np.linalg.norm(self(walk.first) - walk.second[:, :2], axis=1) / walk.second[:, 2]
        return apart


def fit_ground_map(walks: Sequence[Walk], least_share: float = 0.0, seed: int = 0) -> GroundMap | None:
    """The map that walks agree on; None where there are too few that do.

    Args:
        walks: simultaneous passages in two cameras, right and wrong ones.
        least_share: of the belief in all of them that has to agree.
        seed: of the samples; the same walks and seed give the same map.
    """
    if len(walks) < _LEAST_WALKS:
        return None
    first, second, owners = _thinned(walks)
    beliefs = np.array([walk.belief for walk in walks])
    weights = (beliefs / np.bincount(owners, minlength=len(walks)))[owners]
    into_first, into_second = _normaliser(first), _normaliser(second[:, :2])
    heights = second[:, 2] * into_second[0, 0]
    source, target = _moved(into_first, first), _moved(into_second, second[:, :2])

    matrix = _best_sample(source, target, heights, weights, owners, np.random.default_rng(seed))
    if matrix is None or weights @ (_errors(matrix[None], source, target, heights)[0] < _AGREES) < (
        least_share * beliefs.sum() / 2
    ):
        return None  # far from enough agree with the best guess: fitting will not make up for it
    data = _Points(source, target, heights, weights, owners)
    fits = [found for flat in _FLAT if (found := _fit(data, matrix, flat)) is not None]
    if not fits:
        return None
    matrix, residual, agreeing = min(fits, key=lambda fit: (-len(fit[2]), fit[1]))
    return GroundMap(
        matrix=np.linalg.inv(into_second) @ matrix @ into_first,
        residual=residual,
        people=len(agreeing),
        share=float(beliefs[agreeing].sum() / beliefs.sum()),
        known=first[np.isin(owners, agreeing)],
    )


@dataclass(frozen=True)
class _Points:
    """Normalised points of all walks: (N, 2), (N, 2), (N,) body heights, (N,) weights, (N,) whose."""

    source: Floats
    target: Floats
    heights: Floats
    weights: Floats
    owners: NDArray[np.intp]

    def fitted(self, rows: NDArray[np.bool_], flat: float) -> Floats:
        """The map that fits some of the points best."""
        return _least_squares(self.source[rows], self.target[rows], self.weights[rows] / self.heights[rows] ** 2, flat)

    def errors(self, matrix: Floats) -> Floats:
        """(N,) body heights."""
        errors: Floats = _errors(matrix[None], self.source, self.target, self.heights)[0]
        return errors


def _fit(data: _Points, matrix: Floats, flat: float) -> tuple[Floats, float, list[int]] | None:
    """From a first guess to the map of all who agree, its residual and who they are."""
    for _ in range(_ROUNDS):
        agree = data.errors(matrix) < _AGREES
        if agree.sum() < 5:
            return None
        matrix = data.fitted(agree, flat)
    errors = data.errors(matrix)
    agreeing = [walk for walk in np.unique(data.owners).tolist() if np.median(errors[data.owners == walk]) < _AGREES]
    if len(agreeing) < _LEAST_WALKS:
        return None
    taken = np.isin(data.owners, agreeing)
    foretold = []
    for walk in agreeing:
        without = data.fitted(taken & (data.owners != walk), flat)
        foretold.append(np.median(data.errors(without)[data.owners == walk]))
    return matrix, float(np.median(foretold)), agreeing


def project(matrices: Floats, points: Floats) -> Floats:
    """(S, 3, 3) maps of (N, 2) points: (S, N, 2); infinite on the side of the horizon where fewer are."""
    raised = np.concatenate([points, np.ones((len(points), 1))], axis=1) @ matrices.transpose(0, 2, 1)
    depth = raised[..., 2]
    sign = np.sign(np.median(depth, axis=1, keepdims=True))
    ahead = depth * sign > 1e-9
    safe = np.where(ahead, depth, 1.0)
    mapped: Floats = np.where(ahead[..., None], raised[..., :2] / safe[..., None], np.inf)
    return mapped


def _thinned(walks: Sequence[Walk]) -> tuple[Floats, Floats, NDArray[np.intp]]:
    """A few points of each walk, evenly over it, and whose they are."""
    first, second, owners = [], [], []
    for number, walk in enumerate(walks):
        rows = np.unique(np.linspace(0, len(walk.first) - 1, _POINTS_EACH).round().astype(np.intp))
        first.append(walk.first[rows])
        second.append(walk.second[rows])
        owners += [number] * len(rows)
    return np.concatenate(first), np.concatenate(second), np.array(owners, np.intp)


def _best_sample(
    source: Floats,
    target: Floats,
    heights: Floats,
    weights: Floats,
    owners: NDArray[np.intp],
    generator: np.random.Generator,
) -> Floats | None:
    """Of many maps through four points each, the one with the most belief near it."""
    # Points of three walks at least: two say little across the way that both go.
    count = len(source)
    chance = weights / weights.sum()
    rows = generator.choice(count, size=(_SAMPLES, 4), p=chance)
    ordered, of_whom = np.sort(rows, axis=1), np.sort(owners[rows], axis=1)
    different = (np.diff(ordered, axis=1) > 0).all(axis=1) & ((np.diff(of_whom, axis=1) > 0).sum(axis=1) >= 2)
    matrices = _through_four(source[rows[different]], target[rows[different]])
    if not len(matrices):
        return None
    errors = _errors(matrices, source, target, heights)
    support = np.clip(1 - (errors / _AGREES) ** 2, 0, None) @ weights
    best: Floats = matrices[int(support.argmax())]
    return best


def _through_four(source: Floats, target: Floats) -> Floats:
    """(S, 4, 2) to (S, 4, 2): the maps (S', 3, 3) through each four points, those left out that lie on a line."""
    system, right = _equations(source, target)
    usable = np.abs(np.linalg.det(system)) > 1e-6
    solved = np.linalg.solve(system[usable], right[usable][..., None])[..., 0]
    return np.concatenate([solved, np.ones((len(solved), 1))], axis=1).reshape(-1, 3, 3)


def _least_squares(source: Floats, target: Floats, weights: Floats, flat: float) -> Floats:
    """The (3, 3) map that fits (N, 2) to (N, 2) best, with less perspective the larger ``flat`` is."""
    system, right = _equations(source, target)
    doubled = np.repeat(weights / weights.mean(), 2)
    normal = system.T @ (doubled[:, None] * system)
    ridge = np.full(8, 1e-9)
    ridge[6:] += flat * len(source)
    solved = np.linalg.solve(normal + np.diag(ridge), system.T @ (doubled * right))
    return np.append(solved, 1.0).reshape(3, 3)


def _equations(source: Floats, target: Floats) -> tuple[Floats, Floats]:
    """The linear equations for the eight free numbers of a map: (..., 2N, 8) and (..., 2N)."""
    x, y = source[..., 0], source[..., 1]
    u, v = target[..., 0], target[..., 1]
    one, nil = np.ones_like(x), np.zeros_like(x)
    rows_u = np.stack([x, y, one, nil, nil, nil, -u * x, -u * y], axis=-1)
    rows_v = np.stack([nil, nil, nil, x, y, one, -v * x, -v * y], axis=-1)
    system = np.stack([rows_u, rows_v], axis=-2)
    return system.reshape(*x.shape[:-1], -1, 8), np.stack([u, v], axis=-1).reshape(*x.shape[:-1], -1)


def _errors(matrices: Floats, source: Floats, target: Floats, heights: Floats) -> Floats:
    """(S, N) distances in body heights."""
    errors: Floats = np.linalg.norm(project(matrices, source) - target, axis=-1) / heights
    return errors


def _normaliser(points: Floats) -> Floats:
    """The (3, 3) map that brings (N, 2) points around the origin at a spread of one."""
    middle, spread = points.mean(axis=0), max(float(points.std()), 1e-6)
    return np.array([[1 / spread, 0, -middle[0] / spread], [0, 1 / spread, -middle[1] / spread], [0, 0, 1]])


def _moved(matrix: Floats, points: Floats) -> Floats:
    moved: Floats = points @ matrix[:2, :2].T + matrix[:2, 2]
    return moved

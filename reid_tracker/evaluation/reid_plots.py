"""Pictures of re-identification scores as self-contained SVG, so that nothing needs a plotting package.

``cmc_svg``         part of the queries with a right picture among the first k, one curve a way of ranking
``histogram_svg``   distances of same and of different people, and how far the two overlap
``alignment_svg``   two people side by side, and which stripe of one met which of the other
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from html import escape

import numpy as np
from numpy.typing import NDArray

from reid_tracker.distance import AlignedPath
from reid_tracker.evaluation.drawing import COLOURS, Axes, chart, document, frame
from reid_tracker.evaluation.reid import ReidScores
from reid_tracker.types import FloatArray


def cmc_svg(scores: Mapping[str, ReidScores], title: str, most_rank: int = 20) -> str:
    """CMC curves of several ways of ranking, with rank-1 and mAP in the legend."""
    most = min(most_rank, *(len(one.cmc) for one in scores.values()))
    lowest = min(float(one.cmc[0]) for one in scores.values())
    axes = Axes((1, most), (max(0.0, np.floor(lowest * 10) / 10 - 0.1), 1))
    body = [frame(axes, title, "rank", "queries with a right picture so far", percent=True)]
    entries = []
    for colour, (name, one) in zip(_colours(scores), scores.items(), strict=True):
        points = axes.line(range(1, most + 1), [float(value) for value in one.cmc[:most]])
        body.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        entries.append((colour, f"{name}: rank-1 {100 * one.rank(1):.1f}, mAP {100 * one.mean_ap:.1f}"))
    return chart(body, entries)


def histogram_svg(same: FloatArray, different: FloatArray, title: str, bins: int = 60) -> str:
    """Two histograms of distances, each of area 1, and their overlap.

    Args:
        same: (N,) distances between pictures of one person.
        different: (M,) distances between pictures of two people.
        title: above the picture.
        bins: of equal width over the whole range.
    """
    low, high = float(min(same.min(), different.min())), float(max(same.max(), different.max()))
    edges = np.linspace(low, high if high > low else low + 1, bins + 1)
    parts = [np.histogram(values, edges)[0] / len(values) for values in (same, different)]
    axes = Axes((edges[0], edges[-1]), (0, float(max(part.max() for part in parts)) * 1.05))
    body = [frame(axes, title, "distance", "part of the pairs", percent=True)]
    for colour, part in zip(COLOURS, parts, strict=False):
        steps = axes.line(np.repeat(edges, 2).tolist(), [0.0, *np.repeat(part, 2).tolist(), 0.0])
        body.append(f'<polygon points="{steps}" fill="{colour}" fill-opacity="0.25" stroke="{colour}"/>')
    overlap = 100 * float(np.minimum(*parts).sum())
    entries = [(COLOURS[0], f"one person, {len(same)} pairs"), (COLOURS[1], f"two people, {len(different)} pairs")]
    return chart(body, [*entries, ("none", f"overlap {overlap:.1f} %")])


def alignment_svg(first_jpeg: bytes, second_jpeg: bytes, path: AlignedPath, title: str) -> str:
    """Two people, their stripes, and a line for each cell of the cheapest path, the thicker the cheaper.

    Args:
        first_jpeg, second_jpeg: encoded pictures, embedded in the result.
        path: from ``reid_tracker.distance.aligned_path``.
        title: above the picture.
    """
    height, width, gap, top = 320, 160, 200, 48
    count = path.stripes[-1][0] + 1
    body = [f'<text x="8" y="20" font-size="14">{escape(title)}</text>']
    lefts = (8, 8 + width + gap)
    for left, jpeg in zip(lefts, (first_jpeg, second_jpeg), strict=True):
        data = base64.b64encode(jpeg).decode("ascii")
        place = f'x="{left}" y="{top}" width="{width}" height="{height}"'
        body.append(f'<image {place} preserveAspectRatio="none" href="data:image/jpeg;base64,{data}"/>')
        for stripe in range(1, count):
            y = top + height * stripe / count
            body.append(f'<path d="M{left},{y:.1f}h{width}" stroke="#ffffff" stroke-opacity="0.6"/>')
    for (i, j), cost in zip(path.stripes, path.costs, strict=True):
        ys = (top + height * (stripe + 0.5) / count for stripe in (i, j))
        closeness = max(0.0, 1 - float(cost))
        body.append(
            f'<path d="M{8 + width},{next(ys):.1f}L{lefts[1]},{next(ys):.1f}" stroke="{COLOURS[0]}" '
            f'stroke-width="{1 + 6 * closeness**2:.1f}" stroke-opacity="{0.25 + 0.75 * closeness:.2f}">'
            f"<title>stripe {i + 1} and {j + 1}: {cost:.3f}</title></path>"
        )
    below = f"aligned distance {path.distance:.3f}; thick lines: stripes that look alike"
    body.append(f'<text x="8" y="{top + height + 22}" font-size="12">{below}</text>')
    return document(2 * width + gap + 16, top + height + 36, body)


def pair_distances(
    distances: FloatArray, same: NDArray[np.bool_], different: NDArray[np.bool_], most: int = 200_000
) -> tuple[FloatArray, FloatArray]:
    """Distances at two masks, thinned evenly to ``most`` each, for ``histogram_svg``."""
    picked = []
    for mask in (same, different):
        values = distances[mask]
        picked.append(values[:: max(1, len(values) // most)])
    return picked[0], picked[1]


def _colours(names: Mapping[str, object]) -> list[str]:
    return [COLOURS[number % len(COLOURS)] for number in range(len(names))]

"""The little that pictures of scores need, as self-contained SVG: axes, a frame, a legend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

# Okabe and Ito's colours, which people who see few colours can tell apart.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
WIDTH, HEIGHT = 560, 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 20, 36, 48
_IN_A_ROW, _LINE = 2, 18  # entries below a chart, and pixels from one row of them to the next


@dataclass(frozen=True, slots=True)
class Axes:
    """Data to pixels: the ranges of x and y that a picture shows."""

    x: tuple[float, float]
    y: tuple[float, float]

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Where a point lies."""
        across = (x - self.x[0]) / (self.x[1] - self.x[0])
        up = (y - self.y[0]) / (self.y[1] - self.y[0])
        return _LEFT + across * (WIDTH - _LEFT - _RIGHT), HEIGHT - _BOTTOM - up * (HEIGHT - _TOP - _BOTTOM)

    def line(self, xs: Sequence[float], ys: Sequence[float]) -> str:
        """The ``points`` of a polyline."""
        return " ".join(f"{px:.1f},{py:.1f}" for px, py in (self.at(x, y) for x, y in zip(xs, ys, strict=True)))


def frame(axes: Axes, title: str, x_name: str, y_name: str, percent: bool) -> str:
    """Title, grid and names of the axes."""
    parts = [f'<text x="{_LEFT}" y="22" font-size="14">{escape(title)}</text>']
    for y in _ticks(*axes.y):
        left, at = axes.at(axes.x[0], float(y))
        text = f"{100 * y:.3g} %" if percent else f"{y:.3g}"
        parts.append(f'<path d="M{left:.1f},{at:.1f}H{WIDTH - _RIGHT}" stroke="#dddddd"/>')
        parts.append(f'<text x="{left - 6:.1f}" y="{at + 4:.1f}" font-size="11" text-anchor="end">{text}</text>')
    for x in _ticks(*axes.x):
        at, bottom = axes.at(float(x), axes.y[0])
        parts.append(f'<text x="{at:.1f}" y="{bottom + 16:.1f}" font-size="11" text-anchor="middle">{x:.3g}</text>')
    middle = (_LEFT + WIDTH - _RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{HEIGHT - 8}" font-size="12" text-anchor="middle">{x_name}</text>')
    across = f'transform="translate(13,{HEIGHT / 2}) rotate(-90)"'
    parts.append(f'<text {across} font-size="12" text-anchor="middle">{y_name}</text>')
    return "".join(parts)


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers between two, about five: steps of 1, 2 or 5 times a power of ten."""
    rough = (high - low) / 5
    power = 10.0 ** np.floor(np.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * (1 - 1e-9))
    first, last = np.ceil(low / step - 1e-9), np.floor(high / step + 1e-9)
    return [float(step * number) + 0.0 for number in np.arange(first, last + 1)]  # no minus before a zero


def chart(body: Sequence[str], entries: Sequence[tuple[str, str]]) -> str:
    """A picture with axes and, below it where no curve can run, colours and what they stand for, two in a row."""
    parts = []
    for number, (colour, text) in enumerate(entries):
        row, column = divmod(number, _IN_A_ROW)
        x, y = _LEFT + column * (WIDTH - _LEFT - _RIGHT) / _IN_A_ROW, HEIGHT + 14 + _LINE * row
        parts.append(f'<rect x="{x:g}" y="{y - 9}" width="12" height="10" fill="{colour}"/>')
        parts.append(f'<text x="{x + 18:g}" y="{y}" font-size="12">{escape(text)}</text>')
    rows = -(-len(entries) // _IN_A_ROW)
    return document(WIDTH, HEIGHT + 10 + _LINE * rows, [*body, *parts])


def document(width: int, height: int, body: Sequence[str]) -> str:
    """The whole picture."""
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    return f'{head} font-family="sans-serif"><rect width="100%" height="100%" fill="#ffffff"/>{"".join(body)}</svg>\n'

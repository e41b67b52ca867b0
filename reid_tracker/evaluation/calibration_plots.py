"""Pictures of what a site taught: the errors at each probability, and whether probabilities mean what they say."""

from __future__ import annotations

from collections.abc import Mapping

from reid_tracker.evaluation.drawing import COLOURS, Axes, chart, frame
from reid_tracker.evaluation.reliability import THRESHOLDS, Reliability

_NORMAL_95 = 1.96  # standard deviations that hold 95 % of a normal distribution


def errors_svg(judged: Mapping[str, Reliability], title: str) -> str:
    """What goes wrong where everything from a probability on is taken for one person.

    Args:
        judged: by what the pairs are, for the legend.
    """
    axes = Axes((0, 1), (0, 1))
    body = [frame(axes, title, "probability from which two are taken for one", "wrong decisions", percent=True)]
    entries = []
    for number, (name, one) in enumerate(judged.items()):
        for colour, what, shares, dashes in (
            (COLOURS[2 * number], "missed", one.missed(), ""),
            (COLOURS[2 * number + 1], "falsely linked", one.false(), ' stroke-dasharray="6 3"'),
        ):
            points = axes.line(THRESHOLDS.tolist(), shares.tolist())
            body.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"{dashes}/>')
            entries.append((colour, f"{what}, {name}"))
    return chart(body, entries)


def reliability_svg(judged: Mapping[str, Reliability], title: str) -> str:
    """Predicted against observed probability; on the diagonal they mean what they say.

    Larger dots hold more pairs; a bar spans what the true part may be (95 %), so few pairs have long ones.

    Args:
        judged: by what the pairs are, for the legend.
    """
    axes = Axes((0, 1), (0, 1))
    body = [frame(axes, title, "predicted probability", "part that is one person", percent=True)]
    body.append(f'<polyline points="{axes.line([0, 1], [0, 1])}" fill="none" stroke="#888888" stroke-dasharray="3 3"/>')
    entries = []
    for number, (name, one) in enumerate(judged.items()):
        colour = COLOURS[2 * number]
        predicted, observed, pairs = one.bins()
        points = axes.line(predicted.tolist(), observed.tolist())
        body.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-opacity="0.5"/>')
        most = max(1, int(pairs.max(initial=1)))
        for x, y, count in zip(predicted, observed, pairs, strict=True):
            px, py = axes.at(float(x), float(y))
            low, high = (axes.at(float(x), part)[1] for part in _interval(float(y), int(count)))
            body.append(f'<path d="M{px:.1f},{low:.1f}V{high:.1f}" stroke="{colour}" stroke-opacity="0.6"/>')
            radius = 2 + 5 * (count / most) ** 0.5
            body.append(
                f'<circle cx="{px:.1f}" cy="{py:.1f}" r="{radius:.1f}" fill="{colour}" fill-opacity="0.5">'
                f"<title>{count} pairs: predicted {x:.3f}, observed {y:.3f}</title></circle>"
            )
        entries.append((colour, f"{name}: off by {100 * one.calibration_error:.1f} %"))
    return chart(body, entries)


def _interval(part: float, count: int) -> tuple[float, float]:
    """Wilson's interval for a part of so many pairs, 95 %."""
    spread = _NORMAL_95**2 / count
    middle = (part + spread / 2) / (1 + spread)
    half = (part * (1 - part) * spread + spread**2 / 4) ** 0.5 / (1 + spread)
    return max(0.0, middle - half), min(1.0, middle + half)

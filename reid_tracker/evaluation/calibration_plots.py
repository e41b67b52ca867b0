"""Pictures of what a site taught: the errors at each probability, and whether probabilities mean what they say."""

from __future__ import annotations

from collections.abc import Mapping

from reid_tracker.evaluation.drawing import COLOURS, HEIGHT, WIDTH, Axes, document, frame, legend
from reid_tracker.evaluation.reliability import THRESHOLDS, Reliability


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
    return document(WIDTH, HEIGHT, [*body, legend(entries)])


def reliability_svg(judged: Mapping[str, Reliability], title: str) -> str:
    """Predicted against observed probability; on the diagonal they mean what they say, larger dots hold more pairs.

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
        body.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        most = max(1, int(pairs.max(initial=1)))
        for x, y, count in zip(predicted, observed, pairs, strict=True):
            px, py = axes.at(float(x), float(y))
            radius = 2 + 5 * (count / most) ** 0.5
            body.append(
                f'<circle cx="{px:.1f}" cy="{py:.1f}" r="{radius:.1f}" fill="{colour}" fill-opacity="0.5">'
                f"<title>{count} pairs: predicted {x:.3f}, observed {y:.3f}</title></circle>"
            )
        entries.append((colour, f"{name}: off by {100 * one.calibration_error:.1f} %"))
    return document(WIDTH, HEIGHT, [*body, legend(entries, low=True)])

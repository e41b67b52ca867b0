"""The numbers of a decision in words, for the report and for the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_TOLD_IN_WORDS = {
    "rule",
    "global_distance",
    "aligned_distance",
    "stripe_path",
    "time_gap",
    "probability",
    "runner_up",
    "margin",
    "other_tracklet",
}


def evidence_numbers(evidence: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """The evidence as (what, value), the well-known first."""
    rows: list[tuple[str, str]] = []
    if evidence.get("rule"):
        rows.append(("rule", str(evidence["rule"]).replace("_", " ")))
    if (probability := percent(evidence.get("probability"))) is not None:
        rows.append(("probability", f"{probability:.1f} %"))
    rows += _runner_up(evidence)
    for key, name in (
        ("margin", "margin to the next best"),
        ("global_distance", "global distance"),
        ("aligned_distance", "aligned distance"),
    ):
        if _is_number(evidence.get(key)):
            rows.append((name, f"{evidence[key]:.3f}"))
    if _is_number(evidence.get("time_gap")):
        gap = evidence["time_gap"]
        rows.append(("time between" if gap >= 0 else "in view at once for", f"{abs(gap):.1f} s"))
    rows += [
        (key.replace("_", " "), f"{value:.3f}" if isinstance(value, float) else str(value))
        for key, value in evidence.items()
        if key not in _TOLD_IN_WORDS and isinstance(value, int | float | str)
    ]
    return tuple(rows)


def _runner_up(evidence: Mapping[str, Any]) -> list[tuple[str, str]]:
    runner_up = next_best(evidence)
    if not runner_up:
        return []
    identity, probability = runner_up.get("identity"), percent(runner_up.get("probability"))
    share = "" if probability is None else f", {probability:.1f} %"
    return [("next best", ("somebody new" if identity is None else f"person {identity}") + share)]


def next_best(evidence: Mapping[str, Any]) -> Mapping[str, Any]:
    """The best other explanation; empty where none was recorded."""
    runner_up = evidence.get("runner_up")
    return runner_up if isinstance(runner_up, Mapping) else {}


def percent(probability: object) -> float | None:
    """A probability of 0..1 as 0..100; None where it is no number."""
    return 100 * float(probability) if _is_number(probability) else None  # type: ignore[arg-type]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)

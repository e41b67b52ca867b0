"""All methods on one case, and what their figures say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.association.ablations import ABLATIONS, shifted
from benchmarks.association.baselines import THRESHOLDS, Alike, average_linkage, nearest_mean
from benchmarks.association.cases import Case, owners
from benchmarks.association.ours import Answer, Variant, associate
from benchmarks.association.scoring import Ids, Score, identified, score
from reid_tracker.evaluation.linking import NOBODY

SHIFTS = (-4.0, -2.0, 2.0, 4.0)  # nats
ONLINE, AT_END, FINAL, REFINED = "ours, online", "ours, at passage end", "ours, final", "ours, refined"
NEW, NEAREST, LINKAGE, PERFECT = "always new", "nearest mean*", "offline linkage*", "perfect linking"


@dataclass(frozen=True, slots=True)
class Depth:
    """How much is run beside the methods themselves.

    Attributes:
        ablations: ingredients switched off in turn.
        shifts: thresholds tried for ours, nats.
    """

    ablations: bool = True
    shifts: Sequence[float] = SHIFTS


def compete(
    case: Case,
    depth: Depth,
    say: Callable[[str], None] = lambda _: None,
    judge: Callable[[str, Ids], object] = lambda _kind, _ids: None,
) -> dict[str, Any]:
    """All methods on a case: rows of figures, cost, ablations, and the thresholds that hindsight would take.

    Args:
        case: what was seen.
        depth: how much is run.
        say: told what begins, as it begins.
        judge: given our ids of each kind: online, final and refined.
    """
    say("baselines")
    rows, thresholds = baselines(case)
    say("ours")
    answer = associate(case, weigh=True, refine=True)
    for kind, ids in _kinds(answer).items():
        if kind != AT_END:
            judge(kind, ids)
    rows |= {name: score(case, ids) for name, ids in _kinds(answer).items()}
    report: dict[str, Any] = {
        "facts": dict(case.facts) | _facts(case),
        "methods": {name: row.to_row() for name, row in rows.items()},
        "thresholds in hindsight": thresholds,
        "worth": dict(answer.worth),
        "cost": cost(case, answer),
    }
    if depth.shifts and case.deep:
        say("other thresholds")
        report["automatic threshold"] = automatic(case, answer, depth.shifts)
    if depth.ablations and case.deep:
        report["ablations"] = {}
        for variant in ABLATIONS:
            say(variant.name)
            report["ablations"][variant.name] = _ablated(case, variant)
    return report


def baselines(case: Case) -> tuple[dict[str, Score], dict[str, float]]:
    """Methods that are not ours, and the thresholds that are best for them on this very case."""
    tracklets = case.tracklets()
    alike = Alike.of(tracklets)
    place = {one.id: row for row, one in enumerate(tracklets)}
    of_sighting = np.array([place[number] for number in case.sightings.tracklets.tolist()], np.int64)
    linked = average_linkage(alike)
    rows = {NEW: score(case, of_sighting)}
    thresholds = {}
    for name, guess in ((NEAREST, lambda level: nearest_mean(alike, level)), (LINKAGE, linked)):
        tried = {round(float(level), 2): guess(float(level))[of_sighting] for level in THRESHOLDS}
        thresholds[name] = max(tried, key=lambda level: identified(case, tried[level]))
        rows[name] = score(case, tried[thresholds[name]])
    rows[PERFECT] = score(case, _perfect(case))
    return rows, thresholds


def automatic(case: Case, answer: Answer, shifts: Sequence[float]) -> dict[str, Any]:
    """How much the best of some other thresholds, in hindsight, would have gained over the automatic one."""
    found = {0.0: answer} | {nats: associate(case, shifted(nats)) for nats in shifts}
    tables = {
        kind: {nats: round(identified(case, _kinds(one)[kind]), 4) for nats, one in sorted(found.items())}
        for kind in (ONLINE, FINAL)
    }
    return {
        kind: {"IDF1 by nats": table, "lost to hindsight": round(max(table.values()) - table[0.0], 4)}
        for kind, table in tables.items()
    }


def cost(case: Case, answer: Answer) -> dict[str, float]:
    """Processor time a step, per person present, and memory."""
    present = [sum(len(moment.tracklets) + len(moment.lost) for moment in step.tracks) for step in case.steps]
    people = max(float(np.mean(present)), 1e-9)
    return {
        "step ms mean": float(answer.step_ms.mean()),
        "step ms p50": float(np.median(answer.step_ms)),
        "step ms p95": float(np.quantile(answer.step_ms, 0.95)),
        "last quarter over first": _growth(answer.step_ms),
        "open tracklets mean": people,
        "ms per open tracklet": float(answer.step_ms.mean()) / people,
        "state MB": answer.state_mb,
    }


def _growth(step_ms: np.ndarray[Any, np.dtype[np.float64]]) -> float:
    quarter = max(1, len(step_ms) // 4)
    return float(step_ms[-quarter:].mean() / max(step_ms[:quarter].mean(), 1e-9))


def _kinds(answer: Answer) -> dict[str, Ids]:
    kinds = {ONLINE: answer.online, AT_END: answer.at_end, FINAL: answer.final}
    return kinds if answer.refined is None else kinds | {REFINED: answer.refined}


def _ablated(case: Case, variant: Variant) -> dict[str, float]:
    answer = associate(case, variant)
    return {kind: round(identified(case, ids), 4) for kind, ids in _kinds(answer).items()}


def _perfect(case: Case) -> Ids:
    """Each tracklet under the person whom it mostly shows; nobody else's boxes could be linked better."""
    owner = owners(case.sightings)
    beyond = max(owner.values(), default=0) + 1
    alone = {number: beyond + place for place, number in enumerate(sorted(owner))}
    return np.array(
        [alone[number] if owner[number] == NOBODY else owner[number] for number in case.sightings.tracklets.tolist()],
        np.int64,
    )


def _facts(case: Case) -> dict[str, int]:
    people = case.sightings.people
    return {
        "steps": len(case.steps),
        "tracklets": len(np.unique(case.sightings.tracklets)),
        "people": len(np.unique(people[people != NOBODY])),
        "boxes": len(people),
        "false boxes": int((people == NOBODY).sum()),
        "missed boxes": case.missed,
    }

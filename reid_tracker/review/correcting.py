"""Corrections of a finished run: these are one, these tracklets are somebody else, these are never one.

They are decided by the same functions that a live site uses, on an associator that remembers the whole run.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from reid_tracker.association import CrossCameraAssociator
from reid_tracker.association.corrections import (
    Correction,
    CorrectionKind,
    constraints_of,
    keep_apart,
    merge_identities,
    split_identity,
)
from reid_tracker.association.remembering import restore
from reid_tracker.config import AssociationConfig
from reid_tracker.errors import InputError
from reid_tracker.results.files import write_atomically
from reid_tracker.results.finished import FinishedRun
from reid_tracker.results.jsonl import run_folder_of
from reid_tracker.results.run_folder import CORRECTIONS_FILE
from reid_tracker.review.revising import held_run, passages_of, revise


@dataclass(frozen=True, slots=True)
class Corrected:
    """What a correction came to.

    Attributes:
        identity: the number that holds for the first that was named; after a split the new number.
        people: different people in the run now.
        stale: files of the run that still show the ids as they were when it ended.
    """

    identity: int
    people: int
    stale: tuple[str, ...]


def merge(tracks: str | Path, first: int, second: int) -> Corrected:
    """These two are one person; the older number stays.

    Args:
        tracks: the folder of a run, or a file in it.

    Raises:
        InputError: one of them is nobody, they are one already, or both were in one camera at once.
        ConfigError, OutputError: the folder is in use or cannot be written.
    """
    with held_run(tracks) as run:
        sides = _tracklets(run, first), _tracklets(run, second)
        return _decide(
            run, "merge", sides, (first, second), lambda site: merge_identities(site, first, second, run.last_time)
        )


def split(tracks: str | Path, identity: int, tracklets: Sequence[int]) -> Corrected:
    """These tracklets of somebody are somebody else, who gets a new number.

    Raises:
        InputError: the person is nobody, or has none of these tracklets or no others.
        ConfigError, OutputError: the folder is in use or cannot be written.
    """
    with held_run(tracks) as run:
        own = _tracklets(run, identity)
        foreign = [tracklet for tracklet in tracklets if tracklet not in own]
        if foreign:
            raise InputError(f"person {identity} has no tracklet {foreign[0]} (tracklets: {', '.join(map(str, own))})")
        sides = tuple(sorted(set(tracklets))), tuple(one for one in own if one not in set(tracklets))
        return _decide(
            run,
            "split",
            sides,
            (identity,),
            lambda site: split_identity(site, identity, tracklets, run.last_time)[0],
        )


def never(tracks: str | Path, first: int, second: int) -> Corrected:
    """These two are never one person, whatever evidence says later.

    Raises:
        InputError: one of them is nobody, or they are one number.
        ConfigError, OutputError: the folder is in use or cannot be written.
    """

    def decide(site: CrossCameraAssociator) -> int:
        keep_apart(site, first, second)
        return first

    with held_run(tracks) as run:
        return _decide(run, "never", (_tracklets(run, first), _tracklets(run, second)), (first, second), decide)


def read_corrections(path: str | Path) -> tuple[Correction, ...]:
    """What people said about a run so far, oldest first.

    Args:
        path: the folder of a run, or a file in it.

    Raises:
        InputError: a line that cannot be understood, or of a newer version.
    """
    file = run_folder_of(path) / CORRECTIONS_FILE
    if not file.is_file():
        return ()
    found = []
    for number, line in enumerate(file.read_text(encoding="utf-8").removesuffix("\n").split("\n"), 1):
        try:
            found.append(Correction.from_json(json.loads(line)))
        except (ValueError, AttributeError) as error:  # InputError is a ValueError
            raise InputError(f"{file}: line {number}: {error}") from error
    return tuple(found)


def _tracklets(run: FinishedRun, identity: int) -> tuple[int, ...]:
    """Whose number it is must be said exactly: a number that was merged away could mean another person by now."""
    for person in run.summary.people():
        if person.identity == identity:
            return tuple(record.tracklet for record in person.tracklets)
    now = run.person(identity).identity
    raise InputError(f"{run.folder}: number {identity} was merged into {now}; name person {now}")


def _decide(
    run: FinishedRun,
    kind: CorrectionKind,
    sides: tuple[tuple[int, ...], tuple[int, ...]],
    identities: tuple[int, ...],
    decide: Callable[[CrossCameraAssociator], int],
) -> Corrected:
    told = read_corrections(run.folder)
    site = _remembering(run, told)
    number = decide(site)
    at = datetime.now(UTC).isoformat(timespec="seconds")
    lines = [*told, Correction(kind, *sides, identities, at)]
    text = (json.dumps(line.to_json(), separators=(",", ":")) + "\n" for line in lines)
    write_atomically(run.folder / CORRECTIONS_FILE, text)
    stale = revise(run, site.book.take_events())
    return Corrected(number, len(run.summary.people()), stale)


def _remembering(run: FinishedRun, told: Sequence[Correction]) -> CrossCameraAssociator:
    """An associator that remembers the whole run; looks are not needed where somebody says who is who."""
    apart = constraints_of(told).apart
    passages = [replace(one, apart=apart.get(one.tracklet, frozenset())) for one in passages_of(run)]
    everything = max(1, len(passages))
    site = CrossCameraAssociator(AssociationConfig(passages_per_camera=everything, max_identities=everything))
    restore(site, passages, run.last_identity, run.last_event)
    return site

"""Holding a finished run's folder, and writing down what was decided about it since."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from reid_tracker.association.remembered import RememberedPassage
from reid_tracker.results.facts import RUN_FILE
from reid_tracker.results.files import make_folder, write_atomically
from reid_tracker.results.finished import FinishedRun, decide_since, read_finished
from reid_tracker.results.identities import IDENTITIES_FILE
from reid_tracker.results.jsonl import (
    REVISIONS_FILE,
    TRACKS_FILE,
    VERSION,
    event_to_json,
)
from reid_tracker.results.lock import FolderLock
from reid_tracker.results.looks import TrackletLooks
from reid_tracker.results.mot import write_mot_of_run
from reid_tracker.results.report import REPORT_FILE
from reid_tracker.results.run_folder import MOT_FOLDER, VIDEO_FOLDER
from reid_tracker.results.stored_crops import crop_rows, rename_crops
from reid_tracker.types import IdentityEvent

STALE = (REPORT_FILE, VIDEO_FOLDER)  # reid_tracker.review.redrawing draws them anew


@contextmanager
def held_run(path: str | Path) -> Iterator[FinishedRun]:
    """A run's folder read back, and held against others that would write to it.

    Raises:
        InputError: it cannot be read.
        ConfigError: a run is still writing to it.
        OutputError: it cannot be held.
    """
    folder = read_finished(path).folder  # what is wrong is said before a lock file is made in a folder of others
    lock = FolderLock(folder)
    try:
        yield read_finished(folder)
    finally:
        lock.release()


def passages_of(run: FinishedRun, looks: Sequence[TrackletLooks] = ()) -> list[RememberedPassage]:
    """Everybody's passages under the ids as known now, in order of first sight.

    Args:
        looks: what is known of their looks; passages without are given none.
    """
    described = {one.tracklet: one.looks for one in looks}
    records = sorted(run.summary.records.values(), key=lambda record: (record.first, record.tracklet))
    return [
        RememberedPassage(
            record.tracklet,
            run.summary.identity_of(record),
            record.camera_id,
            record.first,
            record.last,
            described.get(record.tracklet),
        )
        for record in records
    ]


def revise(run: FinishedRun, events: Sequence[IdentityEvent]) -> tuple[str, ...]:
    """Add events to a run that is held, and write the files that hold final ids anew.

    Each file is replaced at once, the events first: whoever reads in between finds old or new ids, never half of one.

    Returns:
        What lies in the folder and still shows the ids as they were when the run ended.

    Raises:
        InputError: the table of stored crops cannot be understood; nothing was written then.
        OutputError: a file cannot be written.
    """
    folder = run.folder
    crops = crop_rows(folder)
    decided_at = datetime.now(UTC).isoformat(timespec="seconds")
    known = _lines(folder / REVISIONS_FILE)
    added = [
        json.dumps(
            {"version": VERSION, "decided_at": decided_at, **event_to_json(event)},
            ensure_ascii=False,
            allow_nan=False,
            separators=(",", ":"),
        )
        for event in events
    ]
    write_atomically(folder / REVISIONS_FILE, (line + "\n" for line in (*known, *added)))
    decide_since(run.summary, tuple(events))
    _write_json(folder / IDENTITIES_FILE, run.summary.to_json())
    identity_of = {record.tracklet: run.summary.identity_of(record) for record in run.summary.records.values()}
    _write_mot(run, identity_of)
    rename_crops(folder, crops, identity_of)
    _write_counts(run)
    return tuple(name for name in STALE if (folder / name).exists())


def _lines(file: Path) -> list[str]:
    """Not ``splitlines``: a camera may be called by a name that holds one of Unicode's other line ends."""
    return file.read_text(encoding="utf-8").removesuffix("\n").split("\n") if file.is_file() else []


def _write_mot(run: FinishedRun, identity_of: Mapping[int, int]) -> None:
    emitted, final = (run.folder / MOT_FOLDER / ids for ids in ("emitted", "final"))
    make_folder(emitted)
    make_folder(final)
    write_mot_of_run(run.folder / TRACKS_FILE, emitted, final, identity_of)


def _write_counts(run: FinishedRun) -> None:
    """run.json's counts of people and events are those of final ids."""
    counts = dict(run.run["counts"])
    counts["people"] = len(run.summary.people())
    counts["events"] = dict(sorted(Counter(str(event.type) for event in run.summary.events).items()))
    _write_json(run.folder / RUN_FILE, {**run.run, "counts": counts})


def _write_json(path: Path, value: object) -> None:
    write_atomically(path, [json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False), "\n"])

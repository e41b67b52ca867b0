"""A run read back from its folder: who was who, with what was decided since."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reid_tracker.errors import InputError
from reid_tracker.results.facts import read_run
from reid_tracker.results.identities import IdentitySummary, PersonRecord
from reid_tracker.results.jsonl import read_revisions, read_tracks, run_folder_of, tracks_file
from reid_tracker.types import EventType, IdentityEvent, TrackedFrame


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """The folder of a run as it stands.

    Attributes:
        folder: where it lies.
        run: the value of run.json.
        summary: everybody seen, under the ids as known now.
    """

    folder: Path
    run: Mapping[str, Any]
    summary: IdentitySummary

    @property
    def utc(self) -> bool:
        """Times are moments in UTC, else seconds of the run."""
        return bool(self.run["time_base"] == "utc")

    @property
    def last_time(self) -> float:
        """When the run saw somebody last; 0 where it saw nobody."""
        return max((record.last for record in self.summary.records.values()), default=0.0)

    @property
    def last_event(self) -> int:
        """The highest number of an event so far."""
        return max((event.event_id for event in self.summary.events), default=0)

    @property
    def last_identity(self) -> int:
        """The highest number ever given to somebody."""
        named = {event.identity for event in self.summary.events}
        shown = {identity for record in self.summary.records.values() for identity in record.emitted}
        return max(named | shown, default=0)

    def person(self, identity: int) -> PersonRecord:
        """Somebody by number; whoever carries on a number that was merged away.

        Raises:
            InputError: nobody ever had that number.
        """
        people = {person.identity: person for person in self.summary.people()}
        heir = identity
        for event in self.summary.events:
            if event.type is EventType.MERGED and heir in event.supersedes:
                heir = event.identity
        found = people.get(identity) or people.get(heir)
        if found is None:
            known = ", ".join(map(str, people)) or "nobody was seen"
            raise InputError(f"{self.folder}: nobody has the number {identity} (known: {known})")
        return found


def read_finished(path: str | Path) -> FinishedRun:
    """Read a run back.

    Args:
        path: the folder of a run, or a file in it.

    Raises:
        InputError: there is none, or a file of it cannot be understood.
    """
    folder = run_folder_of(tracks_file(path))
    run = read_run(folder)
    summary = IdentitySummary(camera["id"] for camera in run["cameras"])
    for tracked in read_tracks(folder):
        summary.add(tracked)
    decide_since(summary, read_revisions(folder))
    return FinishedRun(folder, run, summary)


def decide_since(summary: IdentitySummary, events: tuple[IdentityEvent, ...]) -> None:
    """Let a summary take in what was decided outside a frame."""
    summary.add(TrackedFrame("", 0, 0.0, (), events))

"""Solving a real run again: what was broken by hand comes right, and what people said stays."""

from __future__ import annotations

import json
from pathlib import Path

from reid_tracker.results import final_ids
from reid_tracker.results.finished import read_finished
from reid_tracker.review.revising import revise
from reid_tracker.types import EventType, IdentityEvent
from tests.association.commands import reid_tracker


def partition(run: Path) -> set[frozenset[int]]:
    people = json.loads((run / "identities.json").read_text())["people"]
    return {frozenset(one["tracklet"] for one in person["tracklets"]) for person in people}


def break_up(run: Path, tracklet: int) -> None:
    """Give a tracklet a number of its own, as a wrong decision would."""
    finished = read_finished(run)
    former = final_ids(run)[tracklet]
    event = IdentityEvent(
        finished.last_event + 1,
        EventType.SPLIT,
        finished.last_time,
        "hall",
        finished.last_identity + 1,
        (tracklet,),
        (former,),
    )
    revise(finished, [event])


def test_solving_twice_changes_nothing_the_second_time(run: Path) -> None:
    first = reid_tracker("refine", "--tracks", run)
    assert first.exit_code == 0, first.output
    settled = partition(run)
    files = {name: (run / name).read_bytes() for name in ("identities.json", "tracks.jsonl")}
    second = reid_tracker("refine", "--tracks", run)
    assert "nothing explains the run better" in second.output
    assert partition(run) == settled
    assert {name: (run / name).read_bytes() for name in files} == files


def test_somebody_who_was_broken_in_two_is_mended_by_events(run: Path) -> None:
    reid_tracker("refine", "--tracks", run)
    settled = partition(run)
    somebody = max(settled, key=len)
    assert len(somebody) > 1, "nobody in the run was seen by both cameras"
    break_up(run, max(somebody))
    assert partition(run) != settled
    done = reid_tracker("refine", "--tracks", run)
    assert "under another number" in done.output
    assert partition(run) == settled
    last = json.loads((run / "revisions.jsonl").read_text().splitlines()[-1])
    assert last["type"] == "merged"
    assert last["evidence"]["rule"] == "the whole recording solved again"
    assert last["evidence"]["stripe_path"]
    assert 0.5 < last["evidence"]["probability"] <= 1
    assert {final_ids(run)[tracklet] for tracklet in somebody} == {last["identity"]}


def test_what_people_said_outweighs_all_evidence(run: Path) -> None:
    reid_tracker("refine", "--tracks", run)
    somebody = max(partition(run), key=len)
    identity = final_ids(run)[min(somebody)]
    reid_tracker("correct", "split", "--tracks", run, identity, max(somebody))
    assert reid_tracker("refine", "--tracks", run).exit_code == 0
    ids = final_ids(run)
    assert ids[max(somebody)] != ids[min(somebody)]

"""People correct a finished run; what they say holds, and every reader of final ids sees it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from typer.testing import Result

from reid_tracker.association.corrections import Correction, constraints_of
from reid_tracker.errors import ConfigError, InputError
from reid_tracker.results import final_ids, read_tracks
from reid_tracker.results.lock import FolderLock
from reid_tracker.results.run_folder import own_files
from reid_tracker.review.correcting import read_corrections
from tests.association.commands import reid_tracker


def correct(*arguments: object) -> Result:
    return reid_tracker("correct", *arguments)


def tracklets_of(run: Path) -> dict[int, set[int]]:
    """Identity -> tracklets, as identities.json has it."""
    people = json.loads((run / "identities.json").read_text())["people"]
    return {person["identity"]: {one["tracklet"] for one in person["tracklets"]} for person in people}


def a_mergeable_pair(run: Path) -> tuple[int, int]:
    """Two people who were never in one camera at once."""
    people = json.loads((run / "identities.json").read_text())["people"]
    for first, one in enumerate(people):
        for other in people[first + 1 :]:
            if not any(
                a["camera"] == b["camera"] and a["first_seen"] <= b["last_seen"] and b["first_seen"] <= a["last_seen"]
                for a in one["tracklets"]
                for b in other["tracklets"]
            ):
                return one["identity"], other["identity"]
    pytest.fail("everybody in the run was seen at once with everybody else")


def shown(run: Path) -> Iterator[int]:
    return (person.identity for tracked in read_tracks(run, ids="final") for person in tracked.people)


def validate(name: str, lines: list[Any]) -> None:
    schema = json.loads(files("reid_tracker.results").joinpath(f"schemas/{name}.json").read_text())
    assert lines
    for line in lines:
        Draft202012Validator(schema).validate(line)


def lines_of(file: Path) -> list[Any]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_two_numbers_become_the_older_one_wherever_final_ids_are_read(run: Path) -> None:
    kept, gone = a_mergeable_pair(run)
    before = tracklets_of(run)
    emitted = (run / "tracks.jsonl").read_bytes()
    done = correct("merge", "--tracks", run, gone, kept)
    assert done.exit_code == 0, done.output
    after = tracklets_of(run)
    assert after[kept] == before[kept] | before[gone]
    assert gone not in after
    assert gone not in set(shown(run))
    assert {final_ids(run)[tracklet] for tracklet in after[kept]} == {kept}
    assert not any(f",{gone}," in text.read_text() for text in (run / "mot/final").glob("*.txt"))
    assert (run / "tracks.jsonl").read_bytes() == emitted  # what was emitted stays as it was
    assert json.loads((run / "run.json").read_text())["counts"]["people"] == len(before) - 1
    explained = reid_tracker("explain", "--tracks", run, "--identity", gone)
    assert "told by an operator" in explained.output


def test_the_written_lines_keep_to_their_schemas_and_number_their_events_on(run: Path) -> None:
    last = max(event.event_id for tracked in read_tracks(run) for event in tracked.events)
    kept, gone = a_mergeable_pair(run)
    correct("merge", "--tracks", run, kept, gone)
    correct("split", "--tracks", run, kept, *tracklets_of(run)[kept] - {min(tracklets_of(run)[kept])})
    validate("corrections-line", lines_of(run / "corrections.jsonl"))
    revisions = lines_of(run / "revisions.jsonl")
    validate("revisions-line", revisions)
    assert [line["event_id"] for line in revisions] == [last + 1 + place for place in range(len(revisions))]
    assert revisions[0]["supersedes"] == [gone]


def test_a_tracklet_split_off_gets_a_number_that_nobody_ever_had(run: Path) -> None:
    kept, gone = a_mergeable_pair(run)
    before = tracklets_of(run)
    correct("merge", "--tracks", run, kept, gone)
    done = correct("split", "--tracks", run, kept, *sorted(before[gone]))
    assert done.exit_code == 0, done.output
    (new,) = tracklets_of(run).keys() - before.keys()
    assert new > max(before)
    assert tracklets_of(run)[new] == before[gone]
    assert tracklets_of(run)[kept] == before[kept]
    told = read_corrections(run)
    assert [one.kind for one in told] == ["merge", "split"]
    constraints = constraints_of(told)
    assert all(before[kept] <= constraints.apart[tracklet] for tracklet in before[gone])
    listed = correct("list", "--tracks", run)
    assert "merge" in listed.output
    assert "split" in listed.output


def test_never_changes_no_number_and_is_kept(run: Path) -> None:
    first, second = a_mergeable_pair(run)
    before = tracklets_of(run)
    assert correct("never", "--tracks", run, first, second).exit_code == 0
    assert tracklets_of(run) == before
    (told,) = read_corrections(run)
    assert (set(told.some), set(told.others)) == (before[first], before[second])


def test_what_cannot_be_is_refused_and_leaves_the_run_alone(run: Path) -> None:
    kept, gone = a_mergeable_pair(run)
    correct("merge", "--tracks", run, kept, gone)
    before = {path: path.read_bytes() for path in sorted(run.rglob("*")) if path.is_file()}
    for arguments, said in (
        (("merge", "--tracks", run, kept, 4711), "nobody has the number 4711"),
        (("merge", "--tracks", run, kept, gone), f"was merged into {kept}"),
        (("split", "--tracks", run, kept, 4711), "has no tracklet 4711"),
        (("split", "--tracks", run, kept, *tracklets_of(run)[kept]), "some but not all"),
        (("never", "--tracks", run, kept, kept), "one number"),
        (("merge", "--tracks", run / "nowhere", 1, 2), "no such file"),
    ):
        with pytest.raises(InputError, match=said):
            correct(*arguments)
    assert {path: path.read_bytes() for path in sorted(run.rglob("*")) if path.is_file()} == before


def test_two_seen_at_once_in_one_camera_stay_two(run: Path) -> None:
    people = json.loads((run / "identities.json").read_text())["people"]
    together = [
        (one["identity"], other["identity"])
        for place, one in enumerate(people)
        for other in people[place + 1 :]
        for a in one["tracklets"]
        for b in other["tracklets"]
        if a["camera"] == b["camera"] and a["first_seen"] <= b["last_seen"] and b["first_seen"] <= a["last_seen"]
    ]
    with pytest.raises(InputError, match="same time"):
        correct("merge", "--tracks", run, *together[0])


def test_a_folder_that_a_run_writes_to_is_left_alone(run: Path) -> None:
    lock = FolderLock(run)
    try:
        with pytest.raises(ConfigError, match="is writing here"):
            correct("never", "--tracks", run, *a_mergeable_pair(run))
    finally:
        lock.release()


def test_a_damaged_line_is_named(run: Path) -> None:
    (run / "corrections.jsonl").write_text('{"version": 1, "kind": "perhaps"}\n')
    with pytest.raises(InputError, match="line 1: kind 'perhaps'"):
        read_corrections(run)
    (run / "corrections.jsonl").write_text("no json\n")
    with pytest.raises(InputError, match="line 1"):
        read_corrections(run)
    (run / "revisions.jsonl").write_text('{"version": 9}\n')
    with pytest.raises(InputError, match="format version 9"):
        final_ids(run)


def test_what_was_decided_since_goes_with_the_run_that_it_is_about(run: Path, tmp_path: Path) -> None:
    correct("merge", "--tracks", run, *a_mergeable_pair(run))
    assert {"corrections.jsonl", "revisions.jsonl"} <= {path.name for path in own_files(run)}
    shutil.copy(run / "tracks.jsonl", tmp_path / "tracks.jsonl")
    assert final_ids(tmp_path) != final_ids(run)  # the tracks alone are as the run left them


def told(kind: str, some: set[int], others: set[int]) -> Correction:
    return Correction(kind, tuple(some), tuple(others), (), "")  # type: ignore[arg-type]


def test_later_corrections_take_back_earlier_ones() -> None:
    assert constraints_of([]).together == ()
    merged = [told("merge", {1}, {2}), told("merge", {3}, {2})]
    assert constraints_of(merged).together == (frozenset({1, 2, 3}),)
    parted = constraints_of([*merged, told("split", {3}, {1, 2})])
    assert parted.together == (frozenset({1, 2}),)
    assert parted.apart == {3: frozenset({1, 2}), 1: frozenset({3}), 2: frozenset({3})}
    again = constraints_of([*merged, told("never", {3}, {1, 2}), told("merge", {1, 2}, {3})])
    assert again.together == (frozenset({1, 2, 3}),)
    assert again.apart == {}


def test_other_line_ends_than_newlines_may_stand_in_texts(run: Path) -> None:
    """U+2028, in a camera's name or a reason, ends a line for Python's ``splitlines`` and for nobody else."""
    correct("merge", "--tracks", run, *a_mergeable_pair(run))
    for name in ("corrections.jsonl", "revisions.jsonl"):
        file = run / name
        file.write_text(file.read_text(encoding="utf-8").replace("told", "to\u2028ld"), encoding="utf-8")
    assert "\u2028" in (run / "revisions.jsonl").read_text(encoding="utf-8")
    assert correct("merge", "--tracks", run, *a_mergeable_pair(run)).exit_code == 0
    assert len(read_corrections(run)) == 2
    assert set(shown(run)) == set(tracklets_of(run))

"""Explaining a person of a real run, in the terminal and as a page."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from reid_tracker.errors import InputError
from reid_tracker.results.finished import read_finished
from reid_tracker.results.identities import Handover, PersonRecord, TrackletRecord
from reid_tracker.results.travel_times import TravelTimes, configured_spans
from tests.association.commands import reid_tracker


def people(run: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((run / "identities.json").read_text())["people"]
    return found


def somebody_compared(run: Path) -> dict[str, Any]:
    """A person about whom a decision rests on stripes that met."""
    for person in people(run):
        if any(event["evidence"].get("stripe_path") for event in person["events"]):
            return person
    pytest.fail("nobody in the run was compared with anybody")


def test_every_decision_is_told_with_its_numbers(run: Path) -> None:
    person = somebody_compared(run)
    shown = reid_tracker("explain", "--tracks", run, "--identity", person["identity"])
    assert shown.exit_code == 0, shown.output
    for record in person["tracklets"]:
        assert f"tracklet {record['tracklet']}: {record['camera']}" in shown.output
    for event in person["events"]:
        if event["type"] == "ended" or (event["type"] == "started" and event["identity"] != person["identity"]):
            continue
        assert f"{event['type']}, event {event['event_id']}" in shown.output
        if event["evidence"].get("global_distance") is not None:
            assert f"{event['evidence']['global_distance']:.3f}" in shown.output
            assert f"{event['evidence']['aligned_distance']:.3f}" in shown.output
        if event["evidence"].get("stripe_path"):
            first, second = event["evidence"]["stripe_path"][0]
            assert re.search(rf"stripes that met +{second + 1}-{first + 1} ", shown.output)


def test_the_page_shows_pictures_side_by_side_and_joins_stripes(run: Path, tmp_path: Path) -> None:
    person = somebody_compared(run)
    shown = reid_tracker("explain", "--tracks", run, "--identity", person["identity"], "--out", tmp_path / "why.html")
    assert shown.exit_code == 0, shown.output
    page = (tmp_path / "why.html").read_text()
    paths = [event["evidence"].get("stripe_path") or [] for event in person["events"]]
    assert page.count('<line x1="4"') == sum(map(len, paths))
    assert page.count("<img") >= 2
    assert re.findall(r'id="person-(\d+)"', page) == [str(person["identity"])]  # nobody else is on the page
    assert "no picture kept" not in page


def test_without_stored_crops_the_page_says_so_and_still_joins_stripes(run: Path, tmp_path: Path) -> None:
    shutil.rmtree(run / "crops")
    person = somebody_compared(run)
    shown = reid_tracker("explain", "--tracks", run, "--identity", person["identity"], "--out", tmp_path / "why.html")
    assert "stored none" in shown.output
    page = (tmp_path / "why.html").read_text()
    assert "stored no pictures" in page
    assert "<img" not in page
    assert '<line x1="4"' in page


def test_a_number_that_was_merged_away_leads_to_who_carries_it_on(run: Path) -> None:
    merged = [(p["identity"], e) for p in people(run) for e in p["events"] if e["type"] == "merged"]
    gone = {number: identity for identity, event in merged for number in event["supersedes"]}
    finished = read_finished(run)
    for number, identity in gone.items():
        assert finished.person(number).identity == identity


def test_a_number_that_nobody_had_is_refused_with_those_that_there_are(run: Path) -> None:
    with pytest.raises(InputError, match=r"nobody has the number 4711 \(known: 1"):
        reid_tracker("explain", "--tracks", run, "--identity", 4711)


def handing_over(identity: int, left: float, arrived: float) -> PersonRecord:
    first, second = 2 * identity, 2 * identity + 1
    return PersonRecord(
        identity,
        (TrackletRecord(first, "door", 0, left, 0, 1), TrackletRecord(second, "hall", arrived, 90, 0, 1)),
        (),
    )


def test_usual_travel_times_leave_out_the_one_in_question() -> None:
    crowd = [handing_over(number, 10.0, 10.0 + gap) for number, gap in enumerate([2.0, 3.0, 50.0])]
    odd: Handover = crowd[2].handovers[0]
    assert TravelTimes(crowd).usual(odd) == "2.5 s in the middle, 2.0 s to 3.0 s (2 others)"
    assert TravelTimes(crowd[1:]).usual(odd) == ""  # one other is no habit
    configured = {"config": {"cameras": [{"id": "door", "neighbours": {"hall": [1, 9]}}]}}
    assert TravelTimes(crowd[2:], configured_spans(configured)).usual(odd) == "configured: 1 to 9 s"

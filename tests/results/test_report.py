"""report.html: one file, no request leaves it, names are text, and it says why people were linked."""

from __future__ import annotations

import base64
import html.parser
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from reid_tracker.config import Config
from reid_tracker.results import CameraFacts, ModelFacts, RunFacts, RunFolder
from reid_tracker.results.report_time import TimeAxis, duration
from reid_tracker.results.report_view import build_report
from reid_tracker.types import EventType, IdentityEvent, TrackedFrame

REPORTING = Config().with_values({"output.report": True})


class Page(html.parser.HTMLParser):
    """Every tag with its attributes, and the text outside of style."""

    VOID = frozenset({"meta", "img", "br", "input", "line"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(text)
        assert self.open == [], "every tag is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes another tag"

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] != "style":
            self.text += " ".join(data.split()) + " "

    def all(self, tag: str) -> Iterator[dict[str, str | None]]:
        return (attributes for name, attributes in self.tags if name == tag)


def report_of(out: Path, run: list[TrackedFrame], facts: RunFacts | None = None) -> Page:
    with RunFolder(out, REPORTING, facts) as folder:
        for tracked in run:
            folder.write(tracked)
    return Page((out / "report.html").read_text(encoding="utf-8"))


def test_the_page_needs_nothing_from_elsewhere(tmp_path: Path, pictured_run: list[TrackedFrame]) -> None:
    page = report_of(tmp_path / "out", pictured_run)
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in page.tags}
    for tag, attributes in page.tags:
        for name in ("src", "href", "xlink:href", "srcset", "action", "data"):
            address = attributes.get(name)
            assert address is None or address.startswith(("#", "data:image/jpeg;base64,")), (tag, address)
    style = (tmp_path / "out" / "report.html").read_text().split("<style>")[1].split("</style>")[0]
    assert "url(" not in style
    assert "@import" not in style


def test_every_person_has_a_row_with_a_crop_per_camera(tmp_path: Path, pictured_run: list[TrackedFrame]) -> None:
    page = report_of(tmp_path / "out", pictured_run)
    assert [row["id"] for row in page.all("article")] == ["person-1", "person-2"]
    alternatives = [image["alt"] for image in page.all("img") if image["alt"]]
    assert [re.sub(r" at .*", "", text or "") for text in alternatives] == [
        "Person 1 in door",
        "Person 1 in hall",
        "Person 2 in door",
    ]
    for image in page.all("img"):
        encoded = np.frombuffer(base64.b64decode((image["src"] or "").split(",")[1]), np.uint8)
        assert cv2.imdecode(encoded, cv2.IMREAD_COLOR) is not None


def test_links_within_the_page_lead_somewhere(tmp_path: Path, pictured_run: list[TrackedFrame]) -> None:
    page = report_of(tmp_path / "out", pictured_run)
    ids = [attributes["id"] for _, attributes in page.tags if attributes.get("id")]
    assert len(ids) == len(set(ids))
    assert {link["href"] for link in page.all("a")} <= {f"#{name}" for name in ids}


def test_a_link_says_why(tmp_path: Path, pictured_run: list[TrackedFrame]) -> None:
    page = report_of(tmp_path / "out", pictured_run)
    for words in (
        "Person 3, seen in hall from 0:01.8, turned out to be person 1, known from door until 0:01.4.",
        "probability 97.0 %",
        "next best person 2, 20.0 %",
        "global distance 0.310",
        "aligned distance 0.220",
        "time between 1.2 s",
        "door → hall: left at 0:01.4, arrived at 0:01.8, 0.4 s later",
    ):
        assert words in page.text
    lines = [line for line in page.all("line") if line["x1"] == "4"]
    assert len(lines) == 9  # one per pair of stripes that met
    assert (lines[2]["y1"], lines[2]["y2"]) == ("31.25", "18.75")  # its third pair: stripe 1 met stripe 2


def test_ids_that_are_no_more_are_told_with_those_that_took_their_place(
    tmp_path: Path, pictured_run: list[TrackedFrame], make_event: Callable[..., IdentityEvent]
) -> None:
    """The page has no person 3 to look for; and people in two views at once have no time between them."""
    link = make_event(6, EventType.LINKED, 2.0, "hall", 3, tracklets=(3,), evidence={"time_gap": -2.5})
    run = [
        replace(one, events=(*one.events, link)) if (one.camera_id, one.index) == ("hall", 20) else one
        for one in pictured_run
    ]
    page = report_of(tmp_path / "out", run)
    assert "was recognised as person 3 (now 1)" in page.text
    assert "in view at once for 2.5 s" in page.text
    assert "-2.5" not in page.text


def test_names_from_the_configuration_are_text(tmp_path: Path, pictured_run: list[TrackedFrame]) -> None:
    evil = "<script>alert('x')</script>\"><img src=x onerror=alert(1)>"
    run = [replace(tracked, camera_id=evil if tracked.camera_id == "door" else "hall") for tracked in pictured_run]
    facts = RunFacts(
        cameras=(CameraFacts(evil, evil), CameraFacts("hall")),
        models={evil: ModelFacts(evil, None, {evil: evil}, evil)},
    )
    page = report_of(tmp_path / "out", run, facts)
    assert not any(tag == "script" or "onerror" in attributes for tag, attributes in page.tags)
    assert evil in page.text


def test_an_unknown_kind_of_evidence_is_shown_and_escaped(tmp_path: Path, pictured_run: list[TrackedFrame]) -> None:
    odd = {"rule": "<b>bold</b>", "look_time": 1.5, "nested": {"a": 1}, "note": "<i>", "stripe_path": None}
    run = [
        replace(
            tracked,
            events=tuple(replace(one, evidence=odd) if one.type is EventType.MERGED else one for one in tracked.events),
        )
        for tracked in pictured_run
    ]
    page = report_of(tmp_path / "out", run)
    assert "rule <b>bold</b>" in page.text
    assert "look time 1.500" in page.text
    assert "b" not in {tag for tag, _ in page.tags}


def test_a_link_that_was_taken_back_says_so(
    tmp_path: Path, pictured_run: list[TrackedFrame], make_event: Callable[..., IdentityEvent]
) -> None:
    split = make_event(
        6, EventType.SPLIT, 2.9, "hall", 7, tracklets=(3,), supersedes=(1,), evidence={"rule": "seen twice"}
    )
    last = pictured_run[-1]
    page = report_of(tmp_path / "out", [*pictured_run[:-1], replace(last, events=(*last.events, split))])
    assert [row["id"] for row in page.all("article")] == ["person-1", "person-2", "person-7"]
    assert "Taken back later." in page.text
    assert "was taken for person 1, and turned out to be person 7." in page.text


def test_nobody_and_nothing_still_give_a_page(tmp_path: Path) -> None:
    assert "Nobody was seen." in report_of(tmp_path / "none", []).text
    empty = [TrackedFrame("door", index, index / 10, ()) for index in range(3)]
    assert "0 people in 1 camera." in report_of(tmp_path / "empty", empty).text


def test_people_without_pictures_still_have_their_row(tmp_path: Path, run: list[TrackedFrame]) -> None:
    page = report_of(tmp_path / "out", run)
    assert len(list(page.all("article"))) == 2
    assert not list(page.all("img"))


@pytest.mark.parametrize("status", ["interrupted", "failed"])
def test_a_run_that_did_not_finish_says_so(tmp_path: Path, pictured_run: list[TrackedFrame], status: str) -> None:
    def break_off() -> None:
        with RunFolder(tmp_path / "out", REPORTING) as folder:
            folder.write(pictured_run[0])
            raise KeyboardInterrupt if status == "interrupted" else ValueError("camera <door> fell down")

    with pytest.raises((KeyboardInterrupt, ValueError)):
        break_off()
    page = Page((tmp_path / "out" / "report.html").read_text())
    expected = {"interrupted": "The run was interrupted", "failed": "ValueError: camera <door> fell down"}
    assert expected[status] in page.text


def test_no_picture_is_left_beside_the_page(tmp_path: Path, pictured_run: list[TrackedFrame]) -> None:
    report_of(tmp_path / "out", pictured_run)
    assert not [path for path in (tmp_path / "out").rglob("*") if path.name.startswith((".", "tmp"))]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00.0"), (59.96, "1:00.0"), (61.25, "1:01.2"), (3661, "1:01:01"), (-2.5, "-0:02.5"), (86399.9, "23:59:59")],
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("first", "last", "utc", "expected"),
    [
        (0.0, 34.1, False, ["0:00", "0:05", "0:10", "0:15", "0:20", "0:25", "0:30"]),
        (0.0, 0.5, False, ["0:00.0", "0:00.1", "0:00.2", "0:00.3", "0:00.4", "0:00.5"]),
        (0.0, 0.0, False, ["0:00.0"]),
        (1777622405.0, 1777622465.0, True, ["08:00:10", "08:00:20", "08:00:30", "08:00:40", "08:00:50", "08:01:00"]),
    ],
)  # fmt: skip
def test_ticks_are_round(first: float, last: float, utc: bool, expected: list[str]) -> None:
    assert [text for _, text in TimeAxis(first, last, utc).ticks()] == expected


def test_stays_at_one_time_in_one_camera_take_rows_of_their_own(run: list[TrackedFrame]) -> None:
    from reid_tracker.results import IdentitySummary

    summary = IdentitySummary()
    for tracked in run:
        summary.add(tracked)
    value = {"time_base": "relative", "cameras": [{"id": "door"}, {"id": "hall"}]}
    report = build_report(summary, value, lambda _: None)
    door, hall = report.overview
    assert (door.rows, {bar.row for bar in door.bars}) == (2, {0, 1})
    assert hall.rows == 1
    [line] = report.people[0].lines
    assert (round(line.x1), round(line.x2)) == (48, 62)  # 1.4 s and 1.8 s of 2.9 s

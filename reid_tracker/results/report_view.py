"""What report.html shows, worked out beforehand: the template only places it."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reid_tracker.results.colours import identity_hex, ink_hex, second_hex
from reid_tracker.results.identities import Handover, IdentitySummary, PersonRecord, TrackletRecord
from reid_tracker.results.report_numbers import evidence_numbers, next_best, percent
from reid_tracker.results.report_time import TimeAxis
from reid_tracker.results.travel_times import TravelTimes, configured_spans
from reid_tracker.types import EventType, IdentityEvent

STRIPES_WITHOUT_PATH = 8
BAR_HEIGHT, BAR_GAP, BAR_MARGIN, LANE_GAP = 14, 2, 3, 4  # pixels
MOST_LANES = 6  # on a site of more cameras a person's timeline leaves out those that did not see the person

CropOf = Callable[[int], "CropPicture | None"]
"""The best crop of a tracklet, where there is one."""


@dataclass(frozen=True, slots=True)
class CropPicture:
    """A crop as the page embeds it."""

    camera: str
    time: str
    load: Callable[[], bytes]

    @property
    def uri(self) -> str:
        """The picture as a data URI, read when the page is written."""
        return "data:image/jpeg;base64," + base64.b64encode(self.load()).decode("ascii")


@dataclass(frozen=True, slots=True)
class Bar:
    """A stay in one camera on the time axis; left and width in percent, row from the top of its lane."""

    left: float
    width: float
    tracklet: int
    identity: int
    title: str
    row: int

    @property
    def top(self) -> int:
        """Pixels from the top of the lane."""
        return BAR_MARGIN + (BAR_HEIGHT + BAR_GAP) * self.row

    @property
    def colours(self) -> str:
        """Of the identity, as CSS."""
        return _colours(self.identity)


@dataclass(frozen=True, slots=True)
class Lane:
    """One camera's stays."""

    camera: str
    bars: tuple[Bar, ...]

    @property
    def rows(self) -> int:
        """Stays that overlap in time take several rows."""
        return 1 + max((bar.row for bar in self.bars), default=0)

    @property
    def height(self) -> int:
        """Pixels."""
        return 2 * BAR_MARGIN + (BAR_HEIGHT + BAR_GAP) * self.rows - BAR_GAP


@dataclass(frozen=True, slots=True)
class Line:
    """A hand-over on a timeline; x in percent, y in pixels from the top of the first lane."""

    x1: float
    y1: float
    x2: float
    y2: float


@dataclass(frozen=True, slots=True)
class Link:
    """A decision about a person, in words and numbers.

    Attributes:
        first, second: pictures of the one in question and of the one known before.
        path: stripes that met as heights in percent, (of the first picture, of the second).
        cameras: of the first and the second picture.
        probability, runner_up: in percent.
    """

    number: int
    kind: str
    time: str
    sentence: str
    undone: bool
    numbers: tuple[tuple[str, str], ...]
    probability: float | None
    runner_up: float | None
    first: CropPicture | None
    second: CropPicture | None
    path: tuple[tuple[float, float], ...]
    stripes: int
    cameras: tuple[str, str]

    @property
    def paired(self) -> bool:
        """There are two looks to show side by side: their pictures, or at least the stripes that met."""
        return bool((self.first and self.second) or self.path)

    @property
    def met(self) -> str:
        """The stripes that met in words, from 1 at the head: of the one known before and of the one in question."""
        pairs = ((round(x * self.stripes / 100 + 0.5) for x in pair) for pair in self.path)
        return " ".join(f"{known}-{new}" for new, known in pairs)


@dataclass(frozen=True, slots=True)
class Person:
    """One row of the report."""

    identity: int
    colours: str
    route: str
    span: str
    crops: tuple[CropPicture, ...]
    lanes: tuple[Lane, ...]
    lines: tuple[Line, ...]
    handovers: tuple[str, ...]
    links: tuple[Link, ...]

    @property
    def chart_height(self) -> int:
        """Pixels of all lanes."""
        return sum(lane.height + LANE_GAP for lane in self.lanes)

    @property
    def shared(self) -> bool:
        """Seen in more than one camera."""
        return sum(bool(lane.bars) for lane in self.lanes) > 1


@dataclass(frozen=True, slots=True)
class Report:
    """The whole page."""

    people: tuple[Person, ...]
    shared: int
    overview: tuple[Lane, ...]
    ticks: tuple[tuple[float, str], ...]
    span: str
    cameras: tuple[dict[str, Any], ...]
    run: Mapping[str, Any]


def build_report(summary: IdentitySummary, run: Mapping[str, Any], crop_of: CropOf, only: int | None = None) -> Report:
    """Everything that the page shows.

    Args:
        summary: who was seen.
        run: the value of run.json.
        crop_of: pictures by tracklet.
        only: the identity to show; everybody where None.
    """
    records = list(summary.records.values())
    people = summary.people()
    first = min((record.first for record in records), default=0.0)
    last = max((record.last for record in records), default=1.0)
    axis = TimeAxis(first, last, run["time_base"] == "utc")
    cameras = [camera["id"] for camera in run["cameras"]]
    seen_by = {camera: sum(camera in person.cameras for person in people) for camera in cameras}
    travel = TravelTimes(people, configured_spans(run))
    rows = tuple(
        _person(person, cameras, axis, summary, crop_of, travel)
        for person in people
        if only is None or person.identity == only
    )
    return Report(
        people=rows,
        shared=sum(row.shared for row in rows),
        overview=tuple(_lane(camera, records, axis, summary.identity_of) for camera in cameras),
        ticks=axis.ticks(),
        span=axis.span(first, last) if records else "nobody was seen",
        cameras=tuple({**camera, "people": seen_by[camera["id"]]} for camera in run["cameras"]),
        run=run,
    )


def _person(
    person: PersonRecord,
    cameras: Sequence[str],
    axis: TimeAxis,
    summary: IdentitySummary,
    crop_of: CropOf,
    travel: TravelTimes,
) -> Person:
    shown = cameras if len(cameras) <= MOST_LANES else [camera for camera in cameras if camera in person.cameras]
    lanes = tuple(_lane(camera, person.tracklets, axis, lambda _: person.identity) for camera in shown)
    return Person(
        identity=person.identity,
        colours=_colours(person.identity),
        route=" → ".join(_route(person)),
        span=axis.span(person.first, person.last),
        crops=_crops(person, crop_of),
        lanes=lanes,
        lines=tuple(_line(handover, lanes, axis) for handover in person.handovers),
        handovers=tuple(_handover_words(handover, axis) for handover in person.handovers),
        links=tuple(
            _link(event, person, summary, axis, crop_of, travel) for event in person.events if _tells_why(event, person)
        ),
    )


def _tells_why(event: IdentityEvent, person: PersonRecord) -> bool:
    """Whatever changed who somebody is, and why the person was somebody new in the first place."""
    if event.type is EventType.STARTED:
        return event.identity == person.identity and bool(event.evidence)
    return event.type is not EventType.ENDED


def _route(person: PersonRecord) -> list[str]:
    return [person.tracklets[0].camera_id, *(handover.target for handover in person.handovers)]


def _crops(person: PersonRecord, crop_of: CropOf) -> tuple[CropPicture, ...]:
    """One picture per camera, of the tracklet that was seen longest there."""
    chosen: dict[str, CropPicture] = {}
    for record in sorted(person.tracklets, key=lambda record: -record.frames):
        picture = crop_of(record.tracklet)
        if picture and record.camera_id not in chosen:
            chosen[record.camera_id] = picture
    return tuple(chosen[camera] for camera in person.cameras if camera in chosen)


def _lane(
    camera: str, records: Sequence[TrackletRecord], axis: TimeAxis, identity_of: Callable[[TrackletRecord], int]
) -> Lane:
    bars: list[Bar] = []
    free_from: list[float] = []  # per row, when its last stay ended
    for record in sorted((record for record in records if record.camera_id == camera), key=lambda record: record.first):
        row = next((row for row, free in enumerate(free_from) if free < record.first), len(free_from))
        free_from[row : row + 1] = [record.last]
        left = axis.percent(record.first)
        title = f"Person {identity_of(record)} in {camera}, {axis.text(record.first)} to {axis.text(record.last)}"
        width = round(axis.percent(record.last) - left, 3)
        bars.append(Bar(left, width, record.tracklet, identity_of(record), title, row))
    return Lane(camera, tuple(bars))


def _line(handover: Handover, lanes: Sequence[Lane], axis: TimeAxis) -> Line:
    middle: dict[int, float] = {}
    top = LANE_GAP / 2
    for lane in lanes:
        middle.update({bar.tracklet: top + bar.top + BAR_HEIGHT / 2 for bar in lane.bars})
        top += lane.height + LANE_GAP
    source, target = handover.tracklets
    return Line(axis.percent(handover.left), middle[source], axis.percent(handover.arrived), middle[target])


def _handover_words(handover: Handover, axis: TimeAxis) -> str:
    way = f"{handover.source} → {handover.target}"
    if handover.gap < 0:
        return f"{way} at {axis.text(handover.arrived)}, seen by both for {-handover.gap:.1f} s"
    left, arrived = axis.text(handover.left), axis.text(handover.arrived)
    return f"{way}: left at {left}, arrived at {arrived}, {handover.gap:.1f} s later"


def _link(
    event: IdentityEvent,
    person: PersonRecord,
    summary: IdentitySummary,
    axis: TimeAxis,
    crop_of: CropOf,
    travel: TravelTimes,
) -> Link:
    evidence = event.evidence
    subject = _subject(event, summary)
    other = _counterpart(event, subject, person, summary)
    path = evidence.get("stripe_path") or ()
    stripes = 1 + max((max(pair) for pair in path), default=STRIPES_WITHOUT_PATH - 1)
    return Link(
        number=event.event_id,
        kind=str(event.type),
        time=axis.text(event.time),
        sentence=_sentence(event, subject, other, axis, person.identity),
        undone=bool(subject) and summary.identity_of(subject) != person.identity if subject else False,
        numbers=evidence_numbers(evidence) + _usual(subject, person, travel),
        probability=percent(evidence.get("probability")),
        runner_up=percent(next_best(evidence).get("probability")),
        first=crop_of(subject.tracklet) if subject else None,
        second=crop_of(other.tracklet) if other else None,
        path=tuple((100 * (first + 0.5) / stripes, 100 * (second + 0.5) / stripes) for first, second in path),
        stripes=stripes,
        cameras=(subject.camera_id if subject else event.camera_id, other.camera_id if other else ""),
    )


def _subject(event: IdentityEvent, summary: IdentitySummary) -> TrackletRecord | None:
    """The tracklet that a decision was about: of several the one seen in the deciding camera last."""
    records = [summary.records[tracklet] for tracklet in event.tracklets if tracklet in summary.records]
    records.sort(key=lambda record: (record.camera_id == event.camera_id, record.last))
    return records[-1] if records else None


def _counterpart(
    event: IdentityEvent, subject: TrackletRecord | None, person: PersonRecord, summary: IdentitySummary
) -> TrackletRecord | None:
    """Whom the subject was compared with: as the event says, else the person's latest earlier tracklet elsewhere."""
    named = event.evidence.get("other_tracklet")
    if named in summary.records:
        return summary.records[named]
    if subject is None or event.type in (EventType.STARTED, EventType.SPLIT):
        return None
    earlier = [
        record for record in person.tracklets if record.tracklet not in event.tracklets and record.first <= event.time
    ]
    return max(earlier, key=lambda record: (record.camera_id != subject.camera_id, record.last), default=None)


def _sentence(
    event: IdentityEvent, subject: TrackletRecord | None, other: TrackletRecord | None, axis: TimeAxis, now: int
) -> str:
    """What was decided; ``now`` is the person's final id, under which nobody looks for an earlier one."""
    called = f"person {event.identity}" + (f" (now {now})" if event.identity != now else "")
    seen = f"seen in {subject.camera_id} from {axis.text(subject.first)}" if subject else f"seen in {event.camera_id}"
    known = f", known from {other.camera_id} until {axis.text(other.last)}" if other else ""
    gone = " and ".join(f"person {identity}" for identity in event.supersedes)
    if event.type is EventType.STARTED:
        return f"Somebody {seen} was taken for a new person, {called}."
    if event.type is EventType.LINKED:
        return f"Somebody {seen} was recognised as {called}{known}."
    if event.type is EventType.MERGED:
        return f"{gone.capitalize()}, {seen}, turned out to be {called}{known}."
    return f"Somebody {seen} was taken for {gone}, and turned out to be {called}."


def _usual(subject: TrackletRecord | None, person: PersonRecord, travel: TravelTimes) -> tuple[tuple[str, str], ...]:
    """How long people take on the way by which the subject arrived, where that is known."""
    if subject is None:
        return ()
    for handover in person.handovers:
        if handover.tracklets[1] == subject.tracklet:
            usual = travel.usual(handover)
            return ((f"usual from {handover.source} to {handover.target}", usual),) if usual else ()
    return ()


def _colours(identity: int) -> str:
    """CSS of an identity's colour, its second colour (the same where it has none) and of text on them."""
    first = identity_hex(identity)
    return f"--its:{first};--second:{second_hex(identity) or first};--ink-on:{ink_hex(identity)}"

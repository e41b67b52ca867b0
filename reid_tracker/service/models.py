"""What the service's answers look like; the OpenAPI description is made from these."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, computed_field

from reid_tracker.config import CameraConfig
from reid_tracker.errors import ConfigError
from reid_tracker.results.colours import identity_hex, second_hex

# Names and numbers from outside: bounded, so that nothing absurd reaches a database.
_LONGEST_NAME = 64
CAMERA_PATTERN = (
    r"^[^/\x00-\x1f\x7f]*[^/.\x00-\x1f\x7f][^/\x00-\x1f\x7f]*$"  # one step of a path: no slash, more than dots
)
CameraName = Annotated[str, Field(min_length=1, max_length=_LONGEST_NAME, pattern=CAMERA_PATTERN)]
Number = Annotated[int, Field(ge=1, le=2**53)]
Seconds = Annotated[float, Field(ge=0, le=1e11, allow_inf_nan=False)]
Limit = Annotated[int, Field(ge=1, le=1000)]


def check_names(cameras: Iterable[CameraConfig]) -> None:
    """Refuse cameras that the interface could not be asked about.

    Raises:
        ConfigError: a name is too long, is dots alone, or holds a slash or what cannot be printed.
    """
    for camera in cameras:
        if len(camera.id) > _LONGEST_NAME or not re.match(CAMERA_PATTERN, camera.id):
            raise ConfigError(
                f"camera {camera.id!r}: expected a name of {_LONGEST_NAME} characters at most, without slashes and not "
                "of dots alone, since addresses of the service hold it"
            )


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Problem(_Answer):
    """Why a request was not served."""

    detail: str


class CameraStatus(_Answer):
    """How a camera is; ``lost`` and ``faults`` count by reason."""

    id: str
    source: str = Field(description="address without credentials")
    state: str
    message: str
    since: float
    last_frame: float | None
    fps: float
    lag: float
    clock: str
    codec: str
    decoder: str = Field(description="what decodes its pictures: cpu, or FFmpeg's name of a device")
    size: list[int] = Field(min_length=2, max_length=2, description="width and height of its pictures, pixels")
    received: int
    processed: int
    reconnects: int
    lost: dict[str, int]
    faults: dict[str, int]


class NewCamera(_Answer):
    """A camera to add: network streams only."""

    id: CameraName
    source: Annotated[str, Field(min_length=8, max_length=2000, pattern=r"^[^\s\x00-\x1f\x7f]+$")]


class CameraChange(_Answer):
    """What to change of a camera."""

    paused: bool


class DestinationStatus(_Answer):
    """How a webhook or the broker is served; ``retried`` and ``dropped`` count messages by reason."""

    waiting: int
    sent: int
    retried: dict[str, int]
    dropped: dict[str, int]
    failure: str = Field(description="empty while all is well")


class Health(_Answer):
    """Whether the service does its work, and what is wrong."""

    status: Literal["ok", "degraded", "failing"]
    version: str
    uptime: float
    cameras: dict[str, str]
    steps: int
    step_seconds: float
    failures: dict[str, int]
    last_failure: str
    store_waiting: int
    store_lost: int
    store_failure: str
    viewers: int
    outbound: dict[str, DestinationStatus]
    outbound_failure: str = Field(description="why messages cannot be kept on disk; empty while all is well")


class Place(_Answer):
    """Where somebody is in view."""

    camera: str
    tracklet: int
    box: list[float] = Field(min_length=4, max_length=4, description="x1, y1, x2, y2, pixels of the picture")
    state: str


class Coloured(_Answer):
    """Somebody, and the colours in which pictures show them."""

    identity: int

    @computed_field(description="#rrggbb, shared by every 24th person")
    def colour(self) -> str:
        """The identity's colour."""
        return identity_hex(self.identity)

    @computed_field(description="#rrggbb, drawn within the first; with it, 120 people in a row are told apart")
    def second_colour(self) -> str | None:
        """The identity's second colour."""
        return second_hex(self.identity)


class PresentPerson(Coloured):
    """Somebody in view now."""

    places: list[Place]


class Person(Coloured):
    """Somebody who was seen."""

    first_seen: float
    last_seen: float
    sightings: int
    cameras: list[str]


class SightingAnswer(_Answer):
    """A passage through one camera; ``crops`` are numbers of stored pictures."""

    tracklet: int
    identity: int
    camera: str
    started: float
    ended: float
    crops: list[int]


class History(Coloured):
    """All that is known of one person. ``events`` say why."""

    present: bool
    sightings: list[SightingAnswer]
    events: list[dict[str, Any]]


class Events(_Answer):
    """Events in order; ask again after ``next``."""

    events: list[dict[str, Any]]
    next: int


class SearchMatch(_Answer):
    """A sighting like what was asked for, and how far it is."""

    sighting: SightingAnswer
    distance: float
    global_distance: float
    aligned_distance: float | None


class SearchAnswer(_Answer):
    """Sightings, the likest first."""

    matches: list[SearchMatch]
    searched: int


class Merge(_Answer):
    """These two are one person."""

    kind: Literal["merge"]
    first: Number
    second: Number


class Split(_Answer):
    """These passages of a person are somebody else."""

    kind: Literal["split"]
    identity: Number
    tracklets: Annotated[list[Number], Field(min_length=1, max_length=500)]


class Never(_Answer):
    """These two are never one person."""

    kind: Literal["never"]
    first: Number
    second: Number


Correction = Annotated[Merge | Split | Never, Field(discriminator="kind")]


class ToldCorrection(_Answer):
    """What somebody said, as a line of a run's corrections.jsonl has it: by tracklets, which keep their numbers."""

    version: int
    kind: Literal["merge", "split", "never"]
    some: list[int]
    others: list[int]
    identities: list[int] = Field(description="the numbers by which they were named then")
    at: str = Field(description="when it was said, ISO 8601")


class Corrected(_Answer):
    """The number that holds now."""

    identity: int


class Erased(_Answer):
    """How many passages were removed."""

    sightings: int


class Count(_Answer):
    """Different people in view of a camera from ``time`` on, for a bucket's length."""

    time: float
    camera: str
    people: int


class MapCamera(_Answer):
    """Where a camera stands on the map of the site, as shares of its width and height from the upper left.

    ``placed`` says that the configuration told it; else it is laid out by how long people walk.
    """

    id: str
    x: float
    y: float
    placed: bool


class MapLink(_Answer):
    """A way that people took from one camera to another, learned while tracking runs.

    ``seconds`` is the time unseen in between of half of them; 0 where both cameras saw them at once.
    """

    origin: str
    destination: str
    people: float
    seconds: float


class SiteMap(_Answer):
    """The map of the site; ``picture`` says whether there is one beneath, ``aspect`` is width over height."""

    cameras: list[MapCamera]
    links: list[MapLink]
    picture: bool
    aspect: float


class GroupStatus(_Answer):
    """A group of cameras of a cluster, and ``why`` it is behind where it is. Times in seconds, rates a second."""

    name: str
    associator: str
    condition: Literal["well", "behind", "silent", "starting"]
    why: str
    cameras: list[str]
    node: str
    silent: float
    busy: float
    step_seconds: float
    arriving: float
    processed: float
    lag: float
    skipped: int
    undelivered: int
    lost: float
    restarts: int
    failures: int
    last_failure: str


class AssociatorStatus(_Answer):
    """One of a cluster's associators; ``waiting`` are moments that it has not taken yet."""

    name: str
    cameras: int
    node: str
    silent: float
    steps: int
    step_seconds: float
    waiting: int
    restarts: int
    failures: int
    last_failure: str


class Cluster(_Answer):
    """The parts of a cluster; none on one machine."""

    groups: list[GroupStatus]
    associators: list[AssociatorStatus]


class AuditLine(_Answer):
    """Who did what about whom."""

    time: float
    who: str
    action: str
    about: str


class Who(_Answer):
    """Whom the service takes you for."""

    name: str
    role: str
    needs_token: bool

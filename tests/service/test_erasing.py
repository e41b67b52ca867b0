"""Erasing somebody who is in view, or was a moment ago: nothing from before the erasure comes back."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from reid_tracker.config import CameraConfig, Config
from reid_tracker.live import HealthReport
from reid_tracker.pipeline import Pipeline
from reid_tracker.service.runtime import Service
from reid_tracker.service.site import Cameras, LiveSite
from reid_tracker.types import Frame
from tests.processes import free_port
from tests.service.conftest import wait_for
from tests.service.site import colour_pipeline, picture


class Shown:
    """A camera whose people the test moves (reid_tracker.service.site.Cameras)."""

    def __init__(self) -> None:
        self.cameras = (CameraConfig(id="door", source="shown"),)
        self.people = [("red", 60), ("green", 180)]
        self.number = 0

    def next_moment(self, timeout: float) -> list[Frame]:
        time.sleep(min(timeout, 0.05))
        self.number += 1
        return [Frame("door", self.number, time.time(), picture(*self.people))]

    def add(self, camera: CameraConfig) -> None:
        """It is there already."""

    def remove(self, camera_id: str) -> None:
        """Nobody asks."""

    pause = resume = remove

    def report(self) -> dict[str, HealthReport]:
        return {}

    def close(self) -> None:
        """Nothing is open."""


class ShownService(Service):
    """The service of that camera."""

    def _wired(self, pipeline: Pipeline) -> tuple[Cameras, LiveSite]:
        self.shown = Shown()
        return self.shown, LiveSite(self.shown, pipeline, self.config.tracking.max_lost_seconds)


@contextmanager
def showing(path: Path, **more: object) -> Iterator[tuple[ShownService, int]]:
    """A service that has seen red and green for a while, and red's number."""
    values = {"store.path": str(path), "store.crops": True, "tracking.max_lost_seconds": 1.0, **more}
    with ShownService(Config().with_values(values), colour_pipeline) as service:
        wait_for(lambda: len(service.index) == 2, 20)
        time.sleep(1.0)  # so that there are looks and pictures of several moments
        yield service, red(service)


def red(service: Service) -> int:
    found = service.search_picture(picture(("red", 100)), 1, None, None, None)
    return found[0].sighting.identity if found and found[0].distance < 0.3 else 0


@pytest.mark.parametrize("in_view", [True, False])
def test_nothing_from_before_an_erasure_comes_back(tmp_path: Path, in_view: bool) -> None:
    """The tracker kept looks and the best pictures of whoever was in view, and wrote them with the passage's end."""
    path = tmp_path / "people.db"
    with showing(path) as (service, number):
        if not in_view:
            service.shown.people = [("green", 180)]
            time.sleep(0.3)
        assert service.erase(number) == 1
        erased = time.time()
        assert number not in service.people_present()
        if in_view:
            wait_for(lambda: len(service.people_present()) == 2, 20)
            wait_for(lambda: red(service) > number, 20)
        service.shown.people = [("green", 180)]
        time.sleep(2.0)  # the passage of before would have ended
        service.recorder.flush()
        assert service.site.report().failures == {}
        assert (red(service) > number) == in_view
        assert service.store.events_of(number) == []
        with closing(sqlite3.connect(path)) as stored:
            query = "SELECT started, time FROM sightings LEFT JOIN crops USING (tracklet) WHERE identity NOT IN (?, ?)"
            kept = stored.execute(query, (number, 3 - number)).fetchall()
        assert len(kept) >= in_view
        assert all(moment >= erased for row in kept for moment in row)


def test_who_was_merged_is_forgotten_under_every_number(tmp_path: Path) -> None:
    """What was told before a merger has the number of then."""
    values = {
        "outbound.hold_seconds": 60.0,
        "webhooks": [{"name": "alarm", "url": f"http://127.0.0.1:{free_port()}/"}],
    }
    with showing(tmp_path / "people.db", **values) as (service, number):
        service.shown.people = []
        wait_for(lambda: service.site.associator.passages == (), 20)
        service.shown.people = [("blue", 100)]
        wait_for(lambda: set(service.people_present()) == {3}, 20)
        assert service.merge(number, 3) == number
        assert {3, number} <= {event["identity"] for event in service.hub.events_after(0, 100)}
        waiting = service.announcer.report()["alarm"].waiting
        service.erase(number)
        left = service.hub.events_after(0, 100)
        assert {event["identity"] for event in left} <= {3 - number, 4}  # green, and blue who is in view still
        assert service.announcer.report()["alarm"].waiting < waiting
        assert all(3 not in each.message.people for each in service.announcer._deliveries[0]._queue)

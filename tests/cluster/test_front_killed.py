"""A front that is killed after it told of events and before it answered: they come again, and are known again."""

from __future__ import annotations

import json
import multiprocessing
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="needs the extra 'service'")

from reid_tracker.cluster.front import FrontService
from reid_tracker.cluster.orders import DistrictNews, DistrictReport, Push, Reply
from reid_tracker.cluster.registry import Registry
from reid_tracker.config import CameraConfig, Config
from reid_tracker.types import EventType, IdentityEvent, TrackedFrame
from tests.cluster.test_live import site_pipeline
from tests.outbound.servers import Receiver, receiver, wait_for

PLACED = {
    "district 1": {"group 1": [CameraConfig(id="door", source="0")]},
    "district 2": {"group 2": [CameraConfig(id="hall", source="1")]},
}
NOW = time.time()  # what is older than the store's retention would be deleted at once
DECIDED = (
    IdentityEvent(1, EventType.STARTED, NOW, "door", 4, (1,)),
    IdentityEvent(2, EventType.STARTED, NOW + 1, "door", 7, (3,)),
    IdentityEvent(3, EventType.LINKED, NOW + 4, "door", 4, (5,)),
    IdentityEvent(4, EventType.MERGED, NOW + 5, "door", 4, (2,), (9,)),
    IdentityEvent(5, EventType.ENDED, NOW + 89, "door", 4),
)


def push(number: int, *events: IdentityEvent) -> Push:
    news = DistrictNews((TrackedFrame("door", number, NOW + 5, (), events),))
    return Push("district 1", "a life of it", number, news, DistrictReport(tuple(PLACED["district 1"]["group 1"])))


def be_front(config: Config, pushes: Connection) -> None:
    """A front that takes what comes through a pipe and answers there, until it is killed."""
    with FrontService(config, PLACED, site_pipeline) as front:
        while True:
            pushes.send(front.districts.push(pushes.recv()))


class Fronts:
    """Fronts of one site, one after the other, each a process."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._context = multiprocessing.get_context("spawn")
        self.start()

    def start(self) -> None:
        self._pushes, theirs = self._context.Pipe()
        self._process = self._context.Process(target=be_front, args=(self._config, theirs), daemon=True)
        self._process.start()

    def send(self, push: Push) -> None:
        self._pushes.send(push)

    def answer(self) -> Reply:
        assert self._pushes.poll(60)
        reply: Reply = self._pushes.recv()
        return reply

    def kill(self) -> None:
        self._process.kill()
        self._process.join()
        self._pushes.close()


def told(hook: Receiver) -> list[dict[str, Any]]:
    return [body for body in hook.bodies() if "event" in body]


def stored(path: Path) -> list[dict[str, Any]]:
    with (
        suppress(sqlite3.Error),
        closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as base,
    ):  # else it is not there yet
        return [json.loads(body) for (body,) in base.execute("SELECT body FROM events ORDER BY event_id")]
    return []


@pytest.mark.slow
@pytest.mark.parametrize("written", [False, True], ids=["before it is stored", "after it is stored"])
def test_events_that_are_told_again_have_the_keys_of_before(tmp_path: Path, written: bool) -> None:
    base = tmp_path / "people.db"
    with receiver() as hook:
        values = {
            "cameras": [camera for groups in PLACED.values() for cameras in groups.values() for camera in cameras],
            "webhooks": [{"name": "hook", "url": hook.url}],
            "outbound.hold_seconds": 0.0,
            "store.path": str(base),
        }
        fronts = Fronts(Config().with_values(values))
        try:
            fronts.send(push(1, *DECIDED))
            until(lambda: len(told(hook)) == 5)
            if written:
                until(lambda: len(stored(base)) == 5)
            fronts.kill()  # the answer never arrives, so the district pushes again

            fronts.start()
            fronts.send(push(1, *DECIDED))
            fronts.answer()
            until(lambda: len(told(hook)) >= 10)
            fronts.send(push(2, IdentityEvent(6, EventType.STARTED, NOW + 110, "door", 10, (7,))))
            fronts.answer()
            until(lambda: len({body["id"] for body in told(hook)}) == 6)
            until(lambda: len(stored(base)) == 6)
        finally:
            fronts.kill()
        meant: dict[str, set[tuple[Any, ...]]] = {}
        for body in told(hook):
            event = body["event"]
            about = (event["type"], event["identity"], *event["tracklets"], *event["supersedes"])
            meant.setdefault(body["id"], set()).add(about)
    assert len(meant) == 6
    assert all(len(events) == 1 for events in meant.values()), "a key means one event"
    numbers = [event["event_id"] for event in stored(base)]
    assert len(set(numbers)) == 6
    assert numbers == sorted(numbers)
    assert {event["key"] for event in stored(base)} == meant.keys()


def until(happened: Callable[[], bool]) -> None:
    wait_for(happened, 60)


def test_a_registry_says_again_what_one_before_it_told() -> None:
    """A merger that is known already is nothing new; said again by whoever was not answered, it is told as it was."""
    first = Registry(["one", "two"])
    frame = TrackedFrame("door", 0, NOW + 5, (), DECIDED)
    (before,), _ = first.take("one", DistrictNews((frame,)), "a life")
    keys = {event.key: event.event_id for event in before.events}
    assert len(keys) == 5

    second = Registry(["one", "two"], last_event=5, merged=[(9, 4)], told=keys)
    (again,), _ = second.take("one", DistrictNews((frame,)), "a life")
    assert again.events == before.events
    (other,), _ = second.take("one", DistrictNews((frame,)), "another life")
    assert [event.event_id for event in other.events] == [6, 7, 8, 9], "all but the merger, which is known"
    assert not keys.keys() & {event.key for event in other.events}

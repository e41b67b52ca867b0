"""The live loop between its cameras and those who ask something of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from reid_tracker.parts import unwatched
from reid_tracker.service.site import Busy, LiveSite
from reid_tracker.types import Frame, TrackedFrame
from tests.service.conftest import wait_for


class OneFrame:
    """A camera of which there is always a picture (reid_tracker.service.site.Cameras)."""

    cameras = ()

    def next_moment(self, timeout: float) -> list[Frame]:
        del timeout
        return [Frame("door", 0, 0.0, np.zeros((4, 4, 3), np.uint8))]


class Counted:
    """A pipeline that counts its steps (reid_tracker.service.site.Steps)."""

    associator, stage = None, staticmethod(unwatched)
    steps = 0

    def step(self, frames: Sequence[Frame]) -> list[TrackedFrame]:
        self.steps += len(frames)
        time.sleep(0.001)
        return []

    def finish(self) -> tuple[tuple[()], tuple[()]]:
        return (), ()


@pytest.fixture
def loop() -> Iterator[tuple[LiveSite, Counted]]:
    pipeline = Counted()
    site = LiveSite(OneFrame(), pipeline, 1.0)  # type: ignore[arg-type]
    site.start()
    yield site, pipeline
    site.stop()


def test_tracking_has_its_turn_after_each_thing_that_is_asked(loop: tuple[LiveSite, Counted]) -> None:
    """Two operators who searched in a loop once left tracking not one moment."""
    site, pipeline = loop
    with ThreadPoolExecutor(8) as people:
        before = pipeline.steps
        for answer in [people.submit(site.call, lambda: time.sleep(0.02)) for _ in range(40)]:
            answer.result(20)
    assert pipeline.steps - before >= 39


def test_quick_things_do_not_wait_for_a_moment_each(loop: tuple[LiveSite, Counted]) -> None:
    site, pipeline = loop
    with ThreadPoolExecutor(8) as people:
        held = people.submit(site.call, lambda: time.sleep(0.2))
        time.sleep(0.1)
        steps = [people.submit(site.call, lambda: pipeline.steps) for _ in range(6)]
        held.result(20)
        assert len({each.result(20) for each in steps}) <= 2


def test_who_asks_when_many_wait_is_told_at_once(loop: tuple[LiveSite, Counted]) -> None:
    """Each who waits holds a thread that answers requests."""
    site, _ = loop
    going_on = threading.Event()
    with ThreadPoolExecutor(40) as people:
        answers = [people.submit(site.call, lambda: going_on.wait(20)) for _ in range(40)]
        wait_for(lambda: sum(each.done() for each in answers) >= 20, 20)
        refused = [each for each in answers if each.done()]
        going_on.set()
        assert all(isinstance(each.exception(), Busy) for each in refused)

"""Pictures for browsers, however many look: tracking does not wait for them, and they show nobody who was erased."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from reid_tracker.service import pictures
from reid_tracker.service.pictures import CameraPictures
from reid_tracker.types import Frame, TrackedFrame, TrackedPerson


def show(shown: CameraPictures, number: int, camera: str = "door", identity: int = 7) -> None:
    """A picture with a person in it."""
    frame = Frame(camera, number, float(number), np.full((240, 320, 3), 90, np.uint8))
    person = TrackedPerson(identity, identity, (20, 20, 80, 200), 0.9, "settled")
    shown([frame], [TrackedFrame(camera, number, float(number), (person,), (), (320, 240))], ())


def test_tracking_does_not_wait_for_viewers_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """A moment once waited until the pictures that viewers had asked for were drawn and encoded."""
    shown = CameraPictures(960)
    show(shown, 1)
    encode, encoding, going_on = pictures._encode, threading.Event(), threading.Event()

    def slow(image: np.ndarray) -> bytes:
        encoding.set()
        assert going_on.wait(20)
        return encode(image)

    monkeypatch.setattr(pictures, "_encode", slow)
    with ThreadPoolExecutor(2) as viewers:
        first = viewers.submit(shown.jpeg, "door")
        assert encoding.wait(20)
        show(shown, 2)  # returns: else the picture would wait for this test
        show(shown, 2, "hall")
        going_on.set()
        drawn = first.result(20)
    assert drawn is not None
    assert drawn.number == 1
    newest = shown.jpeg("door")
    assert newest is not None
    assert newest.number == 2
    again = shown.jpeg("door")
    assert again is not None
    assert again.jpeg is newest.jpeg  # encoded once for all


def test_no_picture_of_somebody_erased_is_shown() -> None:
    """A camera that is dead or paused brings no other one: its last picture, person and number in it, once stayed."""
    shown = CameraPictures(960)
    show(shown, 1)
    person = shown.jpeg("door")
    assert person is not None
    show(shown, 1, "hall", identity=8)
    shown.forget_person(7)
    assert shown.jpeg("door") is None
    assert shown.person(7) is None
    assert shown.jpeg("hall") is not None
    show(shown, 2, identity=9)
    assert shown.jpeg("door") is not None

"""Pictures for browsers, however many look: tracking does not wait for them, and they show nobody who was erased."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from reid_tracker.service import pictures
from reid_tracker.service.pictures import CameraPictures
from reid_tracker.types import Frame, TrackedFrame, TrackedPerson


def show(shown: CameraPictures, number: int, camera: str = "door", grey: int = 90) -> None:
    """A picture with person 7 in it."""
    frame = Frame(camera, number, float(number), np.full((240, 320, 3), grey, np.uint8))
    person = TrackedPerson(7, 1, (20, 20, 80, 200), 0.9, "settled")
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

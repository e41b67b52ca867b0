"""A webcam, played by a stand-in for OpenCV's device: machines that test have none."""

from __future__ import annotations

import itertools
import time

import cv2
import numpy as np
import pytest

from reid_tracker.sources import Problem, WebcamSource, webcam


class Device:
    """Refuses the pictures that it is told to, and all after the last."""

    def __init__(self, refuses: set[int], pictures: int) -> None:
        self.asked = 0
        self.released = False
        self._refuses, self._pictures = refuses, pictures

    def get(self, what: int) -> float:
        return {cv2.CAP_PROP_FPS: 30.0, cv2.CAP_PROP_FRAME_WIDTH: 8.0, cv2.CAP_PROP_FRAME_HEIGHT: 6.0}[what]

    def read(self) -> tuple[bool, np.ndarray | None]:
        asked, self.asked = self.asked, self.asked + 1
        if asked in self._refuses or asked >= self._pictures:
            return False, None
        return True, np.zeros((6, 8, 3), np.uint8)

    def release(self) -> None:
        self.released = True


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Device:
    device = Device(refuses={2, 3}, pictures=8)
    monkeypatch.setattr(webcam, "open_capture", lambda *_arguments: device)
    return device


def test_frames_are_timed_as_they_arrive_and_a_refused_one_leaves_its_number_unused(device: Device) -> None:
    source = WebcamSource(0, "desk")
    before = time.time()
    frames = list(itertools.islice(source, 6))
    source.close()
    source.close()

    assert [frame.index for frame in frames] == [0, 1, 4, 5, 6, 7]
    assert before <= frames[0].time <= frames[-1].time <= time.time()
    assert (source.fps, source.size, source.frame_count, source.live) == (30.0, (8, 6), None, True)
    assert source.problems.counts == {Problem.UNDECODABLE: 2}
    assert device.released


@pytest.mark.usefixtures("device")
def test_a_camera_that_is_gone_ends_and_says_so() -> None:
    source = WebcamSource(0, "desk")
    assert len(list(source)) == 6
    assert source.problems.counts[Problem.STOPPED] == 1
    assert any("no pictures any more" in line for line in source.problems.lines())

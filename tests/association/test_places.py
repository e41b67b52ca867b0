"""Cameras that are moved, and cameras that see by infrared at night: what the associator keeps and what it drops."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from reid_tracker.association import CrossCameraAssociator
from reid_tracker.config import AssociationConfig, CameraConfig
from reid_tracker.types import CameraTracks, TrackedFrame, Tracklet
from tests.association.scenes import SIZE, Visit, Wardrobe, play


class Told(CrossCameraAssociator):
    """An associator whose cameras' trackers have something to add."""

    added: Callable[[CameraTracks], CameraTracks] = staticmethod(lambda moment: moment)

    def __call__(self, tracks: Sequence[CameraTracks]) -> list[TrackedFrame]:
        return super().__call__([self.added(moment) for moment in tracks])


def walks(people: int, first: int = 1, begin: float = 0.0, first_person: int = 0) -> list[Visit]:
    """People who come through the door one after the other and are in the hall eight seconds later."""
    visits = []
    for place in range(people):
        start = begin + 12.0 * place
        visits.append(Visit(first + 2 * place, first_person + place, "door", start, start + 4))
        visits.append(Visit(first + 2 * place + 1, first_person + place, "hall", start + 12, start + 16))
    return visits


def test_what_was_learned_of_a_moved_camera_is_dropped_and_people_are_not(caplog: pytest.LogCaptureFixture) -> None:
    """Its ways, colours and ground are unknown again, those of others stay, and whoever is known stays known."""
    cameras = (
        CameraConfig(id="door", source="-", homography=((1, 0, 0), (0, 1, 0), (0, 0, 1)), neighbours={"hall": (2, 20)}),
    )
    associator, wardrobe = Told(AssociationConfig(), cameras), Wardrobe(1)
    before = play(associator, walks(8), wardrobe, finish=False)
    ways = {(link.origin, link.destination) for link in associator.topology.links()}
    assert ("door", "hall") in ways
    offset = associator.calibration.camera_offset("hall", 64)
    assert np.linalg.norm(associator.calibration.camera_offset("door", 64)) > 0

    moved = CameraTracks("door", 900, 200.0, SIZE, (), moved=True)
    with caplog.at_level("WARNING"):
        associator([moved])
    assert "camera door was moved" in caplog.text
    assert associator.counters()["moved cameras"] == 1
    assert not associator.topology.links()
    assert not np.linalg.norm(associator.calibration.camera_offset("door", 64))
    np.testing.assert_allclose(associator.calibration.camera_offset("hall", 64), offset, atol=1e-6)
    assert not associator.ground.known

    again = play(associator, [Visit(100, 3, "door", 210.0, 216.0)], wardrobe, finish=False)
    assert again.emitted[100] == before.emitted[7]


@pytest.mark.slow
def test_night_by_infrared_is_learned_apart_from_day() -> None:
    """Grey pictures shift everybody's looks alike: day keeps its mean, and night gets one of its own."""
    wardrobe = Wardrobe(2, noise=0.3)
    shift = np.zeros(64, np.float32)
    shift[:4] = 0.6
    night = _at_night(shift, after=250.0)
    told, plain = Told(), Told()
    told.added = lambda moment: replace(night(moment), grey=moment.time >= 250)
    plain.added = night
    visits = [*walks(16), *walks(16, first=101, begin=250.0, first_person=40)]
    play(told, visits, wardrobe, step=1.0)
    play(plain, visits, Wardrobe(2, noise=0.3), step=1.0)
    apart = told.calibration.camera_offset("door by infrared", 64) - told.calibration.camera_offset("door", 64)
    assert apart[:4].mean() > 0.05
    assert abs(apart[4:].mean()) < 0.02
    mixed = plain.calibration.camera_offset("door", 64)
    assert abs(mixed[:4].mean()) < 0.01  # day and night as one: nothing is known of either


def _at_night(shift: np.ndarray, after: float) -> Callable[[CameraTracks], CameraTracks]:
    def dark(one: Tracklet) -> Tracklet:
        vectors = one.looks.global_ + shift
        vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
        return replace(one, looks=replace(one.looks, global_=vectors))

    def changed(moment: CameraTracks) -> CameraTracks:
        if moment.time < after:
            return moment
        return replace(
            moment,
            tracklets=tuple(dark(one) if one.started >= after else one for one in moment.tracklets),
            ended=tuple(dark(one) if one.started >= after else one for one in moment.ended),
        )

    return changed

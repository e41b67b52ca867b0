"""Posters and mannequins: found, told, and kept out of other cameras; people who sit down are not."""

from __future__ import annotations

import numpy as np

from reid_tracker.association import CrossCameraAssociator
from reid_tracker.association.remembered import RememberedPassage
from reid_tracker.association.still import StillWatch
from reid_tracker.review.refining import solve_again
from reid_tracker.types import CameraTracks, TrackedFrame, TrackedPerson
from tests.association.scenes import SIZE, Wardrobe, tracklet

BOX = np.array([300, 100, 350, 220], np.float32)


def test_what_never_moves_is_still_and_so_is_what_is_found_there_next() -> None:
    """Boxes shake a little. After two minutes it is a thing; hidden for a while, it is at once the same again."""
    watch, generator = StillWatch(), np.random.default_rng(0)
    told = [watch(1, "c", float(second), BOX + generator.normal(0, 1.5, 4)) for second in range(200)]
    assert not any(told[:119])
    assert all(told[121:])
    watch.forget(1)
    assert watch(2, "c", 300.0, BOX + 2)
    assert not watch(3, "other", 300.0, BOX)
    assert watch.things == 1


def test_somebody_who_walked_up_and_sits_is_a_person() -> None:
    """However long they sit; and a thing that moves after all was none."""
    watch = StillWatch()
    walk = [watch(1, "c", float(second), BOX - (4 * (20 - min(second, 20)))) for second in range(400)]
    assert not any(walk)
    stood = [watch(2, "c", float(second), BOX + 100) for second in range(150)]
    assert stood[-1]
    assert not watch(2, "c", 150.0, BOX + 160)
    assert not watch(2, "c", 151.0, BOX + 100)


def test_a_mannequin_is_nobody_who_walks_through_another_camera() -> None:
    """Dressed exactly like it, they are somebody else; and the mannequin, hidden for a while, is the same again."""
    associator, wardrobe = CrossCameraAssociator(), Wardrobe(5, noise=0.3)
    story: list[TrackedFrame] = []

    def see(camera: str, number: int, start: float, now: float, box: np.ndarray) -> int:
        one = tracklet(number, camera, start, now, wardrobe.looks(7, 4), box=box.tolist())
        story.extend(associator([CameraTracks(camera, len(story), now, SIZE, (one,))]))
        return story[-1].people[0].identity

    for second in range(0, 130, 5):
        mannequin = see("shop", 1, 0.0, float(second), BOX)
    for second in range(4):
        visitor = see("street", 2, 140.0, 140.0 + second, BOX + 40 * second)
    assert visitor != mannequin
    assert see("shop", 1, 0.0, 160.0, BOX) == mannequin
    gone = tracklet(1, "shop", 0.0, 160.0, wardrobe.looks(7, 4), box=BOX.tolist())
    associator([CameraTracks("shop", 900, 170.0, SIZE, (), ended=(gone,))])
    assert see("shop", 3, 175.0, 175.0, BOX) == mannequin
    assert associator.counters()["things that never move"] == 1


def test_a_mannequin_is_nobody_else_in_a_finished_run_either() -> None:
    """``refine`` joined them: it knew looks and times, and not that one of the two had never moved."""
    wardrobe = Wardrobe(5, noise=0.2)
    mannequin = RememberedPassage(1, 1, "shop", 0, 300, wardrobe.looks(7, 4))
    visitor = RememberedPassage(2, 2, "street", 310, 318, wardrobe.looks(7, 4))
    others = [
        RememberedPassage(10 + k, 3 + k % 6, ("shop", "street")[k % 2], 16 * k, 16 * k + 8, wardrobe.looks(k % 6, 4))
        for k in range(18)
    ]
    passages = [mannequin, visitor, *others]

    def frames(step: float) -> list[TrackedFrame]:
        """Everybody walks to the right but the mannequin, which moves ``step`` pixels a second."""
        told = []
        for second in range(320):
            for camera in ("shop", "street"):
                here = [one for one in passages if one.camera_id == camera and one.start <= second <= one.end]
                aside = {one.tracklet: (step if one is mannequin else 9.0) * (second - one.start) for one in here}
                people = tuple(
                    TrackedPerson(one.identity, one.tracklet, tuple(map(float, BOX + shift)), 0.9, "settled", 1.0)
                    for one in here
                    for shift in (np.array([aside[one.tracklet], 0, aside[one.tracklet], 0]),)
                )
                told.append(TrackedFrame(camera, second, float(second), people, (), SIZE))
        return told

    together = frozenset({1, 2})
    assert not any(together <= person for person in solve_again(passages, (), frames(0.0))[1].people)
    assert any(together <= person for person in solve_again(passages, (), frames(1.0))[1].people)

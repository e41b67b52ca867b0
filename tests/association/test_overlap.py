"""Two cameras that see one person at once: once known to be one, the person stays one."""

from __future__ import annotations

from reid_tracker.association import CrossCameraAssociator
from reid_tracker.types import EventType
from tests.association.scenes import Visit, Wardrobe, play


def test_a_person_in_two_views_at_once_does_not_fall_apart_and_together() -> None:
    """The passage that began first found no earlier one to compare with, so it was split off with every new look."""
    visits = [Visit(1, 1, "left", 0, 20), Visit(2, 1, "right", 0.5, 20), Visit(3, 2, "left", 0, 20)]
    story = play(CrossCameraAssociator(), visits, Wardrobe(noise=0.1))
    assert story.final[1] == story.final[2] != story.final[3]
    assert len(story.of(EventType.SPLIT)) <= 1
    assert len(story.of(EventType.MERGED)) <= 2

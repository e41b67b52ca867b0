"""Small scenes for the tests of evaluation: people who stand apart, so that who lies on whom is plain."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from reid_tracker.evaluation import LabelledBoxes

SPACING = 100  # pixels between people: boxes of different people never meet


@dataclass(frozen=True)
class Scene:
    """Rows of (frame, label, tracklet, box); scenes add up."""

    rows: tuple[tuple[int, int, int, tuple[float, float, float, float]], ...] = ()

    def __add__(self, other: Scene) -> Scene:
        return Scene(self.rows + other.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def labelled(self) -> LabelledBoxes:
        """The scene as arrays."""
        return LabelledBoxes.of(
            [frame for frame, *_ in self.rows],
            [label for _, label, *_ in self.rows],
            [box for *_, box in self.rows],
            [tracklet for _, _, tracklet, _ in self.rows],
        )


def walk(person: int, frames: Iterable[int], label: int | None = None, tracklet: int | None = None) -> Scene:
    """A person 20 x 40 pixels large, two pixels on each frame, given ``label`` (default: who it is)."""
    label = person if label is None else label
    tracklet = label if tracklet is None else tracklet
    left = SPACING * person
    return Scene(
        tuple((frame, label, tracklet, (left + 2.0 * frame, 10.0, left + 2.0 * frame + 20, 50.0)) for frame in frames)
    )

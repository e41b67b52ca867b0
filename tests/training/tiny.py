"""Five people of four pictures, a recipe for them, and where a run finds and leaves things."""

from pathlib import Path

import cv2
import numpy as np

from reid_tracker.training.recipe import Recipe
from reid_tracker.training.train import Places, StopRequest

BATCH = 6


def write_people(folder: Path, name: str = "set", people: int = 5) -> Path:
    """Four pictures a person in the folder ``name``, each person a colour of their own with noise."""
    rng = np.random.default_rng(0)
    (folder / name).mkdir()
    for person in range(1, people + 1):
        shirt = rng.integers(0, 256, 3)
        for number in range(4):
            picture = np.clip(shirt + rng.integers(-20, 20, (64, 32, 3)), 0, 255).astype(np.uint8)
            cv2.imwrite(str(folder / name / f"{person:04d}_c{1 + number % 2}_{number}.png"), picture)
    return folder


def recipe(**changes: object) -> Recipe:
    return Recipe.model_validate(
        {
            "name": "tiny",
            "pictures_per_person": 2,
            "sets": [{"name": "set", "folder": "set", "people": 3}],
            "stages": [
                {"pictures": 2 * BATCH, "size_hw": [64, 32], "frozen_blocks": 3},
                {"pictures": 2 * BATCH, "size_hw": [96, 48]},
            ],
            **changes,
        }
    )


def places(people: Path, out: Path) -> Places:
    return Places(data=people, out=out, cache=out / "cache")


class StopAfter(StopRequest):
    """Says stop after a number of steps, as a time limit does."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.left = steps

    @property
    def asked(self) -> bool:
        self.left -= 1
        return self.left < 0

"""States that a run leaves on its way, and what is no state of this run: one line with the file, and no traceback."""

import dataclasses
import itertools
import json
import shutil
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="training needs torch")

from reid_tracker.errors import ModelError  # noqa: E402
from reid_tracker.training import checkpoints  # noqa: E402
from reid_tracker.training.checkpoints import CHECKPOINT, save_checkpoint  # noqa: E402
from reid_tracker.training.export import load_trained  # noqa: E402
from reid_tracker.training.train import StopRequest, load_stage, read_sets, run  # noqa: E402
from reid_tracker.training.trainer import Trainer  # noqa: E402
from tests.training.tiny import BATCH, StopAfter, places, recipe, write_people  # noqa: E402


@pytest.fixture(scope="module")
def people(tmp_path_factory) -> Path:
    """Five people of four pictures."""
    return write_people(tmp_path_factory.mktemp("data"))


FOREIGN = ("empty", "list", "other", "cut short", "backbone", "people")


@pytest.fixture(scope="module")
def states(people: Path, tmp_path_factory) -> Path:
    """A file of each kind."""
    folder = tmp_path_factory.mktemp("states")
    short = recipe(stages=[{"pictures": BATCH, "size_hw": [32, 32]}])
    where = places(people, folder)
    data = load_stage(short, where, read_sets(short, where), short.stages[0])
    save_checkpoint(Trainer(short, data, None), folder)
    whole = checkpoints.load(folder / CHECKPOINT)
    (folder / "empty").touch()
    torch.save([1], folder / "list")
    torch.save({"a": torch.zeros(3)}, folder / "other")
    (folder / "cut short").write_bytes((folder / CHECKPOINT).read_bytes()[:5000])
    mobile = Trainer(recipe(backbone="mobilenet_v2"), data, None)
    torch.save(mobile.state(), folder / "backbone")
    head = {name: value[:3] if name == "classifier.weight" else value for name, value in whole["head"].items()}
    sampler = {**whole["sampler"], "queues": [[7]]}
    torch.save({**whole, "head": head, "sampler": sampler}, folder / "people")
    return folder


# A state of other people is what "state" and an export are for, and one of another backbone is exported as what it is.
MEANT = {("people", "state"), ("people", "export"), ("backbone", "export")}
REFUSED = [
    pair for pair in itertools.product(FOREIGN, ("checkpoint", "resume", "state", "export")) if pair not in MEANT
]


@pytest.mark.parametrize(("kind", "way"), REFUSED)
def test_what_is_no_state_of_this_run_is_refused_in_one_line_with_its_name(people, tmp_path, states, kind, way):
    where = places(people, tmp_path)
    if way == "checkpoint":
        shutil.copy(states / kind, tmp_path / CHECKPOINT)
    elif way != "export":
        where = dataclasses.replace(where, **{way: states / kind})
    short = recipe(stages=[{"pictures": BATCH, "size_hw": [32, 32]}])
    with pytest.raises(ModelError, match=CHECKPOINT if way == "checkpoint" else kind) as caught:
        load_trained(states / kind) if way == "export" else run(short, where, stop=StopAfter(0))
    assert "\n" not in str(caught.value)


def test_of_a_finished_run_the_small_state_is_enough(people, tmp_path):
    short = recipe(stages=[{"pictures": BATCH, "size_hw": [32, 32]}])
    first = dataclasses.replace(places(people, tmp_path / "a"), keep=tmp_path / "state.pt")
    run(short, first)
    there = dataclasses.replace(
        places(people, tmp_path / "b"), resume=tmp_path / "state.pt", keep=tmp_path / "state.pt"
    )
    run(short, there)
    assert json.loads((tmp_path / "b" / "progress.json").read_text())["finished"]
    assert checkpoints.load(tmp_path / "state.pt")["seen"] == BATCH


def test_the_small_state_is_written_with_each_checkpoint(people, tmp_path):
    class Killed(Exception):
        pass

    class Kill(StopRequest):
        asks = 0

        @property
        def asked(self) -> bool:
            self.asks += 1
            if self.asks > 2:
                raise Killed
            return False

    where = dataclasses.replace(places(people, tmp_path), keep=tmp_path / "state.pt")
    with pytest.raises(Killed):
        run(recipe(), where, checkpoint_minutes=0, stop=Kill())
    assert checkpoints.load(tmp_path / "state.pt")["seen"] == BATCH


def test_time_left_goes_by_the_size_of_the_pictures_to_come():
    two = recipe(stages=[{"pictures": 100, "size_hw": [128, 64]}, {"pictures": 50, "size_hw": [256, 128]}])
    assert two.pixels_left(0) == (100 + 4 * 50) * 128 * 64
    assert two.pixels_left(60) == (40 + 4 * 50) * 128 * 64
    assert two.pixels_left(110) == 4 * 40 * 128 * 64
    assert two.pixels_left(150) == two.pixels_left(200) == 0

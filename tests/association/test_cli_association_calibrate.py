"""A site's calibration: learned without labels from a real run, written, drawn, and begun with again."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from jsonschema import Draft202012Validator

from reid_tracker.association import CrossCameraAssociator
from reid_tracker.association.calibration import Calibration
from reid_tracker.association.remembered import RememberedPassage
from reid_tracker.association.site_calibration import read_start, start_to_json
from reid_tracker.build import build_pipeline
from reid_tracker.config import AssociationConfig, Config, load_config
from reid_tracker.errors import ConfigError, InputError
from reid_tracker.evaluation.reliability import Reliability
from reid_tracker.review.evidence import Evidence, learned
from tests.association.commands import reid_tracker
from tests.association.scenes import DIMENSION, Wardrobe


def strict(node: object) -> object:
    """The schema, closed: what is written must be described."""
    if isinstance(node, dict):
        closed = {key: strict(value) for key, value in node.items()}
        return closed | {"additionalProperties": False} if "properties" in node and "type" in node else closed
    return [strict(one) for one in node] if isinstance(node, list) else node


def test_a_run_is_learned_from_written_and_drawn(run: Path) -> None:
    done = reid_tracker("calibrate", "--tracks", run)
    assert done.exit_code == 0, done.output
    value = json.loads((run / "calibration.json").read_text())
    schema = json.loads(files("reid_tracker.results").joinpath("schemas/calibration.json").read_text())
    Draft202012Validator(strict(schema)).validate(value)  # type: ignore[arg-type]
    assert [one["cameras"] for one in value["distances"]] == [["door"], ["hall"], ["door", "hall"]]
    for one in value["distances"][:2]:
        assert one["same_pairs"]
        assert one["different_pairs"]
        assert one["same_distance"] < one["different_distance"]
    for name in ("distances", "errors", "reliability"):
        assert (run / "calibration" / f"{name}.svg").read_text().startswith("<svg")
    assert "say little" in done.output  # four seconds are no long run, and it says so


def test_a_later_run_begins_with_what_was_learned(run: Path) -> None:
    reid_tracker("calibrate", "--tracks", run, "--out", run / "site" / "calibration.json")
    (run / "site" / "site.toml").write_text('[association]\ncalibration = "calibration.json"\n')
    config = load_config(run / "site" / "site.toml", {})
    site = CrossCameraAssociator(config.association)
    value = json.loads((run / "site" / "calibration.json").read_text())["start"]
    spread = site.calibration.spread_of(len(value["centre"]))
    whole = spread.person + spread.passage + spread.look
    assert spread.person / whole == pytest.approx(value["person"], abs=0.02)
    assert spread.dimensions == pytest.approx(value["dimensions"], rel=0.01)
    assert spread.stranger == pytest.approx(value["stranger"], abs=0.01)
    fresh = Calibration().spread_of(len(value["centre"]))
    assert np.linalg.norm(fresh.centre) == 0 < np.linalg.norm(spread.centre)
    looks = Wardrobe().looks(1, 4)  # of another length
    with pytest.raises(InputError, match="of another embedder"):
        site.calibration.observe_passage(looks, "door", ended=True)


def test_a_calibration_of_another_embedder_or_no_calibration_is_refused(run: Path) -> None:
    reid_tracker("calibrate", "--tracks", run)
    file = run / "calibration.json"
    value = json.loads(file.read_text())
    config = Config.model_validate({"association": {"calibration": str(file)}})
    value["embedder"]["sha256"] = "ab" * 32
    file.write_text(json.dumps(value))
    with pytest.raises(ConfigError, match="calibrate anew"):
        build_pipeline(config)
    for text, said in (("{}", "not a file of"), ('{"format": "reid_tracker calibration", "version": 9}', "version 9")):
        file.write_text(text)
        with pytest.raises(ConfigError, match=said):
            CrossCameraAssociator(config.association)
    value["start"]["person"] = 2
    file.write_text(json.dumps(value))
    with pytest.raises(ConfigError, match="damaged"):
        read_start(file)
    with pytest.raises(ConfigError, match="cannot be read"):
        CrossCameraAssociator(AssociationConfig(calibration=str(run / "nowhere.json")))


def test_a_run_without_looks_says_how_to_have_them(run: Path) -> None:
    (run / "looks.npy").unlink()
    with pytest.raises(InputError, match=r"output\.looks"):
        reid_tracker("calibrate", "--tracks", run)


def crowd(people: int, noise: float) -> Evidence:
    """People who pass door and then hall, two at a time."""
    wardrobe = Wardrobe(noise=noise, common=0.3)
    passages = []
    for number in range(people):
        start = 20.0 * (number // 2)
        for place, camera in enumerate(("door", "hall")):
            looks = wardrobe.looks(number, 6)
            begin = start + 8 * place
            passages.append(RememberedPassage(2 * number + place, number, camera, begin, begin + 4, looks))
    return Evidence(tuple(sorted(passages, key=lambda one: (one.start, one.tracklet))))


def test_what_is_learned_follows_what_is_there() -> None:
    noisy, clear = (learned(crowd(60, noise))[0].summary(DIMENSION) for noise in (0.6, 0.2))
    assert noisy.look > clear.look + 0.15
    assert noisy.person < clear.person - 0.1
    again = start_to_json(clear)
    assert set(again["cameras"]) == {"door", "hall"}
    assert again["cameras"]["door"]["passages"] == 60


def test_pairs_are_one_or_two_people_as_seen() -> None:
    evidence = crowd(4, 0.2)
    assert {frozenset((one.identity, other.identity)) for one, other in evidence.together()} == {
        frozenset((0, 1)),
        frozenset((2, 3)),
    }
    assert all(one.camera_id != other.camera_id for one, other in evidence.strangers())
    assert {frozenset((one.identity, other.identity)) for one, other in evidence.strangers()} == {
        frozenset((0, 1)),
        frozenset((2, 3)),
    }
    assert [one.identity == other.identity for one, other, _ in evidence.links()] == [True] * 4


def test_probabilities_that_mean_what_they_say_lie_on_the_diagonal() -> None:
    random = np.random.default_rng(0)
    said = random.uniform(size=20_000)
    right = random.uniform(size=20_000) < said
    honest = Reliability(said[right], said[~right])
    predicted, observed, pairs = honest.bins()
    assert np.abs(predicted - observed).max() < 0.03
    assert pairs.sum() == 20_000
    assert honest.calibration_error < 0.02
    boastful = Reliability(np.clip(said[right] * 3, 0, 1), np.clip(said[~right] * 3, 0, 1))
    assert boastful.calibration_error > 0.15
    assert honest.equal_error == pytest.approx(0.25, abs=0.02)
    missed, false = honest.missed(np.array([0.0, 0.5, 1.01])), honest.false(np.array([0.0, 0.5, 1.01]))
    assert missed == pytest.approx([0, 0.25, 1], abs=0.02)
    assert false == pytest.approx([1, 0.25, 0], abs=0.02)

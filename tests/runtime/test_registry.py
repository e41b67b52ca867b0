"""What ships is whole and has its papers; what is wrong with a model is said in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reid_tracker.errors import ConfigError, ModelError
from reid_tracker.runtime import find_model, open_session, shipped_model, shipped_models
from reid_tracker.runtime.manifest import read_manifest
from reid_tracker.runtime.registry import ShippedModel, checksum
from tests.runtime.networks import embedder


def papers(**changes: Any) -> dict[str, Any]:
    """A manifest as a user would write it for a network of their own."""
    return {
        "format": 1,
        "name": "mine",
        "task": "embedder",
        "file": "mine.onnx",
        "input": {"name": "crops", "size_hw": [64, 32]},
        **changes,
    }


def write(folder: Path, **changes: Any) -> Path:
    """A network with such a manifest beside it; returns the network's path."""
    path = embedder(folder / "mine.onnx")
    path.with_suffix(".json").write_text(json.dumps(papers(**changes)))
    return path


@pytest.mark.parametrize("model", shipped_models(), ids=lambda model: model.name)
class TestShipped:
    def test_is_the_recorded_file(self, model: ShippedModel) -> None:
        model.verify()

    def test_has_all_its_papers(self, model: ShippedModel) -> None:
        manifest = model.manifest
        assert manifest.licence
        assert manifest.terms
        assert manifest.training_data
        assert manifest.provenance
        card = (model.folder / "CARD.md").read_text()
        assert manifest.licence.split()[0] in card, "the card names the licence that the manifest opens with"

    def test_takes_and_gives_what_its_manifest_says(self, model: ShippedModel) -> None:
        from reid_tracker.config import RuntimeConfig

        session = open_session(model.path, RuntimeConfig(backend="auto"))
        assert [tensor.name for tensor in session.inputs] == [model.manifest.input.name]
        assert {tensor.name for tensor in session.outputs} == set(model.manifest.outputs)
        for tensor in session.outputs:
            said = model.manifest.outputs[tensor.name].shape
            assert len(said) == len(tensor.shape)
            for size, claimed in zip(tensor.shape, said, strict=True):
                assert size is None or size == claimed


def test_the_default_models_ship() -> None:
    from reid_tracker.config import Config
    from reid_tracker.detection import detector_name

    config = Config()
    assert shipped_model(detector_name(config.detection, config.runtime)).task == "detector"
    assert shipped_model(config.embedding.model).task == "embedder"


def test_replaced_file_names_file_expected_and_got(tmp_path: Path) -> None:
    path = write(tmp_path, sha256="0" * 64)
    with pytest.raises(ModelError) as caught:
        find_model(str(path), "embedder")
    assert str(path) in str(caught.value)
    assert "0" * 64 in str(caught.value)
    assert checksum(path) in str(caught.value)


def test_every_file_of_a_network_is_checked(tmp_path: Path) -> None:
    """OpenVINO keeps weights in a file of their own; checking the other one alone would prove nothing."""
    path = embedder(tmp_path / "mine.onnx")
    (tmp_path / "weights.bin").write_bytes(b"replaced")
    path.with_suffix(".json").write_text(
        json.dumps(papers(sha256=checksum(path), companions={"weights.bin": "0" * 64}))
    )
    with pytest.raises(ModelError, match=r"weights\.bin: expected sha256 0000"):
        find_model(str(path), "embedder")


def test_unknown_name_gives_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'nanodet_g'"):
        find_model("nanodet-g", "detector")


def test_detector_is_no_embedder() -> None:
    with pytest.raises(ConfigError, match="'detector', where the task 'embedder'"):
        find_model("nanodet_g", "embedder")


def test_missing_file_names_itself(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.onnx: no such file"):
        find_model(str(tmp_path / "absent.onnx"), "embedder")


def test_own_model_may_have_papers_or_not(tmp_path: Path) -> None:
    path = write(tmp_path)
    found = find_model(str(path), "embedder")
    assert found.manifest is not None
    assert found.name == "mine"
    path.with_suffix(".json").unlink()
    assert find_model(str(path), "embedder").manifest is None


def test_a_manifest_vouches_for_the_network_beside_it_and_no_other(tmp_path: Path) -> None:
    """The checksum of the file that it named was compared, and the other one loaded."""
    other = embedder(tmp_path / "other.onnx")
    path = write(tmp_path, file=other.name, sha256=checksum(other))
    with pytest.raises(ModelError, match=r"mine\.json: is of 'other\.onnx', not of 'mine\.onnx'; correct"):
        find_model(str(path), "embedder")


# what is wrong in a manifest -> what the message must say
BROKEN = {
    "unknown key": ({"licence_of_code": "MIT"}, "licence_of_code"),
    "no such task": ({"task": "segmenter"}, "task"),
    "checksum is none": ({"sha256": "abc"}, "sha256"),
    "format of the future": ({"format": 2}, "format"),
    "mean without std": ({"input": {"name": "x", "dtype": "float32", "mean": [0, 0, 0]}}, "mean and std"),
    "bytes cannot be normalised": ({"input": {"name": "x", "mean": [0, 0, 0], "std": [1, 1, 1]}}, "float32"),
    "levels upside down": ({"score_levels": {"416": [0.7, 0.3]}}, "416"),
}


@pytest.mark.parametrize(("changes", "said"), BROKEN.values(), ids=BROKEN)
def test_broken_manifest_names_file_and_field(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    path = write(tmp_path, **changes).with_suffix(".json")
    with pytest.raises(ModelError) as caught:
        read_manifest(path)
    assert str(path) in str(caught.value)
    assert said in str(caught.value)


def test_manifest_that_is_no_json_names_itself(tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    path.write_text("{")
    with pytest.raises(ModelError, match=r"model\.json: not valid JSON"):
        read_manifest(path)

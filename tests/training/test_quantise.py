"""An embedder in 8-bit integers: close to the original, smaller, with papers of its own, or refused."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the embedder to quantise is exported from torch")
pytest.importorskip("onnx", reason="export needs onnx")
pytest.importorskip("onnxruntime.quantization", reason="the quantiser is ONNX Runtime's")

from reid_tracker.errors import ConfigError, ModelError  # noqa: E402
from reid_tracker.training import quantise  # noqa: E402
from reid_tracker.training.export import store_half, write_onnx  # noqa: E402
from reid_tracker.training.network import AlignedReIDNet  # noqa: E402


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """A small network with weights stored in half precision, as embedders ship."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("model")
    network = AlignedReIDNet("resnet18").eval()
    write_onnx(network, (64, 32), folder / "model.onnx")
    store_half(folder / "model.onnx")
    papers = {
        "format": 1,
        "name": "tiny",
        "task": "embedder",
        "file": "model.onnx",
        "input": {"name": "crops", "size_hw": [64, 32]},
        "provenance": "made by a test",
        "figures": {"market1501": {"rank1": 99}},
    }
    (folder / "model.json").write_text(json.dumps(papers))
    return folder


@pytest.fixture(scope="module")
def crops(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("crops")
    rng = np.random.default_rng(0)
    for number in range(24):
        picture = np.clip(rng.integers(0, 256, 3) + rng.integers(-60, 60, (64, 32, 3)), 0, 255).astype(np.uint8)
        cv2.imwrite(str(folder / f"{number:04d}_c1_0.png"), picture)
    return folder


@pytest.mark.slow
def test_vectors_stay_close_and_the_papers_say_how_close(model, crops, tmp_path):
    found = quantise.export_int8(model, crops, tmp_path / "cache", tmp_path / "int8")
    assert 0.98 <= found["global mean"] < 1
    assert found["global least"] <= found["global mean"]
    manifest = json.loads((tmp_path / "int8" / "model.json").read_text())
    assert manifest["name"] == "tiny_int8"
    assert manifest["figures"] == {"cosine with the original": found}  # scores of the original are not its own
    assert manifest["provenance"].startswith("made by a test; quantised")
    assert (tmp_path / "int8" / "model.onnx").stat().st_size < 0.6 * (model / "model.onnx").stat().st_size
    from reid_tracker.training.reid_evaluation import open_judged

    pixels = np.random.default_rng(1).integers(0, 256, (3, 64, 32, 3), dtype=np.uint8)
    first, second = (open_judged(str(folder), 1).embedder.embed(pixels) for folder in (model, tmp_path / "int8"))
    for one, other in zip(first, second, strict=True):  # by the engine that the package chooses
        assert (one * other).sum(axis=-1).mean() > 0.95


@pytest.mark.slow
def test_a_model_that_moved_too_far_is_not_written(model, crops, tmp_path, monkeypatch):
    monkeypatch.setattr(quantise, "LEAST_MEAN_COSINE", 1.1)
    with pytest.raises(ModelError, match="too far"):
        quantise.export_int8(model, crops, tmp_path / "cache", tmp_path / "int8")
    assert list((tmp_path / "int8").iterdir()) == []


def test_the_original_is_never_written_over(model, crops, tmp_path):
    with pytest.raises(ConfigError, match="folder of its own"):
        quantise.export_int8(model, crops, tmp_path, model)

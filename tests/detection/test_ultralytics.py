"""Files of ultralytics: only those that are trusted, exported once, and the same people as its own predict finds."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from reid_tracker.config import Config
from reid_tracker.detection import open_detector, ultralytics_model
from reid_tracker.errors import ConfigError, ModelError
from reid_tracker.runtime.registry import checksum
from reid_tracker.types import Frame

NEEDS_ULTRALYTICS = pytest.mark.skipif(
    importlib.util.find_spec("ultralytics") is None, reason="needs ultralytics (extra)"
)


def opened(path: Path, **values: object) -> object:
    config = Config().with_values({"detection.model": str(path), **values})
    return open_detector(config.detection, config.runtime)


def test_pt_file_is_not_even_read_without_trust(tmp_path: Path) -> None:
    """Loading a .pt file can run whatever code its author put into it."""
    path = tmp_path / "model.pt"
    path.write_bytes(b"\x80\x04code")
    with pytest.raises(ConfigError, match=r"model\.pt.*--trust-model"):
        opened(path)


def test_missing_ultralytics_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(b"weights")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(ConfigError, match=r"pip install 'reid_tracker\[ultralytics\]'"):
        ultralytics_model.exported(path, tmp_path / "cache")


def test_missing_file_names_itself(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.pt: no such file"):
        opened(tmp_path / "absent.pt", **{"detection.trust_model": True})


def test_export_is_found_by_content(tmp_path: Path) -> None:
    """A renamed file is the same model; a changed file with the old name is not."""
    path, cache = tmp_path / "model.pt", tmp_path / "cache"
    path.write_bytes(b"weights")
    kept = cache / "detectors" / f"{checksum(path)}.onnx"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"exported")
    assert ultralytics_model.exported(path, cache) == kept
    assert ultralytics_model.exported(path.rename(tmp_path / "other.pt"), cache) == kept


def test_cache_lies_where_the_user_says() -> None:
    assert ultralytics_model.cache_folder({"XDG_CACHE_HOME": "/somewhere"}) == Path("/somewhere/reid_tracker")
    assert ultralytics_model.cache_folder({}) == Path.home() / ".cache/reid_tracker"


@NEEDS_ULTRALYTICS
def test_file_that_is_no_model_says_so(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(b"not a model")
    with pytest.raises(ModelError, match=r"model\.pt: ultralytics cannot export it"):
        ultralytics_model.exported(path, tmp_path / "cache")


@NEEDS_ULTRALYTICS
@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["yolo11n.yaml", "yolov8n.yaml", "yolov5n.yaml", "yolo26n.yaml"])
@pytest.mark.parametrize("size_hw", [(480, 640), (300, 400)])
def test_same_people_as_its_own_predict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, architecture: str, size_hw: tuple[int, int]
) -> None:
    """Drawn weights find nothing sensible, but any difference in letterbox, colours, decoding or suppression shows."""
    import torch
    from ultralytics import YOLO

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    torch.manual_seed(0)
    model = YOLO(architecture)
    path = tmp_path / "model.pt"
    model.save(path)
    image = np.random.default_rng(0).integers(0, 255, (*size_hw, 3), np.uint8)
    least = _threshold(model, image)
    (expected,) = model.predict(image, imgsz=640, conf=least, iou=0.6, classes=[0], max_det=1000, verbose=False)
    settings = {
        "detection.trust_model": True,
        "detection.input_size": 640,
        "detection.score_threshold": least,
        "detection.confident_score": 1.0,
        "runtime.backend": "onnxruntime",
    }
    (found,) = opened(path, **settings)([Frame("door", 0, 0.0, image)])  # type: ignore[operator]
    people = expected.boxes.data.numpy()  # x1 y1 x2 y2 score class
    assert len(people) >= 5
    assert abs(len(found) - len(people)) <= 1  # a score may fall on either side of the threshold
    count = min(len(found), len(people)) - 1
    np.testing.assert_allclose(found.scores[:count], people[:count, 4], atol=1e-4)
    # predict clips boxes to the frame, which this project leaves to those who cut
    height, width = size_hw
    inside = np.clip(found.boxes, 0, [width, height, width, height])
    nearest = np.abs(people[:count, None, :4] - inside[None]).max(axis=2).min(axis=1)
    assert nearest.max() < 0.5


def _threshold(model: object, image: np.ndarray) -> float:
    """A score that a few dozen boxes of a network with drawn weights pass."""
    (everything,) = model.predict(image, imgsz=640, conf=1e-4, iou=0.6, classes=[0], max_det=1000, verbose=False)  # type: ignore[operator,attr-defined]
    scores = np.sort(everything.boxes.conf.numpy())[::-1]
    return float(scores[: min(40, len(scores))].min())

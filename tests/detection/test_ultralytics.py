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

LEAST = 0.3  # leaves fewer candidates than the detector keeps before suppression

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


@pytest.fixture
def image() -> np.ndarray:
    """300 x 400 pixels of coloured blocks: must be scaled and letterboxed."""
    blocks = np.random.default_rng(0).integers(0, 255, (30, 40, 3), np.uint8)
    return blocks.repeat(10, axis=0).repeat(10, axis=1)


@NEEDS_ULTRALYTICS
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of its exporter and the tracer under it
@pytest.mark.parametrize("architecture", ["yolo11n.yaml", "yolov8n.yaml", "yolov5n.yaml", "yolo26n.yaml"])
def test_same_people_as_its_own_predict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, image: np.ndarray, architecture: str
) -> None:
    """Drawn weights find nothing sensible, but any difference in letterbox, colours, decoding or suppression shows."""
    from ultralytics import YOLO

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    path = tmp_path / "model.pt"
    _draw(architecture, image, path)
    (expected,) = YOLO(path).predict(image, imgsz=640, conf=LEAST, iou=0.6, classes=[0], max_det=1000, verbose=False)
    _compare(path, image, expected.boxes.data.numpy())


@NEEDS_ULTRALYTICS
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of its exporter and the tracer under it
def test_same_people_as_its_own_predict_without_suppression(tmp_path: Path, image: np.ndarray) -> None:
    """The end-to-end head of v26 gives rows that are final, 300 at most."""
    from ultralytics import YOLO

    path = tmp_path / "model.pt"
    _draw("yolo26n.yaml", image, path)
    exported = Path(YOLO(path).export(format="onnx", dynamic=True, simplify=False, nms=False, verbose=False))
    network = YOLO(exported, task="detect")
    (expected,) = network.predict(image, imgsz=(480, 640), conf=LEAST, classes=[0], rect=False, verbose=False)
    found = _compare(exported, image, expected.boxes.data.numpy())
    assert "yolo-end2end" in found


def _compare(path: Path, image: np.ndarray, people: np.ndarray) -> str:
    """Our detector on the file against rows of x1, y1, x2, y2, score, class; returns what the detector says it is."""
    settings = {
        "detection.trust_model": True,
        "detection.input_size": 640,
        "detection.score_threshold": LEAST,
        "detection.confident_score": 1.0,
        "runtime.backend": "onnxruntime",
    }
    config = Config().with_values({"detection.model": str(path), **settings})
    detector = open_detector(config.detection, config.runtime)
    (found,) = detector([Frame("door", 0, 0.0, image)])
    assert len(people) >= 20
    # rounding puts a score on either side of the threshold, or an overlap on either side of its limit
    few = 0.02 * len(people) + 1
    assert abs(len(found) - len(people)) <= few
    # predict clips boxes to the frame, which this project leaves to those who cut
    inside = np.clip(found.boxes, 0, [400, 300, 400, 300])
    same_place = np.abs(people[:, None, :4] - inside[None]).max(axis=2) < 0.5
    same_score = np.abs(people[:, None, 4] - found.scores[None]) < 1e-3
    assert (~(same_place & same_score).any(axis=1)).sum() <= few
    return detector.describe()


def _draw(architecture: str, image: np.ndarray, path: Path) -> None:
    """Save a network with drawn weights that yet gives varied scores and boxes: normalisation fitted to the picture,
    the last layers of the heads spread out, and people likelier than the other classes."""
    import torch
    from ultralytics import YOLO

    torch.manual_seed(0)
    model = YOLO(architecture)
    picture = torch.from_numpy(image[..., ::-1].transpose(2, 0, 1).copy())[None].float() / 255
    model.model.train()
    with torch.no_grad():
        for layer in model.model.modules():
            if isinstance(layer, torch.nn.BatchNorm2d):
                layer.momentum = 1.0
        model.model(torch.nn.functional.interpolate(picture, (480, 640)))
        head = model.model.model[-1]
        for name, branches in head.named_children():
            for branch in branches if name.endswith(("cv2", "cv3")) else ():
                if name.endswith("cv3"):
                    branch[-1].weight *= 2
                    branch[-1].bias[:] = -8
                    branch[-1].bias[0] = -2
                elif head.reg_max > 1:
                    branch[-1].weight *= 5
                else:  # distances themselves, not distributions: keep them above 0
                    branch[-1].bias[:] = 3
    model.model.eval()
    model.save(path)

"""Embedding: rows stay with their detections, faults stay with their rows, and wrong networks say so."""

from __future__ import annotations

import json
import os
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest

from reid_tracker.config import Config, EmbeddingConfig, RuntimeConfig
from reid_tracker.embedding import NetworkEmbedder, crop_people, open_embedder
from reid_tracker.errors import ConfigError, ModelError
from reid_tracker.types import Detections, Frame
from tests.runtime.networks import convolution, embedder

COLOURS = {"red": (0, 0, 255), "green": (0, 255, 0), "blue": (255, 0, 0)}
PLACES = {"red": (10, 10, 40, 90), "green": (60, 20, 90, 100), "blue": (110, 30, 140, 110)}


def frame(camera: str = "door", **places: tuple[int, int, int, int]) -> Frame:
    """Grey, with people of one colour each."""
    image = np.full((120, 160, 3), 128, np.uint8)
    for colour, (left, top, right, bottom) in (places or PLACES).items():
        image[top:bottom, left:right] = COLOURS[colour]
    return Frame(camera, 0, 0.0, image)


def boxes(*rows: tuple[float, ...]) -> Detections:
    found = np.array(rows, np.float32).reshape(-1, 4)
    return Detections(found, np.full(len(found), 0.9, np.float32))


def opened(path: Path | str, batch: int = 16, backend: str = "onnxruntime") -> NetworkEmbedder:
    return open_embedder(EmbeddingConfig(model=str(path), batch=batch), RuntimeConfig(backend=backend, threads=1))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return embedder(tmp_path_factory.mktemp("networks") / "colours.onnx")


def unit(colour: str) -> np.ndarray:
    return np.array(COLOURS[colour], np.float32) / 255


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("batch", [1, 2, 16])
def test_each_row_is_the_look_of_its_own_box(model: Path, backend: str, batch: int) -> None:
    """Several frames, several boxes each, in any order and any batch: red stays red, and with its detection."""
    describe = opened(model, batch, backend)
    order = [["blue", "red"], [], ["green"], ["red", "green", "blue"]]
    looks = describe([frame()] * 4, [boxes(*(PLACES[colour] for colour in colours)) for colours in order])
    assert [len(appearance) for appearance in looks] == [2, 0, 1, 3]
    for colours, appearance in zip(order, looks, strict=True):
        assert appearance.valid.all()
        assert appearance.stripes.shape == (len(colours), 8, 3)
        for colour, global_, stripes in zip(colours, appearance.global_, appearance.stripes, strict=True):
            np.testing.assert_allclose(global_, unit(colour), atol=0.02)
            np.testing.assert_allclose(stripes, np.tile(unit(colour), (8, 1)), atol=0.02)


def test_stripes_run_from_head_to_foot(model: Path) -> None:
    given = frame(red=(10, 10, 40, 50), blue=(10, 50, 40, 90))
    (look,) = opened(model)([given], [boxes((10, 10, 40, 90))])
    np.testing.assert_allclose(look.stripes[0, 0], unit("red"), atol=0.02)
    np.testing.assert_allclose(look.stripes[0, 7], unit("blue"), atol=0.02)


def test_box_without_a_crop_is_not_valid_and_shifts_nobody(model: Path) -> None:
    """A failed crop that became a black picture would match every other failed crop."""
    outside = (500, 500, 540, 600)
    (look,) = opened(model)([frame()], [boxes(PLACES["red"], outside, PLACES["blue"])])
    assert look.valid.tolist() == [True, False, True]
    assert not look.global_[1].any()
    assert not look.stripes[1].any()
    assert look.quality[1] == 0
    np.testing.assert_allclose(look.global_[2], unit("blue"), atol=0.02)


def test_only_wanted_crops_are_embedded(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    describe = opened(model)
    sizes = []
    run = describe._session.run
    monkeypatch.setattr(describe._session, "run", lambda inputs: (sizes.append(len(inputs["crops"])), run(inputs))[1])
    people = boxes(*PLACES.values())
    looks = describe([frame(), frame()], [people, people], [np.array([False, True, False]), np.zeros(3, np.bool_)])
    assert sizes == [1]  # not three, and no second call for the other frame
    assert looks[0].valid.tolist() == [False, True, False]
    assert not looks[1].valid.any()
    np.testing.assert_allclose(looks[0].global_[1], unit("green"), atol=0.02)


def test_all_crops_of_all_cameras_go_in_one_call(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    describe = opened(model, batch=4)
    sizes = []
    run = describe._session.run
    monkeypatch.setattr(describe._session, "run", lambda inputs: (sizes.append(len(inputs["crops"])), run(inputs))[1])
    describe([frame("a"), frame("b")], [boxes(*PLACES.values())] * 2)
    assert sizes == [4, 2]


def test_nobody_anywhere_is_no_call_and_the_right_shapes(model: Path) -> None:
    describe = opened(model)
    assert describe([], []) == []
    (look,) = describe([frame()], [Detections.empty()])
    assert look.global_.shape == (0, 3)
    assert look.stripes.shape == (0, 8, 3)


@pytest.mark.parametrize("scale", [float("nan"), float("inf"), 0.0])
def test_vectors_that_are_not_finite_or_of_no_length_name_the_model(tmp_path: Path, scale: float) -> None:
    path = embedder(tmp_path / "broken.onnx", scale=scale)
    with np.errstate(invalid="ignore"), pytest.raises(ModelError, match=r"broken\.onnx: output 'global'"):
        opened(path)([frame()], [boxes(PLACES["red"])])


def test_network_with_a_fixed_batch_takes_any_number(tmp_path: Path) -> None:
    path = embedder(tmp_path / "fixed.onnx", batch=2, stripes=False)
    (look,) = opened(path)([frame()], [boxes(*PLACES.values())])
    np.testing.assert_allclose(look.global_, [unit(colour) for colour in PLACES], atol=0.02)
    assert look.stripes.shape == (3, 0, 0)


def test_manifest_beside_the_file_says_how_to_feed_it(tmp_path: Path) -> None:
    """A network trained on RGB, given BGR, works worse and says nothing."""
    path = embedder(tmp_path / "mine.onnx")
    papers = {
        "format": 1,
        "name": "mine",
        "task": "embedder",
        "file": "mine.onnx",
        "input": {"name": "crops", "size_hw": [64, 32], "colour": "rgb"},
    }
    path.with_suffix(".json").write_text(json.dumps(papers))
    (look,) = opened(path)([frame()], [boxes(PLACES["red"])])
    np.testing.assert_allclose(look.global_[0], unit("blue"), atol=0.02)


def test_network_that_is_no_embedder_says_what_it_gives(tmp_path: Path) -> None:
    path = convolution(tmp_path / "maps.onnx", batch=1)
    with pytest.raises(ModelError, match=r"maps\.onnx: height and width are free"):
        opened(path)
    model = onnx.load(path)
    for size, side in zip(model.graph.input[0].type.tensor_type.shape.dim[2:], (64, 32), strict=True):
        size.dim_value = side
    onnx.save(model, path)
    with pytest.raises(ModelError, match=r"maps\.onnx: puts out features"):
        opened(path)


def test_detector_is_refused() -> None:
    with pytest.raises(ConfigError, match="nanodet_g"):
        opened("nanodet_g")


def test_says_what_it_gives_and_how_it_runs(model: Path) -> None:
    described = opened(model).describe()
    for part in ("colours.onnx", "ONNX Runtime", "fp32", "3-d and 8 stripes of 3-d"):
        assert part in described


def test_detections_and_frames_are_left_as_they_are(model: Path) -> None:
    given, people = frame(), boxes(*PLACES.values())
    before = given.image.copy(), people.boxes.copy()
    opened(model)([given], [people])
    np.testing.assert_array_equal(given.image, before[0])
    np.testing.assert_array_equal(people.boxes, before[1])


def shipped(backend: str) -> NetworkEmbedder:
    return open_embedder(Config().embedding, RuntimeConfig(backend=backend))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def crops(reid_data: Path) -> np.ndarray:
    """(20, H, W, 3): pictures of people, through the package's own crop function."""
    folder = reid_data / "Market-1501-v15.09.15" / "query"
    if not folder.is_dir():
        pytest.skip(f"needs {folder}")
    pictures = [np.asarray(cv2.imread(str(path))) for path in sorted(folder.glob("*.jpg"))[:200:10]]
    size_hw = shipped("onnxruntime").size_hw
    return np.concatenate(
        [crop_people(picture, np.array([[0, 0, *picture.shape[1::-1]]]), size_hw)[0] for picture in pictures]
    )


def test_openvino_equals_float32_onnx_runtime(crops: np.ndarray) -> None:
    for one, other in zip(shipped("openvino").embed(crops), shipped("onnxruntime").embed(crops), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_look_does_not_depend_on_its_neighbours(crops: np.ndarray, backend: str) -> None:
    describe = shipped(backend)
    together = describe.embed(crops)
    for count in (1, 3, 7):
        for one, other in zip(describe.embed(crops[5 : 5 + count]), together, strict=True):
            np.testing.assert_allclose(one, other[5 : 5 + count], atol=1e-5)


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_same_crops_give_the_same_looks(crops: np.ndarray, backend: str) -> None:
    describe = shipped(backend)
    for first, again in zip(describe.embed(crops), describe.embed(crops), strict=True):
        np.testing.assert_array_equal(first, again)


def test_openvino_model_of_intel_works_by_path() -> None:
    """A reference embedder: BGR 0..255, one output of 256 numbers, batch fixed to 1 in the file."""
    folder = Path(os.environ.get("REID_TRACKER_TEACHERS", "absent"))
    models = sorted(folder.glob("**/person-reidentification-retail-0288.xml"))
    if not models:
        pytest.skip("needs the folder that REID_TRACKER_TEACHERS names, with Intel's person-reidentification-retail")
    describe = opened(models[0], backend="auto")
    assert describe.shapes == (256, 0, 0)
    look, other = describe([frame(), frame()], [boxes(*PLACES.values()), boxes(PLACES["blue"])])
    np.testing.assert_allclose(np.linalg.norm(look.global_, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(look.global_[2], other.global_[0], atol=2e-5)

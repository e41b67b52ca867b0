"""Detectors from whole networks: every head finds the same bright square, in frames of any size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from reid_tracker.config import DetectionConfig, RuntimeConfig
from reid_tracker.detection.network import NetworkDetector, open_network
from reid_tracker.errors import ModelError
from reid_tracker.types import Frame
from tests.detection.networks import HEADS, bright

CONFIG = DetectionConfig(score_threshold=0.5, confident_score=0.6)


def frame(
    camera: str = "door", size_hw: tuple[int, int] = (128, 160), square: tuple[int, int, int] = (64, 32, 16)
) -> Frame:
    """Black, with a white square (left, top, side)."""
    left, top, side = square
    image = np.zeros((*size_hw, 3), np.uint8)
    image[top : top + side, left : left + side] = 255
    return Frame(camera, 0, 0.0, image)


def detector(path: Path, config: DetectionConfig = CONFIG, backend: str = "onnxruntime") -> NetworkDetector:
    return open_network(path, None, config, RuntimeConfig(backend=backend, threads=1))  # type: ignore[arg-type]


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_every_head_is_recognised_and_decoded(tmp_path: Path, head: str, backend: str) -> None:
    # nothing in the file's name tells
    find = detector(bright(tmp_path / "some.onnx", head), backend=backend)
    assert f"head {head.split()[0]}" in find.describe()
    (found,) = find([frame()])
    # the cell of stride 16 at (64, 32) is all white: centre (72, 40), four strides wide; its stride-8 parts as well
    best = found.boxes[np.isclose(found.scores, found.scores.max(), atol=1e-3)]
    assert np.isclose(best, [72 - 32, 40 - 32, 72 + 32, 40 + 32], atol=0.05).all(axis=1).any()
    assert found.scores.max() > 0.99


@pytest.mark.parametrize("head", HEADS)
def test_black_frame_holds_nobody(tmp_path: Path, head: str) -> None:
    (found,) = detector(bright(tmp_path / "some.onnx", head))([frame(square=(0, 0, 0))])
    assert len(found) == 0
    assert found.boxes.shape == (0, 4)


# frame size, square -> its centre must come back in pixels of that frame
SIZES = {
    "as the input": ((128, 160), (64, 32, 16)),
    "twice the input": ((256, 320), (128, 64, 32)),
    "wide": ((180, 320), (128, 64, 32)),
    "tall": ((256, 128), (64, 96, 32)),
    "smaller than the input": ((64, 80), (32, 16, 8)),
}


@pytest.mark.parametrize(("size_hw", "square"), SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("head", ["yolo-v8", "yolox"])  # one family is centred in the input, one lies at the top left
def test_boxes_come_back_in_pixels_of_the_frame(
    tmp_path: Path, head: str, size_hw: tuple[int, int], square: tuple[int, int, int]
) -> None:
    find = detector(bright(tmp_path / "some.onnx", head))  # the padding is grey, and scores less than the threshold
    (found,) = find([frame(size_hw=size_hw, square=square)])
    left, top, side = square
    centres = (found.boxes[:, :2] + found.boxes[:, 2:]) / 2
    cell = 32 * max(size_hw[0] / 128, size_hw[1] / 160)  # coarsest stride, in pixels of the frame
    offsets = np.abs(centres - [left + side / 2, top + side / 2]).max(axis=1)
    assert len(found)
    assert offsets.max() <= cell
    assert offsets.min() <= cell / 4


@pytest.mark.parametrize("batch", ["N", 1, 2, 4])
def test_batch_of_cameras_equals_one_by_one(tmp_path: Path, batch: int | str) -> None:
    """Three cameras through a network of any batch; frames of other cameras must not show in a camera's boxes."""
    find = detector(bright(tmp_path / "some.onnx", "yolo-v8", batch))
    frames = [
        frame("a", square=(64, 32, 16)),
        frame("b", (256, 320), square=(32, 32, 64)),
        frame("c", square=(0, 0, 0)),
    ]
    together = find(frames)
    for one, found in zip(frames, together, strict=True):
        (alone,) = find([one])
        np.testing.assert_allclose(found.boxes, alone.boxes, atol=1e-4)
        np.testing.assert_allclose(found.scores, alone.scores, atol=1e-6)
    assert [len(found) > 0 for found in together] == [True, True, False]
    assert find([]) == []


def test_one_square_is_one_person(tmp_path: Path) -> None:
    """Four cells of stride 8 see the square; a person must not come out four times."""
    path = bright(tmp_path / "some.onnx", "yolo-v8")
    strict, lax = (CONFIG.model_copy(update={"nms_overlap": limit}) for limit in (0.2, 1.0))
    (suppressed,), (everything,) = detector(path, strict)([frame()]), detector(path, lax)([frame()])
    assert len(suppressed) == 1
    assert len(everything) > 4
    assert suppressed.scores[0] == everything.scores.max()


def test_scores_leave_from_the_threshold_on(tmp_path: Path) -> None:
    path = bright(tmp_path / "some.onnx", "yolox")
    image = frame().image // 2  # brightness 127 / 255 = 0.498
    for threshold, seen in ((0.49, True), (0.51, False)):
        find = detector(path, CONFIG.model_copy(update={"score_threshold": threshold}))
        (found,) = find([Frame("door", 0, 0.0, image)])
        assert (len(found) > 0) == seen
        assert find.score_levels == (threshold, 0.6)


def test_person_is_found_by_name_whatever_its_index(tmp_path: Path) -> None:
    """Networks trained on other sets have people elsewhere; taking class 0 would track bicycles."""
    path = bright(tmp_path / "some.onnx", "yolo-v8", metadata={"names": "{0: 'car', 1: 'Person', 2: 'dog'}"})
    assert len(detector(path)([frame()])[0]) == 0


def test_network_without_people_says_what_it_finds(tmp_path: Path) -> None:
    path = bright(tmp_path / "some.onnx", "yolo-v8", metadata={"names": "{0: 'car', 1: 'van', 2: 'dog'}"})
    with pytest.raises(ModelError, match=r"some\.onnx: none of its classes is a person \(car, van, dog"):
        detector(path)


def test_network_for_another_task_is_refused(tmp_path: Path) -> None:
    path = bright(tmp_path / "some.onnx", "yolo-v8", metadata={"task": "segment"})
    with pytest.raises(ModelError, match=r"some\.onnx: made for the task 'segment'"):
        detector(path)


def test_unknown_head_says_what_came_and_what_is_known(tmp_path: Path) -> None:
    path = bright(tmp_path / "some.onnx", "yolo-v8")
    model = onnx.load(path)
    model.graph.output.append(onnx.helper.make_tensor_value_info("scores", onnx.TensorProto.FLOAT, ["N", "A"]))
    onnx.save(model, path)
    with pytest.raises(ModelError) as caught:
        detector(path)
    message = str(caught.value)
    for part in (str(path), "output0 (1, 7, 420)", "scores (1, 420)", "yolo-v8", "nanodet"):
        assert part in message


def test_numbers_that_are_not_finite_name_the_model(tmp_path: Path) -> None:
    """A NaN box killed a camera process in the field; a network that gives any must not go on."""
    path = bright(tmp_path / "some.onnx", "yolox raw")
    model = onnx.load(path)
    (boxes,) = [tensor for tensor in model.graph.initializer if tensor.name == "boxes"]
    values = onnx.numpy_helper.to_array(boxes).copy()
    values[..., 2] = 200.0  # exp(200) is no float32
    boxes.CopyFrom(onnx.numpy_helper.from_array(values, "boxes"))
    onnx.save(model, path)
    with np.errstate(over="ignore", invalid="ignore"), pytest.raises(ModelError, match=r"some\.onnx.*not finite"):
        detector(path)([frame()])


def test_frames_are_left_as_they_are(tmp_path: Path) -> None:
    given = frame()
    before = given.image.copy()
    detector(bright(tmp_path / "some.onnx", "yolo-v8"))([given])
    np.testing.assert_array_equal(given.image, before)

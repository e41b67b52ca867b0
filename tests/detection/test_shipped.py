"""The detector that ships, on real pictures."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from reid_tracker.boxes import overlap, xywh_to_xyxy
from reid_tracker.config import Config
from reid_tracker.detection import detector_name, open_detector
from reid_tracker.detection.network import NetworkDetector
from reid_tracker.errors import ConfigError
from reid_tracker.runtime import find_model
from reid_tracker.types import Detections, FloatArray, Frame

AT = (0, 150, 300)  # frames of PETS09-S2L1, counted from 0


def detector(**settings: object) -> NetworkDetector:
    config = Config().with_values({key.replace("__", "."): value for key, value in settings.items()})
    return open_detector(config.detection, config.runtime)


@pytest.fixture(scope="module")
def pets(shared: Path) -> tuple[list[Frame], list[FloatArray]]:
    """Three frames with the true boxes of the people in them."""
    folder = shared / "data/tracking/PETS09-S2L1"
    if not folder.is_dir():
        pytest.skip(f"needs {folder}")
    truth = np.loadtxt(folder / "gt/gt.txt", delimiter=",")
    video = cv2.VideoCapture(str(folder / "vtest.avi"))
    frames, boxes = [], []
    for index in range(max(AT) + 1):
        _, image = video.read()
        if index in AT:
            frames.append(Frame("pets", index, index / 7, np.asarray(image, np.uint8)))
            boxes.append(xywh_to_xyxy(truth[truth[:, 0] == index + 1, 2:6]))
    video.release()
    return frames, boxes


def test_says_which_precision_it_runs_in() -> None:
    assert ", fp32, CPU" in detector(detection__model="nanodet_g", runtime__backend="openvino").describe()
    assert "int8 where quantised, else fp32" in detector(detection__model="nanodet_g_int8").describe()


def chosen(**runtime: object) -> str:
    """The detector that ``auto`` stands for with these settings of the runtime."""
    config = Config().with_values({f"runtime.{key}": value for key, value in runtime.items()})
    return detector_name(config.detection, config.runtime)


def test_eight_bits_are_the_default_where_they_are_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    assert chosen() == chosen(backend="openvino") == chosen(precision="bf16") == "nanodet_g_int8"
    assert chosen(backend="onnxruntime") == chosen(backend="tensorrt") == chosen(precision="fp16") == "nanodet_g"
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    assert chosen() == "nanodet_g"


def test_an_engine_that_was_built_of_the_detector_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setattr("reid_tracker.detection.open.find_engine", lambda path, config: (path, config))
    assert chosen() == "nanodet_g"
    assert chosen(backend="openvino") == "nanodet_g_int8"


def test_a_detector_that_was_asked_for_is_taken() -> None:
    config = Config().with_values({"detection.model": "nanodet_g"})
    assert detector_name(config.detection, config.runtime) == "nanodet_g"


def test_grey_and_noise_hold_nobody() -> None:
    grey = Frame("door", 0, 0.0, np.full((480, 640, 3), 114, np.uint8))
    noise = Frame("hall", 0, 0.0, np.random.default_rng(0).integers(0, 255, (480, 640, 3), np.uint8))
    assert [len(found) for found in detector()([grey, noise])] == [0, 0]


def test_finds_people_and_little_else(pets: tuple[list[Frame], list[FloatArray]]) -> None:
    frames, truth = pets
    find = detector()
    confident = find.score_levels[1]
    for found, people in zip(find(frames), truth, strict=True):
        sure = found.select(found.scores >= confident)
        shared_area = overlap(sure.boxes, people)
        assert (shared_area.max(axis=1) >= 0.5).all()
        assert (shared_area.max(axis=0) >= 0.5).mean() >= 0.7  # those hidden behind others may be missed


def test_engines_give_the_same_people(pets: tuple[list[Frame], list[FloatArray]]) -> None:
    frames, _ = pets
    one, other = (
        detector(detection__model="nanodet_g", runtime__backend=backend)(frames)
        for backend in ("onnxruntime", "openvino")
    )
    for ours, theirs in zip(one, other, strict=True):
        np.testing.assert_allclose(ours.boxes, theirs.boxes, atol=1e-2)
        np.testing.assert_allclose(ours.scores, theirs.scores, atol=1e-5)


def test_same_frames_give_the_same_people_twice(pets: tuple[list[Frame], list[FloatArray]]) -> None:
    frames, _ = pets
    find = detector()
    for first, again in zip(find(frames), find(frames), strict=True):
        np.testing.assert_array_equal(first.boxes, again.boxes)
        np.testing.assert_array_equal(first.scores, again.scores)


def test_a_cameras_people_do_not_depend_on_the_other_cameras(pets: tuple[list[Frame], list[FloatArray]]) -> None:
    frames, _ = pets
    find = detector()
    together = find(frames)
    for frame, found in zip(frames, together, strict=True):
        (alone,) = find([frame])
        np.testing.assert_allclose(found.boxes, alone.boxes, atol=1e-2)
        np.testing.assert_allclose(found.scores, alone.scores, atol=1e-5)


def test_input_size_is_kept_from_the_first_frame(pets: tuple[list[Frame], list[FloatArray]]) -> None:
    frames, _ = pets
    find = detector()
    find(frames)
    assert "pets 640x480" in find.describe()
    small = Frame("pets", 400, 60.0, np.zeros((240, 320, 3), np.uint8))
    find([small])
    assert "pets 640x480" in find.describe()


def test_levels_follow_each_cameras_input() -> None:
    find = detector()
    find(
        [
            Frame("small", 0, 0.0, np.zeros((480, 640, 3), np.uint8)),
            Frame("pets", 0, 0.0, np.zeros((576, 768, 3), np.uint8)),
        ]
    )
    small, pets = find.score_levels_of("small"), find.score_levels_of("pets")
    assert small[1] < pets[1]
    assert find.score_levels == pets == find.score_levels_of("pets")


def test_equals_the_published_network(shared: Path, pets: tuple[list[Frame], list[FloatArray]]) -> None:
    """Against an independent conversion of the same weights with all 80 classes, normalised outside of the graph and
    decoded here cell by cell, box by box."""
    import onnxruntime

    path = shared / "models/nanodet_g_dyn.onnx"
    if not path.is_file():
        pytest.skip(f"needs {path}")
    frames, _ = pets
    reference = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    find = detector(detection__model="nanodet_g", detection__score_threshold=0.4, detection__nms_overlap=1.0)
    for frame, found in zip(frames, find(frames), strict=True):
        expected = _published(reference, frame.image)
        assert len(found) == len(expected)
        order = np.argsort(-expected.scores, kind="stable")
        np.testing.assert_allclose(found.scores, expected.scores[order], atol=1e-4)
        np.testing.assert_allclose(found.boxes, expected.boxes[order], atol=0.05)


def _published(session: object, image: np.ndarray) -> Detections:
    """NanoDet-g as its authors describe it, at 640 x 480, without suppression."""
    picture = cv2.resize(image, (640, 480)).astype(np.float32)
    normalised = (picture - [103.53, 116.28, 123.675]) / [57.375, 57.12, 58.395]
    outputs = session.run(None, {"input_1": normalised.transpose(2, 0, 1)[None].astype(np.float32)})  # type: ignore[attr-defined]
    boxes, scores = [], []
    for level, stride in enumerate((8, 16, 32)):
        columns = 640 // stride
        for cell, classes in enumerate(outputs[level][0]):
            if classes[0] < 0.4:
                continue
            x, y = (cell % columns + 0.5) * stride, (cell // columns + 0.5) * stride
            sides = []
            for logits in outputs[3 + level][0, cell].reshape(4, 11).astype(np.float64):
                weights = np.exp(logits) / np.exp(logits).sum()
                sides.append(sum(weight * step for step, weight in enumerate(weights)) * stride)
            boxes.append([x - sides[0], y - sides[1], x + sides[2], y + sides[3]])
            scores.append(classes[0])
    scale = [image.shape[1] / 640, image.shape[0] / 480] * 2
    return Detections((np.array(boxes) * scale).astype(np.float32), np.array(scores, np.float32))


def test_file_without_its_papers_works_the_same(tmp_path: Path, pets: tuple[list[Frame], list[FloatArray]]) -> None:
    """A network that takes bytes normalises them itself; nothing may be subtracted twice."""
    copy = tmp_path / "anything.onnx"
    copy.write_bytes(find_model("nanodet_g", "detector").path.read_bytes())
    frames, _ = pets
    with_papers, without = (
        detector(detection__model="nanodet_g", detection__score_threshold=0.5),
        detector(detection__model=str(copy), detection__score_threshold=0.5),
    )
    for ours, theirs in zip(with_papers(frames), without(frames), strict=True):
        assert len(ours) > 0
        np.testing.assert_array_equal(ours.boxes, theirs.boxes)


def test_eight_bits_find_the_same_people(pets: tuple[list[Frame], list[FloatArray]]) -> None:
    """Quantised wrongly, scores fall by half and nobody is found: seen with this network read from ONNX."""
    frames, _ = pets
    exact, quick = detector(detection__model="nanodet_g"), detector(detection__model="nanodet_g_int8")
    assert "int8" in quick.describe()
    for sure, found in zip(exact(frames), quick(frames), strict=True):
        sure = sure.select(sure.scores >= exact.score_levels[1])
        shared_area = overlap(sure.boxes, found.boxes)
        assert (shared_area.max(axis=1) > 0.8).all()
        np.testing.assert_allclose(found.scores[shared_area.argmax(axis=1)], sure.scores, atol=0.1)


def test_eight_bits_need_openvino_and_say_so() -> None:
    with pytest.raises(ConfigError, match=r"model\.xml: an OpenVINO file"):
        detector(detection__model="nanodet_g_int8", runtime__backend="onnxruntime")

"""The teacher's answers: one for each picture, of unit length, in order, asked once."""

import cv2
import numpy as np
import pytest

from reid_tracker.errors import ModelError
from reid_tracker.training.data import read_people

onnx = pytest.importorskip("onnx", reason="the test builds a tiny teacher")
pytest.importorskip("openvino", reason="the teacher runs on OpenVINO")

from reid_tracker.training import teacher  # noqa: E402


@pytest.fixture
def mean_colour(tmp_path):
    """A teacher whose vector is the mean colour of the picture."""
    helper = onnx.helper
    picture = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["N", 3, 16, 8])
    vector = helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["N", 3, 1, 1])
    graph = helper.make_graph([helper.make_node("GlobalAveragePool", ["x"], ["y"])], "mean", [picture], [vector])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    file = tmp_path / "teacher.onnx"
    onnx.save(model, str(file))
    return file


def test_each_picture_gets_its_own_unit_vector_in_order(tmp_path, mean_colour, monkeypatch):
    folder = tmp_path / "set"
    folder.mkdir()
    colours = np.random.default_rng(0).integers(1, 256, (2 * teacher.BATCH + 3, 3))  # a last batch that is not full
    for number, colour in enumerate(colours):
        cv2.imwrite(str(folder / f"0001_c1_{number:03d}.png"), np.full((16, 8, 3), colour, np.uint8))
    people = read_people(folder)
    found = teacher.teacher_vectors(mean_colour, people, (16, 8), tmp_path)
    expected = colours / np.linalg.norm(colours, axis=1, keepdims=True)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    monkeypatch.setattr(teacher, "_ask", lambda *_: pytest.fail("asked twice"))
    np.testing.assert_array_equal(teacher.teacher_vectors(mean_colour, people, (16, 8), tmp_path), found)


def test_missing_teacher_is_named(tmp_path):
    folder = tmp_path / "set"
    folder.mkdir()
    cv2.imwrite(str(folder / "0001_c1_0.png"), np.zeros((16, 8, 3), np.uint8))
    with pytest.raises(ModelError, match=r"gone\.xml"):
        teacher.teacher_vectors(tmp_path / "gone.xml", read_people(folder), (16, 8), tmp_path)

"""The teacher's answers: one for each picture, of unit length, in order, asked once."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from reid_tracker.errors import ModelError
from reid_tracker.training.data import _joined, read_people

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


def test_weights_beside_an_xml_are_another_network(tmp_path):
    (tmp_path / "set").mkdir()
    cv2.imwrite(str(tmp_path / "set" / "0001_c1_0.png"), np.zeros((16, 8, 3), np.uint8))
    people, file = read_people(tmp_path / "set"), tmp_path / "net.xml"
    file.write_text("<net/>")
    kept = set()
    for weights in (b"one", b"two"):
        file.with_suffix(".bin").write_bytes(weights)
        kept.add(teacher._kept(file, people, tmp_path, "teacher"))
    assert len(kept) == 2


def test_answers_that_were_half_written_are_none(tmp_path, mean_colour, monkeypatch):
    (tmp_path / "set").mkdir()
    cv2.imwrite(str(tmp_path / "set" / "0001_c1_0.png"), np.full((16, 8, 3), 7, np.uint8))
    people = read_people(tmp_path / "set")

    def cut_short(target, _values):
        target.write(b"half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(np, "save", cut_short)
        with pytest.raises(KeyboardInterrupt):
            teacher.teacher_vectors(mean_colour, people, (16, 8), tmp_path)
    assert teacher.teacher_vectors(mean_colour, people, (16, 8), tmp_path).shape == (1, 3)


def test_missing_teacher_is_named(tmp_path):
    folder = tmp_path / "set"
    folder.mkdir()
    cv2.imwrite(str(folder / "0001_c1_0.png"), np.zeros((16, 8, 3), np.uint8))
    with pytest.raises(ModelError, match=r"gone\.xml"):
        teacher.teacher_vectors(tmp_path / "gone.xml", read_people(folder), (16, 8), tmp_path)


def test_a_file_that_is_no_network_is_named(tmp_path):
    (tmp_path / "set").mkdir()
    cv2.imwrite(str(tmp_path / "set" / "0001_c1_0.png"), np.zeros((16, 8, 3), np.uint8))
    (tmp_path / "broken.xml").write_text("<net")
    with pytest.raises(ModelError, match=r"broken\.xml: OpenVINO cannot run it") as caught:
        teacher.teacher_vectors(tmp_path / "broken.xml", read_people(tmp_path / "set"), (16, 8), tmp_path)
    assert "\n" not in str(caught.value)


def test_an_embedder_of_this_package_teaches_its_stripes_too(tmp_path, mean_colour):
    folder = tmp_path / "set"
    folder.mkdir()
    for number in range(3):
        noise = np.random.default_rng(number).integers(0, 256, (64, 32, 3), dtype=np.uint8)
        cv2.imwrite(str(folder / f"0001_c1_{number}.png"), noise)
    people = read_people(folder)
    shipped = Path(__file__).parents[2] / "engines" / "alignedreid_small" / "model.onnx"
    vectors = teacher.teacher_vectors(shipped, people, (16, 8), tmp_path)
    stripes = teacher.teacher_stripes(shipped, people, tmp_path)
    assert (vectors.shape, stripes.shape, stripes.dtype) == ((3, 256), (3, 8, 128), np.float16)
    np.testing.assert_allclose(np.linalg.norm(stripes.astype(np.float32), axis=2), 1, atol=1e-3)
    with pytest.raises(ModelError, match="embedders of this package"):
        teacher.teacher_stripes(mean_colour, people, tmp_path)


def test_answers_of_several_sets_are_joined_with_gaps_where_none_was_asked():
    rows = [np.array([0, 2]), np.array([1])]
    asked = np.arange(12, dtype=np.float32).reshape(3, 4)
    joined = _joined([asked, None], rows)
    assert joined is not None
    np.testing.assert_array_equal(joined[:2], asked[[0, 2]])
    assert np.isnan(joined[2]).all()
    assert _joined([None, None], rows) is None
    assert _joined(None, rows) is None

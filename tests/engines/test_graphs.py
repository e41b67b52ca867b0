"""Networks in shorter arithmetic: what is shortened, what stays, and how close the answers remain."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto

from reid_tracker.errors import ConfigError, InputError, ModelError
from reid_tracker.runtime.graphs import convert, free_inputs, run_on_processor
from reid_tracker.runtime.graphs.half import to_half
from reid_tracker.runtime.graphs.prepare import element_types, load_network
from reid_tracker.runtime.graphs.quantise import quantised_nodes
from reid_tracker.runtime.graphs.ranges import activation_ranges, best_share
from tests.engines.networks import crops, embedder


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return embedder(tmp_path_factory.mktemp("networks") / "small.onnx")


def least_cosine(path: Path, precision: str) -> float:
    truth = run_on_processor(convert(path, "fp32").network, crops())
    answers = run_on_processor(convert(path, precision, crops()).on_processor, crops())
    return min(float((truth[name] * answers[name]).sum(axis=-1).min()) for name in truth)


def test_loading_folds_constants_and_changes_no_answer(path: Path) -> None:
    folded = load_network(path)
    assert {node.op_type for node in folded.graph.node}.isdisjoint({"Constant"})
    assert [node.input[0] for node in folded.graph.node if node.op_type == "Cast"] == ["crops"]
    raw = run_on_processor(path.read_bytes(), crops())
    again = run_on_processor(folded.SerializeToString(), crops())
    for name in raw:
        np.testing.assert_array_equal(raw[name], again[name])


@pytest.mark.parametrize(
    ("precision", "least"),
    [
        ("fp32", 0.999999),
        ("fp16", 0.99999),  # eleven bits
        ("bf16", 0.999),  # eight bits
        ("int8", 0.99),
        ("fp8", 0.98),  # four bits
    ],
)
def test_each_precision_stays_close_to_float32(path: Path, precision: str, least: float) -> None:
    assert least <= least_cosine(path, precision) <= 1 + 1e-6


def test_fewer_bits_are_farther_away(path: Path) -> None:
    """A conversion that did nothing would be equally close at all precisions."""
    cosines = [least_cosine(path, precision) for precision in ("fp16", "bf16", "fp8")]
    assert cosines == sorted(cosines, reverse=True)
    assert cosines[0] > cosines[1] > cosines[2]


@pytest.mark.parametrize(("kind", "onnx_type"), [("fp16", TensorProto.FLOAT16), ("bf16", TensorProto.BFLOAT16)])
def test_products_are_halved_and_the_rest_is_not(path: Path, kind: str, onnx_type: int) -> None:
    model = onnx.load_from_string(convert(path, kind).network)
    types = element_types(model.graph)
    by_name = {node.name: node for node in model.graph.node}
    for product in ("stem", "depthwise", "middle", "product", "last"):
        assert {types[name] for name in (*by_name[product].input, *by_name[product].output)} == {onnx_type}
    for node in model.graph.node:
        if node.op_type in ("ReduceMean", "ReduceL2", "Sub", "Div"):
            assert {types[name] for name in node.output} == {TensorProto.FLOAT}
    assert types["crops"] == TensorProto.UINT8
    assert types["global"] == types["stripes"] == TensorProto.FLOAT


def test_the_half_network_itself_runs_and_agrees_with_its_emulation(path: Path) -> None:
    converted = convert(path, "fp16")
    real, emulated = (run_on_processor(each, crops()) for each in (converted.network, converted.on_processor))
    for name in real:
        np.testing.assert_allclose(real[name], emulated[name], atol=2e-3)


def test_a_layer_whose_weights_do_not_fit_stays_in_float32(tmp_path: Path) -> None:
    """Silent infinity is what half precision does to a large folded normalisation."""
    path = embedder(tmp_path / "large.onnx", large_weight=True)
    model = to_half(load_network(path), "fp16")
    types = element_types(model.graph)
    depthwise = next(node for node in model.graph.node if node.name == "depthwise")
    assert {types[name] for name in (*depthwise.input, *depthwise.output)} == {TensorProto.FLOAT}


def test_eight_bits_are_for_inner_products_only(path: Path) -> None:
    """The first sees pixels, the last make the vectors, depthwise ones have few weights."""
    model = load_network(path)
    assert [model.graph.node[entry.index].name for entry in quantised_nodes(model)] == ["middle", "widening"]


@pytest.mark.parametrize(("precision", "onnx_type"), [("int8", TensorProto.INT8), ("fp8", TensorProto.FLOAT8E4M3FN)])
def test_quantised_weights_are_stored_in_eight_bits(path: Path, precision: str, onnx_type: int) -> None:
    model = onnx.load_from_string(convert(path, precision, crops()).network)
    stored = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    assert stored["middle_eight"] == onnx_type
    assert "middle" not in stored
    scales = next(tensor for tensor in model.graph.initializer if tensor.name.startswith("middle_scale"))
    assert list(scales.dims) == [16]  # one per output channel


def test_calibration_follows_the_pictures(path: Path) -> None:
    model = load_network(path)
    bright = activation_ranges(model, ["b"], crops(), 127)["b"]
    grey = activation_ranges(model, ["b"], [{"crops": np.full((2, 32, 16, 3), 130, np.uint8)}], 127)["b"]
    assert bright > 5 * grey > 0


@pytest.mark.parametrize("batches", [[], [{"crops": np.full((1, 32, 16, 3), 127, np.uint8)}]])
def test_calibration_without_use_is_refused(path: Path, batches: list[dict[str, np.ndarray]]) -> None:
    with pytest.raises(InputError, match="calibration"):
        convert(path, "int8", batches)


def test_without_pictures_the_option_that_gives_some_is_named(path: Path) -> None:
    with pytest.raises(InputError, match="give some with --pictures"):
        convert(path, "int8", [])


@given(outlier=st.integers(1, 5))
def test_one_outlier_does_not_take_the_steps_from_the_rest(outlier: int) -> None:
    histogram = np.zeros(2048)
    histogram[:500] = 10_000
    histogram[-1] = outlier
    assert best_share(histogram, 127) < 0.5


def test_even_values_are_not_clipped() -> None:
    assert best_share(np.ones(2048), 127) > 0.98


def test_free_sizes_are_none(path: Path) -> None:
    assert free_inputs(path) == {"crops": (None, 32, 16, 3)}


def test_what_is_no_network_and_no_precision_is_refused(tmp_path: Path, path: Path) -> None:
    (tmp_path / "text.onnx").write_text("not a network")
    with pytest.raises(ModelError, match=r"text\.onnx"):
        convert(tmp_path / "text.onnx", "fp16")
    with pytest.raises(ConfigError, match="fp4"):
        convert(path, "fp4")

"""The run path without a GPU: any batch through an engine of any profile, buffers, graphs, arrays on the GPU."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reid_tracker.errors import ModelError
from reid_tracker.runtime import RuntimeDescription
from reid_tracker.runtime.tensorrt.engine import TensorRtEngine, _TensorRtContext
from reid_tracker.runtime.tensorrt.planning import buffer_bytes, pieces
from reid_tracker.runtime.tensorrt.session import TensorRtSession
from tests.engines.fakes import FakeEngine, FakeGpu

DESCRIPTION = RuntimeDescription("small.onnx", "TensorRT 10.3", "fp16", "a GPU", 0, "set by runtime.backend")


def opened(least: int = 1, most: int = 4) -> tuple[TensorRtSession, FakeEngine, FakeGpu]:
    gpu = FakeGpu()
    engine = FakeEngine(gpu, least, most)
    return TensorRtSession(engine, gpu, {}, DESCRIPTION), engine, gpu


def numbers(rows: int) -> np.ndarray:
    return np.random.default_rng(rows).normal(size=(rows, 3)).astype(np.float32)


@given(count=st.integers(0, 500), most=st.integers(1, 70))
def test_pieces_cover_a_batch_in_order_evenly_and_in_as_few_calls_as_can_be(count: int, most: int) -> None:
    parts = pieces(count, most)
    sizes = [part.stop - part.start for part in parts]
    assert [row for part in parts for row in range(part.start, part.stop)] == list(range(count))
    assert len(parts) == -(-count // most)
    assert all(1 <= size <= most for size in sizes)
    assert not sizes or max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize(("shape", "expected"), [((1,), 256), ((64,), 256), ((65,), 512), ((0, 3), 0)])
def test_buffers_are_rounded_up(shape: tuple[int, ...], expected: int) -> None:
    assert buffer_bytes(np.dtype(np.float32), shape) == expected


@pytest.mark.parametrize("rows", [1, 3, 4, 5, 8, 9, 23])
@pytest.mark.parametrize(("least", "most"), [(1, 4), (2, 4), (4, 4)])
def test_any_batch_gives_each_row_its_own_answer(rows: int, least: int, most: int) -> None:
    session, engine, _ = opened(least, most)
    x = numbers(rows)
    for _ in range(3):  # again through captured graphs
        answers = session.run({"x": x})
        np.testing.assert_array_equal(answers["double"], 2 * x)
        np.testing.assert_allclose(answers["sum"], x.sum(axis=1), rtol=1e-6)
    assert all(least <= batch <= most for batch in engine.batches)


def test_batches_of_changing_sizes_do_not_disturb_one_another() -> None:
    session, _, gpu = opened()
    kept = []
    for rows in (2, 4, 2, 3, 2, 4, 4, 1, 2):
        x = numbers(rows)
        answers = session.run({"x": x})
        kept.append((x, answers["double"]))
    assert gpu.launches > 0
    for x, double in kept:  # outputs are the caller's own
        np.testing.assert_array_equal(double, 2 * x)


def test_nothing_in_gives_nothing_out_with_the_right_shapes() -> None:
    session, engine, _ = opened()
    answers = session.run({"x": numbers(0)})
    assert {name: values.shape for name, values in answers.items()} == {"sum": (0,), "double": (0, 3)}
    assert engine.batches == []


def launches(session: TensorRtSession, gpu: FakeGpu, batches: list[int]) -> list[int]:
    """Which of the batches, by number, were replayed from a graph."""
    replayed = []
    for number, rows in enumerate(batches):
        before, x = gpu.launches, numbers(rows)
        np.testing.assert_array_equal(session.run({"x": x})["double"], 2 * x)
        if gpu.launches > before:
            replayed.append(number)
    return replayed


def test_shapes_that_come_again_run_once_more_by_themselves_and_are_then_replayed() -> None:
    """TensorRT must run once between a change of shapes and a capture, and gives wrong numbers without."""
    session, engine, gpu = opened()
    assert launches(session, gpu, [3, 3, 3, 3]) == [2, 3]
    assert len(gpu.graphs) == 1
    assert engine.batches == [3, 3, 3, 3]


def test_each_graph_has_a_context_that_nothing_else_changes() -> None:
    session, engine, gpu = opened()
    assert launches(session, gpu, [2, 4, 2, 4, 2, 3, 4, 2, 4]) == [4, 6, 7, 8]
    assert len(engine.contexts) == 2 + 2  # two that any batch may use, and one for each graph


def test_few_graphs_are_kept_and_the_least_recently_used_goes() -> None:
    session, engine, gpu = opened(most=6)
    launches(session, gpu, [1, 1, 2, 2, 3, 3, 4, 4])
    assert launches(session, gpu, [2, 3, 4]) == [0, 1, 2]
    assert launches(session, gpu, [5, 5, 5]) == [2]  # in place of 1
    assert launches(session, gpu, [2, 3, 4, 1]) == [0, 1, 2]
    assert len(gpu.graphs) == 4
    assert len(engine.contexts) == 2 + 4


def test_more_shapes_in_turn_than_are_kept_do_not_drive_one_another_out() -> None:
    """A context costs milliseconds to make: one for every call would be slower than no graphs at all."""
    session, _, gpu = opened(most=6)
    launches(session, gpu, [1, 2, 3, 4, 5, 6] * 2)
    assert launches(session, gpu, [1, 2, 3, 4, 5, 6] * 3) == [0, 1, 2, 3, 6, 7, 8, 9, 12, 13, 14, 15]


def test_an_engine_that_cannot_be_captured_still_runs_and_keeps_no_graph() -> None:
    session, _, gpu = opened()
    launches(session, gpu, [2, 2])
    gpu.capturable = False
    assert launches(session, gpu, [3, 3, 3, 2, 2]) == []
    assert gpu.graphs == {}


def test_no_room_for_another_context_is_no_reason_to_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    session, engine, gpu = opened()

    def full() -> Any:
        raise ModelError("engine: the GPU has no room for it")

    monkeypatch.setattr(engine, "context", full)
    assert launches(session, gpu, [3, 3, 3]) == []


class OnGpu:
    """As a torch tensor describes itself; filled by work on a stream, as far as one is given."""

    def __init__(self, gpu: FakeGpu, values: np.ndarray, filled_on: int | None = None, **described: Any) -> None:
        self.pointer = gpu.allocate(values.nbytes)

        def fill() -> None:
            gpu.memory[self.pointer][:] = values.reshape(-1).view(np.uint8)

        if filled_on is None:
            fill()
        else:
            gpu.queue(filled_on, fill)
        self.__cuda_array_interface__: dict[str, Any] = {
            "shape": values.shape,
            "typestr": values.dtype.str,
            "data": (self.pointer, False),
            "strides": None,
            "version": 2,
            **described,
        }


@pytest.mark.parametrize("rows", [4, 11])
@pytest.mark.parametrize("described", [{}, {"version": 3, "stream": 1}, {"version": 3}])
def test_arrays_on_the_gpu_are_read_after_the_work_that_fills_them(rows: int, described: dict[str, int]) -> None:
    """On the stream that the array names; where its version cannot name one (torch's), on the default stream."""
    session, _, gpu = opened()
    x = numbers(rows)
    stream = described.get("stream", None if "version" in described else 1)
    answers = session.run({"x": OnGpu(gpu, x, stream, **described)})
    np.testing.assert_array_equal(answers["double"], 2 * x)


def test_another_stream_than_the_default_one_is_waited_for_too() -> None:
    session, _, gpu = opened()
    theirs = gpu.stream()
    x = numbers(4)
    answers = session.run({"x": OnGpu(gpu, x, theirs, version=3, stream=theirs)})
    np.testing.assert_array_equal(answers["double"], 2 * x)


def test_an_array_that_names_no_stream_is_not_waited_for() -> None:
    session, _, gpu = opened()
    gpu.queue(1, lambda: pytest.fail("waited for the default stream"))
    session.run({"x": OnGpu(gpu, numbers(4), version=3, stream=None)})


@pytest.mark.parametrize(("rows", "offset"), [(4, 64), (4, 12), (11, 0), (11, 8)])
def test_what_no_multiple_of_256_begins_is_copied_on_the_gpu_first(rows: int, offset: int) -> None:
    """A slice of a tensor, and every piece of a batch but the first: TensorRT takes no such address."""
    session, _, gpu = opened()
    x = numbers(rows + 100)
    array = OnGpu(gpu, x)
    array.__cuda_array_interface__["shape"] = (rows, 3)
    array.__cuda_array_interface__["data"] = (array.pointer + offset * 12, False)
    for _ in range(3):
        np.testing.assert_array_equal(session.run({"x": array})["double"], 2 * x[offset : offset + rows])


@pytest.mark.parametrize("knows", [True, False])
def test_kernels_do_not_change_in_mid_run(knows: bool) -> None:
    """Left alone, TensorRT for RTX moves to kernels for the shapes that it sees, with other rounding."""
    library = SimpleNamespace(CudaGraphStrategy=SimpleNamespace(WHOLE_GRAPH_CAPTURE="whole"))
    if knows:
        library.DynamicShapesKernelSpecializationStrategy = SimpleNamespace(NONE="none")
    config = SimpleNamespace()
    engine = SimpleNamespace(
        num_io_tensors=0, create_runtime_config=lambda: config, create_execution_context=lambda _config: object()
    )
    TensorRtEngine(library, engine).context()
    expected = {"dynamic_shapes_kernel_specialization_strategy": "none"} if knows else {}
    assert vars(config) == {"cuda_graph_strategy": "whole", **expected}


class RefusingContext:
    """As TensorRT's: says no, and nothing more."""

    def set_tensor_address(self, _name: str, _pointer: int) -> bool:
        return False


def test_an_address_that_the_library_refuses_is_an_error() -> None:
    with pytest.raises(ModelError, match="refuses the address 0x1001 for 'x'"):
        _TensorRtContext(RefusingContext()).set_address("x", 0x1001)


@pytest.mark.parametrize("rows", [1, 4, 11])
def test_arrays_on_the_gpu_are_read_where_they_lie(rows: int) -> None:
    session, _, gpu = opened()
    x = numbers(rows)
    copies = []
    gpu.copy_in = lambda *arguments: copies.append(arguments)  # type: ignore[method-assign]
    np.testing.assert_array_equal(session.run({"x": OnGpu(gpu, x)})["double"], 2 * x)
    assert copies == []


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({}, "input 'x' is missing"),
        ({"x": np.zeros((2, 4), np.float32)}, "was built for"),
        ({"x": np.zeros((2, 3, 1), np.float32)}, "has shape"),
        ({"x": np.zeros((2, 3), np.float64)}, "takes float32, got float64"),
    ],
)
def test_inputs_that_do_not_fit_are_refused_by_name(inputs: dict[str, np.ndarray], message: str) -> None:
    session, _, _ = opened()
    with pytest.raises(ModelError, match=message):
        session.run(inputs)
    x = numbers(2)
    np.testing.assert_array_equal(session.run({"x": x})["double"], 2 * x)


def test_a_call_that_fails_between_two_pieces_leaves_nothing_queued(monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy that was still queued would have filled the next call's buffers with this one's rows."""
    session, _, gpu = opened()
    copy_in, copies = gpu.copy_in, []

    def second_fails(*arguments: Any) -> None:
        copies.append(arguments)
        if len(copies) == 2:
            raise ModelError("GPU: cuMemcpyHtoDAsync_v2 failed")
        copy_in(*arguments)

    monkeypatch.setattr(gpu, "copy_in", second_fails)
    with pytest.raises(ModelError, match="cuMemcpyHtoDAsync"):
        session.run({"x": numbers(8)})
    assert all(not queue for queue in gpu.queues.values())


def test_strided_arrays_on_the_gpu_are_refused() -> None:
    session, _, gpu = opened()
    with pytest.raises(ModelError, match="contiguous"):
        session.run({"x": OnGpu(gpu, numbers(2), strides=(24, 4))})


def test_closing_gives_everything_back() -> None:
    session, engine, gpu = opened()
    for _ in range(3):
        session.run({"x": numbers(9)})
    assert gpu.graphs
    session.close()
    assert (gpu.memory, gpu.host, gpu.queues, gpu.graphs) == ({}, [], {1: []}, {})
    assert len(engine.contexts) == 0


def test_says_how_it_runs_without_counting_threads() -> None:
    session, _, _ = opened()
    assert session.describe().to_text() == "small.onnx: TensorRT 10.3, fp16, a GPU (set by runtime.backend)"
    assert [(tensor.name, tensor.shape) for tensor in session.inputs] == [("x", (None, 3))]

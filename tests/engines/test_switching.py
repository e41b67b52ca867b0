"""A live run starts on what is there, and moves to the engine when it is built."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reid_tracker.compilation import live_embedder, switching
from reid_tracker.compilation.switching import SwitchingSession
from reid_tracker.config import Config
from reid_tracker.errors import ModelError
from reid_tracker.runtime import RuntimeDescription, TensorSpec, cuda, open_session
from reid_tracker.runtime.tensorrt import opening
from tests.engines.test_opening import CARD


class Constant:
    """Says the same number to everything."""

    metadata: Mapping[str, str] = {}

    def __init__(self, number: float, output: str = "y") -> None:
        self.number = number
        self.inputs = (TensorSpec("x", (None,), np.dtype(np.float32)),)
        self.outputs = (TensorSpec(output, (None,), np.dtype(np.float32)),)

    def run(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        return {"y": np.full(len(inputs["x"]), self.number)}

    def describe(self) -> RuntimeDescription:
        return RuntimeDescription("small.onnx", f"engine {self.number:.0f}", "fp32", "CPU", 1, "a test")


X = {"x": np.zeros(2, np.float32)}


def test_the_first_answers_until_the_second_is_built() -> None:
    finish = threading.Event()

    def build() -> Constant:
        finish.wait(10)
        return Constant(2)

    session = SwitchingSession(Constant(1), build)
    assert session.run(X)["y"].tolist() == [1, 1]
    assert session.describe().reason == "a test; an engine is being built"
    finish.set()
    session.wait(10)
    assert session.describe().backend == "engine 1"  # nobody asked since
    assert session.run(X)["y"].tolist() == [2, 2]
    assert (session.describe().backend, session.describe().reason) == ("engine 2", "a test")


def test_a_build_that_fails_leaves_the_first_and_says_why() -> None:
    def build() -> Constant:
        raise ModelError("differs from float32")

    session = SwitchingSession(Constant(1), build)
    session.wait(10)
    assert session.run(X)["y"].tolist() == [1, 1]
    assert session.describe().reason == "a test; no engine: differs from float32"


def test_a_build_that_breaks_is_told_like_one_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    """What a library raised ended the thread, and nothing more was said of an engine."""

    def build() -> Constant:
        raise RuntimeError("a fault of the library")

    session = SwitchingSession(Constant(1), build)
    session.wait(10)
    assert session.run(X)["y"].tolist() == [1, 1]
    assert session.describe().reason == "a test; no engine: RuntimeError: a fault of the library"
    assert "a fault of the library" in caplog.text


def test_another_network_is_not_moved_to() -> None:
    session = SwitchingSession(Constant(1), lambda: Constant(2, output="z"))
    session.wait(10)
    assert session.run(X)["y"].tolist() == [1, 1]
    assert "it gives z" in session.describe().reason


@pytest.mark.parametrize("calls", [1, 3])
def test_inputs_and_outputs_are_the_firsts(calls: int) -> None:
    session = SwitchingSession(Constant(1), lambda: Constant(2))
    session.wait(10)
    for _ in range(calls):
        session.run(X)
    assert [tensor.name for tensor in session.inputs + session.outputs] == ["x", "y"]


def test_a_live_embedder_starts_before_its_engine_is_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With a card and no engine: people are described at once, by what stands in, and then by what was built."""
    monkeypatch.setattr(cuda, "probe", lambda: cuda.Probe(CARD, ""))
    monkeypatch.setattr(opening, "versions_here", lambda: {"tensorrt_rtx": "1.7.1"})
    finish, asked = threading.Event(), []

    def build(name: str, *_: object) -> None:
        asked.append(name)
        finish.wait(30)

    monkeypatch.setattr(switching, "build_engines", build)
    monkeypatch.setattr(switching, "open_engine", lambda path, *_: open_session(path, Config().runtime))
    config = Config().with_values({"runtime.backend": "tensorrt", "runtime.engine_cache": str(tmp_path)})
    embedder = live_embedder(config)
    assert embedder is not None
    crops = np.zeros((1, *embedder.size_hw, 3), np.uint8)
    embedder.embed(crops)
    assert "an engine is being built" in embedder.describe()
    assert "in place of TensorRT" in embedder.describe()
    finish.set()
    for thread in threading.enumerate():
        if thread.name == "engine build":  # a library's threads may not outlive the interpreter
            thread.join(30)
    assert asked == [config.embedding.model]


@pytest.mark.parametrize("values", [{}, {"runtime.backend": "tensorrt", "runtime.build": False}])
def test_where_nothing_is_to_be_built_the_usual_embedder_is_taken(values: dict[str, object]) -> None:
    assert live_embedder(Config().with_values(values)) is None


def test_without_a_gpu_there_is_nothing_to_wait_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda, "probe", lambda: cuda.Probe(None, "no driver"))
    assert live_embedder(Config().with_values({"runtime.backend": "tensorrt"})) is None

"""Engines built, loaded, run and compared on a GPU. ``make test-gpu`` runs these; nothing here has another material."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from reid_tracker.compilation.parity import compare
from reid_tracker.config import RuntimeConfig
from reid_tracker.embedding import NetworkEmbedder
from reid_tracker.errors import ConfigError
from reid_tracker.runtime import open_session, shipped_model
from reid_tracker.runtime.graphs import convert, run_on_processor
from reid_tracker.runtime.tensorrt.building import BuildRequest, build_engine, shapes_for
from reid_tracker.runtime.tensorrt.cache import EngineCache
from reid_tracker.runtime.tensorrt.flavours import Flavour, installed_flavours, open_flavour
from reid_tracker.runtime.tensorrt.session import TensorRtSession
from tests.engines.networks import crops, embedder

pytestmark = pytest.mark.gpu
SIZES = ((32, 16), (32, 16), (32, 16))


@pytest.fixture(params=["tensorrt", "tensorrt_rtx"])
def flavour(request: pytest.FixtureRequest) -> Flavour:
    if request.param not in installed_flavours():
        pytest.skip(f"needs {request.param}")
    try:
        return open_flavour(request.param)
    except ConfigError as error:
        pytest.skip(str(error))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return embedder(tmp_path / "small.onnx")


def request(path: Path, precision: str, most: int = 8) -> BuildRequest:
    return BuildRequest(
        path=path,
        model=str(path),
        precision=precision,  # type: ignore[arg-type]
        shapes=shapes_for(path, (1, min(4, most), most), SIZES),
        batches=crops(16),
        compare=partial(compare, precision=precision, embedder=True),
        force=precision in ("bf16", "fp8"),
    )


@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16", "int8", "fp8"])
def test_a_built_engine_is_run_and_compared(flavour: Flavour, path: Path, tmp_path: Path, precision: str) -> None:
    built = build_engine(request(path, precision), flavour, EngineCache(tmp_path / "cache"))
    assert built.record.parity is not None
    assert built.record.parity["engine"]["outputs"]["stripes"]["least_cosine"] > 0.9


@pytest.mark.parametrize("rows", [1, 3, 8, 9, 20])
def test_an_opened_engine_answers_any_batch_as_float32_does(
    flavour: Flavour, path: Path, tmp_path: Path, rows: int
) -> None:
    build_engine(request(path, "fp32"), flavour, EngineCache(tmp_path / "cache"))
    session = open_session(path, RuntimeConfig(backend="tensorrt", engine_cache=str(tmp_path / "cache")))
    assert isinstance(session, TensorRtSession)
    assert session.metadata["made by"] == "a test"
    pictures = np.concatenate([batch["crops"] for batch in crops(24)])[:rows]
    truth = run_on_processor(convert(path, "fp32").network, [{"crops": pictures}])
    for _ in range(4):  # plain, captured, repeated
        answers = session.run({"crops": pictures})
        for name in truth:
            np.testing.assert_allclose(answers[name], truth[name], atol=1e-3)
    session.close()


def test_changing_batches_do_not_disturb_captured_graphs(flavour: Flavour, path: Path, tmp_path: Path) -> None:
    build_engine(request(path, "fp32"), flavour, EngineCache(tmp_path / "cache"))
    session = open_session(path, RuntimeConfig(backend="tensorrt", engine_cache=str(tmp_path / "cache")))
    pictures = np.concatenate([batch["crops"] for batch in crops(24)])
    truth = run_on_processor(convert(path, "fp32").network, [{"crops": pictures}])
    for rows in (2, 8, 2, 5, 2, 8, 8, 5, 24, 2):
        answers = session.run({"crops": pictures[:rows]})
        np.testing.assert_allclose(answers["global"], truth["global"][:rows], atol=1e-3)


def test_torch_tensors_are_read_on_the_gpu(flavour: Flavour, path: Path, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    build_engine(request(path, "fp32"), flavour, EngineCache(tmp_path / "cache"))
    session = open_session(path, RuntimeConfig(backend="tensorrt", engine_cache=str(tmp_path / "cache")))
    pictures = np.concatenate([batch["crops"] for batch in crops(24)])
    there, here = session.run({"crops": torch.from_numpy(pictures).cuda()}), session.run({"crops": pictures})
    for name in here:
        np.testing.assert_allclose(there[name], here[name], atol=1e-4)


def test_the_shipped_embedder_at_half_precision(flavour: Flavour, tmp_path: Path) -> None:
    """The one that matters: built from the clip's people, accepted, and an embedder."""
    from reid_tracker.compilation import EngineOptions, build_engines

    built = build_engines(
        "alignedreid_small",
        EngineOptions(flavour=flavour.name, batch=(1, 16, 64)),
        EngineCache(tmp_path / "cache"),
    )
    assert built.record.parity is not None
    assert built.record.parity["engine"]["fault"] == ""
    model = shipped_model("alignedreid_small")
    settings = RuntimeConfig(backend="tensorrt", precision="fp16", engine_cache=str(tmp_path / "cache"))
    network = NetworkEmbedder(open_session(model.path, settings), model.manifest.input, 64)
    vectors, _ = network.embed(np.zeros((3, *network.size_hw, 3), np.uint8))
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3)

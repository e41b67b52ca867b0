"""Where the pictures come from that engines are calibrated on and compared with."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from reid_tracker.compilation import EngineOptions, build, build_engines
from reid_tracker.compilation.pictures import picture_batches
from reid_tracker.runtime import InputSpec, cuda
from reid_tracker.runtime.tensorrt.cache import EngineCache
from tests.engines.networks import embedder
from tests.engines.test_building import PaperFlavour

SPEC = InputSpec(name="crops", size_hw=(64, 32))


def test_people_of_the_clip_are_found_without_openvino(monkeypatch: pytest.MonkeyPatch) -> None:
    """Building asks for no more than ONNX Runtime; images for GPU machines leave OpenVINO out."""
    monkeypatch.setitem(sys.modules, "openvino", None)
    (batch,) = picture_batches(SPEC, embedder=True, size_hw=(64, 32), count=3)
    assert batch["crops"].shape[1:] == (64, 32, 3)
    assert 1 <= len(batch["crops"]) <= 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten smooth pictures, no two alike."""
    made = tmp_path_factory.mktemp("pictures")
    draw = np.random.default_rng(2)
    for number in range(10):
        rough = draw.integers(0, 256, (8, 4, 3), np.uint8)
        cv2.imwrite(str(made / f"{number}.png"), rough.repeat(8, axis=0).repeat(8, axis=1))
    return made


@pytest.mark.parametrize(
    ("fixed", "sizes"),
    [
        (None, [8, 2]),
        (1, [1] * 10),
        (4, [4, 4]),  # what fills no batch is left out
        (16, [16]),  # all of them, and some again
    ],
)
def test_batches_are_of_the_size_that_a_network_fixes(folder: Path, fixed: int | None, sizes: list[int]) -> None:
    batches = picture_batches(SPEC, True, (64, 32), folder, fixed_batch=fixed)
    assert [len(batch["crops"]) for batch in batches] == sizes
    different = np.unique(np.concatenate([batch["crops"] for batch in batches]), axis=0)
    assert len(different) == min(10, sum(sizes))


def test_a_network_of_any_fixed_batch_can_be_built(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pictures came in eights: only networks that take eight, or as many as were left over, could be."""
    monkeypatch.setattr(cuda, "probe", lambda: cuda.Probe(None, "no NVIDIA driver"))
    monkeypatch.setattr(build, "open_flavour", lambda _name: PaperFlavour())
    path = embedder(tmp_path / "fixed.onnx", batch=3)
    built = build_engines(str(path), EngineOptions(pictures=folder), EngineCache(tmp_path / "cache"))
    assert built.record.parity is not None
    assert built.record.parity["network"]["pictures"] == 9

"""Where the pictures come from that engines are calibrated on and compared with."""

from __future__ import annotations

import sys

import pytest

from reid_tracker.compilation.pictures import picture_batches
from reid_tracker.runtime import InputSpec

SPEC = InputSpec(name="crops", size_hw=(64, 32))


def test_people_of_the_clip_are_found_without_openvino(monkeypatch: pytest.MonkeyPatch) -> None:
    """Building asks for no more than ONNX Runtime; images for GPU machines leave OpenVINO out."""
    monkeypatch.setitem(sys.modules, "openvino", None)
    (batch,) = picture_batches(SPEC, embedder=True, size_hw=(64, 32), count=3)
    assert batch["crops"].shape[1:] == (64, 32, 3)
    assert 1 <= len(batch["crops"]) <= 3

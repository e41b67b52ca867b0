"""Devices: the processor always, a GPU where there is one. Without torch each file here is skipped by itself."""

from __future__ import annotations

import os

import pytest

from reid_tracker.runtime.cuda import probe

# Must be set before Triton is imported; on a GPU its kernels are compiled instead.
if probe().device is None:
    os.environ.setdefault("TRITON_INTERPRET", "1")


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request: pytest.FixtureRequest) -> str:
    """Where tensors lie."""
    return str(request.param)

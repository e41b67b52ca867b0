"""Without torch there is nothing to test here. Devices: the processor always, a GPU where there is one."""

from __future__ import annotations

import os

import pytest

# Must be set before Triton is imported; on a GPU its kernels are compiled instead.
from reid_tracker.runtime.cuda import probe

torch = pytest.importorskip("torch", reason="needs torch (pip install 'reid_tracker[training]')")

if probe().device is None:
    os.environ.setdefault("TRITON_INTERPRET", "1")


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request: pytest.FixtureRequest) -> str:
    """Where tensors lie."""
    return str(request.param)

"""Triton compiles kernels for cards that are not here: what it accepts and whether registers suffice needs no GPU."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import sys
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from reid_tracker.gpu import aligned_kernel as kernel

pointers = {name: "*fp32" for name in ("left", "right", "own", "theirs", "out")}
counts = {name: "i32" for name in ("query_count", "gallery_count", "depth")}
M, N = kernel.TILE
sources = {
    "pairs": ASTSource(
        fn=kernel._all_pairs_kernel,
        signature={**pointers, **counts, "M": "constexpr", "N": "constexpr"},
        constexprs={"M": M, "N": N},
    ),
    "shortlist": ASTSource(
        fn=kernel._shortlist_kernel,
        signature={
            "left": "*fp32", "right": "*fp32", "candidates": "*i64", "out": "*fp32",
            "count": "i32", "depth": "i32", "D": "constexpr", "K": "constexpr",
        },
        constexprs={"D": 128, "K": 16},
    ),
}
options = {"num_warps": kernel._WARPS, "num_stages": kernel._STAGES}
built = triton.compile(sources[sys.argv[1]], target=GPUTarget("cuda", int(sys.argv[2]), 32), options=options)
assert built.asm["cubin"][:4] == b"\\x7fELF"
print(built.asm["ptx"].count("mma"))
"""


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="needs triton")
@pytest.mark.parametrize(("kernel", "multiplies"), [("pairs", True), ("shortlist", False)])
@pytest.mark.parametrize("capability", ["86", "90"])
def test_kernels_compile_and_pairs_use_tensor_cores(
    kernel: str, multiplies: bool, capability: str, repository: Path, tmp_path: Path
) -> None:
    """In another process: the interpreter and the compiler exclude one another."""
    settings = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    settings |= {"TRITON_CACHE_DIR": str(tmp_path), "PYTHONWARNINGS": "ignore"}
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, kernel, capability],
        cwd=repository,
        env=settings,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert (int(ran.stdout.split()[-1]) > 0) is multiplies

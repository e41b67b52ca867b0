"""How the tests of a GPU start: on a machine without network, and on one that lacks what they need."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

WITHOUT_TORCH = "import sys, pytest; sys.modules['torch'] = None; sys.exit(pytest.main(sys.argv[1:]))"


def ran(command: list[str], repository: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    bare = {name: value for name, value in os.environ.items() if name not in ("PYTEST_ADDOPTS", "REQUIRE_GPU")}
    return subprocess.run(
        command, cwd=repository, env=bare | settings, capture_output=True, text=True, check=False, timeout=120
    )


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
@pytest.mark.parametrize("target", ["test-gpu", "bench-gpu", "train-gpu-piece"])
def test_a_named_python_is_used_and_no_environment_made(target: str, repository: Path, tmp_path: Path) -> None:
    (tmp_path / "one-1-py3-none-any.whl").touch()
    told = ran(
        ["make", "-n", target, "GPU_PYTHON=its_python", f"GPU_WHEELS={tmp_path}", "PACK=Makefile"],
        repository,
        PYTHONPATH="",
        MAKEFLAGS="",
    )
    assert told.returncode == 0, told.stderr
    assert "/gpu-site its_python -m" in told.stdout
    assert "pip install --quiet --disable-pip-version-check --no-index" in told.stdout
    assert "environment.sh" not in told.stdout


@pytest.mark.parametrize(("required", "code"), [("0", pytest.ExitCode.OK), ("1", pytest.ExitCode.USAGE_ERROR)])
def test_without_torch_tests_are_skipped_unless_a_gpu_is_required(
    required: str, code: pytest.ExitCode, repository: Path
) -> None:
    command = [
        sys.executable,
        "-c",
        WITHOUT_TORCH,
        "tests/gpu",
        "-q",
        "-p",
        "no:cacheprovider",
        "-k",
        "not without_torch",
        "-m",
        "not slow",
    ]
    told = ran(command, repository, REQUIRE_GPU=required)
    assert told.returncode == code, told.stdout + told.stderr
    assert ("need torch" in told.stderr) is (required == "1")

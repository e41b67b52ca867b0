"""How the tests of a GPU start on a machine without network."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest


def ran(command: list[str], repository: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    bare = {name: value for name, value in os.environ.items() if name not in ("PYTEST_ADDOPTS", "REQUIRE_GPU")}
    return subprocess.run(
        command, cwd=repository, env=bare | settings, capture_output=True, text=True, check=False, timeout=120
    )


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
@pytest.mark.parametrize("target", ["test-gpu", "bench-gpu", "train-gpu-piece"])
def test_a_named_python_is_used_and_no_environment_made(target: str, repository: Path, tmp_path: Path) -> None:
    (tmp_path / "one-1-py3-none-any.whl").touch()
    told = ran(["make", "-n", target, "GPU_PYTHON=its_python", f"GPU_WHEELS={tmp_path}", "PACK=Makefile"], repository)
    assert told.returncode == 0, told.stderr
    assert "/gpu-site its_python -m" in told.stdout
    assert "pip install --quiet --disable-pip-version-check --no-index" in told.stdout
    assert "environment.sh" not in told.stdout

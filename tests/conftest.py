"""What all tests share: where material for measuring lies, if it is there."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest
from hypothesis import settings

# How long a case takes says how busy the machine is; timings belong to benchmarks/.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")

REPOSITORY = Path(__file__).resolve().parent.parent


def pytest_configure() -> None:
    """A machine that should have a GPU (REQUIRE_GPU=1) should have torch: skipping half of the tests is no success."""
    if os.environ.get("REQUIRE_GPU") == "1" and importlib.util.find_spec("torch") is None:
        raise pytest.UsageError("REQUIRE_GPU=1: the tests of a GPU need torch, and this Python has none")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Tests marked gpu are skipped without one; on a machine that should have one (REQUIRE_GPU=1) they fail."""
    if item.get_closest_marker("gpu") is None:
        return
    from reid_tracker.runtime.cuda import probe

    if probe().device is None:
        reason = f"needs a GPU: {probe().reason}"
        if os.environ.get("REQUIRE_GPU") == "1":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared() -> Path:
    """Video, truth and reference models for measuring: REID_TRACKER_SHARED, by default ../shared.

    Skips the test where the folder is absent; the project needs none of it to work.
    """
    return _folder("REID_TRACKER_SHARED", REPOSITORY.parent / "shared")


@pytest.fixture(scope="session")
def reid_data() -> Path:
    """Re-identification data sets: the folder REID_DATA. Skips the test where it is not set or absent."""
    return _folder("REID_DATA", None)


def _folder(variable: str, default: Path | None) -> Path:
    named = os.environ.get(variable)
    folder = Path(named) if named else default
    if folder is None or not folder.is_dir():
        pytest.skip(f"needs the folder that {variable} names" + (f" (default {default})" if default else ""))
    return folder

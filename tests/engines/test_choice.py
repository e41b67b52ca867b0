"""Which engine is taken on which machine, and what is said about the others."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from reid_tracker.runtime.cuda import Device
from reid_tracker.runtime.tensorrt.cache import Entry
from reid_tracker.runtime.tensorrt.choice import Wanted, choose
from reid_tracker.runtime.tensorrt.records import record_of
from tests.engines.test_cache import PLAN, key

CARD = Device(0, "NVIDIA A10", (8, 6), 24 << 30)


def entry(day: int = 1, **changes: object) -> Entry:
    record = record_of("small", key(**changes), PLAN, 1, built=datetime(2026, 1, day, tzinfo=UTC))
    return Entry(Path(f"/cache/{record.name}-{day}"), record)


def wanted(**changes: object) -> Wanted:
    values: dict[str, object] = {
        "model_sha256": "a" * 64,
        "precision": "fp16",
        "versions": {"tensorrt_rtx": "1.7.1"},
        "device": CARD,
    }
    return Wanted(**{**values, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("built", "runs"),
    [
        ({}, True),
        ({"capabilities": ("8.0", "8.6")}, True),
        ({"capabilities": ()}, True),  # left to the library, which compiles for the card when it loads
        ({"capabilities": ("8.9",)}, False),
        ({"version": "1.7.0"}, False),
        ({"flavour": "tensorrt"}, False),
        ({"model_sha256": "b" * 64}, False),
        ({"precision": "fp32"}, False),
    ],
)
def test_network_precision_library_and_card_must_fit(built: dict[str, object], runs: bool) -> None:
    assert bool(choose([entry(**built)], wanted()).fitting) is runs


def test_a_mismatch_names_what_was_built_for_what_is_here_and_the_command() -> None:
    found = choose([entry(capabilities=("8.9",))], wanted())
    (line,) = found.passed_over.values()
    assert "built for tensorrt_rtx 1.7.1, compute capability 8.9" in line
    assert "here: tensorrt_rtx 1.7.1, compute capability 8.6 (NVIDIA A10)" in line
    assert line.endswith("run: reid-tracker engines build small --precision fp16 --batch 1,8,64")


def test_the_newest_is_taken_and_preferred_shapes_go_first() -> None:
    large = {"crops": ((1, 4), (64, 4), (256, 4))}
    entries = [entry(2), entry(1, shapes=large), entry(3)]
    assert choose(entries, wanted()).fitting == (entries[2], entries[0], entries[1])
    assert choose(entries, wanted(shapes=large)).fitting == (entries[1], entries[2], entries[0])


def test_damaged_papers_are_no_candidates() -> None:
    assert choose([Entry(Path("/cache/x"), None, "no JSON")], wanted()).fitting == ()

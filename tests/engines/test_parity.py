"""The judge of short arithmetic: what it measures, and what it refuses."""

from __future__ import annotations

import json

import numpy as np
import pytest

from reid_tracker.compilation.parity import LEAST_COSINE, compare
from reid_tracker.errors import InputError


def unit(*shape: int, seed: int = 0) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def answers(noise: float = 0.0) -> dict[str, np.ndarray]:
    drawn = np.random.default_rng(9)
    exact = {"global": unit(20, 32), "stripes": unit(20, 8, 16, seed=1)}
    return {name: values + noise * drawn.normal(size=values.shape).astype(np.float32) for name, values in exact.items()}


def test_equal_answers_agree_in_everything() -> None:
    parity = compare(answers(), answers(), "fp16", embedder=True)
    assert parity.fault == ""
    assert (parity.same_nearest, parity.same_first, parity.aligned_change) == (1.0, 1.0, 0.0)
    assert parity.outputs["global"].least_cosine == pytest.approx(1)


@pytest.mark.parametrize(
    ("precision", "noise", "accepted"),
    [
        ("fp16", 0.0005, True),
        ("fp16", 0.05, False),
        ("bf16", 0.05, False),
        ("int8", 0.01, True),  # eight bits may cost more
        ("int8", 0.2, False),
        ("fp32", 0.005, False),
    ],
)
def test_the_limit_follows_the_precision(precision: str, noise: float, accepted: bool) -> None:
    parity = compare(answers(), answers(noise), precision, embedder=True)
    assert (parity.fault == "") is accepted
    if not accepted:
        assert str(LEAST_COSINE[precision]) in parity.fault


def test_one_bad_stripe_of_one_person_is_found() -> None:
    """A mean would hide it among hundreds."""
    spoilt = answers()
    spoilt["stripes"][7, 3] = -spoilt["stripes"][7, 3]
    parity = compare(answers(), spoilt, "fp16", embedder=True)
    assert "'stripes' has a cosine of -1.0" in parity.fault
    assert parity.outputs["stripes"].mean_cosine > 0.98
    assert parity.aligned_change is not None
    assert parity.aligned_change > 0.01


def test_a_change_of_order_shows() -> None:
    swapped = answers()
    swapped["global"] = swapped["global"][::-1].copy()
    parity = compare(answers(), swapped, "int8", embedder=True)
    assert parity.same_nearest is not None
    assert parity.same_nearest < 0.5


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_refused_and_can_be_written_down(bad: float) -> None:
    spoilt = answers()
    spoilt["global"][3, 5] = bad
    parity = compare(answers(), spoilt, "fp16", embedder=True)
    assert "not finite" in parity.fault
    json.dumps(parity.to_json(), allow_nan=False)


def test_a_detector_is_compared_by_picture() -> None:
    truth = {"person": np.abs(unit(3, 100)), "distances": unit(3, 44, 100, seed=2)}
    parity = compare(truth, {name: values * 1.001 for name, values in truth.items()}, "fp16", embedder=False)
    assert parity.fault == ""
    assert (parity.same_nearest, parity.aligned_change) == (None, None)
    assert parity.outputs["person"].largest_change > 0


@pytest.mark.parametrize("other", [{"global": unit(20, 32)}, {"global": unit(19, 32), "stripes": unit(19, 8, 16)}, {}])
def test_answers_to_something_else_are_refused(other: dict[str, np.ndarray]) -> None:
    with pytest.raises(InputError, match="parity"):
        compare(answers(), other, "fp16", embedder=True)

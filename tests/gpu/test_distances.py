"""Distances and re-ranking in torch and Triton equal those of the processor."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import logging
import os
import sys
from types import ModuleType

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from reid_tracker import distance  # noqa: E402
from reid_tracker.errors import InputError  # noqa: E402
from reid_tracker.gpu import aligned, aligned_distance, aligned_distance_shortlist, rerank_distance  # noqa: E402

TRITON = pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="needs triton")
# Interpreted on a processor a kernel takes seconds where it takes microseconds on a GPU.
FORMS = [False, pytest.param(True, marks=[TRITON, pytest.mark.slow])]


@pytest.fixture(autouse=True)
def kernels_run_where_they_can(request: pytest.FixtureRequest) -> None:
    """Where there is a GPU kernels are compiled, not interpreted, and take no tensors of the processor's."""
    case = getattr(request.node, "callspec", None)
    asked = case is not None and case.params.get("kernel") and case.params.get("device") == "cpu"
    if asked and os.environ.get("TRITON_INTERPRET") != "1":
        pytest.skip("kernels are compiled here, not interpreted")


def unit(*shape: int, seed: int = 0) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


@pytest.mark.parametrize("kernel", FORMS)
@pytest.mark.parametrize(
    ("m", "n", "depth"),
    [
        (1, 1, 16),
        (33, 65, 16),  # one more than a tile
        (2, 5, 48),  # a depth that is no power of two
        (0, 7, 16),
        (7, 0, 16),
    ],
)
def test_all_pairs_equal_the_processors(device: str, kernel: bool, m: int, n: int, depth: int) -> None:
    queries, gallery = unit(m, 8, depth), unit(n, 8, depth, seed=1)
    expected = distance.aligned_distance(queries, gallery, threads=1)
    got = aligned_distance(
        torch.from_numpy(queries).to(device), torch.from_numpy(gallery).to(device), kernel=kernel
    ).cpu()
    np.testing.assert_allclose(got.numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("kernel", FORMS)
def test_equal_people_are_near(device: str, kernel: bool) -> None:
    """Where stripes are equal a product of float32 has lost everything; both forms take differences there."""
    people = unit(12, 8, 64)
    expected = distance.aligned_distance(people, people, threads=1)
    moved = torch.from_numpy(people).to(device)
    got = aligned_distance(moved, moved, kernel=kernel).cpu().numpy()
    np.testing.assert_allclose(got, expected, atol=1e-5)
    assert (got.argmin(axis=1) == np.arange(12)).all()


@pytest.mark.parametrize("stripes", [1, 3, 8])
def test_the_torch_form_takes_any_number_of_stripes(device: str, stripes: int) -> None:
    queries, gallery = unit(6, stripes, 20), unit(9, stripes, 20, seed=1)
    got = aligned_distance(torch.from_numpy(queries).to(device), torch.from_numpy(gallery).to(device))
    expected = distance.aligned_distance(queries, gallery, threads=1)
    np.testing.assert_allclose(got.cpu().numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("kernel", FORMS)
@pytest.mark.parametrize("k", [1, 19])
def test_shortlists_equal_the_processors(device: str, kernel: bool, k: int) -> None:
    queries, gallery = unit(5, 8, 48), unit(50, 8, 48, seed=1)
    gallery[3] = queries[2]
    candidates = np.random.default_rng(2).integers(0, 50, (5, k))
    candidates[2, 0] = 3
    expected = distance.aligned_distance_shortlist(queries, gallery, candidates)
    moved = [torch.from_numpy(values).to(device) for values in (queries, gallery, candidates)]
    got = aligned_distance_shortlist(*moved, kernel=kernel).cpu().numpy()
    np.testing.assert_allclose(got, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("k1", "k2", "share"),
    [
        (20, 6, 0.3),  # the paper's
        (5, 1, 0.0),
        (7, 8, 1.0),
        (60, 6, 0.3),  # more neighbours than there are pictures
    ],
)
def test_reranking_equals_the_processors(device: str, k1: int, k2: int, share: float) -> None:
    draw = np.random.default_rng(4)
    people = draw.normal(size=(12, 24))
    queries, gallery = (people[draw.integers(0, 12, n)] + 0.6 * draw.normal(size=(n, 24)) for n in (10, 30))
    queries, gallery = (
        (side / np.linalg.norm(side, axis=1, keepdims=True)).astype(np.float32) for side in (queries, gallery)
    )
    expected = distance.rerank_distance(queries, gallery, k1, k2, share)
    moved = [torch.from_numpy(side).to(device) for side in (queries, gallery)]
    got = rerank_distance(*moved, k1, k2, share).cpu().numpy()
    np.testing.assert_allclose(got, expected, atol=2e-5)


@pytest.mark.parametrize(
    ("queries", "gallery", "message"),
    [
        (unit(3, 8, 16), unit(3, 8, 17), "equal dimensions"),
        (unit(3, 8, 16), unit(3, 7, 16), "equal dimensions"),
        (unit(3, 16), unit(3, 8, 16), "expected shape"),
        (np.full((1, 8, 16), np.nan, np.float32), unit(3, 8, 16), "finite"),
    ],
)
def test_what_does_not_fit_is_refused(queries: np.ndarray, gallery: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        aligned_distance(torch.from_numpy(queries), torch.from_numpy(gallery))


def test_candidates_outside_the_gallery_are_refused() -> None:
    """On a GPU a row that is not there ends the process's use of it."""
    stripes = torch.from_numpy(unit(3, 8, 16))
    for wrong in ([[0, 3]] * 3, [[-1, 0]] * 3, [[0]]):
        with pytest.raises(InputError, match="candidates"):
            aligned_distance_shortlist(stripes, stripes, torch.tensor(wrong))


@pytest.mark.parametrize(
    ("stripes", "why"), [(unit(2, 4, 16), "takes 8 stripes, not 4"), (unit(2, 8, 20), "multiple of 16 numbers, not 20")]
)
def test_a_kernel_asked_for_in_vain_says_why(stripes: np.ndarray, why: str) -> None:
    with pytest.raises(InputError, match=why):
        aligned_distance(torch.from_numpy(stripes), torch.from_numpy(stripes), kernel=True)


def test_a_kernel_that_does_not_compile_is_left_and_said_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    calls = []

    def broken(*_tensors: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        raise RuntimeError("Failed to find C compiler\nset CC")

    kernels = ModuleType("aligned_kernel")
    kernels.all_pairs = broken  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "reid_tracker.gpu.aligned_kernel", kernels)
    monkeypatch.setattr("reid_tracker.gpu.aligned_kernel", kernels, raising=False)
    monkeypatch.setattr(torch.Tensor, "is_cuda", True)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: importlib.machinery.ModuleSpec(name, None))
    aligned._fault.cache_clear()
    people = torch.from_numpy(unit(4, 8, 16))
    try:
        with caplog.at_level(logging.WARNING):
            first, second = aligned_distance(people, people), aligned_distance(people, people)
        with pytest.raises(InputError, match=r"does not compile on cpu: Failed to find C compiler$"):
            aligned_distance(people, people, kernel=True)
    finally:
        aligned._fault.cache_clear()
    expected = distance.aligned_distance(people.numpy(), people.numpy(), threads=1)
    np.testing.assert_allclose(first.numpy(), expected, atol=1e-5)
    assert torch.equal(first, second)
    assert [record.getMessage().split(": ")[-1] for record in caplog.records] == ["Failed to find C compiler"]
    assert len(calls) == 1

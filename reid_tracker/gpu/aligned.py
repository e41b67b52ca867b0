"""The DP-aligned distance on a GPU, from stripes to distance without the cells between ever reaching memory.

Two forms of each question. The Triton kernel multiplies stripes in registers and runs the recursion there: what leaves
the chip is one number a pair, where a matrix of cells would be 64. The plain torch form keeps planes of one cell each,
in blocks; it is what runs where there is no Triton or it cannot compile, and what the kernel is tested against.

Both equal ``reid_tracker.distance`` to 1e-5, also where stripes are nearly equal.
"""

from __future__ import annotations

import importlib.util
import logging
import os
from collections.abc import Iterator
from functools import cache
from typing import Literal

import torch

from reid_tracker.errors import InputError
from reid_tracker.gpu._checks import as_stripes, same_space

logger = logging.getLogger(__name__)

_BLOCK_PAIRS = 1 << 22  # pairs whose planes are there at once in the torch form: S + 2 planes of 16 MiB
# A float32 product of unit vectors is off by some 4e-7, which the root turns into 1e-3 where stripes are equal: below
# this the differences themselves are taken, as on a processor.
_NEARLY_EQUAL = 1e-4
_KERNEL_STRIPES = 8  # of which the kernel is unrolled
_KERNEL_LEAST_DEPTH = 16  # of a product on tensor cores
_Form = Literal["all pairs", "shortlists"]


def aligned_distance(queries: torch.Tensor, gallery: torch.Tensor, kernel: bool | None = None) -> torch.Tensor:
    """Aligned distance of all pairs; see ``reid_tracker.distance.aligned_distance``.

    Args:
        queries: (M, S, d), stripes of unit length, head to foot.
        gallery: (N, S, d), likewise, on the same device.
        kernel: take the Triton kernel; None takes it where it can run.

    Returns:
        (M, N) float32.

    Raises:
        InputError: shapes that do not fit, NaN or infinity, a kernel asked for where none can run.
    """
    queries, gallery = as_stripes(queries, "query stripes"), as_stripes(gallery, "gallery stripes")
    same_space(queries, gallery, "query and gallery stripes")
    if _takes_kernel("all pairs", queries, kernel):
        from reid_tracker.gpu.aligned_kernel import all_pairs

        return all_pairs(queries, gallery)
    distances = queries.new_empty((len(queries), len(gallery)))
    step = max(1, _BLOCK_PAIRS // max(1, len(gallery)))
    for start in range(0, len(queries), step):
        rows = queries[start : start + step]
        distances[start : start + step] = _cheapest(_all_planes(rows, gallery), queries.shape[1])
    return distances


def aligned_distance_shortlist(
    queries: torch.Tensor, gallery: torch.Tensor, candidates: torch.Tensor, kernel: bool | None = None
) -> torch.Tensor:
    """Aligned distance of each query against its own candidates.

    Args:
        queries: (M, S, d), stripes of unit length.
        gallery: (N, S, d), likewise.
        candidates: (M, K) rows of the gallery.
        kernel: take the Triton kernel; None takes it where it can run.

    Returns:
        (M, K) float32.

    Raises:
        InputError: shapes that do not fit, NaN or infinity, a candidate outside the gallery.
    """
    queries, gallery = as_stripes(queries, "query stripes"), as_stripes(gallery, "gallery stripes")
    same_space(queries, gallery, "query and gallery stripes")
    if candidates.ndim != 2 or len(candidates) != len(queries):
        raise InputError(f"candidates: expected shape ({len(queries)}, K), got {tuple(candidates.shape)}")
    if candidates.numel() and not (candidates.min() >= 0 and candidates.max() < len(gallery)):
        raise InputError(f"candidates: expected rows 0..{len(gallery) - 1} of the gallery, got others")
    if _takes_kernel("shortlists", queries, kernel):
        from reid_tracker.gpu.aligned_kernel import shortlists

        return shortlists(queries, gallery, candidates)
    distances = queries.new_empty(candidates.shape)
    step = max(1, _BLOCK_PAIRS // max(1, 64 * candidates.shape[1]))
    for start in range(0, len(queries), step):
        theirs = gallery[candidates[start : start + step].long()]
        planes = _gathered_planes(queries[start : start + step], theirs)
        distances[start : start + step] = _cheapest(planes, queries.shape[1])
    return distances


def _takes_kernel(form: _Form, stripes: torch.Tensor, asked: bool | None) -> bool:
    if asked is False:
        return False
    missing = ""
    if stripes.shape[1] != _KERNEL_STRIPES:
        missing = f"it takes {_KERNEL_STRIPES} stripes, not {stripes.shape[1]}"
    elif stripes.shape[2] % _KERNEL_LEAST_DEPTH:
        missing = f"it takes stripes of a multiple of {_KERNEL_LEAST_DEPTH} numbers, not {stripes.shape[2]}"
    elif importlib.util.find_spec("triton") is None:
        missing = "Triton is not installed"
    elif not stripes.is_cuda and os.environ.get("TRITON_INTERPRET") != "1":
        missing = f"the stripes lie on {stripes.device}"
    elif asked or stripes.is_cuda:
        missing = _fault(form, stripes.device, stripes.shape[2])
    if missing and asked:
        raise InputError(f"aligned distance: the kernel cannot run, {missing}")
    return not missing and (bool(asked) or stripes.is_cuda)


@cache
def _fault(form: _Form, device: torch.device, depth: int) -> str:
    """Why a kernel does not run on a device (no C compiler, an old GPU), found once by running it; else empty."""
    few = torch.zeros((3, _KERNEL_STRIPES, depth), device=device)
    try:
        from reid_tracker.gpu import aligned_kernel

        if form == "all pairs":
            aligned_kernel.all_pairs(few, few)
        else:
            aligned_kernel.shortlists(few, few, torch.zeros((3, 3), dtype=torch.int64, device=device))
    except Exception as error:  # Triton, its back end and the compilers that it calls each raise their own
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        logger.warning("aligned distance: the kernel does not compile on %s, torch alone is slower: %s", device, reason)
        return f"it does not compile on {device}: {reason}"
    return ""


def _all_planes(queries: torch.Tensor, gallery: torch.Tensor) -> Iterator[torch.Tensor]:
    """(M, S, d) and (N, S, d) to planes (M, N) of ||f_i - g_j||^2 / 2, in order of the recursion, one at a time."""
    left, right = queries.transpose(0, 1).contiguous(), gallery.transpose(0, 1).contiguous()
    own, theirs = (0.5 * side.square().sum(dim=2) for side in (left, right))
    for i in range(len(left)):
        for j in range(len(right)):
            plane = torch.addmm(own[i][:, None] + theirs[j], left[i], right[j].T, alpha=-1)
            near = (plane < _NEARLY_EQUAL).nonzero(as_tuple=True)
            plane[near] = 0.5 * (left[i][near[0]] - right[j][near[1]]).square().sum(dim=1)
            yield plane


def _gathered_planes(queries: torch.Tensor, gathered: torch.Tensor) -> Iterator[torch.Tensor]:
    """(M, S, d) and each one's candidates (M, K, S, d) to planes (M, K), likewise."""
    for i in range(queries.shape[1]):
        for j in range(gathered.shape[2]):
            yield 0.5 * (queries[:, None, i] - gathered[:, :, j]).square().sum(dim=2)


def _cheapest(planes: Iterator[torch.Tensor], stripes: int) -> torch.Tensor:
    """Planes of half squared distances to the mean cost of the cheapest path."""
    row: list[torch.Tensor] = []
    for place, plane in enumerate(planes):
        i, j = divmod(place, stripes)
        cost = torch.tanh(torch.sqrt(plane * 0.5))  # ||f - g|| / 2
        if i == 0:
            row.append(cost + row[j - 1] if j else cost)
        else:
            row[j] = cost + (torch.minimum(row[j], row[j - 1]) if j else row[j])
    return row[-1] / (2 * stripes - 1)

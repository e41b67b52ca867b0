"""k-reciprocal re-ranking (Zhong et al. 2017, arXiv:1701.08398) in torch; see ``reid_tracker.distance.rerank``.

Everything is a dense operation over blocks of rows, which a GPU likes, but for the neighbourhoods: these are kept as
rows of at most (k1 + 1)(k1/2 + 2) neighbours with their weights, so that memory grows with N k1^2 and not with N^2.
"""

from __future__ import annotations

import torch

from reid_tracker.errors import InputError
from reid_tracker.gpu._checks import as_vectors, same_space

_BLOCK = 512
_EXPANSION_SHARE = 2 / 3


def rerank_distance(
    queries: torch.Tensor, gallery: torch.Tensor, k1: int = 20, k2: int = 6, original_share: float = 0.3
) -> torch.Tensor:
    """``reid_tracker.distance.rerank_distance`` of tensors: same arguments, result and errors.

    Args:
        queries: (M, D), unit length.
        gallery: (N, D), unit length, on the same device.

    Returns:
        (M, N) float32 in 0..1, on that device.
    """
    queries, gallery = as_vectors(queries, "queries"), as_vectors(gallery, "gallery")
    same_space(queries, gallery, "queries and gallery")
    if not (k1 >= 1 and 1 <= k2 <= k1 + 1 and 0 <= original_share <= 1):
        raise InputError(
            f"re-ranking: expected k1 >= 1, k2 in 1..k1 + 1, share in 0..1; got {k1}, {k2}, {original_share}"
        )
    everybody = torch.cat([queries, gallery])
    nearest, farthest = _neighbours(everybody, k1 + 1)
    members, weights = _neighbourhoods(everybody, nearest, farthest, k1)
    distances = queries.new_empty((len(queries), len(gallery)))
    for start in range(0, len(queries), _BLOCK):
        rows = slice(start, min(start + _BLOCK, len(queries)))
        original = _distances(queries[rows], gallery) / farthest[rows, None]
        shared = _shared(rows, len(queries), nearest, members, weights, k2)
        distances[rows] = (1 - shared / (2 - shared)) * (1 - original_share) + original_share * original
    return distances


def _distances(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """(M, D), (N, D) to (M, N): one minus the cosine, half the squared Euclidean distance."""
    return (1 - first @ second.T).clamp_(0, 2)


def _neighbours(vectors: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """(N, count) nearest rows, itself first, and (N,) the largest distance of each row."""
    count = min(count, len(vectors))
    nearest, farthest = [], []
    for start in range(0, len(vectors), _BLOCK):
        block = _distances(vectors[start : start + _BLOCK], vectors)
        farthest.append(block.amax(dim=1))
        rows = torch.arange(len(block), device=vectors.device)
        block[rows, rows + start] = -1  # duplicates and rounding must not push a picture off its own first place
        nearest.append(block.topk(count, dim=1, largest=False, sorted=True).indices)
    return torch.cat(nearest), torch.cat(farthest).clamp_min(torch.finfo(torch.float32).tiny)


def _reciprocal(nearest: torch.Tensor) -> torch.Tensor:
    """(N, k) bool: which of a row's neighbours count it among theirs."""
    own = torch.arange(len(nearest), device=nearest.device)
    return (nearest[nearest] == own[:, None, None]).any(dim=2)


def _neighbourhoods(
    vectors: torch.Tensor, nearest: torch.Tensor, farthest: torch.Tensor, k1: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """(N, E) expanded k-reciprocal neighbours of each row, ascending, and their weights, summing to 1; unused: 0."""
    mutual = _reciprocal(nearest)
    half = nearest[:, : round(k1 / 2) + 1]
    half_mutual = _reciprocal(half)
    nobody = len(vectors)  # sorts behind everybody
    all_members, all_weights = [], []
    for start in range(0, len(vectors), _BLOCK):
        rows = slice(start, start + _BLOCK)
        own = torch.where(mutual[rows], nearest[rows], nobody)
        theirs = half[nearest[rows]]  # (B, k, h)
        theirs_mutual = half_mutual[nearest[rows]]
        known = ((theirs[..., None] == own[:, None, None]).any(dim=3) & theirs_mutual).sum(dim=2)
        taken = mutual[rows] & (known > _EXPANSION_SHARE * theirs_mutual.sum(dim=2))
        further = torch.where(theirs_mutual & taken[..., None], theirs, nobody).flatten(1)
        members = torch.cat([own, further], dim=1).sort(dim=1).values
        repeated = torch.zeros_like(members, dtype=torch.bool)
        repeated[:, 1:] = members[:, 1:] == members[:, :-1]
        used = (members < nobody) & ~repeated
        members = torch.where(used, members, 0)
        cosine = torch.einsum("bed,bd->be", vectors[members], vectors[rows])
        distance = ((1 - cosine) / farthest[rows, None]).clamp(0, 1)
        weight = torch.where(used, torch.exp(-distance), 0.0)
        all_members.append(members)
        all_weights.append(weight / weight.sum(dim=1, keepdim=True))
    return torch.cat(all_members), torch.cat(all_weights)


def _dense(members: torch.Tensor, weights: torch.Tensor, nearest: torch.Tensor, k2: int) -> torch.Tensor:
    """(B, N) weights over everybody of the given rows' neighbourhoods, averaged over their k2 nearest."""
    count = len(members)
    if k2 > 1:
        few = nearest[:, :k2]
        gathered, own = members[few].flatten(1), weights[few].flatten(1) / few.shape[1]
    else:
        gathered, own = members[nearest[:, 0]], weights[nearest[:, 0]]
    dense = weights.new_zeros((len(nearest), count))
    return dense.scatter_add_(1, gathered, own)


def _shared(
    rows: slice, query_count: int, nearest: torch.Tensor, members: torch.Tensor, weights: torch.Tensor, k2: int
) -> torch.Tensor:
    """(B, N) sums of the smaller of two neighbourhoods' weights, queries of ``rows`` against the gallery."""
    own = _dense(members, weights, nearest[rows], k2)
    total = len(members)
    shared = weights.new_zeros((len(own), total - query_count))
    for start in range(query_count, total, _BLOCK):
        theirs = _dense(members, weights, nearest[start : start + _BLOCK], k2)
        used = torch.nonzero((theirs > 0).any(dim=0) & (own > 0).any(dim=0)).flatten()
        mine, other = own[:, used], theirs[:, used]
        block = shared[:, start - query_count : start - query_count + len(theirs)]
        for part in range(0, len(used), _BLOCK):
            columns = slice(part, part + _BLOCK)
            block += torch.minimum(mine[:, None, columns], other[None, :, columns]).sum(dim=2)
    return shared

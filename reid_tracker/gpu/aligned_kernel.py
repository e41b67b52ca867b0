"""Triton kernels of the aligned distance, for eight stripes.

All pairs: a program holds a tile of query-gallery pairs. For each cell of the stripe matrix it multiplies a tile of
query stripes with one of gallery stripes (three passes of TF32, which is float32 to the last two bits), turns the
product into a cell's cost and goes one step of the recursion; eight running sums a pair stay in registers. Where a
product says that two stripes are nearly equal it has cancelled, and the tile's differences are taken instead.

Shortlists: a program holds one query and a few of its candidates, and takes differences instead of products: there is
too little arithmetic to gain from tensor cores, and differences do not cancel.

``TRITON_INTERPRET=1``, set before Triton is imported, runs both on a processor, slowly.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl

# See reid_tracker.distance._cells: tanh(sqrt(2 t) / 2) to 6.3e-8 on 0..2.
_POLE_WEIGHT = tl.constexpr(2.853233762400327)
_POLE = tl.constexpr(4.947338864553615)
_CONSTANT = tl.constexpr(0.13038544386245346)
_SLOPE = tl.constexpr(-0.0012757891699586897)
_STRIPES = tl.constexpr(8)
_CELLS_VISITED = tl.constexpr(15)
_NEARLY_EQUAL = tl.constexpr(1e-4)  # as in reid_tracker.distance._cells

TILE = (32, 64)
"""Queries and gallery rows of one program: with eight warps eight pairs a thread, whose sums fit its registers."""
_WARPS = 8
_STAGES = 1  # loads ahead of the arithmetic would take the registers that the sums need
_SHORTLIST_TILE = 16


def all_pairs(
    queries: torch.Tensor, gallery: torch.Tensor, tile: tuple[int, int] = TILE, warps: int = _WARPS
) -> torch.Tensor:
    """(M, 8, d) and (N, 8, d) float32, contiguous, of unit length, to (M, N) distances."""
    distances = queries.new_empty((len(queries), len(gallery)))
    if distances.numel():
        own, theirs = (0.5 * side.square().sum(dim=2) for side in (queries, gallery))
        grid = (triton.cdiv(len(gallery), tile[1]), triton.cdiv(len(queries), tile[0]))
        _all_pairs_kernel[grid](
            queries,
            gallery,
            own,
            theirs,
            distances,
            len(queries),
            len(gallery),
            queries.shape[2],
            *tile,
            num_warps=warps,
            num_stages=_STAGES,
        )
    return distances


def shortlists(queries: torch.Tensor, gallery: torch.Tensor, candidates: torch.Tensor) -> torch.Tensor:
    """(M, 8, d) against its rows (M, K) of (N, 8, d), to (M, K) distances."""
    distances = queries.new_empty(candidates.shape)
    if distances.numel():
        count = candidates.shape[1]
        grid = (len(queries), triton.cdiv(count, _SHORTLIST_TILE))
        depth = queries.shape[2]
        _shortlist_kernel[grid](
            queries, gallery, candidates.to(torch.int64).contiguous(), distances, count, depth,
            triton.next_power_of_2(depth), _SHORTLIST_TILE,
        )  # fmt: skip
    return distances


@triton.jit
def _cell_cost(half_squared):
    t = tl.maximum(half_squared, 0.0)
    return tl.sqrt(t) * (_POLE_WEIGHT / (t + _POLE) + _SLOPE * t + _CONSTANT)


@triton.jit
def _product_cost(left, right, own, theirs, rows, columns, row_inside, column_inside, i, j, depth,
                  M: tl.constexpr, N: tl.constexpr):  # fmt: skip
    """Costs of cell (i, j) for a tile of pairs."""
    steps = tl.arange(0, 16)
    product = tl.zeros((M, N), tl.float32)
    for start in range(0, depth, 16):
        at = start + steps
        f = tl.load(left + (rows * _STRIPES + i)[:, None] * depth + at[None], mask=row_inside[:, None], other=0.0)
        g = tl.load(
            right + (columns * _STRIPES + j)[:, None] * depth + at[None], mask=column_inside[:, None], other=0.0
        )
        product = tl.dot(f, tl.trans(g), product, input_precision="tf32x3")
    f_half = tl.load(own + rows * _STRIPES + i, mask=row_inside, other=0.0)
    g_half = tl.load(theirs + columns * _STRIPES + j, mask=column_inside, other=0.0)
    t = f_half[:, None] + g_half[None] - product
    # Nothing outside may count: its stripes are zeros, equal all over.
    if tl.min(tl.where(row_inside[:, None] & column_inside[None], t, 1.0)) < _NEARLY_EQUAL:
        squared = tl.zeros((M, N), tl.float32)
        for k in range(depth):
            f_number = tl.load(left + (rows * _STRIPES + i) * depth + k, mask=row_inside, other=0.0)
            g_number = tl.load(right + (columns * _STRIPES + j) * depth + k, mask=column_inside, other=0.0)
            difference = f_number[:, None] - g_number[None]
            squared += difference * difference
        t = tl.where(t < _NEARLY_EQUAL, 0.5 * squared, t)
    return _cell_cost(t)


# Counts change from call to call: compiled once for all of them, not once for 1, for multiples of 16 and for the rest.
@triton.jit(do_not_specialize=["query_count", "gallery_count"])
def _all_pairs_kernel(left, right, own, theirs, out, query_count, gallery_count, depth,
                      M: tl.constexpr, N: tl.constexpr):  # fmt: skip
    first_row, first_column = tl.program_id(1).to(tl.int64) * M, tl.program_id(0).to(tl.int64) * N
    rows, columns = tl.arange(0, M), tl.arange(0, N)
    row_inside, column_inside = rows < query_count - first_row, columns < gallery_count - first_column
    # Within a tile 32 bits are enough for places: wide ones of eight stripes would take half of the registers.
    left += first_row * _STRIPES * depth
    right += first_column * _STRIPES * depth
    own += first_row * _STRIPES
    theirs += first_column * _STRIPES
    out += first_row * gallery_count + first_column
    a = tl.zeros((M, N), tl.float32)
    b, c, d, e, f, g, h = a, a, a, a, a, a, a
    for i in range(_STRIPES):
        first = i == 0
        a += _product_cost(left, right, own, theirs, rows, columns, row_inside, column_inside, i, 0, depth, M, N)
        b = tl.where(first, a, tl.minimum(a, b)) + _product_cost(
            left, right, own, theirs, rows, columns, row_inside, column_inside, i, 1, depth, M, N)  # fmt: skip
        c = tl.where(first, b, tl.minimum(b, c)) + _product_cost(
            left, right, own, theirs, rows, columns, row_inside, column_inside, i, 2, depth, M, N)  # fmt: skip
        d = tl.where(first, c, tl.minimum(c, d)) + _product_cost(
            left, right, own, theirs, rows, columns, row_inside, column_inside, i, 3, depth, M, N)  # fmt: skip
        e = tl.where(first, d, tl.minimum(d, e)) + _product_cost(
            left, right, own, theirs, rows, columns, row_inside, column_inside, i, 4, depth, M, N)  # fmt: skip
        f = tl.where(first, e, tl.minimum(e, f)) + _product_cost(
            left, right, own, theirs, rows, columns, row_inside, column_inside, i, 5, depth, M, N)  # fmt: skip
        g = tl.where(first, f, tl.minimum(f, g)) + _product_cost(
            left, right, own, theirs, rows, columns, row_inside, column_inside, i, 6, depth, M, N)  # fmt: skip
        h = tl.where(first, g, tl.minimum(g, h)) + _product_cost(
            left, right, own, theirs, rows, columns, row_inside, column_inside, i, 7, depth, M, N)  # fmt: skip
    inside = row_inside[:, None] & column_inside[None]
    tl.store(out + rows[:, None].to(tl.int64) * gallery_count + columns[None], h / _CELLS_VISITED, mask=inside)


@triton.jit
def _difference_cost(left, query, i, theirs, at, inside, depth):
    """Costs of the query's stripe i against a gathered stripe of each candidate."""
    own = tl.load(left + (query * _STRIPES + i) * depth + at, mask=inside, other=0.0)
    difference = theirs - own[None]
    return _cell_cost(0.5 * tl.sum(difference * difference, axis=1))


@triton.jit(do_not_specialize=["count"])
def _shortlist_kernel(left, right, candidates, out, count, depth, D: tl.constexpr, K: tl.constexpr):
    query = tl.program_id(0).to(tl.int64)
    places = tl.program_id(1) * K + tl.arange(0, K)
    wanted = places < count
    rows = tl.load(candidates + query * count + places, mask=wanted, other=0)
    at = tl.arange(0, D)
    inside = at < depth
    a = tl.zeros((K,), tl.float32)
    b, c, d, e, f, g, h = a, a, a, a, a, a, a
    for j in range(_STRIPES):  # the matrix is gone through by columns: the path's cost is the same
        first = j == 0
        theirs = tl.load(right + (rows * _STRIPES + j)[:, None] * depth + at[None], mask=inside[None], other=0.0)
        a += _difference_cost(left, query, 0, theirs, at, inside, depth)
        b = tl.where(first, a, tl.minimum(a, b)) + _difference_cost(left, query, 1, theirs, at, inside, depth)
        c = tl.where(first, b, tl.minimum(b, c)) + _difference_cost(left, query, 2, theirs, at, inside, depth)
        d = tl.where(first, c, tl.minimum(c, d)) + _difference_cost(left, query, 3, theirs, at, inside, depth)
        e = tl.where(first, d, tl.minimum(d, e)) + _difference_cost(left, query, 4, theirs, at, inside, depth)
        f = tl.where(first, e, tl.minimum(e, f)) + _difference_cost(left, query, 5, theirs, at, inside, depth)
        g = tl.where(first, f, tl.minimum(f, g)) + _difference_cost(left, query, 6, theirs, at, inside, depth)
        h = tl.where(first, g, tl.minimum(g, h)) + _difference_cost(left, query, 7, theirs, at, inside, depth)
    tl.store(out + query * count + places, h / _CELLS_VISITED, mask=wanted)

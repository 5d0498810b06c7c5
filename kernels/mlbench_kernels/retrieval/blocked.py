"""Retrieval ranks in one streaming pass over tiles of the score matrix.

Nothing of size N x N or N x k is kept. Each tile of scores is compared with one number per query, its gate
(see `positives.py`); almost always the largest score in a run of 64 stays below it and nothing else is looked at. In
the square form the score is symmetric, so half of the tiles are enough.

Published fast evaluations keep the k nearest neighbours of every query. Counting ahead of the positives needs
no k, costs less and is exact for any K (`Recall@K`) and any class size.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ..labels import LabelOrder
from ..precision import ieee_float32
from .points import centre_and_scale, make_points
from .positives import ENTRY_BYTES, Positives

_RUN = 64
_PROBES = (64, 1024)  # references of the first looks, which only raise gates
_SMALL = 8192  # up to here whole tiles seen once, by rows, are faster than half of them seen twice
_TILE_BYTES = 128  # bytes per element of a tile when every element of it is a hit


def blocked_ranks(
    queries: Tensor,
    query_labels: Tensor,
    references: Tensor | None,
    reference_labels: Tensor | None,
    largest_k: int,
    cosine: bool,
    memory: int,
) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor, Tensor]]:
    """Ranks of all positives, group by group of queries.

    Yields:
        `(query, relevant, row, k, rank)`: index and R of each query of the group, `[Q]`; and for each of its
        positives the place of its query in the group, its number and its rank, `[sum R]`.
    """
    with ieee_float32():
        square = references is None
        query_order = LabelOrder.of(query_labels)
        gallery = queries if references is None else references
        reference_order = query_order if reference_labels is None else LabelOrder.of(reference_labels)
        scale, centre, unit = centre_and_scale(gallery, cosine)
        right = make_points(gallery, reference_order.index, scale, centre, unit, cosine)
        left = right
        if not square:
            scale, _, _ = centre_and_scale(queries, cosine)
            left = make_points(queries, query_order.index, scale, centre, unit, cosine)
        relevant = reference_order.spans(query_order.label)[1] - int(square)
        for span in _groups(relevant, memory // 2):
            state = Positives(left, right, query_order, reference_order, span, largest_k, square, memory // 4)
            whole = square and span == (0, len(queries))
            _stream(state, whole, memory)
            yield query_order.index[span[0] : span[1]], state.relevant, *state.ranks()


def _groups(relevant: Tensor, memory: int) -> Iterator[tuple[int, int]]:
    """Cut the queries so that the positives of each group fit into `memory` bytes."""
    total = relevant.cumsum(0).cpu()
    start, before = 0, 0
    while start < len(total):
        stop = int(torch.searchsorted(total, before + memory // ENTRY_BYTES, right=True))
        stop = max(stop, start + 1)
        yield start, stop
        start, before = stop, int(total[stop - 1])


def _stream(state: Positives, symmetric: bool, memory: int) -> None:
    """Let every query of the group see every reference that can matter to it."""
    # Of many equal references only the first few can be ahead of a positive that matters: those before it, less its
    # positives and itself, already fill all ranks that do. Without this, collapsed embeddings would be all hits.
    columns = (state.references.depth <= int((state.cap + state.relevant).max())).nonzero().flatten()
    for size in _PROBES:
        if len(columns) >= 16 * size:
            probe = columns[:: len(columns) // size]
            for rows in _alive(state).split(max(_RUN, memory // (_TILE_BYTES * size))):
                _rectangle(state, rows, probe)
            state.settle()
            state.tighten(0, state.last - state.first)
            state.forget()
    alive = _alive(state)
    if symmetric and len(columns) == len(alive) > _SMALL:
        _triangle(state, tile_side(memory))
        return
    for rows in alive.split(tile_side(memory)):
        for part in columns.split(tile_side(memory)):
            _rectangle(state, rows, part)
            state.tighten(int(rows[0]), int(rows[-1]) + 1)


def tile_side(memory: int) -> int:
    """Rows and columns of a tile: a multiple of 64 within the memory.

    >>> tile_side(128 << 20), tile_side(1 << 20)
    (1024, 64)
    """
    return max(_RUN, min(1024, int((memory // _TILE_BYTES) ** 0.5)) // _RUN * _RUN)


def _alive(state: Positives) -> Tensor:
    return torch.isfinite(state.gate).nonzero().flatten()


def _rectangle(state: Positives, rows: Tensor, columns: Tensor) -> None:
    """Show the references at `columns` to the queries at `rows`."""
    tile = state.queries.left[rows + state.first] @ state.references.right(columns).T
    _observe(state, tile, rows, columns)


def _triangle(state: Positives, side: int) -> None:
    """Let all points see each other, every tile of the upper triangle once, by its rows and by its columns."""
    points, count = state.queries, len(state.queries.index)
    starts = range(0, count, side)
    for i in starts:
        rows = torch.arange(i, min(i + side, count), device=state.gate.device)
        for j in starts[i // side :]:
            columns = torch.arange(j, min(j + side, count), device=rows.device)
            tile = points.left[i : i + side] @ points.right(slice(j, j + side)).T
            if _observe(state, tile, rows, columns):
                state.tighten(i, i + len(rows))
            if i != j and _observe(state, tile.T, columns, rows):
                state.tighten(j, j + len(columns))


def _observe(state: Positives, tile: Tensor, rows: Tensor, columns: Tensor) -> bool:
    """Count the entries of `tile` `[B, C]` that reach the gate of their row; whether there are any."""
    error = state.error(rows, state.references.radius[columns].max())
    bound = torch.nn.functional.pad(state.gate[rows] - error, (0, len(tile) - len(rows)), value=torch.inf)
    row, column = _hits(tile, bound)
    for r, c in zip(row.split(1 << 17), column.split(1 << 17), strict=True):
        state.observe(rows[r], columns[c], tile[r, c], error[r])
    return len(row) > 0


def _hits(tile: Tensor, bound: Tensor) -> tuple[Tensor, Tensor]:
    """Rows and columns of the entries that reach their row's bound, looking closely only at runs that do."""
    if tile.shape[1] % _RUN == 0:
        runs = tile.unflatten(1, (-1, _RUN))
        row, run = (runs.amax(dim=2) >= bound[:, None]).nonzero(as_tuple=True)
        if 8 * len(row) < runs.shape[0] * runs.shape[1]:
            hit, lane = (runs[row, run] >= bound[row, None]).nonzero(as_tuple=True)
            return row[hit], run[hit] * _RUN + lane
    row, column = (tile >= bound[:, None]).nonzero(as_tuple=True)
    return row, column

"""Retrieval ranks in one streaming pass over tiles of the score matrix.

Nothing of size N x N or N x k is kept. Each tile of scores is compared with one number per query, its gate
(see `positives.py`); almost always the largest score in a short run stays below it and nothing else is looked at. In
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

_RUN = 32  # scores looked at together, at most
_LEAST_RUN = 8
_PROBES = (64, 1024)  # references of the first looks
_TILE = 1 << 21  # elements of a tile: what a shared cache holds
_WIDTH = 8192  # columns of a rectangle: all references of a small problem, so that one look fills all ranks
_SMALL = 4096  # up to here whole tiles seen once, by rows, are faster than half of them seen twice
_BATCH = 1 << 20  # scores looked at closely together
_TILE_BYTES = 16  # per element of a tile, its share of everything that is proportional to it


def blocked_ranks(
    queries: Tensor,
    query_labels: Tensor,
    references: Tensor | None,
    reference_labels: Tensor | None,
    largest_k: int,
    cosine: bool,
    all_ranks: bool,
    memory: int,
) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor, Tensor]]:
    """Ranks of all positives, group by group of queries; too low ones only as such (`Positives.ranks`).

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
        query_scale, _, query_unit = (scale, centre, unit) if square else centre_and_scale(queries, cosine)
        unit = min(unit, query_unit)  # no norm on either side is larger than about 1 then
        right = make_points(gallery, reference_order.index, scale, centre, unit, cosine)
        left = right if square else make_points(queries, query_order.index, query_scale, centre, unit, cosine)
        relevant = reference_order.spans(query_order.label)[1] - int(square)
        for span in _groups(relevant, memory * 3 // 4):
            state = Positives(
                left, right, query_order, reference_order, span, largest_k, all_ranks, square, memory // 4
            )
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
    count = len(state.references.index)
    shown = torch.zeros(len(state.references.left), dtype=torch.bool, device=state.gate.device)
    shown[:count] = state.references.depth < state.enough
    columns = shown.nonzero().flatten()
    whole = len(columns) == count
    filler = (~shown).nonzero().flatten()[: -len(columns) % _RUN]  # padding points or some of those equal references
    columns = torch.cat((columns, filler))
    elements = max(_RUN * _RUN, min(_TILE, memory // _TILE_BYTES))
    if len(columns) > _WIDTH:
        for size in _PROBES:
            _probe(state, columns[:: len(columns) // size][:size], elements)
    alive = _alive(state)
    if symmetric and whole and 2 * len(alive) > count > _SMALL:
        _triangle(state, int(elements**0.5) // _RUN * _RUN)
        return
    columns = columns.view(_RUN, -1).T.flatten()  # a class in many runs, so that the largest of runs tell more
    width = min(_WIDTH, len(columns), elements // _RUN // _RUN * _RUN)
    for part in columns.split(width):
        right = state.references.right(part).T
        for rows in _split(alive, max(1, elements // width)):
            _rectangle(state, rows, part, right)
            if width < len(columns):
                state.tighten(int(rows[0]), int(rows[-1]) + 1)


def _probe(state: Positives, columns: Tensor, elements: int) -> None:
    """Look at a few references first, only to raise the gates: most queries of an untrained network end here."""
    right = state.references.right(columns).T
    for rows in _split(_alive(state), elements // len(columns)):
        _rectangle(state, rows, columns, right)
    state.settle()
    state.tighten(0, state.last - state.first)
    state.forget()


def _alive(state: Positives) -> Tensor:
    """Queries whose metrics can still change."""
    return torch.isfinite(state.gate).nonzero().flatten()


def _split(rows: Tensor, size: int) -> Iterator[Tensor]:
    """Like `rows.split(size)`, but nothing of nothing."""
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def _rectangle(state: Positives, rows: Tensor, columns: Tensor, right: Tensor) -> None:
    """Show the references at `columns`, which are the columns `[D + 2, C]` of `right`, to the queries at `rows`."""
    tile = state.queries.left.index_select(0, rows + state.first) @ right
    _observe(state, tile, rows, columns, by_row=True)


def _triangle(state: Positives, side: int) -> None:
    """Let all points see each other, every tile of the upper triangle once, by its rows and by its columns."""
    points, count = state.queries, len(state.queries.index)
    starts = range(0, count, side)
    for i in starts:
        rows = torch.arange(i, min(i + side, count), device=state.gate.device)
        for j in starts[i // side :]:
            columns = torch.arange(j, min(j + side, count), device=rows.device)
            tile = points.left[i : i + side] @ points.right(slice(j, j + side)).T
            if _observe(state, tile, rows, columns, by_row=True):
                state.tighten(i, i + len(rows))
            if i != j and _observe(state, tile, columns, rows, by_row=False):
                state.tighten(j, j + len(columns))


def _observe(state: Positives, tile: Tensor, own: Tensor, other: Tensor, by_row: bool) -> bool:
    """Count the scores that reach the gate of their query; whether there are any.

    Args:
        state: what counts.
        tile: `[B, C]` scores, padding included.
        own: queries of the tile's rows (of its columns unless `by_row`).
        other: sorted positions of the references on its other side.
        by_row: which side asks.
    """
    error = state.error(own, state.references.radius[other].max())
    bound = state.gate[own] - error
    run = _run_length(tile.shape[int(by_row)], state.enough)
    runs = tile.unflatten(1, (-1, run)).amax(dim=2) if by_row else tile.unflatten(0, (-1, run)).amax(dim=1).T
    runs = runs[: len(own)]
    hot = runs >= bound[:, None]
    crowded = (hot.sum(dim=1) > state.enough).nonzero().flatten() if state.enough < runs.shape[1] else own[:0]
    if len(crowded):
        # As many scores as this certainly include enough negatives to fill all ranks that matter.
        filled = runs[crowded].kthvalue(runs.shape[1] - state.enough + 1, dim=1).values - 2 * error[crowded]
        bound = bound.index_copy(0, crowded, filled.maximum(bound[crowded]))
        hot = runs >= bound[:, None]
    found = False
    for query, reference, score in _hits(tile, hot, bound, run, by_row):
        found = True
        state.observe(own.index_select(0, query), other.index_select(0, reference), score, error.index_select(0, query))
    return found


def _run_length(width: int, enough: int) -> int:
    """A power of two, such that the `enough` largest scores of a row are mostly in different runs."""
    run = _RUN
    while run > _LEAST_RUN and width // run < 2 * enough:
        run //= 2
    return run


def _hits(tile: Tensor, hot: Tensor, bound: Tensor, size: int, by_row: bool) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Place of query, place of reference and score of the hits, looking closely only at `hot` runs `[B, C / size]`."""
    at = hot.flatten().nonzero().flatten()
    for part in _split(at, _BATCH // size):
        query = part // hot.shape[1]
        run = part - query * hot.shape[1]
        if by_row:
            score = tile.view(-1, size).index_select(0, part)  # [H, size]
        else:
            score = tile.unflatten(0, (-1, size))[run, :, query]
        hit = (score >= bound.index_select(0, query)[:, None]).flatten().nonzero().flatten()
        if len(hit):
            owner = hit // size
            reference = run.index_select(0, owner) * size + (hit - owner * size)
            yield query.index_select(0, owner), reference, score.flatten().index_select(0, hit)

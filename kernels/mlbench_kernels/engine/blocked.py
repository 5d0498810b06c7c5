"""The blocked engine: tiles of the distance matrix in plain torch, on any device, in O((N + M) D) memory."""

from __future__ import annotations

import torch
from torch import Tensor

from ..rules.rule import Rule, Tile
from .problem import Problem

# Rows that keep a tile of a usual batch inside the second-level cache; columns that bound the memory of any batch.
_ROWS, _COLUMNS = 64, 8192


def run_blocked(rule: Rule, problem: Problem) -> tuple[Tensor, ...]:
    """Run `rule` tile by tile, in float64 for float64 inputs and in float32 otherwise."""
    dtype = torch.promote_types(problem.anchors.dtype, torch.float32)
    x, y, bias = problem.factors(dtype)
    blocks = []
    for i in range(0, len(x), _ROWS):
        rows = slice(i, min(i + _ROWS, len(x)))
        state = rule.init(rows.stop - i, dtype, x.device)
        for j in range(0, len(y), _COLUMNS):
            columns = slice(j, min(j + _COLUMNS, len(y)))
            distance = torch.addmm(bias[columns], x[rows], y[columns].T, alpha=-2)
            state = rule.update(state, _tile(problem, distance, rows, columns))
        blocks.append(rule.finish(state))
    return tuple(torch.cat(parts) for parts in zip(*blocks, strict=True))


def _tile(problem: Problem, distance: Tensor, rows: slice, columns: slice) -> Tile:
    same = problem.labels[rows, None] == problem.reference_labels[None, columns]
    positive = same
    if problem.square and rows.start < columns.stop and columns.start < rows.stop:
        positive = same.clone()
        own = torch.arange(max(rows.start, columns.start), min(rows.stop, columns.stop), device=same.device)
        positive[own - rows.start, own - columns.start] = False
    return Tile(distance, positive, ~same, columns.start)

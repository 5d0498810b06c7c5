"""Tiles of products in plain torch, on any device: nothing larger than a tile is kept beside inputs and outputs."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ...labels import LabelOrder
from ...precision import ieee_float32

_SIDE = 1024  # a float32 tile of at most 4 MiB: it fits a shared cache


def forward(x: Tensor, y: Tensor, x_labels: Tensor, y_labels: Tensor) -> Tensor:
    """The operator's `[N]`, by an online maximum and sum."""
    largest = x.new_full((len(x),), -torch.inf)
    total = torch.zeros_like(largest)
    for rows, _, tile, same in _tiles(x, y, x_labels, y_labels):
        tile.view(-1).index_fill_(0, same, -torch.inf)
        before = largest[rows]
        now = torch.maximum(before, tile.amax(dim=1))
        safe = now.masked_fill(now == -torch.inf, 0)  # nothing but excluded pairs so far: exp(-inf) = 0 of them
        added = tile.sub_(safe[:, None]).exp_().sum(dim=1)
        total[rows] = total[rows] * (before - safe).exp_() + added
        largest[rows] = now
    return largest + total.log()


def backward(
    x: Tensor, y: Tensor, x_labels: Tensor, y_labels: Tensor, result: Tensor, gradient: Tensor
) -> tuple[Tensor, Tensor]:
    """Gradients `[N, D]` and `[M, D]`: every tile is multiplied again, and its softmax serves both sides."""
    x_gradient, y_gradient = torch.zeros_like(x), torch.zeros_like(y)
    scaled = x * gradient[:, None]
    for rows, columns, tile, same in _tiles(x, y, x_labels, y_labels):
        share = tile.sub_(result[rows, None]).exp_()
        share.view(-1).index_fill_(0, same, 0)
        x_gradient[rows].addmm_(share, y[columns])
        y_gradient[columns].addmm_(share.T, scaled[rows])
    return x_gradient.mul_(gradient[:, None]), y_gradient


def _tiles(x: Tensor, y: Tensor, x_labels: Tensor, y_labels: Tensor) -> Iterator[tuple[slice, slice, Tensor, Tensor]]:
    """Rows, columns, their products in a buffer that the next tile overwrites, and its pairs of one label."""
    buffer = x.new_empty(min(_SIDE, len(x)) * min(_SIDE, len(y)))
    order = LabelOrder.of(y_labels)
    starts, counts = order.spans(x_labels)
    for i in range(0, len(x), _SIDE):
        rows = slice(i, min(i + _SIDE, len(x)))
        count = counts[rows]
        row = torch.arange(len(count), device=x.device).repeat_interleave(count)
        number = torch.arange(len(row), device=x.device) - (count.cumsum(0) - count)[row]
        column, by_column = order.index[starts[rows][row] + number].sort()
        row = row[by_column]
        edges = torch.arange(0, len(y) + _SIDE, _SIDE, device=x.device)
        cuts = torch.searchsorted(column, edges).tolist()
        for j in range(0, len(y), _SIDE):
            columns = slice(j, min(j + _SIDE, len(y)))
            low, high = cuts[j // _SIDE : j // _SIDE + 2]
            width = columns.stop - columns.start
            tile = buffer[: len(count) * width].view(len(count), width)
            with ieee_float32():
                torch.mm(x[rows], y[columns].T, out=tile)
            yield rows, columns, tile, row[low:high] * width + (column[low:high] - j)

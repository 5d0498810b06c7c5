"""Tiles of logits in plain torch, on any device: nothing larger than a tile is kept beside inputs and outputs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from ...labels import LabelOrder
from ...precision import ieee_float32

_SIDE = 1024  # a float32 tile of at most 4 MiB: it fits a shared cache


class _Tile(NamedTuple):
    """Logits of the samples `rows` with the classes `columns`.

    Attributes:
        rows: which samples.
        columns: which classes.
        logits: `[B, C]`, in a buffer that the next tile overwrites.
        unit: `[C, D]`, the normalised classes.
        row: `[P]`, samples of the tile whose class is in it, from 0.
        column: `[P]`, their classes, from 0.
    """

    rows: slice
    columns: slice
    logits: Tensor
    unit: Tensor
    row: Tensor
    column: Tensor

    @property
    def own(self) -> Tensor:
        """Places `[P]` of the own logits in the flattened tile."""
        return self.row * self.logits.shape[1] + self.column


def forward(samples: Tensor, classes: Tensor, labels: Tensor, shift: Tensor, by_class: bool) -> tuple[Tensor, Tensor]:
    """Own logits and log-sum-exp of the others, by an online maximum and sum."""
    own = torch.empty_like(shift)
    largest = samples.new_full((len(classes if by_class else samples),), -torch.inf)
    total = torch.zeros_like(largest)
    for tile in _tiles(samples, classes, labels, shift):
        flat = tile.logits.view(-1)
        own[tile.rows.start + tile.row] = flat[tile.own]
        flat.index_fill_(0, tile.own, -torch.inf)
        mine, across = (tile.columns, 0) if by_class else (tile.rows, 1)
        before = largest[mine]
        now = torch.maximum(before, tile.logits.amax(dim=across))
        safe = now.masked_fill(now == -torch.inf, 0)  # only own logits so far: exp(-inf) = 0 of them
        added = tile.logits.sub_(safe.unsqueeze(across)).exp_().sum(dim=across)
        total[mine] = total[mine] * (before - safe).exp_() + added
        largest[mine] = now
    return own, largest + total.log()


def backward(
    samples: Tensor, classes: Tensor, labels: Tensor, shift: Tensor, others: Tensor, own_gradient: Tensor,
    others_gradient: Tensor, by_class: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Gradients `[N, D]` and `[C, D]`: every tile is multiplied again, and its softmax serves both sides."""
    left, right = torch.zeros_like(samples), torch.empty_like(classes)
    for tile in _tiles(samples, classes, labels, shift):
        mine, across = (tile.columns, 0) if by_class else (tile.rows, 1)
        share = tile.logits.sub_(others[mine].unsqueeze(across)).exp_().mul_(others_gradient[mine].unsqueeze(across))
        share.view(-1)[tile.own] = own_gradient[tile.rows][tile.row]
        if tile.rows.start == 0:
            column_gradient = torch.zeros_like(tile.unit)
        left[tile.rows].addmm_(share, tile.unit)
        column_gradient.addmm_(share.T, samples[tile.rows])
        if tile.rows.stop == len(samples):
            right[tile.columns] = through_normalization(classes[tile.columns], tile.unit, column_gradient)
    return left, right


def normalized(rows: Tensor, dtype: torch.dtype) -> Tensor:
    """Rows of length 1, in `dtype`."""
    return torch.nn.functional.normalize(rows.to(dtype))


def through_normalization(rows: Tensor, unit: Tensor, gradient: Tensor) -> Tensor:
    """Gradient of `rows` from that of `unit`, the normalised rows."""
    length = torch.linalg.vector_norm(rows.to(unit.dtype), dim=1, keepdim=True)
    along = (unit * gradient).sum(dim=1, keepdim=True).masked_fill_(length < 1e-12, 0)
    result: Tensor = (gradient - unit * along) / length.clamp_min(1e-12)
    return result


def _tiles(samples: Tensor, classes: Tensor, labels: Tensor, shift: Tensor) -> Iterator[_Tile]:
    """All tiles, those of one block of classes after one another."""
    buffer = samples.new_empty(min(_SIDE, len(samples)) * min(_SIDE, len(classes)))
    blocks = [slice(i, min(i + _SIDE, len(samples))) for i in range(0, len(samples), _SIDE)]
    orders = [LabelOrder.of(labels[rows]) for rows in blocks]
    edges = torch.arange(0, len(classes) + _SIDE, _SIDE, device=labels.device)
    cuts = [torch.searchsorted(order.label, edges).tolist() for order in orders]
    for number, j in enumerate(range(0, len(classes), _SIDE)):
        columns = slice(j, min(j + _SIDE, len(classes)))
        unit = normalized(classes[columns], samples.dtype)
        for rows, order, cut in zip(blocks, orders, cuts, strict=True):
            logits = buffer[: (rows.stop - rows.start) * len(unit)].view(-1, len(unit))
            with ieee_float32():
                torch.addmm(shift[rows, None], samples[rows], unit.T, out=logits)
            mine = slice(cut[number], cut[number + 1])
            yield _Tile(rows, columns, logits, unit, order.index[mine], order.label[mine] - j)

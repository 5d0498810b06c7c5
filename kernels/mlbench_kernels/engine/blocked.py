"""The blocked engine: tiles of the distance matrix in plain torch, on any device, in O((N + M) D) memory.

Negatives are almost all references: every tile is one product, out of which the few positives are punched. In the
square form a tile serves its rows and, transposed, its columns, so half of the product suffices. Positives are few:
with both sides sorted by label, only the tiles along the diagonal are computed.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..rules.rule import Rule, State, Tile
from .exclude import Excluder
from .layout import Layout
from .problem import Problem

_SIDE = 1024  # a float32 tile of 4 MiB: it fits a shared cache, and what is done once per tile is rare
_POSITIVE_ROWS, _POSITIVE_COLUMNS = 256, 1024


def run_blocked(rule: Rule, problem: Problem) -> tuple[Tensor, ...]:
    """Run `rule` tile by tile, in float64 for float64 inputs and in float32 otherwise."""
    return Stream(rule, problem).run()


class Stream:
    """The tile loops of one rule on one problem."""

    def __init__(self, rule: Rule, problem: Problem) -> None:
        self.rule, self.problem, self.layout = rule, problem, Layout(rule, problem)
        self.x, self.y, self.a, self.b = self.layout.factors(problem, problem.dtype)
        self.thresholds = self.layout.thresholds(rule, problem, problem.dtype)
        self.state = rule.init(len(self.x), problem.dtype, self.x.device)
        self.buffer = self.x.new_empty(max(_SIDE * _SIDE, _POSITIVE_ROWS * _POSITIVE_COLUMNS))

    def run(self) -> tuple[Tensor, ...]:
        """The rule's outputs, by the caller's indices."""
        if self.layout.sorted:
            self._along_the_diagonal()
        else:
            self._over_everything()
        return self.layout.restore(self.rule, self.rule.finish(self.state))

    def _over_everything(self) -> None:
        """Every anchor against every reference; by symmetry, half of the tiles in the square form."""
        excluder = Excluder(self.rule, self.problem)
        for i in range(0, len(self.x), _SIDE):
            rows = slice(i, min(i + _SIDE, len(self.x)))
            excluder.enter(rows)
            for j in range(i if self.problem.square else 0, len(self.y), _SIDE):
                columns = slice(j, min(j + _SIDE, len(self.y)))
                distance = self._distance(rows, columns)
                excluder.punch(distance, columns)
                self._show(distance, rows, columns)
                if self.problem.square and j > i:
                    self._show(distance.T, columns, rows)

    def _along_the_diagonal(self) -> None:
        """Every anchor against the references of the labels near its own."""
        starts, stops = (part.tolist() for part in self.layout.spans(_POSITIVE_ROWS))
        for block, (start, stop) in enumerate(zip(starts, stops, strict=True)):
            rows = slice(block * _POSITIVE_ROWS, min((block + 1) * _POSITIVE_ROWS, len(self.x)))
            for j in range(start, stop, _POSITIVE_COLUMNS):
                columns = slice(j, min(j + _POSITIVE_COLUMNS, stop))
                distance = self._distance(rows, columns)
                other = self.layout.labels[rows, None] != self.layout.reference_labels[None, columns]
                distance.masked_fill_(other, self.rule.absent)
                if self.problem.square:  # both sides are in one order: an anchor meets itself where positions are equal
                    distance.diagonal(rows.start - columns.start).fill_(self.rule.absent)
                self._show(distance, rows, columns)

    def _distance(self, rows: slice, columns: slice) -> Tensor:
        """The tile `[B, C]`, in a buffer that the next tile overwrites."""
        shape = (rows.stop - rows.start, columns.stop - columns.start)
        tile = self.buffer[: shape[0] * shape[1]].view(shape)
        if self.problem.distance == "cosine":
            torch.mm(self.x[rows], self.y[columns].T, out=tile)
        else:
            torch.add(self.a[rows, None], self.b[columns], out=tile).addmm_(self.x[rows], self.y[columns].T)
        if self.rule.needs_distance:
            tile.copy_(self.problem.from_order(tile))
        return tile

    def _show(self, distance: Tensor, rows: slice, columns: slice) -> None:
        """Let the anchors `rows` see the references `columns`."""
        before: State = tuple(part[rows] for part in self.state)
        index, reference_index = self.layout.index[rows], self.layout.reference_index[columns]
        tile = Tile(distance, columns.start, index, reference_index, self.thresholds[rows])
        for part, value in zip(before, self.rule.update(before, tile), strict=True):
            part.copy_(value)

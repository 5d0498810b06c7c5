"""The blocked engine: tiles of the distance matrix in plain torch, on any device, in O((N + M) D) memory.

Negatives are almost all references: every tile is one product, out of which the few positives are punched. In the
square form a tile serves its rows and, transposed, its columns, so half of the product suffices. Positives are few:
with both sides sorted by label, only the tiles along the diagonal are computed.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ..rules.rule import Rule, State, Tile
from .exclude import Excluder
from .layout import Layout
from .problem import Problem

_SIDE = 1024  # a float32 tile of 4 MiB: it fits a shared cache, and what is done once per tile is rare
_POSITIVE_ROWS, _POSITIVE_COLUMNS = 256, 1024
_CLOSE = 1e-3  # of |x|^2 + |y|^2; above it a float32 distance is right to five digits


def run_blocked(rule: Rule, problem: Problem) -> tuple[Tensor, ...]:
    """Run `rule` tile by tile, in float64 for float64 inputs and in float32 otherwise."""
    return Stream(rule, problem).run()


class Stream:
    """The tile loops of one rule on one problem."""

    def __init__(self, rule: Rule, problem: Problem) -> None:
        self.rule, self.problem, self.layout = rule, problem, Layout(rule, problem)
        self.x, self.y, self.a, self.b = self.layout.factors(problem, problem.dtype)
        self.thresholds = self.layout.thresholds(rule, problem, problem.dtype)
        self.buffer = self.x.new_empty(max(_SIDE * _SIDE, _POSITIVE_ROWS * _POSITIVE_COLUMNS))

    def run(self) -> tuple[Tensor, ...]:
        """The rule's outputs, by the caller's indices."""
        state = self.rule.init(len(self.x), self.problem.dtype, self.x.device)
        for distance, rows, columns, mirrored in self.tiles():
            self._show(state, self.tile(distance, rows, columns), rows)
            if mirrored:
                self._show(state, self.tile(distance.T, columns, rows), columns)
        return self.layout.restore(self.rule, self.rule.finish(state))

    def tiles(self) -> Iterator[tuple[Tensor, slice, slice, bool]]:
        """Distances `[B, C]`, anchors, references, and whether the transposed tile belongs to the problem too.

        A tile lives until the next one is asked for.
        """
        return self._along_the_diagonal() if self.layout.sorted else self._over_everything()

    def tile(self, distance: Tensor, rows: slice, columns: slice) -> Tile:
        """What a rule sees of the references `columns` for the anchors `rows`."""
        index, reference_index = self.layout.index[rows], self.layout.reference_index[columns]
        return Tile(distance, columns.start, index, reference_index, self.thresholds[rows])

    def _over_everything(self) -> Iterator[tuple[Tensor, slice, slice, bool]]:
        """Every anchor against every reference; by symmetry, half of the tiles in the square form."""
        excluder = Excluder(self.rule, self.problem)
        for i in range(0, len(self.x), _SIDE):
            rows = slice(i, min(i + _SIDE, len(self.x)))
            excluder.enter(rows)
            for j in range(i if self.problem.square else 0, len(self.y), _SIDE):
                columns = slice(j, min(j + _SIDE, len(self.y)))
                distance = self._distance(rows, columns)
                excluder.punch(distance, columns)
                yield distance, rows, columns, self.problem.square and j > i

    def _along_the_diagonal(self) -> Iterator[tuple[Tensor, slice, slice, bool]]:
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
                yield distance, rows, columns, False

    def _distance(self, rows: slice, columns: slice) -> Tensor:
        """The tile `[B, C]`, in a buffer that the next tile overwrites."""
        shape = (rows.stop - rows.start, columns.stop - columns.start)
        tile = self.buffer[: shape[0] * shape[1]].view(shape)
        if self.problem.distance == "cosine":
            torch.mm(self.x[rows], self.y[columns].T, out=tile)
        else:
            torch.add(self.a[rows, None], self.b[columns], out=tile).addmm_(self.x[rows], self.y[columns].T)
            if self.rule.needs_distance:
                self._settle(tile, rows, columns)
        if self.rule.needs_distance:
            self.problem.from_order_(tile)
        return tile

    def _settle(self, tile: Tensor, rows: slice, columns: slice) -> None:
        """Compute squared distances anew, from differences, where cancellation has left too few digits of them."""
        a, b = self.a[rows], self.b[columns]
        if tile.amin() > _CLOSE * (a.amax() + b.amax()):
            return
        row, column = (tile <= _CLOSE * (a[:, None] + b)).nonzero().unbind(dim=1)
        size = max(1, len(self.buffer) // self.x.shape[1])
        for i, j in zip(row.split(size), column.split(size), strict=True):
            # The factor on this side is -2 times the row, see `Problem.factors`.
            difference = self.y[columns][j].add_(self.x[rows][i], alpha=0.5)
            tile[i, j] = difference.square_().sum(dim=1)

    def _show(self, state: State, tile: Tile, rows: slice) -> None:
        """Let the anchors `rows` see a tile."""
        before: State = tuple(part[rows] for part in state)
        for part, value in zip(before, self.rule.update(before, tile), strict=True):
            part.copy_(value)

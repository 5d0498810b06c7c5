"""The blocked engine: tiles of the distance matrix in plain torch, on any device, in O((N + M) D) memory.

Negatives are almost all references: every tile is one product, out of which the few positives are punched. In the
square form a tile serves its rows and, transposed, its columns, so half of the product suffices. Positives are few:
with both sides sorted by label, a few neighbouring anchors have theirs within a narrow window of the references, and
one batched product serves many windows.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..rules.rule import Rule, State, Tile
from ..rules.select import RUN
from .exclude import Excluder
from .layout import Layout
from .problem import Problem

_ROWS, _COLUMNS = 512, 2048  # a float32 tile of 4 MiB fits a shared cache; a flat one leaves out most of a square
_BLOCK = 32  # anchors that share a window
_BLOCKS, _WINDOW = 32, 256  # windows of a batch, and how much of each at a time


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

    def run(self) -> tuple[Tensor, ...]:
        """The rule's outputs, by the caller's indices."""
        if self.layout.sorted:
            self._over_windows()
        else:
            self._over_everything()
        return self.layout.restore(self.rule, self.rule.finish(self.state))

    def _over_everything(self) -> None:
        """Every anchor against every reference; in the square form, those after it, and those before it by symmetry."""
        square, excluder = self.problem.square, Excluder(self.rule, self.problem, _ROWS, _COLUMNS)
        buffer = self.x.new_empty(min(_ROWS, len(self.x)) * min(_COLUMNS, len(self.y)))
        for i in range(0, len(self.x), _ROWS):
            rows = slice(i, min(i + _ROWS, len(self.x)))
            begin = i if square else 0
            excluder.enter(rows)
            for j in range(begin, len(self.y), _COLUMNS):
                columns = slice(j, min(j + _COLUMNS, len(self.y)))
                distance = self._distance(rows, columns, buffer)
                excluder.punch(distance, columns)
                self._show(distance, rows, j, self.layout.reference_index[None, columns])
                after = max(rows.stop, j)
                if square and after < columns.stop:
                    self._show(distance[:, after - j :].T, slice(after, columns.stop), i, self.layout.index[None, rows])

    def _distance(self, rows: slice, columns: slice, buffer: Tensor) -> Tensor:
        """The tile `[B, C]`, in a buffer that the next tile overwrites."""
        shape = (rows.stop - rows.start, columns.stop - columns.start)
        tile = buffer[: shape[0] * shape[1]].view(shape)
        if self.problem.distance == "cosine":
            torch.mm(self.x[rows], self.y[columns].T, out=tile)
        else:
            torch.add(self.a[rows, None], self.b[columns], out=tile).addmm_(self.x[rows], self.y[columns].T)
        return self._in_unit(tile)

    def _over_windows(self) -> None:
        """Every anchor against the references of the labels near its own, as `_BLOCKS` blocks of anchors at a time."""
        starts, stops = (part.long() for part in self.layout.spans(_BLOCK))
        whole = len(self.x) // _BLOCK * _BLOCK
        groups = [slice(i, min(i + _BLOCKS * _BLOCK, whole)) for i in range(0, whole, _BLOCKS * _BLOCK)]
        if whole < len(self.x):
            groups.append(slice(whole, len(self.x)))
        for rows in groups:
            blocks = slice(rows.start // _BLOCK, -(-rows.stop // _BLOCK))
            width = int((stops[blocks] - starts[blocks]).max())
            width = min(-(-width // RUN) * RUN if width > RUN else width, len(self.y))
            start = starts[blocks].clamp_max(len(self.y) - width)
            self.layout.offset[rows] = start.repeat_interleave((rows.stop - rows.start) // len(start))
            for first in range(0, width, _WINDOW):
                column = torch.arange(first, min(first + _WINDOW, width), device=start.device)
                self._show_windows(rows, start[:, None] + column, first)

    def _show_windows(self, rows: slice, window: Tensor, first: int) -> None:
        """Let each of the blocks of anchors in `rows` see its window of references, positions `[blocks, C]`."""
        blocks, columns = window.shape
        x = self.x[rows].unflatten(0, (blocks, -1))
        y = self.y.index_select(0, window.flatten()).unflatten(0, (blocks, -1)).transpose(1, 2)
        if self.problem.distance == "cosine":
            distance = torch.bmm(x, y)
        else:
            offset = self.a[rows].view(blocks, -1, 1) + self.b[window][:, None]
            distance = offset.baddbmm_(x, y)
        outside = self.layout.labels[rows].view(blocks, -1, 1) != self.layout.reference_labels[window][:, None]
        if self.problem.square:  # both sides are in one order: an anchor meets itself where positions are equal
            position = torch.arange(rows.start, rows.stop, device=window.device)
            outside |= position.view(blocks, -1, 1) == window[:, None]
        distance = self._in_unit(distance).masked_fill_(outside, self.rule.absent).flatten(0, 1)
        index = self.layout.reference_index[window][:, None].expand(*x.shape[:2], columns)
        self._show(distance, rows, first, index.reshape(-1, columns))

    def _in_unit(self, distance: Tensor) -> Tensor:
        return distance.copy_(self.problem.from_order(distance)) if self.rule.needs_distance else distance

    def _show(self, distance: Tensor, rows: slice, first: int, columns: Tensor) -> None:
        """Let the anchors `rows` see references: their distances, the position of the first, their indices."""
        before: State = tuple(part[rows] for part in self.state)
        tile = Tile(distance, first, self.layout.index[rows], columns, self.thresholds[rows])
        for part, value in zip(before, self.rule.update(before, tile), strict=True):
            part.copy_(value)

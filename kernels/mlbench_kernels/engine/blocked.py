"""The blocked engine: tiles of the distance matrix in plain torch, on any device, in O((N + M) D) memory.

Negatives are almost all references: every tile is one product, out of which the few positives are punched. In the
square form a tile serves its rows and, transposed, its columns, so half of the product suffices. Positives are few:
with both sides sorted by label, a few neighbouring anchors have theirs within a narrow window of the references, and
one batched product serves many windows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ..rules.rule import Rule, State, Tile
from ..rules.select import RUN
from .exclude import Excluder
from .few import FEW, run_few
from .layout import Layout
from .problem import Problem

_ROWS, _COLUMNS = 512, 2048  # a float32 tile of 4 MiB fits a shared cache; a flat one leaves out most of a square
_CLOSE = 1e-3  # of |x|^2 + |y|^2; above it a float32 distance is right to five digits
_PART = 1 << 17  # elements of a part of a tile, half a MiB of float32
_BLOCK = 32  # anchors that share a window
_BLOCKS, _WINDOW = 32, 256  # windows of a batch, and how much of each at a time


def run_blocked(rule: Rule, problem: Problem) -> tuple[Tensor, ...]:
    """Run `rule` tile by tile, in float64 for float64 inputs and in float32 otherwise."""
    if rule.pool == "positives" and problem.most_positives <= FEW:
        return run_few(rule, problem)
    return Stream(rule, problem).run()


class Stream:
    """The tile loops of one rule on one problem."""

    def __init__(self, rule: Rule, problem: Problem) -> None:
        self.rule, self.problem, self.layout = rule, problem, Layout(rule, problem)
        self.x, self.y, self.a, self.b = self.layout.factors(problem, problem.dtype)
        self.thresholds = self.layout.thresholds(rule, problem, problem.dtype)

    def run(self) -> tuple[Tensor, ...]:
        """The rule's outputs, by the caller's indices."""
        state = self.rule.init(len(self.x), self.problem.dtype, self.x.device)
        for rows, tile in self._seen():
            before: State = tuple(part[rows] for part in state)
            for part, value in zip(before, self.rule.update(before, tile), strict=True):
                part.copy_(value)
        return self.layout.restore(self.rule, self.rule.finish(state))

    def _seen(self) -> Iterator[tuple[slice, Tile]]:
        for rows, tile in self._windows_seen() if self.layout.sorted else self._tiles_seen():
            if self.rule.needs_distance:  # such rules compute with all distances, in memory of their own
                yield from split(rows, tile)
            else:
                yield rows, tile

    def _tiles_seen(self) -> Iterator[tuple[slice, Tile]]:
        for distance, rows, columns, after in self.tiles():
            yield rows, self.seen(distance, rows, columns)
            if after.start < after.stop:
                yield after, self.seen(distance[:, after.start - columns.start :].T, after, rows)

    def _windows_seen(self) -> Iterator[tuple[slice, Tile]]:
        for distance, rows, window, first in self.windows():
            yield rows, self.seen_in_windows(distance, rows, window, first)

    def seen(self, distance: Tensor, rows: slice, columns: slice) -> Tile:
        """What the anchors `rows` see of the references `columns`."""
        index, reference_index = self.layout.index[rows], self.layout.reference_index[None, columns]
        return Tile(distance, columns.start, index, reference_index, self.thresholds[rows])

    def seen_in_windows(self, distance: Tensor, rows: slice, window: Tensor, first: int) -> Tile:
        """What the anchors `rows` see of their windows of references."""
        columns = self.layout.reference_index[window][:, None].expand(distance.shape).flatten(0, 1)
        return Tile(distance.flatten(0, 1), first, self.layout.index[rows], columns, self.thresholds[rows])

    def tiles(self) -> Iterator[tuple[Tensor, slice, slice, slice]]:
        """Every anchor against every reference; in the square form, those after it, and those before it by symmetry.

        Yields:
            Distances `[B, C]`, which the next tile overwrites, their anchors, their references, and which of the latter
            are also anchors that are to see the former by this tile.
        """
        square, excluder = self.problem.square, Excluder(self.rule, self.problem, _ROWS, _COLUMNS)
        buffer = self.x.new_empty(min(_ROWS, len(self.x)) * min(_COLUMNS, len(self.y)) + 1)
        for i in range(0, len(self.x), _ROWS):
            rows = slice(i, min(i + _ROWS, len(self.x)))
            begin = i if square else 0
            excluder.enter(rows)
            for j in range(begin, len(self.y), _COLUMNS):
                columns = slice(j, min(j + _COLUMNS, len(self.y)))
                distance = self._distance(rows, columns, buffer, excluder)
                yield distance, rows, columns, slice(max(rows.stop, j) if square else columns.stop, columns.stop)

    def _distance(self, rows: slice, columns: slice, buffer: Tensor, excluder: Excluder) -> Tensor:
        """The tile `[B, C]`, in a buffer that the next tile overwrites."""
        shape = (rows.stop - rows.start, columns.stop - columns.start)
        tile = buffer[: shape[0] * shape[1]].view(shape)
        x, y, a, b = self.x[rows], self.y[columns], self.a[rows, None], self.b[columns]
        if self.problem.distance == "cosine":
            torch.mm(x, y.T, out=tile)
        else:
            torch.add(a, b, out=tile).addmm_(x, y.T)
        self._in_unit(tile, x, y, a, b, lambda value: excluder.punch(tile, columns, value))
        return tile

    def windows(self) -> Iterator[tuple[Tensor, slice, Tensor, int]]:
        """Every anchor against the references of the labels near its own, as `_BLOCKS` blocks of anchors at a time.

        Yields:
            Distances `[blocks, B, C]`, their anchors, the positions of each block's references `[blocks, C]`, and the
            place of the first of them in the block's whole window.
        """
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
                window = start[:, None] + column
                yield self._window_distance(rows, window), rows, window, first

    def _window_distance(self, rows: slice, window: Tensor) -> Tensor:
        blocks, _ = window.shape
        x = self.x[rows].unflatten(0, (blocks, -1))
        y = self.y.index_select(0, window.flatten()).unflatten(0, (blocks, -1))
        a, b = self.a[rows].view(blocks, -1, 1), self.b[window][:, None]
        distance = (a + b).baddbmm_(x, y.transpose(1, 2))
        outside = self.layout.labels[rows].view(blocks, -1, 1) != self.layout.reference_labels[window][:, None]
        if self.problem.square:  # both sides are in one order: an anchor meets itself where positions are equal
            position = torch.arange(rows.start, rows.stop, device=window.device)
            outside |= position.view(blocks, -1, 1) == window[:, None]
        self._in_unit(distance, x, y, a, b, lambda value: distance.masked_fill_(outside, value))
        return distance

    def _in_unit(
        self, distance: Tensor, x: Tensor, y: Tensor, a: Tensor, b: Tensor, exclude: Callable[[float], object]
    ) -> None:
        """Bring the orders `distance` into the rule's unit; `exclude` sets the pairs outside its pool to a number."""
        if not self.rule.needs_distance:
            exclude(self.rule.absent)
            return
        exclude(torch.inf)  # first of all: an anchor and itself are as close as can be
        if self.problem.distance != "cosine":
            _settle(distance, x, y, a, b)
        self.problem.from_order_(distance)
        if self.rule.absent != torch.inf:
            exclude(self.rule.absent)


def split(rows: slice, tile: Tile) -> Iterator[tuple[slice, Tile]]:
    """The tile of the anchors `rows` in parts whose temporaries fit a private cache and stay with the allocator."""
    size = max(1, _PART // tile.distance.shape[1])
    for i in range(0, len(tile.distance), size):
        part = slice(i, i + size)
        columns = tile.columns if len(tile.columns) == 1 else tile.columns[part]
        some = Tile(tile.distance[part], tile.first, tile.rows[part], columns, tile.thresholds[part])
        yield slice(rows.start + i, rows.start + i + len(some.distance)), some


def _settle(square: Tensor, x: Tensor, y: Tensor, a: Tensor, b: Tensor) -> None:
    """Compute squared distances `[.., B, C]` anew, from differences, where cancellation has left few digits of them."""
    size = max(1, square.numel() // x.shape[-1])
    for *block, row, column in zip(*(part.split(size) for part in _close(square, a, b)), strict=True):
        # The factor on this side is -2 times the row, see `Problem.factors`.
        difference = y[*block, column].add_(x[*block, row], alpha=0.5)
        square[*block, row, column] = difference.square_().sum(dim=1)


def _close(square: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor, ...]:
    """Where to; rows without any are passed over by their minimum."""
    rows = (square.amin(dim=-1) <= _CLOSE * (a.squeeze(-1) + b.amax())).nonzero(as_tuple=True)
    which, column = (square[rows] <= _CLOSE * (a[rows] + b.expand_as(square)[rows])).nonzero(as_tuple=True)
    return *(index[which] for index in rows), column

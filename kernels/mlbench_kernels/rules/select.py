"""Finding values in the rows of a tile, value first: most of it is read once, by a plain vectorised minimum."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

RUN = 64
_RUN_ACROSS = 16  # in a transposed tile, where every value of a run is on a cache line of its own


class Runs:
    """Each row of a tile in runs of neighbours, and the best value of each run.

    Args:
        values: `[B, C]`, the tile.
        largest: whether the largest value is the best, instead of the smallest.

    Attributes:
        best: `[B, ceil(C / length)]`.
    """

    def __init__(self, values: Tensor, largest: bool = False) -> None:
        self.values, self.largest = values, largest
        self.length = RUN if values.is_contiguous() else _RUN_ACROSS
        if values.shape[1] <= self.length:
            self.length = 1
        self.best = _reduce(values, self.length, torch.amax if largest else torch.amin)

    def first(self, rows: Tensor, run: Tensor) -> Tensor:
        """First position of the best value in one run of each of `rows` `[R]`, `[R]`."""
        if self.length == 1:
            return run
        near = self._values(rows, run)
        return self._start(run).add_(near.argmax(dim=1) if self.largest else near.argmin(dim=1))

    def up_to(self, gate: Tensor) -> tuple[Tensor, Tensor]:
        """Row and column of every value up to its row's gate `[B]`, ascending in each row; reads only runs with one."""
        if self.best.is_contiguous():
            row, run = (self.best <= gate[:, None]).nonzero().unbind(dim=1)
        else:
            run, row = (self.best.T <= gate).nonzero().unbind(dim=1)
        if self.length == 1:
            return row, run
        hit = self._values(row, run) <= gate.index_select(0, row)[:, None]
        # Few booleans are set: they are looked through eight at a time, as the integers that they also are.
        word = hit.view(torch.int64).flatten().nonzero().flatten()
        place = hit.view(-1, 8).index_select(0, word).flatten().nonzero().flatten()
        place = word.index_select(0, place >> 3).mul_(8).add_(place & 7)
        which = place // self.length
        row, run = row.index_select(0, which), run.index_select(0, which)
        column = self._start(run) + place % self.length
        if self.values.shape[1] % self.length:
            own = column >= run * self.length
            row, column = row[own], column[own]
        return row, column

    def _values(self, rows: Tensor, run: Tensor) -> Tensor:
        """One run of each of `rows` `[R]`, `[R, length]`."""
        values, length = self.values, self.length
        (height, width), (down, across) = values.shape, values.stride()
        if width % length == 0 and values.is_contiguous():
            return values.view(-1, length).index_select(0, torch.add(run, rows, alpha=width // length))
        start = self._start(run).mul_(across).add_(rows, alpha=down)
        place = start[:, None] + torch.arange(0, length * across, across, device=run.device)
        memory = values.as_strided(((height - 1) * down + (width - 1) * across + 1,), (1,))
        return memory.index_select(0, place.flatten()).view_as(place)

    def _start(self, run: Tensor) -> Tensor:
        """Where a run begins to be read; a last one that is too short takes the end of the one before it along."""
        return (run * self.length).clamp_max_(self.values.shape[1] - self.length)


def first_best(values: Tensor, largest: bool = False) -> tuple[Tensor, Tensor]:
    """Smallest (largest) value of each row of `[B, C]` and its first position, `[B]` each.

    `torch.min(dim=1)` does the same; with its index it is ten times slower than without.

    >>> first_best(torch.tensor([[3.0, 1.0, 1.0]]))
    (tensor([1.]), tensor([1]))
    """
    runs = Runs(values, largest)
    best, run = runs.best.max(dim=1) if largest else runs.best.min(dim=1)
    return best, runs.first(torch.arange(len(values), device=values.device), run)


def first_better(runs: Runs, than: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Best value of each row of a tile, and where it is better than `than` `[B]`.

    Returns:
        The values `[B]`, the rows that improve `[R]`, the first positions of their values `[R]`.

    >>> first_better(Runs(torch.tensor([[3.0, 1.0, 1.0], [2.0, 4.0, 6.0]])), than=torch.tensor([2.0, 2.0]))
    (tensor([1., 2.]), tensor([0]), tensor([1]))
    """
    best = runs.best.amax(dim=1) if runs.largest else runs.best.amin(dim=1)
    rows = (best > than if runs.largest else best < than).nonzero().flatten()
    better = runs.best.index_select(0, rows)
    return best, rows, runs.first(rows, better.argmax(dim=1) if runs.largest else better.argmin(dim=1))


def _reduce(values: Tensor, length: int, reduce: Callable[..., Tensor]) -> Tensor:
    """The best of every run of `length` neighbours, `[B, C] -> [B, ceil(C / length)]`."""
    if length == 1:
        return values
    whole = values.shape[1] // length * length
    if values.is_contiguous():
        runs = reduce(values[:, :whole].unflatten(1, (-1, length)), dim=2)
    else:  # a transposed tile: reduced along its memory, not across it, that is 20 times faster
        runs = reduce(values.T[:whole].unflatten(0, (-1, length)), dim=1).T
    if whole == values.shape[1]:
        return runs
    return torch.cat((runs, reduce(values[:, whole:], dim=1, keepdim=True)), dim=1)

"""First best value of each row, found value first: most of a tile is read once, by a plain vectorised minimum."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

RUN = 64
_RUN_ACROSS = 16  # in a transposed tile, where every value of a run is on a cache line of its own


def run_minima(values: Tensor) -> Tensor:
    """Smallest of every run of 64 neighbours in each row, `[B, C] -> [B, ceil(C / 64)]`."""
    return _runs(values, RUN, torch.amin)


def at_most(values: Tensor, gate: Tensor, runs: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Row and column of every value of `[B, C]` up to its row's gate `[B]`, ascending; `runs` are the `run_minima`.

    Only runs whose smallest value is no larger are looked at, which are few.
    """
    runs = run_minima(values) if runs is None else runs
    row, run = (runs <= gate[:, None]).nonzero().unbind(dim=1)
    width = values.shape[1]
    if width % RUN == 0 and values.is_contiguous():
        near = values.view(-1, RUN).index_select(0, row * (width // RUN) + run)
    else:
        column = run[:, None] * RUN + torch.arange(RUN, device=run.device)
        near = values[row[:, None], column.clamp_max(width - 1)].masked_fill_(column >= width, torch.inf)
    hit, place = (near <= gate[row, None]).nonzero().unbind(dim=1)
    return row[hit], run[hit] * RUN + place


def first_best(values: Tensor, largest: bool = False) -> tuple[Tensor, Tensor]:
    """Smallest (largest) value of each row of `[B, C]` and its first position, `[B]` each.

    `torch.min(dim=1)` does the same; with its index it is ten times slower than without.

    >>> first_best(torch.tensor([[3.0, 1.0, 1.0]]))
    (tensor([1.]), tensor([1]))
    """
    length, best, run = _best_runs(values, largest)
    return best, _place(values, torch.arange(len(values), device=values.device), length, run, largest)


def first_better(values: Tensor, than: Tensor, largest: bool = False) -> tuple[Tensor, Tensor, Tensor]:
    """Smallest (largest) value of each row of `[B, C]`, and where it is smaller (larger) than `than` `[B]`.

    Returns:
        The values `[B]`, the rows that improve `[R]`, the first positions of their values `[R]`.

    >>> first_better(torch.tensor([[3.0, 1.0, 1.0], [2.0, 4.0, 6.0]]), than=torch.tensor([2.0, 2.0]))
    (tensor([1., 2.]), tensor([0]), tensor([1]))
    """
    length, best, run = _best_runs(values, largest)
    rows = (best > than if largest else best < than).nonzero().flatten()
    return best, rows, _place(values, rows, length, run.index_select(0, rows), largest)


def _best_runs(values: Tensor, largest: bool) -> tuple[int, Tensor, Tensor]:
    """The length of runs, the best value of each row, `[B]`, and the first run that holds it, `[B]`."""
    length = RUN if values.is_contiguous() else _RUN_ACROSS
    if values.shape[1] <= length:
        length = 1
    runs = _runs(values, length, torch.amax if largest else torch.amin)
    return length, *(runs.max(dim=1) if largest else runs.min(dim=1))


def _place(values: Tensor, rows: Tensor, length: int, run: Tensor, largest: bool) -> Tensor:
    """First position of the best value in one run of each of `rows` `[R]`, `[R]`."""
    if length == 1:
        return run
    if values.shape[1] % length == 0:
        near = values.unflatten(1, (-1, length))[rows, run]
    else:  # places beyond the end repeat the last one, which is then found before its copies
        position = run[:, None] * length + torch.arange(length, device=values.device)
        near = values[rows[:, None], position.clamp_max_(values.shape[1] - 1)]
    place: Tensor = near.argmax(dim=1) if largest else near.argmin(dim=1)
    return place + length * run


def _runs(values: Tensor, length: int, reduce: Callable[..., Tensor]) -> Tensor:
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

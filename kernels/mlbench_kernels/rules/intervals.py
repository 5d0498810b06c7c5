"""Values against the intervals of their row: how many intervals hold each value, and how many values each interval.

An interval `[begin, end)` holds a value if the value has reached its begin and not its end. So sorted limits and the
place of every value among them say everything: O(log K) for each value, instead of O(K).
"""

from __future__ import annotations

import torch
from torch import Tensor

from .compare import not_less

_FEW = 8  # intervals up to which comparing with each costs less than finding places
_CELLS = (128, 1024)  # of the grid of a row: fewer for rows with few values, since it must be made


def stab(values: Tensor, begin: Tensor, end: Tensor, held: Tensor | None = None) -> Tensor:
    """How many intervals of its row hold each value.

    Args:
        values: `[B, C]`; infinity is in no interval.
        begin: `[B, K]`, ascending; minus infinity for an interval without a begin.
        end: `[B, K]`, ascending, finite, or minus infinity with such a begin for an interval that does not exist.
        held: `[B, K]`, int64; the number of values in each interval is written into it.

    Returns:
        `[B, C]`, in the dtype of `values`.

    >>> held = torch.empty(1, 2, dtype=torch.int64)
    >>> stab(torch.tensor([[0.0, 1.0, 2.0, 3.0]]), torch.tensor([[0.5, 1.0]]), torch.tensor([[2.0, 2.5]]), held), held
    (tensor([[0., 2., 1., 0.]]), tensor([[1, 2]]))
    """
    return (_by_comparing if begin.shape[1] <= _FEW else _by_placing)(values, begin, end, held)


def _by_comparing(values: Tensor, begin: Tensor, end: Tensor, held: Tensor | None) -> Tensor:
    total, reached = torch.zeros_like(values), torch.empty_like(values)
    for k in range(begin.shape[1]):
        total += not_less(values, begin[:, k : k + 1], reached)
        begun = None if held is None else reached.sum(dim=1)
        total -= not_less(values, end[:, k : k + 1], reached)
        if held is not None and begun is not None:
            held[:, k] = begun - reached.sum(dim=1)
    return total


def _by_placing(values: Tensor, begin: Tensor, end: Tensor, held: Tensor | None) -> Tensor:
    limits, order = torch.cat((begin, end), dim=1).sort(dim=1)
    place = places(limits, values)
    width = begin.shape[1]
    step = torch.where(order < width, 1, -1).to(values.dtype)
    if held is not None:
        seen = torch.zeros(len(limits), 2 * width + 1, dtype=torch.int64, device=limits.device)
        seen.scatter_add_(1, place, torch.ones_like(place))  # whole numbers: no order of addition matters
        below = torch.empty_like(order).scatter_(1, order, seen.cumsum(dim=1)[:, :-1])
        torch.sub(below[:, width:], below[:, :width], out=held)
    return torch.nn.functional.pad(step.cumsum(dim=1), (1, 0)).gather(1, place)


def places(limits: Tensor, values: Tensor) -> Tensor:
    """`torch.searchsorted(limits, values, right=True)` in a third of its time, for many values and few limits.

    A grid of equal cells over a row's limits answers for every cell without a limit; the few values in the others are
    searched. Rounding grows with what is rounded: a value in an earlier cell than a limit is less than it.

    Args:
        limits: `[B, L]`, ascending, finite or minus infinity.
        values: `[B, C]`, not NaN.

    Returns:
        How many of its row's limits each value has reached, `[B, C]`, int64.
    """
    cells = max(_CELLS[0], min(_CELLS[1], values.shape[1]))
    finite = limits > -torch.inf
    low = limits.masked_fill(~finite, torch.inf).amin(dim=1, keepdim=True).nan_to_num_(posinf=0.0)
    high = limits[:, -1:].clamp_min(low)
    scale = (cells - 3) / (high - low).clamp_min(1e-30)
    low = low - 1 / scale  # no limit is in the first cell

    def cell(numbers: Tensor) -> Tensor:
        return numbers.sub(low).mul_(scale).clamp_(0, cells - 1).long()

    own = cell(limits)
    reached = torch.zeros(len(limits), cells, dtype=torch.int64, device=limits.device)
    reached = reached.scatter_add_(1, own, torch.ones_like(own)).cumsum_(dim=1)
    reached.scatter_(1, own, torch.where(finite, -1, reached.gather(1, own)))
    place = reached.gather(1, cell(values))
    row, column = (place < 0).nonzero().unbind(dim=1)
    place[row, column] = _search(limits, values, row, column)
    return place


def _search(limits: Tensor, values: Tensor, row: Tensor, column: Tensor) -> Tensor:
    """`torch.searchsorted` of some values, `[P]`, by row."""
    count = torch.bincount(row, minlength=len(limits))
    slot = torch.arange(len(row), device=row.device) - (count.cumsum(0) - count)[row]
    some = values.new_zeros(len(limits), int(count.max()))
    some[row, slot] = values[row, column]
    return torch.searchsorted(limits, some, right=True)[row, slot]

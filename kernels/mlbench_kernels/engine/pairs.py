"""Lists of pairs."""

from __future__ import annotations

import torch
from torch import Tensor

from ..precision import ieee_float32
from ..rules.extreme import Extreme
from ..rules.rule import State, Tile
from ..rules.select import Runs
from .problem import Problem
from .run import run_rule

_ELEMENTS = 1 << 20  # of a tile


def positive_pairs(problem: Problem) -> tuple[Tensor, Tensor, Tensor]:
    """All pairs of one label but an anchor with itself, `[P]` each: anchor, reference, number within the anchor."""
    order = problem.reference_order
    start, count = problem.positive_spans
    anchor = torch.arange(len(count), device=count.device).repeat_interleave(count)
    number = torch.arange(len(anchor), device=count.device) - (count.cumsum(0) - count)[anchor]
    reference = order.index[start[anchor] + number]
    if problem.square:
        other = reference != anchor
        # Behind itself, an anchor's numbers move down by one: its positives ascend.
        number = number - (reference > anchor).long()
        anchor, reference, number = anchor[other], reference[other], number[other]
    return anchor, reference, number


def negative_pairs(problem: Problem) -> tuple[Tensor, Tensor]:
    """All pairs of two labels, `[P]` each, ascending: anchor, reference."""
    anchor, reference = (problem.labels[:, None] != problem.reference_labels).nonzero().unbind(dim=1)
    return anchor, reference


class _Below(Extreme):
    """The nearest negative of every anchor and, on the way, a list of all that are nearer than its limit.

    Args:
        limit: `[N]`, distances; NaN lists nothing.
    """

    def __init__(self, limit: Tensor) -> None:
        super().__init__("negatives")
        self.thresholds = limit[:, None]
        self.found = [(torch.empty_like(limit, dtype=torch.int32)[:0],) * 2]

    def update(self, state: State, tile: Tile) -> State:
        # Below the limit is up to the number before it.
        gate = torch.nextafter(tile.thresholds[:, 0], tile.thresholds.new_tensor(-torch.inf))
        runs = Runs(tile.distance)
        row, column = runs.up_to(gate)
        self.found.append((tile.rows.index_select(0, row).int(), column.add_(tile.first).int()))
        return self.improve(state, runs, tile.first)


def negatives_below(problem: Problem, limit: Tensor, backend: str) -> tuple[Tensor, Tensor, Tensor]:
    """The nearest negatives, and all that are nearer than `limit` `[N]`, in one pass of "blocked" or "reference".

    Returns:
        The nearest negatives `[N]`, -1 where there is none, and all pairs `(anchor, reference)`, `[P]` each, ascending.
    """
    rule = _Below(limit)
    (nearest,) = run_rule(rule, problem, backend)
    anchor, reference = (torch.cat(part) for part in zip(*rule.found, strict=True))
    # An anchor meets its references in ascending order: only the anchors need sorting.
    anchor, order = anchor.sort(stable=True)
    return nearest, anchor.long(), reference.index_select(0, order).long()


@torch.no_grad()
def triplets_between(problem: Problem, low: float, high: float) -> tuple[Tensor, Tensor, Tensor]:
    """All triplets with `low < d(anchor, negative) - d(anchor, positive) <= high`, `[T]` each, in ascending order."""
    anchor, positive, _ = positive_pairs(problem)
    order = torch.argsort(anchor * len(problem.references) + positive)
    anchor, positive = anchor[order], positive[order]
    x, y, a, b = problem.factors(problem.dtype)
    size = max(1, _ELEMENTS // len(y))
    near = problem.pair_distances(anchor, positive)
    parts = [(anchor[:0], anchor[:0], anchor[:0])]
    for i in range(0, len(anchor), size):
        rows = anchor[i : i + size]
        with ieee_float32():
            distance = problem.from_order((a[rows, None] + b).addmm_(x[rows], y.T))
        margin = distance - near[i : i + size, None]
        hit = (margin > low) & (margin <= high) & (problem.labels[rows, None] != problem.reference_labels)
        pair, negative = hit.nonzero().unbind(dim=1)
        parts.append((rows[pair], positive[i : i + size][pair], negative))
    first, second, third = (torch.cat(part) for part in zip(*parts, strict=True))
    return first, second, third

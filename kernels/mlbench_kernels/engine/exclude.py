"""Taking the pairs outside a pool out of a tile, without a mask where the pool is almost everything."""

from __future__ import annotations

import torch
from torch import Tensor

from ..rules.rule import Rule
from .problem import Problem

_DENSE = 8  # listing the positives costs more than masking the tile if they are more than one pair in this many


class Excluder:
    """Overwrites the pairs of a tile that its rule must not see, for the pools "negatives" and "others"."""

    def __init__(self, rule: Rule, problem: Problem) -> None:
        self.rule, self.problem = rule, problem
        self.rows = slice(0, 0)
        self.row = self.column = problem.labels[:0]
        self.dense = False
        if rule.pool == "negatives":
            self.order = problem.reference_order
            self.start, self.count = self.order.spans(problem.labels)

    def enter(self, rows: slice) -> None:
        """Prepare for tiles of these anchors."""
        self.rows = rows
        if self.rule.pool != "negatives":
            return
        count = self.count[rows]
        total = int(count.sum())
        self.dense = total * _DENSE > len(count) * len(self.order.index)
        if self.dense:
            return
        row = torch.arange(len(count), device=count.device).repeat_interleave(count, output_size=total)
        number = torch.arange(total, device=count.device) - (count.cumsum(0) - count)[row]
        self.column, by_column = self.order.index[self.start[rows][row] + number].sort()
        self.row = row[by_column]

    def punch(self, distance: Tensor, columns: slice) -> None:
        """Overwrite what does not belong to the pool in the tile `distance` `[B, C]`."""
        problem, rows = self.problem, self.rows
        if self.rule.pool == "others":
            if problem.square and rows.start == columns.start:
                distance.fill_diagonal_(self.rule.absent)
        elif self.dense:
            same = problem.labels[rows, None] == problem.reference_labels[None, columns]
            distance.masked_fill_(same, self.rule.absent)
        else:
            edges = torch.tensor([columns.start, columns.stop], device=self.column.device)
            low, high = torch.searchsorted(self.column, edges).tolist()
            place = self.row[low:high] * distance.shape[1] + (self.column[low:high] - columns.start)
            distance.view(-1).index_fill_(0, place, self.rule.absent)

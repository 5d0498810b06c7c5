"""Taking the pairs outside a pool out of a tile, without a mask where the pool is almost everything."""

from __future__ import annotations

import torch
from torch import Tensor

from ..rules.rule import Rule
from .problem import Problem

_DENSE = 8  # listing the positives costs more than masking the tile if they are more than one pair in this many


class Excluder:
    """Overwrites the pairs of a tile that its rule must not see, for the pools "negatives" and "others".

    Args:
        rule: whose pool it is.
        problem: the problem.
        width: columns of a tile.
    """

    def __init__(self, rule: Rule, problem: Problem, width: int) -> None:
        self.rule, self.problem, self.width = rule, problem, width
        self.rows = slice(0, 0)
        self.row = self.column = problem.labels[:0]
        self.dense = False

    def enter(self, rows: slice) -> None:
        """Prepare for the tiles of these anchors."""
        self.rows = rows
        if self.rule.pool != "negatives":
            return
        start, count = (part[rows] for part in self.problem.positive_spans)
        end = count.cumsum(0)
        total = int(end[-1])
        self.dense = total * _DENSE > len(count) * self.width
        if self.dense:
            return
        self.row = torch.repeat_interleave(count, output_size=total)
        position = torch.arange(total, device=count.device) + (start + count - end).index_select(0, self.row)
        self.column = self.problem.reference_order.index.index_select(0, position)

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
            column = self.column - columns.start
            place = torch.add(column, self.row, alpha=distance.shape[1])
            inside = (column >= 0) & (column < distance.shape[1])
            distance.view(-1).index_fill_(0, place[inside], self.rule.absent)

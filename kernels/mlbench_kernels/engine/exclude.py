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
        self.rows, self.begin = slice(0, 0), 0
        self.row = self.column = problem.labels[:0]
        self.edges: list[int] = []
        self.dense = False

    def enter(self, rows: slice, begin: int) -> None:
        """Prepare for the tiles of these anchors, the first of which begins at the column `begin`."""
        self.rows, self.begin = rows, begin
        if self.rule.pool != "negatives":
            return
        start, count = (part[rows] for part in self.problem.positive_spans)
        end = count.cumsum(0)
        total = int(end[-1])
        self.dense = total * _DENSE > len(count) * self.width
        if self.dense:
            return
        row = torch.arange(len(count), device=count.device).repeat_interleave(count, output_size=total)
        position = torch.arange(total, device=count.device) + (start + count - end)[row]
        self.column, by_column = self.problem.reference_order.index[position].sort()
        self.row = row[by_column]
        tiles = torch.arange(begin, len(self.problem.references) + self.width, self.width, device=count.device)
        self.edges = torch.searchsorted(self.column, tiles).tolist()

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
            number = (columns.start - self.begin) // self.width
            here = slice(self.edges[number], self.edges[number + 1])
            place = torch.add(self.column[here] - columns.start, self.row[here], alpha=distance.shape[1])
            distance.view(-1).index_fill_(0, place, self.rule.absent)

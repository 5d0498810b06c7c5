"""Taking the pairs outside a pool out of a tile, without a mask where the pool is almost everything."""

from __future__ import annotations

import torch
from torch import Tensor

from ..rules.rule import Rule
from .problem import Problem

_DENSE = 8  # listing the positives costs more than masking the tile if they are more than one pair in this many
_LISTED = 4  # tiles whose positives are listed together


class Excluder:
    """Overwrites the pairs of a tile that its rule must not see, for the pools "negatives" and "others".

    Args:
        rule: whose pool it is.
        problem: the problem.
        height: rows of a tile.
        width: columns of a tile.
    """

    def __init__(self, rule: Rule, problem: Problem, height: int, width: int) -> None:
        self.rule, self.problem, self.height, self.width = rule, problem, height, width
        self.rows = slice(0, 0)
        self.row = self.column = problem.labels[:0]
        self.ends = [0]
        self.dense = False

    def enter(self, rows: slice) -> None:
        """Prepare for the tiles of these anchors."""
        self.rows = rows
        if self.rule.pool == "negatives" and rows.start % (_LISTED * self.height) == 0:
            self._list(slice(rows.start, rows.start + _LISTED * self.height))

    def _list(self, rows: slice) -> None:
        """List the positives of the anchors of several tiles: row in the tile and column in the matrix."""
        start, count = (part[rows] for part in self.problem.positive_spans)
        end = count.cumsum(0)
        last = (
            torch.arange(self.height, len(end) + self.height, self.height, device=end.device).clamp_max_(len(end)) - 1
        )
        self.ends = [0, *end.index_select(0, last).tolist()]
        self.dense = self.ends[-1] * _DENSE > len(count) * self.width
        if self.dense:
            return
        row = torch.repeat_interleave(count, output_size=self.ends[-1])
        position = torch.arange(len(row), device=row.device) + (start + count - end).index_select(0, row)
        self.row, self.column = row % self.height, self.problem.reference_order.index.index_select(0, position)

    def punch(self, distance: Tensor, columns: slice, value: float) -> None:
        """Overwrite what does not belong to the pool in the tile `distance` `[B, C]`, and the number behind it."""
        problem, rows = self.problem, self.rows
        if self.rule.pool == "others":
            if problem.square and rows.start == columns.start:
                distance.fill_diagonal_(value)
        elif self.dense:
            same = problem.labels[rows, None] == problem.reference_labels[None, columns]
            distance.masked_fill_(same, value)
        else:
            number = rows.start // self.height % _LISTED
            here = slice(*self.ends[number : number + 2])
            column = self.column[here] - columns.start
            place = torch.add(column, self.row[here], alpha=distance.shape[1])
            inside = (column >= 0) & (column < distance.shape[1])
            place = torch.where(inside, place, distance.numel())  # behind the tile
            distance.as_strided((distance.numel() + 1,), (1,)).index_fill_(0, place, value)

"""The gradient pass of the blocked engine: the tiles of the forward pass again, and two products with each."""

from __future__ import annotations

import torch
from torch import Tensor

from ..rules.pair_loss import PairLoss
from .blocked import Stream
from .problem import Problem


def blocked_gradient(
    rule: PairLoss, problem: Problem, outputs: tuple[Tensor, ...], upstream: Tensor
) -> tuple[Tensor, Tensor]:
    """Derivatives by anchors and references; for cosine by the normalised rows. See `run_gradient`."""
    return GradientStream(rule, problem, outputs, upstream).run_gradient()


class GradientStream(Stream):
    """What every tile adds to the derivatives by the rows on its two sides.

    With `G` the derivatives by half the squared distances, anchor i gets `sum_j G_ij (x_i - y_j)`: a row sum and a
    product. In the square form a tile's transpose is added before the products, which then serve both.
    """

    def __init__(self, rule: PairLoss, problem: Problem, outputs: tuple[Tensor, ...], upstream: Tensor) -> None:
        super().__init__(rule, problem)
        self.loss = rule
        self.outputs = tuple(part[self.layout.index] for part in outputs)
        self.upstream = upstream.to(problem.dtype)[self.layout.index]
        self.dx = torch.zeros_like(self.y if problem.square else self.x)
        self.dy = self.dx if problem.square else torch.zeros_like(self.y)

    def run_gradient(self) -> tuple[Tensor, Tensor]:
        """Derivatives by the caller's indices."""
        for distance, rows, columns, mirrored in self.tiles():
            weight = self._weight(distance, rows, columns)
            if mirrored:
                weight += self._weight(distance.T, columns, rows).T
            self._add(self._by_half_square(weight, distance), rows, columns)
        square = self.problem.square
        dx = torch.empty_like(self.dx).index_copy_(0, self.layout.index, self.dx)
        return dx, self.dy[:0] if square else torch.empty_like(self.dy).index_copy_(
            0, self.layout.reference_index, self.dy
        )

    def _weight(self, distance: Tensor, rows: slice, columns: slice) -> Tensor:
        outputs = tuple(part[rows] for part in self.outputs)
        return self.loss.weight(self.tile(distance, rows, columns), outputs, self.upstream[rows])

    def _by_half_square(self, weight: Tensor, distance: Tensor) -> Tensor:
        """Derivatives by half the squared distances; rows that are equal have no direction, and get none."""
        if self.problem.distance == "euclidean":
            if distance.amin() <= 0:
                distance = distance.masked_fill(distance <= 0, torch.inf)
            return weight.div_(distance)
        return weight if self.problem.distance == "cosine" else weight.mul_(2)

    def _add(self, half: Tensor, rows: slice, columns: slice) -> None:
        """Add a tile's share; the factors are those of `Problem.factors`: the anchors times -2, for cosine times -1."""
        x, y = self.x[rows], self.y[columns]
        if self.problem.distance == "cosine":
            # The cosine distance is half the squared one of normalised rows, whose norms do not change.
            self.dx[rows].addmm_(half, y, alpha=-1)
            self.dy[columns].addmm_(half.T, x)
            return
        self.dx[rows].addmm_(half, y, alpha=-1).addcmul_(half.sum(dim=1)[:, None], x, value=-0.5)
        self.dy[columns].addmm_(half.T, x, alpha=0.5).addcmul_(half.sum(dim=0)[:, None], y)

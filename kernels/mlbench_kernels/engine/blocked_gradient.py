"""Gradients in the blocked engine: two products with what each tile of distances is worth.

Mostly in a second pass over the tiles; in the first and only one, where a rule needs nothing else to know their worth.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..precision import deterministic
from ..rules.pair_loss import PairLoss
from ..rules.rule import State, Tile
from .blocked import Stream, split
from .problem import Problem


def blocked_gradient(
    rule: PairLoss, problem: Problem, outputs: tuple[Tensor, ...], upstream: Tensor
) -> tuple[Tensor, Tensor]:
    """Derivatives by anchors and references; for cosine by the normalised rows. See `run_gradient`."""
    return _SecondPass(rule, problem, outputs, upstream).run_gradient()


def blocked_total(rule: PairLoss, problem: Problem) -> tuple[tuple[Tensor, ...], Tensor, Tensor]:
    """The outputs, and the derivatives of the sum of the first as `blocked_gradient` has them, in one pass."""
    stream = _OnlyPass(rule, problem)
    x, y = stream.run_gradient()
    return stream.finish(), x, y


class _GradientStream(Stream):
    """What every tile adds to the derivatives by the rows on its two sides.

    With `G` the derivatives by half the squared distances, anchor i gets `sum_j G_ij (x_i - y_j)`: a row sum and a
    product. In the square form a tile's transpose is added before the products, which then serve both. The cosine
    distance is half the squared one of normalised rows, whose norms do not change: it has no row sums.
    """

    def __init__(self, rule: PairLoss, problem: Problem) -> None:
        super().__init__(rule, problem)
        self.loss = rule
        self.dx = torch.zeros_like(self.y if problem.square else self.x)
        self.dy = self.dx if problem.square else torch.zeros_like(self.y)
        # The factors of anchors, see `Problem.factors`, are -2 or, for cosine, -1 times their rows.
        self.scale = 1.0 if problem.distance == "cosine" else 0.5

    def run_gradient(self) -> tuple[Tensor, Tensor]:
        """Derivatives by the caller's indices."""
        with deterministic(self.x.device):
            if self.layout.sorted:
                self._over_windows()
            else:
                self._over_tiles()
        dx = torch.empty_like(self.dx).index_copy_(0, self.layout.index, self.dx)
        if self.problem.square:
            return dx, self.dy[:0]
        return dx, torch.empty_like(self.dy).index_copy_(0, self.layout.reference_index, self.dy)

    def _over_tiles(self) -> None:
        buffer = self.x.new_empty(0)
        for distance, rows, columns, after in self.tiles():
            if len(buffer) < distance.numel():
                buffer = self.x.new_empty(distance.numel())
            weight = buffer[: distance.numel()].view_as(distance)
            for part, tile in split(rows, self.seen(distance, rows, columns)):
                weight[part.start - rows.start : part.stop - rows.start] = self._weight(tile, part)
            mirrored = distance[:, after.start - columns.start :].T
            for part, tile in split(after, self.seen(mirrored, after, rows)):
                weight[:, part.start - columns.start : part.stop - columns.start] += self._weight(tile, part).T
            half, x, y = self._by_half_square(weight, distance), self.x[rows], self.y[columns]
            self.dx[rows].addmm_(half, y, alpha=-1)
            self.dy[columns].addmm_(half.T, x, alpha=self.scale)
            if self.problem.distance != "cosine":
                self.dx[rows].addcmul_(half.sum(dim=1)[:, None], x, value=-self.scale)
                self.dy[columns].addcmul_(half.sum(dim=0)[:, None], y)

    def _over_windows(self) -> None:
        for distance, rows, window, first in self.windows():
            tile = self.seen_in_windows(distance, rows, window, first)
            weight = torch.cat([self._weight(some, part) for part, some in split(rows, tile)])
            half = self._by_half_square(weight.view_as(distance), distance)
            x = self.x[rows].unflatten(0, (len(window), -1))
            y = self.y.index_select(0, window.flatten()).unflatten(0, (len(window), -1))
            by_x, by_y = torch.bmm(half, y).neg_(), torch.bmm(half.transpose(1, 2), x).mul_(self.scale)
            if self.problem.distance != "cosine":
                by_x.addcmul_(half.sum(dim=2, keepdim=True), x, value=-self.scale)
                by_y.addcmul_(half.sum(dim=1)[..., None], y)
            self.dx[rows] += by_x.flatten(0, 1)
            self.dy.index_add_(0, window.flatten(), by_y.flatten(0, 1))  # windows overlap

    def _weight(self, tile: Tile, rows: slice) -> Tensor:
        """Derivatives by the distances of a part of a tile, `[B, C]`; see `PairLoss.weight`."""
        raise NotImplementedError

    def _by_half_square(self, weight: Tensor, distance: Tensor) -> Tensor:
        """Derivatives by half the squared distances; rows that are equal have no direction, and get none."""
        if self.problem.distance == "euclidean":
            if distance.amin() <= 0:
                distance = distance.masked_fill(distance <= 0, torch.inf)
            return weight.div_(distance)
        return weight if self.problem.distance == "cosine" else weight.mul_(2)


class _SecondPass(_GradientStream):
    """Derivatives of a loss by what the first output changes in it, `upstream`; see `run_gradient`."""

    def __init__(self, rule: PairLoss, problem: Problem, outputs: tuple[Tensor, ...], upstream: Tensor) -> None:
        super().__init__(rule, problem)
        self.outputs = tuple(part[self.layout.index] for part in outputs)
        self.upstream = upstream.to(problem.dtype)[self.layout.index]

    def _weight(self, tile: Tile, rows: slice) -> Tensor:
        return self.loss.weight(tile, tuple(part[rows] for part in self.outputs), self.upstream[rows])


class _OnlyPass(_GradientStream):
    """The outputs, and the derivatives of the sum of the first."""

    def __init__(self, rule: PairLoss, problem: Problem) -> None:
        super().__init__(rule, problem)
        self.state = rule.init(len(self.x), problem.dtype, self.x.device)

    def finish(self) -> tuple[Tensor, ...]:
        """The outputs, by the caller's indices."""
        return self.layout.restore(self.loss, self.loss.finish(self.state))

    def _weight(self, tile: Tile, rows: slice) -> Tensor:
        before: State = tuple(part[rows] for part in self.state)
        after, weight = self.loss.update_and_weigh(before, tile)
        for part, value in zip(before, after, strict=True):
            part.copy_(value)
        return weight

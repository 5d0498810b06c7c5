"""Distance-weighted sampling, torch form.

A negative at distance d is drawn with a weight that is the inverse of the density of distances between random points
on the unit sphere of n dimensions, so that all distances are drawn alike (Wu, Manmatha, Smola and Krähenbühl,
"Sampling Matters in Deep Embedding Learning", 2017):

    log q(d) = (n - 2) log d + (n - 3)/2 log(1 - d²/4).

Sampling by weight in one pass is a race: every candidate draws an exponential number E and the smallest E / w wins, or
the largest log w - log E. Logarithms neither overflow nor vanish, whatever n.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .noise import keys, mix, uniform
from .rule import BaseRule, Pool, State, Tile
from .select import first_best


class DistanceWeighted(BaseRule):
    """State `(log w - log E [rows, draws], position [rows, draws])`; for the distance "cosine", of which d² is twice.

    Args:
        pool: "positives", "negatives" or "others".
        count: number of anchors.
        draws: how many to draw for each, independently.
        seed: of the draws; they depend on it, on the indices of anchor and reference, and on the draw's number.
        dimension: n.
        cutoff: below it, distances weigh as much as this one.
        nonzero_loss_cutoff: from it on, they weigh nothing.
        device: of the anchors.
    """

    triton = "mlbench_kernels.rules.distance_weighted_triton"
    needs_distance = True

    def __init__(
        self,
        pool: Pool,
        count: int,
        draws: int,
        seed: int,
        dimension: int,
        cutoff: float = 0.5,
        nonzero_loss_cutoff: float = 1.4,
        device: torch.device | None = None,
    ) -> None:
        self.pool = pool
        self.width = draws
        self.thresholds = keys(seed, count, draws, device or torch.device("cpu"))
        self.nearest = max(cutoff, 1e-6) ** 2
        self.end = min(nonzero_loss_cutoff, 2.0) ** 2
        self.powers = (1 - dimension / 2, (3 - dimension) / 2)
        self.constants = (draws, self.nearest, self.end, *self.powers)

    def init(self, rows: int, dtype: torch.dtype, device: torch.device) -> State:
        """Nothing seen."""
        best = torch.full((rows, self.width), -torch.inf, dtype=dtype, device=device)
        return best, torch.full((rows, self.width), -1, dtype=torch.int64, device=device)

    def update(self, state: State, tile: Tile) -> State:
        """Let the tile's references race for every draw; the lower index stays where keys are equal."""
        weight = self._log_weight(tile.distance)
        column = mix(tile.columns.int())
        best, position = [], []
        for key in tile.thresholds.unbind(dim=1):
            chance = uniform(key, tile.rows, column).to(weight.dtype)
            value, place = first_best(weight - torch.log(-torch.log1p(-chance)), largest=True)
            best.append(value)
            position.append(place)
        value, place = torch.stack(best, dim=1), torch.stack(position, dim=1)
        better = value > state[0]
        return torch.where(better, value, state[0]), torch.where(better, place + tile.first, state[1])

    def _log_weight(self, distance: Tensor) -> Tensor:
        """-inf where the weight is 0."""
        square = (2 * distance).clamp_min_(self.nearest)
        logarithm = self.powers[0] * square.log() + self.powers[1] * torch.log1p(-square / 4)
        return torch.where(square < self.end, logarithm, -torch.inf)

    def finish(self, state: State) -> tuple[Tensor, ...]:
        """The positions drawn, -1 where no reference has a weight."""
        return (state[1],)

"""Hinges of single pairs, torch form: contrastive loss.

Positives cost what they are farther than a margin, negatives what they are nearer (Hadsell, Chopra and LeCun,
"Dimensionality Reduction by Learning an Invariant Mapping", 2006).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .compare import greater, less
from .pair_loss import PairLoss
from .rule import Output, Pool, State, Tile


class Hinge(PairLoss):
    """`sum_j relu(d_ij - margin)` over positives, `sum_j relu(margin - d_ij)` over others; and how many are not zero.

    Args:
        pool: "positives", "negatives" or "others".
        margin: a distance.
    """

    triton = "mlbench_kernels.rules.hinge_triton"
    outputs: Sequence[Output] = ("number", "count")

    def __init__(self, pool: Pool, *numbers: float, thresholds: Tensor | None = None) -> None:
        super().__init__(pool, *numbers, thresholds=thresholds)
        self.constants = (*numbers, pool == "positives")

    def init(self, rows: int, dtype: torch.dtype, device: torch.device) -> State:
        """Nothing seen."""
        none = torch.zeros(rows, dtype=dtype, device=device)
        return none, none.long()

    def update(self, state: State, tile: Tile) -> State:
        """Add a tile."""
        (margin,) = self.numbers
        excess = tile.distance - margin if self.pool == "positives" else margin - tile.distance
        count = greater(excess, 0).sum(dim=1).to(torch.int64)
        return state[0] + excess.clamp_min_(0).sum(dim=1), state[1] + count

    def slope(self, distance: Tensor, thresholds: Tensor) -> Tensor:
        """One where the hinge is open, with its sign."""
        (margin,) = self.numbers
        return greater(distance, margin) if self.pool == "positives" else less(distance, margin).neg_()

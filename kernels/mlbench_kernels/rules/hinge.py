"""Hinges of single pairs, torch form: contrastive loss.

Positives cost what they are farther than a margin, negatives what they are nearer (Hadsell, Chopra and LeCun,
"Dimensionality Reduction by Learning an Invariant Mapping", 2006).
"""

from __future__ import annotations

import torch
from torch import Tensor

from .pair_loss import PairLoss
from .rule import State, Tile


class Hinge(PairLoss):
    """`sum_j relu(d_ij - margin)` over positives, `sum_j relu(margin - d_ij)` over others; and how many are not zero.

    Args:
        pool: "positives", "negatives" or "others".
        margin: a distance.
    """

    triton = "mlbench_kernels.rules.hinge_triton"
    outputs = ("number", "count")

    @property
    def _sign(self) -> int:
        return 1 if self.pool == "positives" else -1

    def init(self, rows: int, dtype: torch.dtype, device: torch.device) -> State:
        """Nothing seen."""
        none = torch.zeros(rows, dtype=dtype, device=device)
        return none, none.long()

    def update(self, state: State, tile: Tile) -> State:
        """Add a tile."""
        excess = self._sign * (tile.distance - self.constants[0])
        return state[0] + excess.clamp_min(0).sum(dim=1), state[1] + (excess > 0).sum(dim=1)

    def slope(self, distance: Tensor, thresholds: Tensor) -> Tensor:
        """One where the hinge is open."""
        (margin,) = self.constants
        beyond = distance > margin if self.pool == "positives" else distance < margin
        return beyond.to(distance.dtype).mul_(self._sign)

"""Each positive against all negatives at once, torch form: the pairs of NT-Xent and InfoNCE.

The cost of a positive in a softmax over itself and the negatives is `log(1 + exp(lse + d / T))` with `lse` the
logarithm of the sum of `exp(-d / T)` over the negatives (Sohn, "Improved Deep Metric Learning with Multi-class N-pair
Loss Objective", 2016).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import softplus

from .pair_loss import PairLoss
from .rule import Output, State, Tile


class Softplus(PairLoss):
    """`sum_j log(1 + exp(t_i + scale d_ij))`, and its derivative by `t_i`.

    Args:
        pool: "positives".
        scale: positive.
        thresholds: `[N, 1]`, `t`; minus infinity costs nothing.
    """

    triton = "mlbench_kernels.rules.softplus_triton"
    outputs: Sequence[Output] = ("number", "number")

    def init(self, rows: int, dtype: torch.dtype, device: torch.device) -> State:
        """Nothing seen."""
        none = torch.zeros(rows, dtype=dtype, device=device)
        return none, none.clone()

    def update(self, state: State, tile: Tile) -> State:
        """Add a tile."""
        exponent = tile.thresholds + self.numbers[0] * tile.distance
        return (
            state[0] + softplus(exponent, threshold=40).sum(dim=1),
            state[1] + exponent.sigmoid().sum(dim=1),
        )

    def slope(self, distance: Tensor, thresholds: Tensor) -> Tensor:
        """Derivative by the distance."""
        (scale,) = self.numbers
        return torch.add(thresholds, distance, alpha=scale).sigmoid_().mul_(scale)

    def threshold_weight(self, outputs: tuple[Tensor, ...], upstream: Tensor) -> Tensor:
        """Counted in the forward pass."""
        return (upstream * outputs[1])[:, None]

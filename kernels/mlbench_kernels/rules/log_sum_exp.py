"""Logarithms of sums of exponentials, torch form: multi-similarity, InfoNCE and lifted structured losses."""

from __future__ import annotations

import torch
from torch import Tensor

from .pair_loss import PairLoss
from .rule import Pool, State, Tile


class LogSumExp(PairLoss):
    """`log sum_j exp(scale d_ij)`, minus infinity for an empty pool.

    State `(largest exponent, sum of exponentials relative to it)`: no exponential overflows, and one pass suffices
    (Milakov and Gimelshein, "Online normalizer calculation for softmax", 2018).

    Args:
        pool: "positives", "negatives" or "others".
        scale: not zero; negative where near pairs count most.
    """

    triton = "mlbench_kernels.rules.log_sum_exp_triton"

    def __init__(self, pool: Pool, *numbers: float, thresholds: Tensor | None = None) -> None:
        super().__init__(pool, *numbers, thresholds=thresholds)
        (self.scale,) = numbers
        self.absent = -torch.inf if self.scale > 0 else torch.inf

    def init(self, rows: int, dtype: torch.dtype, device: torch.device) -> State:
        """Nothing seen: the exponent is the least finite one, so that differences from it are never NaN."""
        least = torch.full((rows,), torch.finfo(dtype).min, dtype=dtype, device=device)
        return least, torch.zeros_like(least)

    def update(self, state: State, tile: Tile) -> State:
        """Add a tile."""
        extreme = tile.distance.amax(dim=1) if self.scale > 0 else tile.distance.amin(dim=1)
        largest = torch.maximum(extreme.detach() * self.scale, state[0])
        # One multiplication and one subtraction, which is what keeps this at the cost of the exponential.
        exponent = torch.add(-largest[:, None], tile.distance, alpha=self.scale)
        exponent = exponent.exp() if exponent.requires_grad else exponent.exp_()
        return largest, state[1] * (state[0] - largest).exp() + exponent.sum(dim=1)

    def finish(self, state: State) -> tuple[Tensor, ...]:
        """The logarithm."""
        largest, total = state
        logarithm = largest + total.clamp_min(torch.finfo(total.dtype).tiny).log()
        return (torch.where(total == 0, -torch.inf, logarithm),)

    def weight(self, tile: Tile, outputs: tuple[Tensor, ...], upstream: Tensor) -> Tensor:
        """The share of each pair in the sum."""
        (total,) = outputs
        # A pool that is empty has no finite logarithm; any other number gives its pairs the share 0.
        shift = torch.where(total == -torch.inf, 0, total)
        share = torch.add(-shift[:, None], tile.distance, alpha=self.scale).exp_()
        return share.mul_(upstream[:, None] * self.scale)

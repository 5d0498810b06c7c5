"""Sums of distances, torch form: the positives of the supervised contrastive loss."""

from __future__ import annotations

import torch
from torch import Tensor

from .pair_loss import PairLoss


class DistanceSum(PairLoss):
    """`sum_j d_ij`; what is outside the pool is infinite, and adds nothing.

    Args:
        pool: "positives", "negatives" or "others".
    """

    triton = "mlbench_kernels.rules.distance_sum_triton"

    def value(self, distance: Tensor, thresholds: Tensor) -> Tensor:
        """The distance."""
        return torch.where(distance == self.absent, 0, distance)

    def slope(self, distance: Tensor, thresholds: Tensor) -> Tensor:
        """One in the pool."""
        return (distance != self.absent).to(distance.dtype)

"""Supervised contrastive loss."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from ..rules.distance_sum import DistanceSum
from ..rules.log_sum_exp import LogSumExp
from .metric_loss import MetricLoss, mean
from .pairs import Pairs


class SupConLoss(MetricLoss):
    """All positives of an anchor in one softmax with everything else (Khosla et al., "Supervised Contrastive Learning",
    2020, equation 2).

    An anchor costs the mean of `-log(exp(s_ap / T) / sum_j exp(s_aj / T))` over its positives, j over all others; the
    loss is the mean over the anchors whose cost is not 0. A drop-in for pytorch-metric-learning's loss of this name, in
    O(N D) memory.

    Args:
        temperature: `T`.
        distance: see `MetricLoss`, as the others; distances count as negative similarities.
        normalize_embeddings: see there.
        backend: see there.
        precision: see there.

    >>> import torch
    >>> SupConLoss(temperature=1.0)(torch.eye(3), torch.tensor([0, 0, 1]))
    tensor(0.6931)
    """  # noqa: D205

    each_pair_once: ClassVar[bool] = True

    def __init__(
        self,
        temperature: float = 0.1,
        distance: str = "cosine",
        normalize_embeddings: bool = True,
        backend: str = "auto",
        precision: str = "auto",
    ) -> None:
        super().__init__(distance, normalize_embeddings, backend, precision)
        self.temperature = temperature

    def compute(self, pairs: Pairs) -> tuple[Tensor, Tensor]:
        """The mean over the anchors, 0 without any negative."""
        scale = 1 / self.temperature
        positives = pairs.count("positives")
        (everything,) = pairs.statistics(LogSumExp("others", -scale))
        (near,) = pairs.statistics(DistanceSum("positives"))
        rows = everything + scale * near / positives.clamp_min(1)
        valid = (positives > 0) & (pairs.count("negatives") > 0).any()
        rows = torch.where(valid, rows, 0)
        terms = (rows > 0).sum()
        return mean(torch.where(rows > 0, rows, 0).sum(), terms), terms

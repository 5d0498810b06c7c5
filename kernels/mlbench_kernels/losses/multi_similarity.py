"""Multi-similarity loss."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor
from torch.nn.functional import softplus

from ..rules.log_sum_exp import LogSumExp
from .metric_loss import MetricLoss
from .pairs import Pairs


class MultiSimilarityLoss(MetricLoss):
    """Soft thresholds on all similarities of an anchor (Wang et al., "Multi-Similarity Loss with General Pair
    Weighting", 2019).

    The mean over the anchors of `log(1 + sum exp(alpha (base - s))) / alpha` over their positives and
    `log(1 + sum exp(beta (s - base))) / beta` over their negatives. A drop-in for pytorch-metric-learning's loss of
    this name, in O(N D) memory.

    Args:
        alpha: how steep the cost of positives is.
        beta: how steep the cost of negatives is.
        base: the similarity, or distance, at which it begins.
        distance: see `MetricLoss`, as the others.
        normalize_embeddings: see there.
        backend: see there.
        precision: see there.

    >>> import torch
    >>> MultiSimilarityLoss()(torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([0, 0]))
    tensor(0.6566)
    """  # noqa: D205

    each_pair_once: ClassVar[bool] = True

    def __init__(
        self,
        alpha: float = 2.0,
        beta: float = 50.0,
        base: float = 0.5,
        distance: str = "cosine",
        normalize_embeddings: bool = True,
        backend: str = "auto",
        precision: str = "auto",
    ) -> None:
        super().__init__(distance, normalize_embeddings, backend, precision)
        self.alpha = alpha
        self.beta = beta
        self.base = base

    def compute(self, pairs: Pairs) -> tuple[Tensor, Tensor]:
        """The mean over all anchors; terms are anchors with any pair."""
        base = self.as_distance(self.base)
        (near,) = pairs.statistics(LogSumExp("positives", self.alpha))
        (far,) = pairs.statistics(LogSumExp("negatives", -self.beta))
        rows = softplus(near - self.alpha * base) / self.alpha + softplus(far + self.beta * base) / self.beta
        return rows.mean(), ((pairs.count("positives") + pairs.count("negatives")) > 0).sum()

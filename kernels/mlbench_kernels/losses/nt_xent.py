"""NT-Xent."""

from __future__ import annotations

from torch import Tensor

from ..rules.log_sum_exp import LogSumExp
from ..rules.softplus import Softplus
from .metric_loss import MetricLoss, mean
from .pairs import Pairs


class NTXentLoss(MetricLoss):
    """Each positive in a softmax with all negatives of its anchor: NT-Xent, InfoNCE (van den Oord, Li and Vinyals,
    "Representation Learning with Contrastive Predictive Coding", 2018) and the N-pairs loss.

    The mean of `-log(exp(s_ap / T) / (exp(s_ap / T) + sum_n exp(s_an / T)))` over the positive pairs. A drop-in for
    pytorch-metric-learning's loss of this name, in O(N D) memory for any number of positives.

    Args:
        temperature: `T`.
        distance: see `MetricLoss`, as the others; distances count as negative similarities.
        normalize_embeddings: see there.
        backend: see there.
        precision: see there.

    >>> import torch
    >>> NTXentLoss(temperature=1.0)(torch.eye(3), torch.tensor([0, 0, 1]))
    tensor(0.6931)
    """  # noqa: D205

    def __init__(
        self,
        temperature: float = 0.07,
        distance: str = "cosine",
        normalize_embeddings: bool = True,
        backend: str = "auto",
        precision: str = "auto",
    ) -> None:
        super().__init__(distance, normalize_embeddings, backend, precision)
        self.temperature = temperature

    def compute(self, pairs: Pairs) -> tuple[Tensor, Tensor]:
        """The mean over the positive pairs, 0 without any negative."""
        scale = 1 / self.temperature
        (negatives,) = pairs.statistics(LogSumExp("negatives", -scale))
        costs, _ = pairs.statistics(Softplus("positives", scale, thresholds=negatives[:, None]))
        terms = pairs.count("positives").sum() * (pairs.count("negatives") > 0).any()
        return mean(costs.sum(), terms), terms

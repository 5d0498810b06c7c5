"""Contrastive loss."""

from __future__ import annotations

from torch import Tensor

from ..rules.hinge import Hinge
from .metric_loss import MetricLoss, mean
from .pairs import Pairs


class ContrastiveLoss(MetricLoss):
    """Positives no farther than a margin, negatives no nearer than another (Hadsell, Chopra and LeCun, 2006).

    The mean of `relu(d - pos_margin)` over the positive pairs where it is not 0, plus that of `relu(neg_margin - d)`
    over the negative ones. A drop-in for pytorch-metric-learning's loss of this name, in O(N D) memory.

    Args:
        pos_margin: distance from which a positive pair costs something; a similarity for "cosine".
        neg_margin: distance up to which a negative pair costs something; a similarity for "cosine".
        distance: see `MetricLoss`, as the others.
        normalize_embeddings: see there.
        backend: see there.
        precision: see there.

    >>> import torch
    >>> embeddings = torch.tensor([[0.0], [0.5], [1.0]])
    >>> loss = ContrastiveLoss(normalize_embeddings=False)
    >>> loss(embeddings, torch.tensor([0, 0, 1])), loss.terms
    (tensor(1.), tensor(4))
    """

    def __init__(
        self,
        pos_margin: float = 0.0,
        neg_margin: float = 1.0,
        distance: str = "euclidean",
        normalize_embeddings: bool = True,
        backend: str = "auto",
        precision: str = "auto",
    ) -> None:
        super().__init__(distance, normalize_embeddings, backend, precision)
        self.pos_margin = pos_margin
        self.neg_margin = neg_margin

    def compute(self, pairs: Pairs) -> tuple[Tensor, Tensor]:
        """The two means."""
        near, near_open = pairs.total(Hinge("positives", self.as_distance(self.pos_margin)))
        far, far_open = pairs.total(Hinge("negatives", self.as_distance(self.neg_margin)))
        loss = mean(near, near_open.sum()) + mean(far, far_open.sum())
        return loss, near_open.sum() + far_open.sum()

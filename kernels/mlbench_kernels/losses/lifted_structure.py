"""Lifted structured losses."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from ..rules.log_sum_exp import LogSumExp
from .metric_loss import MetricLoss, mean
from .pairs import Pairs


class LiftedStructureLoss(MetricLoss):
    """Each positive pair against the negatives of both its sides (Song et al., "Deep Metric Learning via Lifted
    Structured Feature Embedding", 2016).

    The mean over the positive pairs (a, p) of `relu(d_ap - pos_margin + log sum_n exp(neg_margin - d_n))^2 / 2`, n over
    the negatives of a and of p. A drop-in for pytorch-metric-learning's loss of this name, in O(N D + P) memory for P
    positive pairs. As there, with references p stands for the anchor of its index, where there is one.

    Args:
        neg_margin: a distance; a similarity for "cosine".
        pos_margin: a distance; a similarity for "cosine".
        distance: see `MetricLoss`, as the others.
        normalize_embeddings: see there.
        backend: see there.
        precision: see there.

    >>> import torch
    >>> embeddings = torch.tensor([[0.0], [0.5], [1.0]])
    >>> LiftedStructureLoss(normalize_embeddings=False)(embeddings, torch.tensor([0, 0, 1]))
    tensor(1.0865)
    """  # noqa: D205

    def __init__(
        self,
        neg_margin: float = 1.0,
        pos_margin: float = 0.0,
        distance: str = "euclidean",
        normalize_embeddings: bool = True,
        backend: str = "auto",
        precision: str = "auto",
    ) -> None:
        super().__init__(distance, normalize_embeddings, backend, precision)
        self.neg_margin = neg_margin
        self.pos_margin = pos_margin

    def compute(self, pairs: Pairs) -> tuple[Tensor, Tensor]:
        """The mean over the positive pairs, 0 without any negative."""
        (negatives,) = pairs.statistics(LogSumExp("negatives", -1.0))
        anchor, positive, distance = pairs.positives()
        other = (positive < len(negatives)) & (positive != anchor)
        partner = torch.where(other, negatives[positive.clamp_max(len(negatives) - 1)], -torch.inf)
        both = _log_add(negatives[anchor], partner) + self.as_distance(self.neg_margin)
        both = torch.where(both == -torch.inf, 0, both)
        costs = (both + distance - self.as_distance(self.pos_margin)).relu().square() / 2
        any_negative = (pairs.count("negatives") > 0).any()
        terms = pairs.count("positives").sum() * any_negative
        return mean(torch.where(any_negative, costs, 0).sum(), terms), terms


class GeneralizedLiftedStructureLoss(MetricLoss):
    """All positives of an anchor against all its negatives, softly (Hermans, Beyer and Leibe, "In Defense of the
    Triplet Loss for Person Re-Identification", 2017).

    The mean over the anchors of `relu(log sum_p exp(d_p - pos_margin) + log sum_n exp(neg_margin - d_n))`; an empty sum
    counts as 1. A drop-in for pytorch-metric-learning's loss of this name, in O(N D) memory.

    Args:
        neg_margin: a distance; a similarity for "cosine".
        pos_margin: a distance; a similarity for "cosine".
        distance: see `MetricLoss`, as the others.
        normalize_embeddings: see there.
        backend: see there.
        precision: see there.

    >>> import torch
    >>> embeddings = torch.tensor([[0.0], [0.5], [1.0]])
    >>> GeneralizedLiftedStructureLoss(normalize_embeddings=False)(embeddings, torch.tensor([0, 0, 1]))
    tensor(0.8247)
    """  # noqa: D205

    each_pair_once: ClassVar[bool] = True

    def __init__(
        self,
        neg_margin: float = 1.0,
        pos_margin: float = 0.0,
        distance: str = "euclidean",
        normalize_embeddings: bool = True,
        backend: str = "auto",
        precision: str = "auto",
    ) -> None:
        super().__init__(distance, normalize_embeddings, backend, precision)
        self.neg_margin = neg_margin
        self.pos_margin = pos_margin

    def compute(self, pairs: Pairs) -> tuple[Tensor, Tensor]:
        """The mean over all anchors; terms are anchors with any pair."""
        (near,) = pairs.statistics(LogSumExp("positives", 1.0))
        (far,) = pairs.statistics(LogSumExp("negatives", -1.0))
        near = torch.where(near == -torch.inf, 0, near - self.as_distance(self.pos_margin))
        far = torch.where(far == -torch.inf, 0, far + self.as_distance(self.neg_margin))
        terms = ((pairs.count("positives") + pairs.count("negatives")) > 0).sum()
        return (near + far).relu().mean(), terms


def _log_add(a: Tensor, b: Tensor) -> Tensor:
    """`log(exp(a) + exp(b))` with a derivative of 0 where both are minus infinity."""
    empty = (a == -torch.inf) & (b == -torch.inf)
    return torch.where(empty, -torch.inf, torch.logaddexp(torch.where(empty, 0, a), torch.where(empty, 0, b)))

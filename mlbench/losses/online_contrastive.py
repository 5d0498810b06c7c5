"""Contrastive loss pooled over the pairs of a batch."""

from typing import Any

import torch
from pytorch_metric_learning import losses
from pytorch_metric_learning.distances import LpDistance
from torch import Tensor

from mlbench.api import ComponentInfo, Float


class OnlineContrastiveLoss(losses.ContrastiveLoss):  # type: ignore[misc]
    """Contrastive loss over all pairs on squared distances: the mean of the non-zero terms of both kinds together.

    ``d_ij`` for a positive pair and ``relu(margin - d_ij)`` for a negative one, with ``d`` the squared distance: the
    margin is one on squared distances too. The plain class adds the mean over the positive pairs to the mean over the
    negative ones, which weighs a positive pair more than a negative one.

    Args:
        margin: The squared distance beyond which a negative pair is far enough.
        **kwargs: ``distance``, ``reducer`` and whatever else the plain class takes.
    """

    info = ComponentInfo(
        summary="Contrastive over all pairs on squared distances, positive and negative pairs averaged together",
        citation="Hadsell et al. 2006; github.com/ZRStea/pytorch-online-metric-learning",
        tags=("pair",),
        space={"margin": Float(low=0.0, high=2.0)},
    )

    def __init__(self, margin: float = 1.0, **kwargs: Any) -> None:
        super().__init__(pos_margin=0.0, neg_margin=margin, **kwargs)

    def _compute_loss(self, pos_pair_dist: Any, neg_pair_dist: Any, indices_tuple: tuple[Tensor, ...]) -> Any:
        parts = super()._compute_loss(pos_pair_dist, neg_pair_dist, indices_tuple).values()
        parts = [part for part in parts if torch.is_tensor(part["losses"])]  # a kind without pairs has the number 0
        values = torch.cat([part["losses"] for part in parts])
        indices = tuple(torch.cat(sides) for sides in zip(*(part["indices"] for part in parts), strict=True))
        return {"loss": {"losses": values, "indices": indices, "reduction_type": "pos_pair"}}

    def _sub_loss_names(self) -> list[str]:
        return ["loss"]

    def get_default_distance(self) -> LpDistance:
        """Squared Euclidean, of L2-normalised embeddings."""
        return LpDistance(power=2)

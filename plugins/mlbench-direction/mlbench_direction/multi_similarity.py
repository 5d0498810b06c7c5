"""Direction-regularised multi-similarity loss."""

from typing import Any, ClassVar

import torch
from pytorch_metric_learning import losses
from pytorch_metric_learning.utils import loss_and_miner_utils as lmu
from torch import Tensor

from mlbench.api import ComponentInfo, Float
from mlbench_direction.cosines import direction_cosines


class DRMultiSimilarityLoss(losses.MultiSimilarityLoss):  # type: ignore[misc]
    """Multi-similarity in which a negative's similarity is ``s_an - gamma * cos(n - a, p - a)``.

    With ``p`` the hardest of the anchor's positive pairs::

        1/alpha log(1 + sum_p exp(-alpha (s_ap - base))) + 1/beta log(1 + sum_n exp(beta (s_an - gamma cos - base)))

    An anchor without a positive has no direction: its negatives count as in the plain loss. Memory is O(N^2).

    Args:
        alpha: Weight in the exponent of positive pairs.
        beta: Weight in the exponent of negative pairs.
        base: The similarity between the two.
        gamma: Weight of the direction. At 0 this is pytorch-metric-learning's multi-similarity loss, to the last bit.
        **kwargs: ``distance``, ``reducer`` and whatever else the plain class takes.
    """

    info: ClassVar[ComponentInfo] = ComponentInfo(
        summary="Direction-regularised multi-similarity: a negative leaves orthogonally to the anchor's hardest pair",
        citation="Mohan et al.: Moving in the Right Direction. CVPR 2020",
        tags=("pair", "direction"),
        space={
            "alpha": Float(low=0.01, high=100.0),
            "beta": Float(low=0.01, high=100.0),
            "base": Float(low=0.0, high=1.0),
            "gamma": Float(low=0.0, high=1.0),
        },
    )

    def __init__(
        self, alpha: float = 2.0, beta: float = 50.0, base: float = 0.5, gamma: float = 0.3, **kwargs: Any
    ) -> None:
        super().__init__(alpha=alpha, beta=beta, base=base, **kwargs)
        self.gamma = gamma

    def compute_loss(
        self, embeddings: Tensor, labels: Tensor, indices_tuple: Any, ref_emb: Tensor, ref_labels: Tensor
    ) -> Any:
        """The loss of every anchor as pytorch-metric-learning's reducers want it."""
        pairs = lmu.convert_to_pairs(indices_tuple, labels, ref_labels)
        if all(len(index) <= 1 for index in pairs):
            return self.zero_losses()
        similarities = self.distance(embeddings, ref_emb)
        shift = self.gamma * self._cosines(embeddings, ref_emb, similarities, pairs[:2])
        sign = 1 if self.distance.is_inverted else -1
        negative = torch.zeros_like(similarities).index_put(pairs[2:], similarities.new_ones(()))
        return self.mat_based_loss(similarities - sign * negative * shift.to(similarities.dtype), pairs)

    def _cosines(
        self, embeddings: Tensor, ref_emb: Tensor, similarities: Tensor, pairs: tuple[Tensor, Tensor]
    ) -> Tensor:
        """``cos(n - a, p - a)`` ``[N, M]`` with ``p`` the hardest positive; 0 in rows without one."""
        nearness = similarities.detach() if self.distance.is_inverted else -similarities.detach()
        positive = torch.full_like(nearness, torch.inf).index_put(pairs, nearness[pairs])
        anchors, others = (self.distance.maybe_normalize(side) for side in (embeddings, ref_emb))
        # Where there is no positive, the anchor itself stands in: a way of length 0 has no direction.
        has = positive.isfinite().any(1, keepdim=True)
        hardest = torch.where(has, others[positive.argmin(1)], anchors)
        return direction_cosines(anchors, hardest[:, None], others)[:, 0]

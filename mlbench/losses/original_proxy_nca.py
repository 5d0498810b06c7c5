"""Proxy-NCA with the denominator of the paper."""

from typing import Any

import torch
from pytorch_metric_learning import losses
from pytorch_metric_learning.utils import loss_and_miner_utils as lmu
from torch import Tensor

from mlbench.api import ComponentInfo, Float


class OriginalProxyNCALoss(losses.ProxyNCALoss):  # type: ignore[misc]
    """Proxy-NCA as published, with static assignment: every class has one proxy ``p`` of its own, which is learnt.

    With ``d`` the squared distance, ``y`` the sample's class and ``s`` the softmax scale::

        s d(x, p_y) + log(sum_{c != y} exp(-s d(x, p_c)))

    pytorch-metric-learning's class has the sample's own proxy in the sum too. Without it the loss keeps pulling where
    that one's gradient fades, and it can be negative.

    Args:
        num_classes: C, at least 2.
        embedding_size: D.
        softmax_scale: s.
        **kwargs: ``distance``, ``reducer``, ``weight_regularizer`` and whatever else the plain class takes.

    Raises:
        ValueError: If there is only one class.
    """

    info = ComponentInfo(
        summary="Proxy-NCA as published: a learnt proxy for each class, its own one left out of the denominator",
        citation="https://arxiv.org/abs/1703.07464",
        tags=("proxy",),
        space={"softmax_scale": Float(low=0.01, high=100.0)},
    )

    def __init__(self, num_classes: int, embedding_size: int, softmax_scale: float = 1.0, **kwargs: Any) -> None:
        if num_classes < 2:
            raise ValueError(f"num_classes must be at least 2, got {num_classes}: there is no other class's proxy")
        super().__init__(num_classes, embedding_size, softmax_scale=softmax_scale, **kwargs)

    def nca_computation(
        self, query: Tensor, reference: Tensor, query_labels: Tensor, reference_labels: Tensor, indices_tuple: Any
    ) -> Any:
        """The loss of every sample as pytorch-metric-learning's reducers want it; ``reference`` are the proxies."""
        weights = lmu.convert_to_weights(indices_tuple, query_labels, dtype=query.dtype, using_ref=True)
        nearness = self.distance(query, reference)
        nearness = self.softmax_scale * (nearness if self.distance.is_inverted else -nearness)
        own = query_labels[:, None] == reference_labels
        others = nearness.masked_fill(own, -torch.inf).logsumexp(1)
        values = (others - nearness[own]) * weights
        indices = torch.arange(len(query), device=query.device)
        return {"loss": {"losses": values, "indices": indices, "reduction_type": "element"}}

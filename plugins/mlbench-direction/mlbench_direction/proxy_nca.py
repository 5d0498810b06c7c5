"""Direction-regularised Proxy-NCA."""

from typing import Any, ClassVar

import torch
from pytorch_metric_learning import losses
from pytorch_metric_learning.utils import loss_and_miner_utils as lmu
from torch import Tensor
from torch.nn.functional import softmax

from mlbench.api import ComponentInfo, Float
from mlbench_direction.cosines import direction_cosines


class DRProxyNCALoss(losses.ProxyNCALoss):  # type: ignore[misc]
    """Proxy-NCA in which another class's proxy is at distance ``d(x, q) + gamma * cos(q - x, p - x)``.

    With ``p`` the proxy of the sample's class, ``q`` those of the others and ``s`` the softmax scale::

        -log(exp(-s d(x, p)) / (exp(-s d(x, p)) + sum_q exp(-s (d(x, q) + gamma cos(q - x, p - x)))))

    pytorch-metric-learning's loss, like the Reality Check's, has the sample's own proxy in the denominator; the paper's
    formula leaves it out. What underflows there underflows here: a scale above 30 can turn the gradient NaN. Memory is
    O(N C) for C classes.

    Args:
        num_classes: C.
        embedding_size: D.
        softmax_scale: s.
        gamma: Weight of the direction. At 0 this is pytorch-metric-learning's Proxy-NCA, to the last bit.
        **kwargs: ``distance``, ``reducer``, ``weight_regularizer`` and whatever else the plain class takes.
    """

    info: ClassVar[ComponentInfo] = ComponentInfo(
        summary="Direction-regularised Proxy-NCA: samples leave other proxies orthogonally to the way to their own",
        citation="Mohan et al.: Moving in the Right Direction. CVPR 2020",
        tags=("proxy", "direction"),
        space={"softmax_scale": Float(low=0.01, high=30.0), "gamma": Float(low=0.0, high=1.0)},
    )

    def __init__(
        self, num_classes: int, embedding_size: int, softmax_scale: float = 1.0, gamma: float = 0.3, **kwargs: Any
    ) -> None:
        super().__init__(num_classes, embedding_size, softmax_scale=softmax_scale, **kwargs)
        self.gamma = gamma

    def nca_computation(
        self, query: Tensor, reference: Tensor, query_labels: Tensor, reference_labels: Tensor, indices_tuple: Any
    ) -> Any:
        """The loss of every sample as pytorch-metric-learning's reducers want it; ``reference`` are the proxies."""
        weights = lmu.convert_to_weights(indices_tuple, query_labels, dtype=query.dtype, using_ref=True)
        nearness = self.distance(query, reference)
        nearness = nearness if self.distance.is_inverted else -nearness
        own = (query_labels[:, None] == reference_labels).to(nearness.dtype)
        samples, proxies = (self.distance.maybe_normalize(side) for side in (query, reference))
        cosines = direction_cosines(samples, proxies[query_labels][:, None], proxies)[:, 0]
        nearness = nearness - self.gamma * (1 - own) * cosines.to(nearness.dtype)
        probability = (softmax(self.softmax_scale * nearness, dim=1) * own).sum(1)
        seen = probability != 0  # as the plain class: a probability below the smallest number has no logarithm
        values = -torch.log(probability[seen]) * weights[seen]
        return {"loss": {"losses": values, "indices": seen.nonzero()[:, 0], "reduction_type": "element"}}

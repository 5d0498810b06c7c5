"""Average precision with a sigmoid in place of each comparison."""

from typing import Any

import torch
from pytorch_metric_learning import losses
from pytorch_metric_learning.utils import common_functions as c_f
from pytorch_metric_learning.utils import loss_and_miner_utils as lmu
from torch import Tensor

from mlbench.api import ComponentInfo


class SmoothAPLoss(losses.SmoothAPLoss):  # type: ignore[misc]
    """Smooth-AP for any batch: ``1 - AP``, averaged over the samples as queries.

    With similarities ``s_qj``, the query's class ``P_q`` (the query included) and
    ``o(j, i) = sigmoid((s_qj - s_qi) / T)``::

        AP_q = 1/|P_q| * sum_{i in P_q} (1 + sum_{j in P_q, j != i} o(j, i)) / (1 + sum_{j != i} o(j, i))

    pytorch-metric-learning's class (2.9) takes the number of samples per class for the number of classes and cuts the
    batch into consecutive pieces of the wrong size: it is right only for n classes of n samples in class order, where
    this class agrees with it. Classes may have different sizes and any order here. Memory is O(N^3).

    Args:
        temperature: T.
        **kwargs: ``reducer``, ``embedding_regularizer`` and whatever else the plain class takes.
    """

    info = ComponentInfo(
        summary="Smooth-AP: average precision over the batch, each comparison smoothed by a sigmoid",
        citation="https://arxiv.org/abs/2007.12163",
        tags=("ranking",),
    )

    def __init__(self, temperature: float = 0.01, **kwargs: Any) -> None:
        super().__init__(temperature=temperature, **kwargs)

    def compute_loss(
        self, embeddings: Tensor, labels: Tensor, indices_tuple: Any, ref_emb: Tensor, ref_labels: Tensor
    ) -> Any:
        """The loss of every query as pytorch-metric-learning's reducers want it."""
        c_f.labels_required(labels)
        c_f.ref_not_supported(embeddings, labels, ref_emb, ref_labels)
        same = (labels[:, None] == labels[None, :]).to(embeddings.dtype)
        similarities = self.distance(embeddings)
        # before[q, i, j]: whether j comes before i in the ranking of q
        before = torch.sigmoid((similarities[:, None, :] - similarities[:, :, None]) / self.temperature)
        before = before * (1 - torch.eye(len(labels), device=before.device, dtype=before.dtype))
        rank = 1 + before.sum(2)
        rank_in_class = 1 + (before * same[:, None, :]).sum(2)
        precision = (same * rank_in_class / rank).sum(1) / same.sum(1)
        weights = lmu.convert_to_weights(indices_tuple, labels, dtype=precision.dtype)
        indices = c_f.torch_arange_from_size(embeddings)
        return {"loss": {"losses": (1 - precision) * weights, "indices": indices, "reduction_type": "element"}}

"""Variance, invariance and covariance of two views."""

from typing import Any

from pytorch_metric_learning import losses
from torch import Tensor

from mlbench.api import ComponentInfo


class VICRegLoss(losses.VICRegLoss):  # type: ignore[misc]
    """pytorch-metric-learning's VICReg under the usual call signature; the plain class refuses labels.

    ``invariance_lambda * mse(z, z') + variance_mu * (v(z) + v(z')) / 2 + covariance_v * (c(z) + c(z'))``.

    Args:
        invariance_lambda: Weight of the mean squared distance of the two views.
        variance_mu: Weight of the hinge that keeps each dimension's standard deviation above 1.
        covariance_v: Weight of the squared off-diagonal covariances.
        eps: Added to variances under the root.
        reducer: How the terms' elements are reduced; the mean by default.
    """

    info = ComponentInfo(
        summary="VICReg: two views alike, dimensions spread out and uncorrelated; labels are not used",
        citation="https://arxiv.org/abs/2105.04906",
        tags=("self-supervised",),
        needs=frozenset({"second_view"}),
    )

    def __init__(
        self,
        invariance_lambda: float = 25.0,
        variance_mu: float = 25.0,
        covariance_v: float = 1.0,
        eps: float = 1e-4,
        reducer: Any = None,
    ) -> None:
        super().__init__(
            invariance_lambda=invariance_lambda,
            variance_mu=variance_mu,
            covariance_v=covariance_v,
            eps=eps,
            reducer=reducer,
        )

    def forward(
        self,
        embeddings: Tensor,
        labels: Tensor | None = None,
        indices_tuple: Any = None,
        ref_emb: Tensor | None = None,
        ref_labels: Tensor | None = None,
    ) -> Tensor:
        """The loss between two views ``embeddings`` and ``ref_emb`` ``[N, D]``; labels are not used, pairs refused."""
        if indices_tuple is not None:
            raise ValueError("indices_tuple is not supported by VICRegLoss; leave out the miner")
        if ref_emb is None:
            raise ValueError("VICRegLoss needs the second view of every sample as ref_emb")
        loss: Tensor = super().forward(embeddings, ref_emb=ref_emb)
        return loss

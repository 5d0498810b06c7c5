"""Magnet loss, simplified: clusters of a large batch, weighted instead of sampled."""

from typing import ClassVar

import torch
from torch import Tensor

from mlbench.api import ComponentInfo, Float
from mlbench_magnet.terms import MagnetTerms, refuse_pairs


class InBatchMagnetLoss(MagnetTerms):
    """Magnet loss for clusters that were drawn uniformly: each counts in proportion to its own mean loss.

    With ``L_m``, the mean over cluster ``m`` of the hinges of :class:`MagnetLoss`, in a batch of clusters ``1..M``::

        L = Σ_m p_m L_m,  p_m = L_m / Σ_j L_j

    ``p_m`` estimates the probability with which neighbourhood sampling would have drawn the cluster; no gradient flows
    through it. Where every ``L_m`` is 0, so is the loss.

    Args:
        alpha: The gap ``α``, at least 0.
        epsilon: ``ε > 0``: a batch without clusters of other classes stays finite.
        normalize_embeddings: Whether embeddings are L2-normalised first.

    Raises:
        ValueError: If ``alpha`` is negative or ``epsilon`` is not positive.
    """

    info: ClassVar[ComponentInfo] = ComponentInfo(
        summary="Magnet loss over a large batch of uniformly drawn clusters, weighted by estimated importance",
        citation="Rippel et al.: Metric Learning with Adaptive Density Discrimination. ICLR 2016, arXiv 1511.05939",
        tags=("cluster",),
        space={"alpha": Float(low=0.0, high=8.0)},
        needs=frozenset({"groups"}),
        expected_failures={"numerical-gradient": "the importance of a cluster is estimated, not differentiated"},
    )

    def __init__(self, alpha: float = 1.0, epsilon: float = 1e-8, normalize_embeddings: bool = True) -> None:
        super().__init__(alpha, epsilon, normalize_embeddings)

    def forward(
        self,
        embeddings: Tensor,
        labels: Tensor,
        indices_tuple: object = None,
        ref_emb: Tensor | None = None,
        ref_labels: Tensor | None = None,
        groups: Tensor | None = None,
    ) -> Tensor:
        """The loss of a batch.

        Args:
            embeddings: ``[N, D]``
            labels: Their classes. ``[N]``
            indices_tuple: Must be None.
            ref_emb: Must be None.
            ref_labels: Must be None.
            groups: Their clusters, any integers ``[N]``; by default every class is one cluster.

        Raises:
            ValueError: If a cluster has samples of two classes, or what must be None is not.
        """
        refuse_pairs(indices_tuple, ref_emb, ref_labels)
        hinges, member = self._hinges(embeddings, labels, groups)
        means = (member.T @ hinges) / member.sum(0)  # [M]
        weights = means.detach() / means.detach().sum().clamp_min(torch.finfo(means.dtype).tiny)
        return (weights * means).sum()

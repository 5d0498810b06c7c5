"""Magnet loss: the stochastic objective over a neighbourhood of clusters."""

from typing import ClassVar

from torch import Tensor

from mlbench.api import ComponentInfo, Float
from mlbench_magnet.terms import MagnetTerms, refuse_pairs


class MagnetLoss(MagnetTerms):
    """Every sample near the mean of its cluster, far from the means of clusters of other classes.

    For ``N`` samples in the clusters of a batch, with the mean ``μ(r)`` of sample ``r``'s own cluster::

        L = 1/N Σ_r [ -log( exp(-‖r - μ(r)‖²/2σ² - α) / (ε + Σ_{μ of other classes} exp(-‖r - μ‖²/2σ²)) ) ]₊
        σ² = 1/(N - 1) Σ_r ‖r - μ(r)‖²

    Means and variance are those of the batch; gradients flow through both.

    Args:
        alpha: The gap ``α``, at least 0.
        epsilon: ``ε > 0``: a batch without clusters of other classes stays finite.
        normalize_embeddings: Whether embeddings are L2-normalised first. The paper leaves them as they are.

    Raises:
        ValueError: If ``alpha`` is negative or ``epsilon`` is not positive.

    >>> import torch
    >>> points, labels = torch.tensor([[1.0, 0.2], [1.0, -0.2], [0.2, 1.0], [-0.2, 1.0]]), torch.tensor([0, 0, 1, 1])
    >>> float(MagnetLoss(alpha=1.0)(points, labels)), float(MagnetLoss(alpha=40.0)(points, labels)) > 10
    (0.0, True)
    """

    info: ClassVar[ComponentInfo] = ComponentInfo(
        summary="Magnet loss: samples against the clusters of their neighbourhood",
        citation="Rippel et al.: Metric Learning with Adaptive Density Discrimination. ICLR 2016, arXiv 1511.05939",
        tags=("cluster",),
        space={"alpha": Float(low=0.0, high=8.0)},
        needs=frozenset({"groups"}),
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
        return self._hinges(embeddings, labels, groups)[0].mean()

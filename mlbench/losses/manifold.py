"""Manifold similarity with proxies of meta-classes."""

from typing import Any

from pytorch_metric_learning import losses
from torch import Tensor

from mlbench.api import ComponentInfo


class ManifoldLoss(losses.ManifoldLoss):  # type: ignore[misc]
    """pytorch-metric-learning's manifold loss under the usual call signature.

    The plain class calls the embedding size ``l``, refuses labels and wants the proxy of every sample in place of
    pairs; without them it draws proxies at random, which fails for batches smaller than ``K``. Here the classes are
    divided into ``K`` meta-classes by ``label mod K``, where the paper divides them at random.

    Args:
        embedding_size: D.
        K: Number of proxies, one for each meta-class.
        **kwargs: ``lambdaC``, ``alpha``, ``margin`` and whatever else the plain class takes.
    """

    info = ComponentInfo(
        summary="Manifold similarity: random walks between samples and the proxies of meta-classes (label mod K)",
        citation="Aziere & Todorovic, CVPR 2019",
        tags=("proxy",),
        expected_failures={"numerical-gradient": "inverts a matrix in float32, whatever the embeddings' dtype"},
    )

    def __init__(self, embedding_size: int, K: int = 50, **kwargs: Any) -> None:
        super().__init__(l=embedding_size, K=K, **kwargs)

    def forward(
        self,
        embeddings: Tensor,
        labels: Tensor,
        indices_tuple: Any = None,
        ref_emb: Tensor | None = None,
        ref_labels: Tensor | None = None,
    ) -> Tensor:
        """The loss of embeddings ``[N, D]`` with labels ``[N]``; a miner's choice is refused."""
        if indices_tuple is not None:
            raise ValueError("indices_tuple is not supported by ManifoldLoss; leave out the miner")
        if ref_emb is not None:
            raise ValueError("ref_emb is not supported by ManifoldLoss")
        loss: Tensor = super().forward(embeddings, indices_tuple=labels % self.K)
        return loss

"""Embeddings whose components sum to zero."""

from typing import Any

from pytorch_metric_learning import regularizers
from torch import Tensor
from torch.nn.functional import normalize as l2_normalize

from mlbench.api import ComponentInfo


class ZeroMeanRegularizer(regularizers.ZeroMeanRegularizer):  # type: ignore[misc]
    """pytorch-metric-learning's zero-mean regularizer, optionally on L2-normalised embeddings.

    ``mean_i |sum_d x_id|``. Losses hand raw embeddings to their regularizer today; in the version behind the Reality
    Check (0.9.8x, April to May 2020) every loss normalised them first, so its SNR runs need ``normalize = true``.

    Args:
        normalize: Whether to L2-normalise first.
        **kwargs: Whatever else the plain class takes.
    """

    info = ComponentInfo(
        summary="Mean absolute sum of an embedding's components (the SNR loss's regularizer)",
        citation="https://arxiv.org/abs/1904.02616",
    )

    def __init__(self, normalize: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.normalize = normalize

    def compute_loss(self, embeddings: Tensor) -> Any:
        """The penalty of every embedding ``[N, D]`` as pytorch-metric-learning's reducers want it."""
        return super().compute_loss(l2_normalize(embeddings) if self.normalize else embeddings)

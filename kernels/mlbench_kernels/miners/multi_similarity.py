"""Multi-similarity mining as a module."""

from __future__ import annotations

from torch import Tensor, nn

from ..checks import check_choice
from ..engine import DISTANCES
from ..mining import multi_similarity
from ..precision import check_precision


class MultiSimilarityMiner(nn.Module):
    """The hard positive and the hard negative pairs; a drop-in for pytorch-metric-learning's miner of this name.

    Args:
        epsilon: how much easier than the hardest opposite pair a pair may be.
        distance: "cosine", "euclidean" or "squared-euclidean".
        backend, precision: as for `mlbench_kernels.batch_hard`.

    >>> import torch
    >>> embeddings = torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]])
    >>> MultiSimilarityMiner(epsilon=0.5)(embeddings, torch.tensor([0, 0, 1]))
    (tensor([1]), tensor([0]), tensor([1]), tensor([2]))
    """

    def __init__(
        self, epsilon: float = 0.1, distance: str = "cosine", backend: str = "auto", precision: str = "auto"
    ) -> None:
        super().__init__()
        check_choice("distance", distance, DISTANCES)
        check_precision(precision)
        self.epsilon = epsilon
        self.distance = distance
        self.backend = backend
        self.precision = precision

    def forward(
        self, embeddings: Tensor, labels: Tensor, ref_emb: Tensor | None = None, ref_labels: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Mine pairs; arguments as for `BatchHardMiner`.

        Returns:
            Anchors and positives, `[P]` each, anchors and negatives, `[Q]` each.
        """
        mined = multi_similarity(
            embeddings, labels, ref_emb, ref_labels,
            epsilon=self.epsilon, distance=self.distance, backend=self.backend, precision=self.precision,
        )  # fmt: skip
        return mined.positive_anchor, mined.positive, mined.negative_anchor, mined.negative

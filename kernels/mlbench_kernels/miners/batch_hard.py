"""Batch-hard mining as a module."""

from __future__ import annotations

from torch import Tensor, nn

from ..checks import check_choice
from ..engine import DISTANCES
from ..mining import batch_hard
from ..precision import check_precision


class BatchHardMiner(nn.Module):
    """For every anchor that has both, one triplet of its farthest positive and its nearest negative.

    A drop-in for pytorch-metric-learning's miner of this name: the same triplets in the same order, in O(N D) memory.
    Its default distance, Euclidean between normalised rows, orders pairs as the cosine distance does.

    Args:
        distance: "cosine", "euclidean" or "squared-euclidean".
        backend, precision: as for `mlbench_kernels.batch_hard`.

    >>> import torch
    >>> miner = BatchHardMiner()
    >>> embeddings = torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]])
    >>> miner(embeddings, torch.tensor([0, 0, 1]))
    (tensor([0, 1]), tensor([1, 0]), tensor([2, 2]))
    """

    def __init__(self, distance: str = "cosine", backend: str = "auto", precision: str = "auto") -> None:
        super().__init__()
        check_choice("distance", distance, DISTANCES)
        check_precision(precision)
        self.distance = distance
        self.backend = backend
        self.precision = precision

    def forward(
        self, embeddings: Tensor, labels: Tensor, ref_emb: Tensor | None = None, ref_labels: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Mine triplets.

        Args:
            embeddings: `[N, D]`, anchors.
            labels: `[N]`, integers.
            ref_emb: `[M, D]`, where positives and negatives come from; None for the anchors themselves.
            ref_labels: `[M]`, integers.

        Returns:
            Indices of anchors, positives and negatives, `[T]` each.
        """
        found = batch_hard(
            embeddings,
            labels,
            ref_emb,
            ref_labels,
            distance=self.distance,
            backend=self.backend,
            precision=self.precision,
        )
        anchor = ((found.positive_index >= 0) & (found.negative_index >= 0)).nonzero().flatten()
        return anchor, found.positive_index[anchor], found.negative_index[anchor]

"""Distance-weighted sampling as a module."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..mining import distance_weighted
from ..precision import check_precision


class DistanceWeightedMiner(nn.Module):
    """One triplet for every anchor-positive pair, its negative sampled so that all distances occur alike.

    A drop-in for pytorch-metric-learning's miner of this name (Wu et al., "Sampling Matters in Deep Embedding
    Learning", 2017), with the same weights and in O(N D) memory. It takes every positive once where theirs draws
    positives with replacement. Its randomness is one number per call from torch's global generator on the CPU, so that
    a seeded training is reproducible.

    Args:
        cutoff: nearer negatives weigh as much as one at this distance (Euclidean between normalised rows).
        nonzero_loss_cutoff: negatives at this distance or farther are not drawn.
        backend, precision: as for `mlbench_kernels.batch_hard`.

    >>> embeddings = torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]])
    >>> DistanceWeightedMiner(nonzero_loss_cutoff=1.5)(embeddings, torch.tensor([0, 0, 1]))
    (tensor([0, 1]), tensor([1, 0]), tensor([2, 2]))
    """

    def __init__(
        self,
        cutoff: float = 0.5,
        nonzero_loss_cutoff: float = 1.4,
        backend: str = "auto",
        precision: str = "auto",
    ) -> None:
        super().__init__()
        check_precision(precision)
        self.cutoff = cutoff
        self.nonzero_loss_cutoff = nonzero_loss_cutoff
        self.backend = backend
        self.precision = precision

    def forward(
        self, embeddings: Tensor, labels: Tensor, ref_emb: Tensor | None = None, ref_labels: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Mine triplets; arguments and result as for `BatchHardMiner`."""
        drawn = distance_weighted(
            embeddings, labels, ref_emb, ref_labels, seed=int(torch.randint(1 << 62, ())), cutoff=self.cutoff,
            nonzero_loss_cutoff=self.nonzero_loss_cutoff, backend=self.backend, precision=self.precision,
        )  # fmt: skip
        given = drawn.negative >= 0
        return drawn.anchor[given], drawn.positive[given], drawn.negative[given]

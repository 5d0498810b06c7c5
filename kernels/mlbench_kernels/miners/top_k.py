"""The hardest negatives as a module."""

from __future__ import annotations

from torch import Tensor, nn

from ..checks import check_choice, check_whole
from ..engine import DISTANCES
from ..mining import top_k_negatives, top_k_positives
from ..precision import check_precision


class TopKMiner(nn.Module):
    """The k farthest positives and the k nearest negatives of every anchor, as pairs; `BatchHardMiner` widened to k.

    Args:
        k: how many of each; anchors with fewer have fewer pairs.
        distance: "cosine", "euclidean" or "squared-euclidean".
        backend, precision: as for `mlbench_kernels.batch_hard`.

    >>> import torch
    >>> embeddings = torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0], [-1.0, 0.0]])
    >>> TopKMiner(k=1)(embeddings, torch.tensor([0, 0, 1, 2]))
    (tensor([0, 1]), tensor([1, 0]), tensor([0, 1, 2, 3]), tensor([2, 2, 1, 2]))
    """

    def __init__(self, k: int = 10, distance: str = "cosine", backend: str = "auto", precision: str = "auto") -> None:
        super().__init__()
        check_choice("distance", distance, DISTANCES)
        check_precision(precision)
        self.k = check_whole("k", k, 1)
        self.distance = distance
        self.backend = backend
        self.precision = precision

    def forward(
        self, embeddings: Tensor, labels: Tensor, ref_emb: Tensor | None = None, ref_labels: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Mine pairs; arguments as for `BatchHardMiner`.

        Returns:
            Anchors and positives, `[P]` each, anchors and negatives, `[Q]` each, the hardest of an anchor first.
        """
        positives, negatives = (
            mined(
                embeddings, labels, ref_emb, ref_labels,
                k=self.k, distance=self.distance, backend=self.backend, precision=self.precision,
            ).index
            for mined in (top_k_positives, top_k_negatives)
        )  # fmt: skip
        return *_pairs(positives), *_pairs(negatives)


def _pairs(index: Tensor) -> tuple[Tensor, Tensor]:
    anchor, place = (index >= 0).nonzero().unbind(dim=1)
    return anchor, index[anchor, place]

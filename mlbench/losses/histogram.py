"""The probability that a negative pair is more similar than a positive one."""

from typing import Any

import torch
from pytorch_metric_learning import losses
from pytorch_metric_learning.utils import loss_and_miner_utils as lmu
from torch import Tensor

from mlbench.api import ComponentInfo


class HistogramLoss(losses.HistogramLoss):  # type: ignore[misc]
    """pytorch-metric-learning's histogram loss, safe for similarities of exactly 1.

    ``sum_r h_neg[r] * sum_{q <= r} h_pos[q]`` over soft histograms of the cosine similarities of positive and negative
    pairs. The plain class (2.9) indexes past the histogram's end at similarity 1 (two equal embeddings) and indexes the
    matrix by nested lists, which torch announces to read otherwise in future.

    Args:
        n_bins: Number of bins of [-1, 1]; 100 where neither it nor ``delta`` is given.
        delta: Width of a bin, ``2 / n_bins``.
        **kwargs: ``distance``, ``reducer``, ``embedding_regularizer`` and whatever else the plain class takes.
    """

    info = ComponentInfo(
        summary="Histogram loss: overlap of the similarity histograms of positive and negative pairs",
        citation="https://arxiv.org/abs/1611.00822",
        tags=("pair",),
    )

    def __init__(self, n_bins: int | None = None, delta: float | None = None, **kwargs: Any) -> None:
        super().__init__(n_bins=n_bins, delta=delta, **kwargs)

    def compute_loss(
        self, embeddings: Tensor, labels: Tensor, indices_tuple: Any, ref_emb: Tensor, ref_labels: Tensor
    ) -> Any:
        """The loss of a batch as pytorch-metric-learning's reducers want it."""
        if ref_emb is not embeddings:
            raise ValueError("ref_emb is not supported by HistogramLoss")
        anchor, positive, negative = lmu.convert_to_triplets(indices_tuple, labels, ref_labels, t_per_anchor="all")
        if len(anchor) == 0:
            return self.zero_losses()
        similarities = self.distance(embeddings)
        positives = self.compute_density(similarities[_unordered(anchor, positive)])
        negatives = self.compute_density(similarities[_unordered(anchor, negative)])
        loss = torch.sum(negatives * torch.cumsum(positives, 0))
        return {"loss": {"losses": loss, "indices": None, "reduction_type": "already_reduced"}}

    def compute_density(self, distances: Tensor) -> Tensor:
        """Soft histogram of similarities ``[P]``: each is shared linearly by the two nodes around it."""
        last = round(2 / self.delta) - 1
        position = (distances + 1) / self.delta
        left = position.detach().floor().long().clamp(0, last)
        share = position - left
        density = torch.zeros(last + 2, device=distances.device, dtype=distances.dtype)
        return density.scatter_add(0, left, 1 - share).scatter_add(0, left + 1, share) / len(distances)


def _unordered(first: Tensor, second: Tensor) -> tuple[Tensor, ...]:
    """Every pair once, whatever its order."""
    pairs = torch.stack([first, second]).sort(0).values
    return tuple(torch.unique(pairs, dim=1))

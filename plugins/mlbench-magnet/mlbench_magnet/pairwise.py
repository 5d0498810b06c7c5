"""The pairwise loss, a baseline."""

from typing import ClassVar

import torch
from pytorch_metric_learning.utils.loss_and_miner_utils import convert_to_pairs
from torch import Tensor, nn
from torch.nn.functional import normalize

from mlbench.api import ComponentInfo, Float


class PairwiseLoss(nn.Module):
    """Squares of the distance of positive pairs and of what negative pairs lack to the margin, over all pairs.

    With Euclidean distances ``d`` and ``y = 1`` for pairs of one class, else 0::

        L = mean over pairs of  ½ y d² + ½ (1 - y) [margin - d]₊²

    Unlike the built-in ``contrastive``, both terms are squared and every pair counts, zeros too.

    Args:
        margin: Distance from which on a negative pair costs nothing, above 0.
        normalize_embeddings: Whether embeddings are L2-normalised first.

    Raises:
        ValueError: If the margin is not positive.

    >>> loss = PairwiseLoss(margin=1.0)
    >>> float(loss(torch.tensor([[1.0, 0.0], [-1.0, 0.0]]), torch.tensor([0, 0])))
    2.0
    """

    info: ClassVar[ComponentInfo] = ComponentInfo(
        summary="Pairwise loss: squared distances of positives, squared hinges of negatives, mean over all pairs",
        citation="Hadsell, Chopra, LeCun: Dimensionality Reduction by Learning an Invariant Mapping. CVPR 2006",
        tags=("pair",),
        space={"margin": Float(low=0.1, high=2.0)},
    )

    def __init__(self, margin: float = 1.0, normalize_embeddings: bool = True) -> None:
        super().__init__()
        if not margin > 0:
            raise ValueError(f"margin must be above 0, got {margin}")
        self.margin, self.normalize_embeddings = margin, normalize_embeddings

    def forward(
        self,
        embeddings: Tensor,
        labels: Tensor,
        indices_tuple: tuple[Tensor, ...] | None = None,
        ref_emb: Tensor | None = None,
        ref_labels: Tensor | None = None,
    ) -> Tensor:
        """The loss of a batch; 0 if it has no pair.

        Args:
            embeddings: ``[N, D]``
            labels: Their classes. ``[N]``
            indices_tuple: Pairs or triplets of a miner; by default all pairs.
            ref_emb: Second members of the pairs ``[M, D]``; by default the embeddings themselves.
            ref_labels: Their classes. ``[M]``
        """
        others = embeddings if ref_emb is None else ref_emb
        anchors, positives, negative_anchors, negatives = convert_to_pairs(indices_tuple, labels, ref_labels)
        near = self._squared_distances(embeddings[anchors], others[positives])
        far = self._squared_distances(embeddings[negative_anchors], others[negatives])
        # The root has no gradient at 0; below the floor there is no direction to push a pair apart.
        lacking = (self.margin - far.clamp_min(torch.finfo(far.dtype).tiny).sqrt()).relu()
        return (near.sum() + lacking.square().sum()) / (2 * max(len(near) + len(far), 1))

    def _squared_distances(self, left: Tensor, right: Tensor) -> Tensor:
        if self.normalize_embeddings:
            left, right = normalize(left, dim=1), normalize(right, dim=1)
        return (left - right).square().sum(1)

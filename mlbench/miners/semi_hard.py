"""Semi-hard negatives for every positive pair."""

import torch
from mlbench_kernels import semi_hard
from torch import Tensor, nn
from torch.nn.functional import normalize

from mlbench.api import ComponentInfo


class SemiHardMiner(nn.Module):
    """For every positive pair (a, p), the nearest negative that is farther than the positive: ``d_an > d_ap``.

    Where no negative is, the farthest one is taken, so that every positive pair of an anchor with a negative has its
    triplet. Distances are Euclidean; their squares give the same triplets. Ties go to the lowest index.

    Args:
        normalize_embeddings: Whether embeddings are L2-normalised first.

    >>> miner = SemiHardMiner(normalize_embeddings=False)
    >>> miner(torch.tensor([[0.0], [2.0], [1.0], [3.0]]), torch.tensor([0, 0, 1, 2]))
    (tensor([0, 1]), tensor([1, 0]), tensor([3, 2]))
    """

    info = ComponentInfo(
        summary="For every positive pair the nearest negative farther than the positive, else the farthest",
        citation="https://arxiv.org/abs/1503.03832",
        tags=("triplet",),
    )

    def __init__(self, normalize_embeddings: bool = True) -> None:
        super().__init__()
        self.normalize_embeddings = normalize_embeddings

    @torch.no_grad()
    def forward(
        self, embeddings: Tensor, labels: Tensor, ref_emb: Tensor | None = None, ref_labels: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Indices of anchors, positives and negatives, ``[T]`` each.

        Args:
            embeddings: Anchors ``[N, D]``.
            labels: Their labels ``[N]``.
            ref_emb: Where positives and negatives come from ``[M, D]``; the anchors themselves by default.
            ref_labels: Their labels ``[M]``.
        """
        if self.normalize_embeddings:
            embeddings, ref_emb = normalize(embeddings), None if ref_emb is None else normalize(ref_emb)
        found = semi_hard(embeddings, labels, ref_emb, ref_labels, fallback="farthest", distance="euclidean")
        complete = found.negative >= 0
        return found.anchor[complete], found.positive[complete], found.negative[complete]

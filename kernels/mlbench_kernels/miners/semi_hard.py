"""FaceNet's semi-hard mining as a module."""

from __future__ import annotations

from torch import Tensor, nn

from ..checks import check_choice
from ..engine import DISTANCES
from ..mining import semi_hard
from ..mining.semi_hard import FALLBACKS
from ..precision import check_precision


class SemiHardMiner(nn.Module):
    """For every anchor-positive pair, the nearest negative that is farther than the positive.

    The rule of FaceNet (Schroff, Kalenichenko and Philbin, 2015); pytorch-metric-learning has only all triplets within
    a margin, of which these are the hardest.

    Args:
        margin: how much farther than the positive the negative may be at most, in the unit of `distance`.
        fallback: what stands in where no negative fits: "none" (no triplet), the "nearest" or the "farthest" negative.
        distance: "cosine", "euclidean" or "squared-euclidean".
        backend, precision: as for `mlbench_kernels.batch_hard`.

    >>> import torch
    >>> embeddings = torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]])
    >>> SemiHardMiner()(embeddings, torch.tensor([0, 0, 1]))
    (tensor([0, 1]), tensor([1, 0]), tensor([2, 2]))
    """

    def __init__(
        self,
        margin: float = float("inf"),
        fallback: str = "none",
        distance: str = "cosine",
        backend: str = "auto",
        precision: str = "auto",
    ) -> None:
        super().__init__()
        check_choice("fallback", fallback, FALLBACKS)
        check_choice("distance", distance, DISTANCES)
        check_precision(precision)
        self.margin = margin
        self.fallback = fallback
        self.distance = distance
        self.backend = backend
        self.precision = precision

    def forward(
        self, embeddings: Tensor, labels: Tensor, ref_emb: Tensor | None = None, ref_labels: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Mine triplets; arguments and result as for `BatchHardMiner`."""
        mined = semi_hard(
            embeddings, labels, ref_emb, ref_labels, margin=self.margin, fallback=self.fallback,
            distance=self.distance, backend=self.backend, precision=self.precision,
        )  # fmt: skip
        given = mined.negative >= 0
        return mined.anchor[given], mined.positive[given], mined.negative[given]

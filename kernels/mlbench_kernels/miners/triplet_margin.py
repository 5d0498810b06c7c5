"""All triplets within a margin, as a module."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import normalize

from ..checks import check_choice
from ..engine.pairs import triplets_between
from ..mining.arguments import check_arguments, make_problem
from ..usage import note_backend

_INFINITE = float("inf")


class TripletMarginMiner(nn.Module):
    """All triplets whose negative is farther than the positive by a margin in a range.

    A drop-in for pytorch-metric-learning's miner of this name and its default distance, Euclidean between normalised
    rows. Memory beside the triplets is O(N D): no list of all triplets, which theirs makes, exists at any time. Rows of
    distances are computed in plain torch on the device of the embeddings.

    Args:
        margin: what a triplet is judged by.
        type_of_triplets: "all" (negative farther by at most the margin), "hard" (of these, the negative no farther
            than the positive), "semihard" (of these, the negative farther) or "easy" (farther by more than the margin).

    >>> import torch
    >>> embeddings = torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]])
    >>> TripletMarginMiner(margin=0.5, type_of_triplets="semihard")(embeddings, torch.tensor([0, 0, 1]))
    (tensor([1]), tensor([0]), tensor([2]))
    """

    def __init__(self, margin: float = 0.2, type_of_triplets: str = "all") -> None:
        super().__init__()
        self.margin = margin
        self.type_of_triplets = type_of_triplets
        ranges = {
            "all": (-_INFINITE, margin),
            "hard": (-_INFINITE, min(margin, 0.0)),
            "semihard": (0.0, margin),
            "easy": (margin, _INFINITE),
        }
        check_choice("type_of_triplets", type_of_triplets, ranges)
        self.low, self.high = ranges[type_of_triplets]

    def forward(
        self, embeddings: Tensor, labels: Tensor, ref_emb: Tensor | None = None, ref_labels: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Mine triplets; arguments and result as for `BatchHardMiner`."""
        checked = check_arguments(embeddings, labels, ref_emb, ref_labels, "euclidean", "blocked")
        references = None if checked.references is None else normalize(checked.references)
        problem = make_problem(
            normalize(checked.anchors), checked.labels, references, checked.reference_labels, "euclidean"
        )
        note_backend("TripletMarginMiner", "blocked")
        return triplets_between(problem, self.low, self.high)

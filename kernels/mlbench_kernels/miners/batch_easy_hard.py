"""Batch-easy-hard mining as a module."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..checks import check_choice
from ..engine import DISTANCES
from ..engine.pairs import negative_pairs_below, positive_pairs
from ..mining.arguments import check_arguments
from ..mining.extremes import extreme_op
from ..mining.search import Search
from ..precision import check_precision
from ..rules import Beyond

_STRATEGIES = ("easy", "semihard", "hard", "all")


class BatchEasyHardMiner(nn.Module):
    """For every anchor one positive and one negative, easy, semi-hard or hard, or all of them.

    A drop-in for pytorch-metric-learning's miner of this name, without its allowed ranges (Xuan et al., "Improved
    Embeddings with Easy Positive Triplet Mining", 2020).

    Args:
        pos_strategy: "easy" (the nearest), "hard" (the farthest), "semihard" (the farthest that is nearer than the
            negative) or "all".
        neg_strategy: "easy" (the farthest), "hard" (the nearest), "semihard" (the nearest that is farther than the
            positive) or "all".
        distance: "cosine", "euclidean" or "squared-euclidean".
        backend, precision: as for `mlbench_kernels.batch_hard`.

    >>> import torch
    >>> embeddings = torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]])
    >>> BatchEasyHardMiner()(embeddings, torch.tensor([0, 0, 1]))
    (tensor([0, 1]), tensor([1, 0]), tensor([0, 1]), tensor([2, 2]))
    """

    def __init__(
        self,
        pos_strategy: str = "easy",
        neg_strategy: str = "semihard",
        distance: str = "cosine",
        backend: str = "auto",
        precision: str = "auto",
    ) -> None:
        super().__init__()
        check_choice("pos_strategy", pos_strategy, _STRATEGIES)
        check_choice("neg_strategy", neg_strategy, _STRATEGIES)
        check_choice("distance", distance, DISTANCES)
        check_precision(precision)
        if "semihard" in (pos_strategy, neg_strategy) and {pos_strategy, neg_strategy} <= {"semihard", "all"}:
            raise ValueError(
                f"pos_strategy, neg_strategy: {pos_strategy!r} and {neg_strategy!r}; "
                "'semihard' needs 'easy' or 'hard' on the other side"
            )
        self.pos_strategy = pos_strategy
        self.neg_strategy = neg_strategy
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
        checked = check_arguments(embeddings, labels, ref_emb, ref_labels, self.distance, self.backend, self.precision)
        search = Search.of(checked)
        problem = search.problem
        picks: dict[str, Tensor] = {}
        for pool, strategy, far in (("positives", self.pos_strategy, "hard"), ("negatives", self.neg_strategy, "easy")):
            if strategy in ("easy", "hard"):
                picks[pool], _ = extreme_op(*checked, pool, strategy == far)
        if self.pos_strategy == "semihard":
            rule = Beyond("positives", problem.distances(picks["negatives"], torch.float64)[:, None], True)
            picks["positives"] = search.run(rule)[0][:, 0]
        if self.neg_strategy == "semihard":
            rule = Beyond("negatives", problem.distances(picks["positives"], torch.float64)[:, None])
            picks["negatives"] = search.run(rule)[0][:, 0]
        if len(picks) == 2:
            anchor = ((picks["positives"] >= 0) & (picks["negatives"] >= 0)).nonzero().flatten()
            return anchor, picks["positives"][anchor], anchor, picks["negatives"][anchor]
        everything = torch.full((len(labels),), torch.inf, device=labels.device)
        positives = _found(picks["positives"]) if "positives" in picks else positive_pairs(problem)[:2]
        negatives = _found(picks["negatives"]) if "negatives" in picks else negative_pairs_below(problem, everything)
        return *positives, *negatives


def _found(pick: Tensor) -> tuple[Tensor, Tensor]:
    anchor = (pick >= 0).nonzero().flatten()
    return anchor, pick[anchor]

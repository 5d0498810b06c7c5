"""Batch-easy-hard mining as a module."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..checks import check_choice
from ..engine import DISTANCES
from ..engine.pairs import negative_pairs, positive_pairs
from ..mining.arguments import check_arguments
from ..mining.search import Search
from ..precision import check_precision
from ..rules import Beyond, Extreme
from ..rules.rule import Pool

_STRATEGIES = ("easy", "semihard", "hard", "all")
_SLACK = 1e-6  # bounds belong to their range, whatever float32 makes of them

Range = tuple[float, float] | None


class BatchEasyHardMiner(nn.Module):
    """For every anchor one positive and one negative, easy, semi-hard or hard, or all of them.

    A drop-in for pytorch-metric-learning's miner of this name (Xuan et al., "Improved Embeddings with Easy Positive
    Triplet Mining", 2020).

    Args:
        pos_strategy: "easy" (the nearest), "hard" (the farthest), "semihard" (the farthest that is nearer than the
            negative) or "all".
        neg_strategy: "easy" (the farthest), "hard" (the nearest), "semihard" (the nearest that is farther than the
            positive) or "all".
        allowed_pos_range: least and largest distance of a positive that may be picked; "all" disregards it. Distances
            are those of `distance`; for "cosine" they are Euclidean between normalised rows, the default of
            pytorch-metric-learning, which orders pairs alike.
        allowed_neg_range: likewise for negatives.
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
        allowed_pos_range: Range = None,
        allowed_neg_range: Range = None,
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
        self.allowed_pos_range = _check_range("allowed_pos_range", allowed_pos_range)
        self.allowed_neg_range = _check_range("allowed_neg_range", allowed_neg_range)
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
        picks: dict[Pool, Tensor] = {}
        strategies: dict[Pool, str] = {"positives": self.pos_strategy, "negatives": self.neg_strategy}
        # What a semi-hard pick is measured by comes first.
        for pool, strategy in sorted(strategies.items(), key=lambda item: item[1] == "semihard"):
            if strategy == "semihard":
                (other,) = picks.values()
                picks[pool] = self._pick(search, pool, strategy, problem.distances(other, torch.float64))
            elif strategy != "all":
                picks[pool] = self._pick(search, pool, strategy)
        if len(picks) == 2:
            anchor = ((picks["positives"] >= 0) & (picks["negatives"] >= 0)).nonzero().flatten()
            return anchor, picks["positives"][anchor], anchor, picks["negatives"][anchor]
        positives = _found(picks["positives"]) if "positives" in picks else positive_pairs(problem)[:2]
        negatives = _found(picks["negatives"]) if "negatives" in picks else negative_pairs(problem)
        return *positives, *negatives

    def _pick(self, search: Search, pool: Pool, strategy: str, beyond: Tensor | None = None) -> Tensor:
        """One of the pool for every anchor, `[N]`: in the allowed range, and on the right side of `beyond` `[N]`."""
        farthest = (pool == "positives") != (strategy == "easy")
        allowed = self.allowed_pos_range if pool == "positives" else self.allowed_neg_range
        if allowed is None:
            if beyond is None:
                return search.run(Extreme(pool, farthest))[0]
            return search.run(Beyond(pool, beyond[:, None], farthest))[0][:, 0]
        low, high = (self._in_unit(bound) for bound in (allowed[0] - _SLACK, allowed[1] + _SLACK))
        limits = torch.full((len(search.problem.labels),), high if farthest else low, dtype=torch.float64)
        limits = limits.to(search.problem.labels.device)
        if beyond is not None:
            limits = limits.minimum(beyond) if farthest else limits.maximum(beyond)
        pick = search.run(Beyond(pool, limits[:, None], farthest))[0][:, 0]
        distance = search.problem.distances(pick, torch.float64)
        return pick.masked_fill((distance < low) if farthest else (distance > high), -1)

    def _in_unit(self, bound: float) -> float:
        return bound * abs(bound) / 2 if self.distance == "cosine" else bound


def _check_range(name: str, value: Range) -> Range:
    if value is not None and not (len(value) == 2 and value[0] <= value[1]):
        raise ValueError(f"{name}: {value!r}; expected (least, largest), or None")
    return value


def _found(pick: Tensor) -> tuple[Tensor, Tensor]:
    anchor = (pick >= 0).nonzero().flatten()
    return anchor, pick[anchor]

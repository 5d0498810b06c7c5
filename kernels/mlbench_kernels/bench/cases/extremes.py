"""Nearest and farthest positives and negatives, one at a time."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ... import mining
from ..case import Case, Judge, Verdict, fours
from ..data import Batch, make_batch
from ..exact import Best, pick_bound
from ..peers import dense, ours
from ..product import product

_FUNCTIONS = {
    "hard-positives": (mining.hard_positives, "positives", True),
    "easy-positives": (mining.easy_positives, "positives", False),
    "hard-negatives": (mining.hard_negatives, "negatives", False),
    "easy-negatives": (mining.easy_negatives, "negatives", True),
}


def dense_extreme(pool: str, farthest: bool) -> Callable[[Tensor, Tensor], Tensor]:
    """All distances, a mask, a reduction."""

    def call(x: Tensor, labels: Tensor) -> Tensor:
        distance = torch.cdist(x, x)
        pairs = labels[:, None] == labels
        pairs = pairs.fill_diagonal_(False) if pool == "positives" else ~pairs
        worst = -torch.inf if farthest else torch.inf
        distance = distance.masked_fill(~pairs, worst)
        return distance.argmax(dim=1) if farthest else distance.argmin(dim=1)

    return call


def judge(pool: str, farthest: bool) -> Callable[[Batch], Judge]:
    """The picks against the exact ones."""

    def make(batch: Batch) -> Judge:
        best = Best(batch, pool, farthest)

        def verdict(index: Tensor, precision: str) -> Verdict:
            return best.verdict(index, pick_bound(precision, batch.embeddings.shape[1]))

        return verdict

    return make


CASES = tuple(
    Case(
        operation,
        make_batch,
        judge(pool, farthest),
        (
            ours(function, lambda found: found.index, precisions=("tf32x3", "bf16")),  # each is compiled anew
            product,
            dense(dense_extreme(pool, farthest), lambda index: index, pair_bytes=11),
        ),
        cpu=(fours(1024), fours(2048), fours(8192), fours(16_384)),
        gpu=(fours(16_384),),
    )
    for operation, (function, pool, farthest) in _FUNCTIONS.items()
)

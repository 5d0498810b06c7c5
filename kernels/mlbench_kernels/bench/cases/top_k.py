"""The ten nearest negatives."""

from __future__ import annotations

import torch
from torch import Tensor

from ...mining import top_k_negatives
from ..case import Case, Judge, Verdict, fours
from ..data import Batch, make_batch
from ..exact import Best, pick_bound
from ..peers import dense, ours
from ..product import product

_K = 10


def dense_top_k(x: Tensor, labels: Tensor) -> Tensor:
    """All distances, a mask, torch's top-k."""
    distance = torch.cdist(x, x).masked_fill_(labels[:, None] == labels, torch.inf)
    return distance.topk(_K, dim=1, largest=False).indices


def judge(batch: Batch) -> Judge:
    """The picks, in order, against the exact ones."""
    best = Best(batch, "negatives", farthest=False, k=_K)

    def verdict(index: Tensor, precision: str) -> Verdict:
        return best.verdict(index, pick_bound(precision, batch.embeddings.shape[1]))

    return verdict


CASES = (
    Case(
        "top-10 negatives",
        make_batch,
        judge,
        (
            ours(top_k_negatives, lambda found: found.index, k=_K),
            product,
            dense(dense_top_k, lambda index: index, pair_bytes=10),
        ),
        cpu=(fours(1024), fours(2048), fours(8192), fours(16_384)),
        gpu=(fours(16_384), fours(65_536)),
    ),
)

"""Distance-weighted sampling: one random negative for every anchor-positive pair."""

from __future__ import annotations

import torch
from torch import Tensor

from ...mining import distance_weighted
from ..case import Case, Judge, Verdict, fours
from ..data import Batch, make_batch
from ..exact import pair_distances, pick_bound
from ..peers import metric_learning_miner, ours
from ..product import product

Triplets = tuple[Tensor, Tensor, Tensor]

_FARTHEST = 1.4  # the default nonzero_loss_cutoff, in Euclidean distance


def judge(batch: Batch) -> Judge:
    """What any draw must be: a positive, and a negative not too far away; tests check how often each is drawn."""

    def verdict(triplets: Triplets, precision: str) -> Verdict:
        anchor, positive, negative = triplets
        given = negative >= 0
        outside = (batch.labels[anchor] != batch.labels[positive]) | (anchor == positive)
        outside |= given & (batch.labels[anchor] == batch.labels[negative])
        over = (pair_distances(batch, anchor, negative) - _FARTHEST**2 / 2).clamp_min(0).nan_to_num(0.0)
        excess = torch.where(outside, torch.inf, over)
        bound = pick_bound(precision, batch.embeddings.shape[1])
        return Verdict(int((excess > 0).sum()), len(anchor), float(excess.max()), bound)

    return verdict


CASES = (
    Case(
        "distance-weighted sampling",
        make_batch,
        judge,
        (
            ours(
                distance_weighted,
                lambda found: (found.anchor, found.positive, found.negative),
                seed=0,
                nonzero_loss_cutoff=_FARTHEST,
            ),
            product,
            metric_learning_miner("DistanceWeightedMiner", None, pair_bytes=60, nonzero_loss_cutoff=_FARTHEST),
        ),
        cpu=(fours(1024), fours(2048)),
        gpu=(fours(4096),),
    ),
)

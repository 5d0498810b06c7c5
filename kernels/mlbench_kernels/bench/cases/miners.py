"""The drop-in miners as a training calls them, beside those of pytorch-metric-learning that have their names."""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import Any

import torch
from torch import Tensor

from ..case import OURS, Call, Case, Judge, Provider, Setting, Verdict, fours
from ..data import Batch, make_batch
from ..exact import Best, blocks, pick_bound, together
from ..peers import Answer, metric_learning_miner
from . import batch_hard, multi_similarity

Pairs = tuple[Tensor, Tensor, Tensor, Tensor]
Triplets = tuple[Tensor, Tensor, Tensor]

_MARGIN = 0.05  # of Euclidean distances of unit rows


def judge_easy_hard(batch: Batch) -> Judge:
    """The nearest positives and the nearest negatives against the exact ones."""
    best = [Best(batch, pool, farthest=False) for pool in ("positives", "negatives")]

    def verdict(pairs: Pairs, precision: str) -> Verdict:
        bound = pick_bound(precision, batch.embeddings.shape[1])
        return together([best[i].verdict(pairs[2 * i + 1], bound) for i in range(2)])

    return verdict


def judge_triplets(batch: Batch) -> Judge:
    """All semi-hard triplets against the exact ones; they may differ in those that rounding cannot tell."""

    def verdict(triplets: Triplets, precision: str) -> Verdict:
        count = len(batch.labels)
        found = ((triplets[0] * count + triplets[1]) * count + triplets[2]).sort().values
        differ, of, known, excess = 0, 0, 0, 0.0
        for block in blocks(batch):
            anchor, positive = block.positive.nonzero().unbind(dim=1)
            distance = (2 * block.distance).clamp_min(0).sqrt()
            gap = distance[anchor] - distance[anchor, positive, None]
            # Of each triplet, how far it is inside; negative outside, and for what is no negative.
            inside = torch.minimum(gap, _MARGIN - gap).masked_fill_(block.same[anchor], -torch.inf)
            pair = ((anchor + block.rows.start) * count + positive)[:, None] * count
            number = pair + torch.arange(count, device=pair.device)
            given = torch.isin(number, found)
            wrong = given != (inside > 0)
            differ, of = differ + int(wrong.sum()), of + int((inside > 0).sum())
            excess = max(excess, float(inside[wrong].abs().max()) if wrong.any() else 0.0)
            known += int(given.sum())
        if known != len(found):  # some are no triplets at all, or come twice
            excess = torch.inf
        # Both distances have an error each.
        return Verdict(differ, of, excess, 2 * pick_bound(precision, batch.embeddings.shape[1]))

    return verdict


def _ours(name: str, answer: Answer, **options: Any) -> Provider:
    def prepare(batch: Batch, setting: Setting) -> Call:
        from ... import miners

        kind = getattr(miners, name)
        known = signature(kind).parameters  # one of them has a single backend
        miner = kind(**{key: value for key, value in setting._asdict().items() if key in known}, **options)
        return lambda: miner(*batch)

    return Provider(OURS, prepare, answer)


def _case(
    name: str,
    judge: Callable[[Batch], Judge],
    answer: Answer,
    pair_bytes: float,
    counts: tuple[int, ...] = (1024, 2048),
    **options: Any,
) -> Case:
    providers = (_ours(name, answer, **options), metric_learning_miner(name, answer, pair_bytes, **options))
    shapes = tuple(fours(count) for count in counts)
    return Case(name, make_batch, judge, providers, cpu=shapes, gpu=shapes[-1:])


CASES = (
    _case("BatchHardMiner", batch_hard.judge, lambda found: found[1:], pair_bytes=30),
    _case("MultiSimilarityMiner", multi_similarity.judge, tuple, pair_bytes=120),
    _case("BatchEasyHardMiner", judge_easy_hard, tuple, pair_bytes=40, pos_strategy="easy", neg_strategy="hard"),
    _case(
        "TripletMarginMiner",
        judge_triplets,
        tuple,
        pair_bytes=2400,
        counts=(1024,),
        margin=_MARGIN,
        type_of_triplets="semihard",
    ),
)

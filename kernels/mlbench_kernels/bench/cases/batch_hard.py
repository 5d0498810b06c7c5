"""Batch-hard: the farthest positive and the nearest negative."""

from __future__ import annotations

import torch
from torch import Tensor

from ...mining import BatchHard, batch_hard
from ..case import CERTIFIED, DENSE, EXACT, PML, PRECISIONS, PRODUCT, Bar, Case, Judge, Shape, Verdict, fours
from ..data import Batch, make_batch
from ..exact import Best, pick_bound, together
from ..peers import compiled, dense, metric_learning_miner, ours
from ..product import product

Picks = tuple[Tensor, Tensor]

_SMALL, _MIDDLE, _LARGE, _HUGE = fours(1024), fours(2048), fours(8192), fours(16384)
_GIANT = fours(262_144)


def dense_batch_hard(x: Tensor, labels: Tensor) -> Picks:
    """All distances, two masks, two reductions."""
    distance = torch.cdist(x, x)
    same = labels[:, None] == labels
    negative = distance.masked_fill(same, torch.inf).argmin(dim=1)
    same = same.fill_diagonal_(False)
    return distance.masked_fill(~same, -torch.inf).argmax(dim=1), negative


def judge(batch: Batch) -> Judge:
    """Both picks against the exact ones."""
    positives, negatives = Best(batch, "positives", farthest=True), Best(batch, "negatives", farthest=False)

    def verdict(picks: Picks, precision: str) -> Verdict:
        bound = pick_bound(precision, batch.embeddings.shape[1])
        return together([positives.verdict(picks[0], bound), negatives.verdict(picks[1], bound)])

    return verdict


def _picks(found: BatchHard) -> Picks:
    return found.positive_index, found.negative_index


def _share(shape: Shape, share: float) -> list[Bar]:
    """Of the rate of the product, in every precision of the matrix units."""
    return [Bar("cuda", shape, "speed", share, PRODUCT, precision) for precision in PRECISIONS if precision != EXACT]


BARS = (
    Bar("cpu", _SMALL, "speed", 4, PML),
    Bar("cpu", _MIDDLE, "speed", 8, PML),
    Bar("cpu", _HUGE, "speed", 12, PML),
    Bar("cpu", _MIDDLE, "time", 1.3, PRODUCT),
    Bar("cpu", _LARGE, "time", 0.9, PRODUCT),
    Bar("cpu", _HUGE, "time", 0.9, PRODUCT),
    Bar("cpu", _HUGE, "memory", 64 << 20),
    *_share(_HUGE, 0.45),
    *_share(fours(16_384, 512), 0.75),
    *_share(fours(16_384, 1024), 0.85),
    Bar("cuda", _HUGE, "speed", 8, DENSE, "tf32x3", EXACT),
    Bar("cuda", _GIANT, "memory", 2 << 30, precision="tf32x3"),
)

CASES = (
    Case(
        "batch-hard",
        make_batch,
        judge,
        (
            ours(batch_hard, _picks),
            ours(batch_hard, _picks, CERTIFIED, ("bf16", "tf32x3"), certified=True),
            product,
            metric_learning_miner("BatchHardMiner", lambda found: found[1:], pair_bytes=30),
            dense(dense_batch_hard, tuple, pair_bytes=14),
            compiled(dense_batch_hard, tuple, pair_bytes=14, most=16_384),
        ),
        cpu=(_SMALL, _MIDDLE, _LARGE, _HUGE),
        gpu=(
            _HUGE, fours(16_384, 512), fours(16_384, 1024), fours(65_536), _GIANT, fours(65_536, 512), fours(4096),
            _SMALL,
        ),
        bars=BARS,
    ),
)  # fmt: skip

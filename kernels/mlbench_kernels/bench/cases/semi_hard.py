"""FaceNet's semi-hard negatives: for every anchor-positive pair, the nearest negative farther than the positive."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ...mining import batch_hard, semi_hard
from ..case import OURS, Bar, Case, Judge, Shape, Verdict, fours
from ..data import Batch, make_batch
from ..exact import Block, blocks, pair_distances, pick_bound
from ..peers import dense, metric_learning_miner, ours
from ..product import product

Triplets = tuple[Tensor, Tensor, Tensor]
"""Anchor, positive, negative (-1 where none fits), `[P]` each, by anchor, then by positive."""

_BATCH_HARD = f"{OURS} batch-hard"
_EXACT_PICKS = ("tf32x3", "bf16x3", "ieee")


def dense_semi_hard(x: Tensor, labels: Tensor) -> Triplets:
    """All distances, each anchor's negatives sorted, and a binary search for each of its positives.

    The method of the fastest published implementations: O(N² log N) time, O(N²) memory.
    """
    distance = torch.cdist(x, x)
    same = labels[:, None] == labels
    far, index = distance.masked_fill(same, torch.inf).sort(dim=1)
    anchor, positive = same.fill_diagonal_(False).nonzero().unbind(dim=1)
    counts = torch.bincount(anchor, minlength=len(x))
    number = torch.arange(len(anchor), device=x.device) - (counts.cumsum(0) - counts)[anchor]
    limits = distance.new_full((len(x), int(counts.max())), torch.inf)
    limits[anchor, number] = distance[anchor, positive]
    place = torch.searchsorted(far, limits, right=True)[anchor, number].clamp_max(len(x) - 1)
    return anchor, positive, index[anchor, place].masked_fill(far[anchor, place].isinf(), -1)


@dataclass(frozen=True)
class Exact:
    """The exact answer, `[P]` each: the pair, its distance, the pick and its distance (inf without one)."""

    anchor: Tensor
    positive: Tensor
    near: Tensor
    negative: Tensor
    far: Tensor
    farthest: Tensor  # any negative's, of the anchor

    @classmethod
    def of(cls, batch: Batch) -> Exact:
        """By blocks of anchors."""
        parts = [cls._of(block) for block in blocks(batch)]
        return cls(*(torch.cat(part) for part in zip(*parts, strict=True)))

    @staticmethod
    def _of(block: Block) -> tuple[Tensor, ...]:
        anchor, positive = block.positive.nonzero().unbind(dim=1)
        near = block.distance[anchor, positive]
        value, index = torch.full_like(near, torch.inf), torch.full_like(anchor, -1)
        distance = block.distance.masked_fill(block.same, torch.inf)
        for pairs in torch.arange(len(anchor), device=anchor.device).split(len(block.distance)):
            rows = distance[anchor[pairs]]
            value[pairs], index[pairs] = rows.masked_fill_(rows <= near[pairs, None], torch.inf).min(dim=1)
        farthest = block.distance.masked_fill(block.same, -torch.inf).amax(dim=1)[anchor]
        start: int = block.rows.start
        return anchor + start, positive, near, index.masked_fill(value.isinf(), -1), value, farthest


def judge(batch: Batch) -> Judge:
    """The triplets against the exact ones.

    A pick may be nearer than the positive, or farther than the best, by what rounding explains; no pick is right where
    no negative is farther than the positive by more than that.
    """
    exact = Exact.of(batch)

    def verdict(triplets: Triplets, precision: str) -> Verdict:
        anchor, positive, negative = triplets
        order = torch.argsort(anchor * len(batch.labels) + positive)
        anchor, positive, negative = anchor[order], positive[order], negative[order]
        bound = pick_bound(precision, batch.embeddings.shape[1])
        if not (torch.equal(anchor, exact.anchor) and torch.equal(positive, exact.positive)):
            return Verdict(len(exact.anchor), len(exact.anchor), torch.inf, bound)
        value = pair_distances(batch, anchor, negative)
        excess = torch.maximum(value - exact.far, exact.near - value)
        missed = (exact.farthest - exact.near).masked_fill(exact.negative < 0, 0.0)
        excess = torch.where(negative < 0, missed, excess).clamp_min(0)
        same = batch.labels[anchor] == batch.labels[negative.clamp_min(0)]
        excess = excess.masked_fill(same & (negative >= 0), torch.inf)
        differ = int((negative != exact.negative).sum())
        return Verdict(differ, len(anchor), float(excess.max()) if len(excess) else 0.0, bound)

    return verdict


def _bars(device: str, shape: Shape) -> list[Bar]:
    if device == "cpu":
        return [Bar("cpu", shape, "time", 3, _BATCH_HARD)]
    speed = [Bar("cuda", shape, "time", 2.5, _BATCH_HARD, precision) for precision in _EXACT_PICKS]
    return speed + [Bar("cuda", shape, "differ", 0, None, precision) for precision in _EXACT_PICKS]


CASES = (
    Case(
        "semi-hard",
        make_batch,
        judge,
        (
            ours(semi_hard, lambda found: (found.anchor, found.positive, found.negative)),
            ours(batch_hard, None, _BATCH_HARD),
            product,
            metric_learning_miner(
                "TripletMarginMiner", None, pair_bytes=240, most=4096, type_of_triplets="semihard", margin=1.0
            ),
            dense(dense_semi_hard, tuple, pair_bytes=60),
        ),
        cpu=(fours(1024), fours(2048), fours(8192), fours(16_384)),
        gpu=(fours(16_384), fours(16_384, 512), fours(65_536), fours(4096)),
        bars=tuple(
            bar
            for device, shape in (("cpu", fours(2048)), ("cpu", fours(16_384)), ("cuda", fours(16_384)))
            for bar in _bars(device, shape)
        ),
    ),
)

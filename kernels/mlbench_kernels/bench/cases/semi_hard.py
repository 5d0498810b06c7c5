"""FaceNet's semi-hard negatives: for every anchor-positive pair, the nearest negative farther than the positive."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import normalize

from ...mining import SemiHard, batch_hard, semi_hard
from ..case import BATCH_HARD, CERTIFIED, Bar, Case, Judge, Shape, Verdict, fours
from ..data import Batch, make_batch
from ..exact import Block, blocks, pick_bound
from ..peers import dense, metric_learning_miner, ours
from ..product import product

Triplets = tuple[Tensor, Tensor, Tensor]
"""Anchor, positive, negative (-1 where none fits), `[P]` each, by anchor, then by positive."""

_EXACT_PICKS = ("tf32x3", "bf16x3", "ieee")
_PART = 512  # pairs whose distances to everybody are held at a time


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


class Exact(NamedTuple):
    """The exact answer, `[P]` each: the pair, its distance, and the nearest negative that is farther (or -1)."""

    anchor: Tensor
    positive: Tensor
    near: Tensor
    negative: Tensor

    @classmethod
    def of(cls, batch: Batch) -> Exact:
        """By blocks of anchors."""
        parts = [cls._of(block) for block in blocks(batch)]
        return cls(*(torch.cat(part) for part in zip(*parts, strict=True)))

    @classmethod
    def _of(cls, block: Block) -> Exact:
        anchor, positive = block.positive.nonzero().unbind(dim=1)
        near, first = block.distance[anchor, positive], int(block.rows.start)
        far = block.distance.masked_fill(block.same, torch.inf)
        _, negative = _nearest_beyond(far, anchor, near)
        return cls(anchor + first, positive, near, negative)


def _nearest_beyond(far: Tensor, row: Tensor, limit: Tensor) -> tuple[Tensor, Tensor]:
    """The least of the distances `far[row]` `[P, N]` above `limit` `[P]` and where it is; inf and -1 without one."""
    value, index = torch.empty_like(limit), torch.empty_like(row)
    for part in torch.arange(len(row), device=row.device).split(max(1, len(far))):
        rows = far[row[part]]
        value[part], index[part] = rows.masked_fill_(rows <= limit[part, None], torch.inf).min(dim=1)
    return value, index.masked_fill(value.isinf(), -1)


def judge(batch: Batch) -> Judge:
    """The triplets against the exact ones.

    Rounding may take a negative that is nearer than the positive, or pass over one that is farther, by so little that
    it cannot tell; of those that are farther beyond doubt it must take the nearest, but for rounding again.
    """
    exact = Exact.of(batch)

    def verdict(triplets: Triplets, precision: str) -> Verdict:
        anchor, positive, negative = triplets
        order = torch.argsort(anchor * len(batch.labels) + positive)
        anchor, positive, negative = anchor[order], positive[order], negative[order]
        bound = pick_bound(precision, batch.embeddings.shape[1])
        if not (torch.equal(anchor, exact.anchor) and torch.equal(positive, exact.positive)):
            return Verdict(len(exact.anchor), len(exact.anchor), torch.inf, bound)
        other = (negative != exact.negative).nonzero().flatten()
        parts = other.split(_PART) if len(other) else ()
        excess = max((_excess(batch, exact, part, negative[part], bound) for part in parts), default=0.0)
        return Verdict(len(other), len(anchor), excess, bound)

    return verdict


def _excess(batch: Batch, exact: Exact, pairs: Tensor, negative: Tensor, bound: float) -> float:
    """How far the negatives of some pairs are from what they may be."""
    anchor, near = exact.anchor[pairs], exact.near[pairs]
    x = normalize(batch.embeddings.double())
    far = (1 - x[anchor] @ x.T).masked_fill(batch.labels[anchor, None] == batch.labels, torch.inf)
    row = torch.arange(len(pairs), device=pairs.device)
    beyond, _ = _nearest_beyond(far, row, near + bound)  # inf without one
    value = far[row, negative.clamp_min(0)]  # inf for one that is no negative
    excess = torch.maximum(value - beyond, near - value)
    excess = torch.where(value.isinf(), torch.inf, excess)
    excess = torch.where(negative >= 0, excess, torch.where(beyond.isinf(), 0.0, torch.inf))
    return max(0.0, float(excess.max()))


def _triplets(found: SemiHard) -> Triplets:
    return found.anchor, found.positive, found.negative


def _bars(device: str, shape: Shape) -> list[Bar]:
    if device == "cpu":
        return [Bar("cpu", shape, "time", 3, BATCH_HARD)]
    speed = [Bar("cuda", shape, "time", 2.5, BATCH_HARD, precision) for precision in _EXACT_PICKS]
    return speed + [Bar("cuda", shape, "differ", 0, None, precision) for precision in _EXACT_PICKS]


CASES = (
    Case(
        "semi-hard",
        make_batch,
        judge,
        (
            ours(semi_hard, _triplets),
            ours(semi_hard, _triplets, CERTIFIED, ("tf32x3", "bf16x3"), certified=True),
            ours(batch_hard, None, BATCH_HARD),
            product,
            metric_learning_miner(
                "TripletMarginMiner", None, pair_bytes=240, most=4096, type_of_triplets="semihard", margin=1.0
            ),
            dense(dense_semi_hard, tuple, pair_bytes=60),
        ),
        cpu=(fours(1024), fours(2048), fours(8192), fours(16_384)),
        gpu=(fours(16_384), fours(65_536), fours(4096), fours(16_384, 512)),
        bars=tuple(
            bar
            for device, shape in (("cpu", fours(2048)), ("cpu", fours(16_384)), ("cuda", fours(16_384)))
            for bar in _bars(device, shape)
        ),
    ),
)

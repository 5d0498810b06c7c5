"""Multi-similarity mining: all pairs that are hard against the anchor's hardest opposite pair."""

from __future__ import annotations

import torch
from torch import Tensor

from ...mining import batch_hard, multi_similarity
from ..case import BATCH_HARD, Bar, Case, Judge, Verdict, fours
from ..data import Batch, make_batch
from ..exact import blocks, pick_bound
from ..peers import dense, metric_learning_miner, ours
from ..product import product

Pairs = tuple[Tensor, Tensor, Tensor, Tensor]
"""Anchors and positives `[P]`, anchors and negatives `[Q]`, both by anchor."""

_EPSILON = 0.1


def dense_multi_similarity(x: Tensor, labels: Tensor) -> Pairs:
    """All distances, two reductions for the thresholds, two masks."""
    distance = 1 - x @ x.T
    same = labels[:, None] == labels
    near = distance.masked_fill(same, torch.inf).amin(dim=1, keepdim=True)
    negative = ~same
    same = same.fill_diagonal_(False)
    far = distance.masked_fill(~same, -torch.inf).amax(dim=1, keepdim=True)
    hard_positive = same & (distance > near - _EPSILON)
    hard_negative = negative & (distance < far + _EPSILON)
    anchor, positive = hard_positive.nonzero().unbind(dim=1)
    other, found = hard_negative.nonzero().unbind(dim=1)
    return anchor, positive, other, found


def judge(batch: Batch) -> Judge:
    """Both sets of pairs against the exact ones; they may differ in pairs that rounding cannot tell apart."""

    def verdict(pairs: Pairs, precision: str) -> Verdict:
        differ, of, excess = 0, 0, 0.0
        for block in blocks(batch):
            limits = (
                block.distance.masked_fill(block.same, torch.inf).amin(dim=1, keepdim=True) - _EPSILON,
                block.distance.masked_fill(~block.positive, -torch.inf).amax(dim=1, keepdim=True) + _EPSILON,
            )
            pools = (block.positive, ~block.same)
            exact = (pools[0] & (block.distance > limits[0]), pools[1] & (block.distance < limits[1]))
            for i in range(2):
                found = _marked(pairs[2 * i], pairs[2 * i + 1], block.rows.start, *block.distance.shape)
                wrong = found != exact[i]
                away = (block.distance - limits[i]).abs().masked_fill_(~pools[i], torch.inf)[wrong]
                differ, of = differ + len(away), of + int(exact[i].sum())
                excess = max(excess, float(away.max()) if len(away) else 0.0)
        # Threshold and distance have an error each.
        return Verdict(differ, of, excess, pick_bound(precision, batch.embeddings.shape[1]))

    return verdict


def _marked(anchor: Tensor, reference: Tensor, start: int, rows: int, columns: int) -> Tensor:
    """The pairs of the anchors from `start` on, as a mask `[rows, columns]`."""
    edges = torch.tensor([start, start + rows], device=anchor.device)
    first, last = torch.searchsorted(anchor, edges).tolist()
    mask = torch.zeros(rows, columns, dtype=torch.bool, device=anchor.device)
    mask[anchor[first:last] - start, reference[first:last]] = True
    return mask


CASES = (
    Case(
        "multi-similarity",
        make_batch,
        judge,
        (
            ours(
                multi_similarity,
                lambda found: (found.positive_anchor, found.positive, found.negative_anchor, found.negative),
                epsilon=_EPSILON,
            ),
            ours(batch_hard, None, BATCH_HARD),
            product,
            metric_learning_miner("MultiSimilarityMiner", tuple, pair_bytes=120, epsilon=_EPSILON),
            dense(dense_multi_similarity, tuple, pair_bytes=16),
        ),
        cpu=(fours(1024), fours(2048), fours(8192), fours(16_384)),
        gpu=(fours(16_384), fours(4096)),
        bars=(Bar("cpu", fours(2048), "time", 2, BATCH_HARD), Bar("cpu", fours(16_384), "time", 2, BATCH_HARD)),
    ),
)
